//! Carries out commands at the vendor: attempt, read the verdict, wait, try again.

use super::directory::Directory;
use super::known::Known;
use super::means::Means;
use super::quota::Quota;
use super::sign::Stamp;
use super::transport::TransportError;
use super::url_scan::UrlScan;
use crate::command::{Call, Command, Guards, Operation, Rule};
use crate::settings::Mimecast;
use crate::telemetry::Metrics;
use crate::verdict::{Attempts, Conclusion, History, Outcome, Policy};
use chrono::{DateTime, TimeDelta, Utc};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// The vendor, ready for calls.
#[derive(Debug)]
pub struct Vendor {
    means: RwLock<Arc<Means>>,
    pub(super) fresh: fn() -> Stamp,
    pub(super) metrics: Arc<Metrics>,
    quotas: Mutex<BTreeMap<Operation, Quota>>,
    /// Health calls, and what Mimecast has answered lately.
    pub(super) known: Known,
    /// The time by the vendor's last reply, in its words, and by our clock.
    pub(super) told_time: Mutex<Option<(String, DateTime<Utc>)>>,
    pub(super) directory: Directory,
    pub(super) url_scan: UrlScan,
}

/// How much to do for a command, and how long.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// One attempt at each call, instead of all that the policy has.
    pub probe: bool,
    /// No wait goes beyond this.
    pub deadline: Instant,
}

/// What one attempt came to.
#[derive(Debug)]
pub(super) struct Asked {
    /// What the reply says, or that there was none.
    pub outcome: Outcome,
    /// The body of the reply.
    pub body: Vec<u8>,
    /// How long to wait at least before the next attempt, where the reply says so.
    pub wait: Option<Duration>,
    /// True for a 400 with an empty body.
    pub is_mute: bool,
}

impl Vendor {
    /// Sets everything up; nothing is sent yet. `guards` are kept as far as the vendor has to be asked for
    /// that; `fresh` makes the stamp of each attempt.
    ///
    /// # Errors
    ///
    /// When the HTTP client cannot be made.
    pub fn new(
        settings: &Mimecast,
        policy: Policy,
        guards: Guards,
        fresh: fn() -> Stamp,
        metrics: Arc<Metrics>,
    ) -> Result<Vendor, TransportError> {
        Ok(Vendor {
            means: RwLock::new(Arc::new(Means::new(settings, policy, guards)?)),
            fresh,
            metrics,
            quotas: Mutex::new(Operation::ALL.map(|it| (it, Quota::new(settings.timings))).into()),
            known: Known::default(),
            told_time: Mutex::default(),
            directory: Directory::default(),
            url_scan: UrlScan::default(),
        })
    }

    /// From now on with these. The access token stays as long as who calls is the same.
    ///
    /// # Errors
    ///
    /// When the HTTP client cannot be made; then everything is as it was.
    pub fn renew(
        &self,
        settings: &Mimecast,
        policy: Policy,
        guards: Guards,
    ) -> Result<(), TransportError> {
        let means = Arc::new(self.means().renewed(settings, policy, guards)?);
        let is_another = !Arc::ptr_eq(&means.caller, &self.means().caller);
        *self.means.write().unwrap_or_else(PoisonError::into_inner) = means;
        if is_another {
            // What others were answered says nothing of us, and neither does their quota. Only now: whoever is woken
            // calls at once, and has to call with the new means.
            let fresh = || Quota::new(settings.timings);
            self.quotas().values_mut().for_each(|quota| *quota = fresh());
            self.known.forget();
        }
        Ok(())
    }

    /// What is in force now.
    pub(super) fn means(&self) -> Arc<Means> {
        Arc::clone(&self.means.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// How far the vendor's clock is ahead of ours, as its last reply told; accurate to a few seconds.
    pub fn clock_ahead(&self) -> Option<TimeDelta> {
        let told = self.told_time.lock().unwrap_or_else(PoisonError::into_inner);
        let (theirs, ours) = told.as_ref()?;
        Some(DateTime::parse_from_rfc2822(theirs).ok()?.to_utc() - *ours)
    }

    /// The calls left in the window of that operation which has the fewest, as far as replies told.
    pub fn quota_left(&self) -> Option<u64> {
        let left = |operation| self.with_quota(operation, |quota| quota.remaining());
        Operation::ALL.into_iter().filter_map(left).min()
    }

    /// Carries out `command`, with as many attempts as `effort` allows. `ended` ends a wait, but never a
    /// request under way.
    pub async fn execute(
        &self,
        command: &Command,
        history: &mut History,
        effort: Effort,
        ended: &CancellationToken,
    ) -> Conclusion {
        if self.means().guards.dry_run {
            self.metrics.decided(Rule::DryRun);
            tracing::info!(operation = command.operation().label(), "not done, in a dry run");
            return Conclusion::Applied;
        }
        history.begin(command);
        let (conclusion, _) = self.conclude(&command.call(), history, effort, ended).await;
        let conclusion = history.conclude(conclusion);
        self.metrics.concluded(command.operation(), &conclusion, (self.fresh)().at);
        conclusion
    }

    /// What a call comes to, with as many attempts as `effort` allows, and the body of the last reply.
    pub async fn conclude(
        &self,
        call: &Call,
        history: &mut History,
        effort: Effort,
        ended: &CancellationToken,
    ) -> (Conclusion, Vec<u8>) {
        let operation = call.operation;
        let mut attempts =
            if effort.probe { Attempts::one() } else { Attempts::of(self.means().policy) };
        loop {
            if let Err(not_sent) = self.wait_for_quota(operation, effort.deadline, ended).await {
                return (not_sent, Vec::new());
            }
            let Asked { outcome, body, wait, .. } =
                self.attempt(call, history, effort.deadline).await;
            let left = effort.deadline.saturating_duration_since(Instant::now());
            let Some(wait) = attempts.next(&outcome, wait, left) else {
                return (Attempts::conclude(call, outcome), body);
            };
            self.metrics.retried(operation, &outcome);
            tracing::debug!(
                operation = operation.label(),
                outcome = outcome.label(),
                wait_ms = wait.as_millis() as u64,
                "trying again"
            );
            let _either = ended.run_until_cancelled(tokio::time::sleep(wait)).await;
        }
    }

    /// How often a list is read that does not come out right.
    pub(super) fn readings(&self, effort: Effort) -> u32 {
        if effort.probe { 1 } else { self.means().policy.attempts }
    }

    /// One attempt.
    async fn attempt(&self, call: &Call, history: &mut History, deadline: Instant) -> Asked {
        let started = Instant::now();
        let asked = self.ask(call, history, deadline).await;
        self.known.learn(call, &asked.outcome);
        if let Outcome::Throttled(wait) = &asked.outcome {
            // A server that asks for no wait at all is not to be flooded.
            let wait = (*wait).max(self.means().policy.initial_delay);
            let now = Instant::now().into_std();
            self.with_quota(call.operation, |quota| quota.close(wait, now));
        }
        self.metrics.attempted(call.operation, &asked.outcome, started.elapsed());
        asked
    }

    pub(super) fn with_quota<T>(
        &self,
        operation: Operation,
        act: impl FnOnce(&mut Quota) -> T,
    ) -> T {
        act(self.quotas().get_mut(&operation).expect("every operation has one from the start"))
    }

    pub(super) fn quotas(&self) -> MutexGuard<'_, BTreeMap<Operation, Quota>> {
        self.quotas.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
