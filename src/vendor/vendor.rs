//! Carries out commands at the vendor: attempt, read the verdict, wait, try again.

use super::command_limit::CommandLimits;
use super::group_policy::GroupPolicies;
use super::sign::Stamp;
use super::tenant::Tenant;
use super::transport::{ReplyBody, TransportError};
use crate::command::{Call, Command, Guards, Intent, Operation, Rule};
use crate::settings::{Mimecast, Timings};
use crate::telemetry::{Metrics, WriteAhead};
use crate::verdict::{Attempts, Conclusion, Execution, History, Outcome, Policy};
use chrono::{DateTime, TimeDelta};
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// The vendor, ready for calls with the settings of one moment.
#[derive(Debug)]
pub struct Vendor {
    settings: Mimecast,
    /// Who calls, and what was learned by it.
    pub(super) tenant: Arc<Tenant>,
    policy: Policy,
    /// What is against a call.
    pub(super) guards: Guards,
    /// The groups that the guards name.
    pub(super) group_policies: GroupPolicies,
    /// How many commands had an effect, whatever the settings were.
    pub(super) command_limits: Arc<CommandLimits>,
    pub(super) fresh: fn() -> Stamp,
    pub(super) metrics: Arc<Metrics>,
}

/// How much to do for a command, how long, and where it is written down first.
#[derive(Clone, Copy, Debug)]
pub struct Effort<'a> {
    /// One attempt at each call, instead of all that the policy has.
    pub probe: bool,
    /// No wait goes beyond this.
    pub deadline: Instant,
    /// Where each change is written down before it is asked for, if it is.
    pub write_ahead: Option<&'a WriteAhead<'a>>,
}

impl Effort<'_> {
    /// Without an audit trail.
    pub fn new(probe: bool, deadline: Instant) -> Self {
        Effort { probe, deadline, write_ahead: None }
    }
}

/// What one attempt came to.
#[derive(Debug)]
pub(super) struct Asked {
    /// What the reply says, or that there was none.
    pub outcome: Outcome,
    /// The body of the reply.
    pub body: ReplyBody,
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
            settings: settings.clone(),
            tenant: Arc::new(Tenant::new(settings)?),
            policy,
            guards,
            group_policies: GroupPolicies::new(settings.group_cache),
            command_limits: Arc::default(),
            fresh,
            metrics,
        })
    }

    /// The next one. What was learned stays as long as the settings of Mimecast are the same.
    pub(super) fn renewed(
        &self,
        settings: &Mimecast,
        policy: Policy,
        guards: Guards,
    ) -> Result<Vendor, TransportError> {
        let tenant = match *settings == self.settings {
            true => Arc::clone(&self.tenant),
            false => Arc::new(Tenant::new(settings)?),
        };
        Ok(Vendor {
            settings: settings.clone(),
            tenant,
            policy,
            guards,
            group_policies: GroupPolicies::new(settings.group_cache),
            command_limits: Arc::clone(&self.command_limits),
            fresh: self.fresh,
            metrics: Arc::clone(&self.metrics),
        })
    }

    /// From now on the `new` one is in force.
    pub(super) fn replace_by(&self, new: &Vendor) {
        if !Arc::ptr_eq(&self.tenant, &new.tenant) {
            self.tenant.replaced.cancel();
        }
    }

    /// Whether other credentials or another base URL are in force by now. Then no call is begun any more, and whatever
    /// was not finished is to be begun again.
    pub fn is_replaced(&self) -> bool {
        self.tenant.replaced.is_cancelled()
    }

    /// The waits and limits that are no settings.
    pub(super) fn timings(&self) -> Timings {
        self.settings.timings
    }

    /// How long the id of a group is remembered by its name.
    pub(super) fn group_cache(&self) -> Duration {
        self.settings.group_cache
    }

    /// Tells these intents at this tenant from all others. The same tenant by another address, or another application, is
    /// taken for another one: what is done again does no harm.
    pub fn digest(&self, intents: &[Intent]) -> String {
        let Mimecast { base_url, credentials, .. } = &self.settings;
        Intent::digest(intents, &format!("{base_url} {}", credentials.application().reveal()))
    }

    /// How far the vendor's clock is ahead of ours, as its last reply told; accurate to a few seconds.
    pub fn clock_ahead(&self) -> Option<TimeDelta> {
        let told = self.tenant.told_time.lock().unwrap_or_else(PoisonError::into_inner);
        let (theirs, ours) = told.as_ref()?;
        Some(DateTime::parse_from_rfc2822(theirs).ok()?.to_utc() - *ours)
    }

    /// The calls left in the window of that operation which has the fewest, as far as replies told.
    pub fn quota_left(&self) -> Option<u64> {
        let left = |operation| self.tenant.with_quota(operation, |quota| quota.remaining());
        Operation::ALL.into_iter().filter_map(left).min()
    }

    /// Carries out `command`, with as many attempts as `effort` allows. `ended` ends a wait, but never a
    /// request under way.
    pub async fn execute(
        &self,
        command: &Command,
        history: &mut History,
        effort: Effort<'_>,
        ended: &CancellationToken,
    ) -> Conclusion {
        if self.guards.dry_run {
            self.metrics.decided(Rule::DryRun);
            tracing::info!(operation = command.operation().label(), "not done, in a dry run");
            return Conclusion::Applied;
        }
        let permit = match self.permit(command, effort, ended).await {
            Ok(permit) => permit,
            Err(conclusion) => return conclusion,
        };
        history.begin(command);
        let (conclusion, _) = self.conclude(&command.call(), history, effort, ended).await;
        let conclusion = history.conclude(conclusion);
        // A request before may have had the effect although it failed, in this delivery of the message or another.
        let has_failed = history.first_failed_at.is_some() || permit.is_again();
        let execution = history.executions.last();
        match conclusion {
            Conclusion::Applied => permit.had_effect(),
            Conclusion::AlreadyGone | Conclusion::NotFound if has_failed => permit.had_effect(),
            Conclusion::AlreadyGone | Conclusion::NotFound => {}
            Conclusion::Refused(..)
            | Conclusion::Stuck(_)
            | Conclusion::Limited(_)
            | Conclusion::OutOfTime
            | Conclusion::Stopped => {
                if permit.is_again() || execution.is_some_and(Execution::may_have_had_an_effect) {
                    permit.may_have_had_effect();
                }
            }
        }
        self.metrics.concluded(command.operation(), &conclusion, (self.fresh)().at);
        conclusion
    }

    /// What a call comes to, with as many attempts as `effort` allows, and the body of the last reply.
    pub(super) async fn conclude(
        &self,
        call: &Call,
        history: &mut History,
        effort: Effort<'_>,
        ended: &CancellationToken,
    ) -> (Conclusion, ReplyBody) {
        let operation = call.operation;
        let mut attempts = if effort.probe { Attempts::one() } else { Attempts::of(self.policy) };
        loop {
            if let Err(not_sent) = self.wait_for_quota(operation, effort.deadline, ended).await {
                return (not_sent, ReplyBody::default());
            }
            let asked = match self.attempt(call, history, effort).await {
                Ok(asked) => asked,
                Err(not_sent) => return (not_sent, ReplyBody::default()),
            };
            let Asked { outcome, body, wait, .. } = asked;
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
            let waiting = self.tenant.replaced.run_until_cancelled(tokio::time::sleep(wait));
            let _either = ended.run_until_cancelled(waiting).await;
        }
    }

    /// How often a list is read that does not come out right.
    pub(super) fn readings(&self, effort: Effort<'_>) -> u32 {
        if effort.probe { 1 } else { self.policy.attempts }
    }

    /// One attempt.
    ///
    /// # Errors
    ///
    /// The conclusion, where it was not begun.
    async fn attempt(
        &self,
        call: &Call,
        history: &mut History,
        effort: Effort<'_>,
    ) -> Result<Asked, Conclusion> {
        let started = Instant::now();
        let asked = self.ask(call, history, effort).await?;
        self.tenant.known.learn(call, &asked.outcome);
        if let Outcome::Throttled(wait) = &asked.outcome {
            // A server that asks for no wait at all is not to be flooded.
            let wait = (*wait).max(self.policy.initial_delay);
            let now = Instant::now().into_std();
            self.tenant.with_quota(call.operation, |quota| quota.close(wait, now));
        }
        self.metrics.attempted(call.operation, &asked.outcome, started.elapsed());
        Ok(asked)
    }
}
