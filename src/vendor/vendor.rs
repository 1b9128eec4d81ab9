//! Carries out commands at the vendor: attempt, read the verdict, wait, try again.

use super::quota::{Priority, Quota};
use super::sign::{self, Stamp};
use super::token::Tokens;
use super::transport::{Transport, TransportError};
use crate::command::{Call, Command, Operation};
use crate::secrecy::Secret;
use crate::settings::{Credentials, Keys, Mimecast};
use crate::telemetry::Metrics;
use crate::verdict::{Attempts, Conclusion, Evidence, History, Outcome, Policy, Reply, retry};
use chrono::TimeDelta;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use url::Url;

/// The vendor, ready for calls.
#[derive(Debug)]
pub struct Vendor {
    transport: Arc<Transport>,
    base_url: Url,
    access: Access,
    hide: Vec<Secret>,
    policy: Policy,
    fresh: fn() -> Stamp,
    metrics: Arc<Metrics>,
    quota: Mutex<Quota>,
    evidence: Mutex<BTreeMap<Operation, Evidence>>,
    clock_ahead: Mutex<Option<TimeDelta>>,
}

#[derive(Debug)]
enum Access {
    Signed(Keys),
    Bearer(Tokens),
}

/// How much to do for a command, and how long.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// One attempt, to see whether the vendor is well again, instead of all that the policy has.
    pub probe: bool,
    /// No wait goes beyond this.
    pub deadline: Instant,
}

impl Vendor {
    /// Sets everything up; nothing is sent yet. `fresh` makes the stamp of each attempt.
    ///
    /// # Errors
    ///
    /// When the HTTP client cannot be made.
    pub fn new(
        settings: &Mimecast,
        policy: Policy,
        fresh: fn() -> Stamp,
        metrics: Arc<Metrics>,
    ) -> Result<Vendor, TransportError> {
        let transport = Arc::new(Transport::new(settings)?);
        let access = match settings.credentials.clone() {
            Credentials::Hmac(keys) => Access::Signed(keys),
            Credentials::OAuth2(client) => {
                Access::Bearer(Tokens::new(Arc::clone(&transport), client))
            }
        };
        Ok(Vendor {
            transport,
            base_url: settings.base_url.clone(),
            access,
            hide: settings.credentials.secrets(),
            policy,
            fresh,
            metrics,
            quota: Mutex::default(),
            evidence: Mutex::default(),
            clock_ahead: Mutex::default(),
        })
    }

    /// What is known about `operation` by now.
    pub fn evidence(&self, operation: Operation) -> Evidence {
        self.with_evidence(operation, |evidence| *evidence)
    }

    /// How far the vendor's clock is ahead of ours, as its last reply told; accurate to a few seconds.
    pub fn clock_ahead(&self) -> Option<TimeDelta> {
        *self.clock_ahead.lock().unwrap_or_else(PoisonError::into_inner)
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
        let call = command.call();
        let operation = call.operation;
        let mut attempts = if effort.probe { Attempts::one() } else { Attempts::of(self.policy) };
        loop {
            if let Err(not_sent) = self.admit(operation, effort.deadline, ended).await {
                return not_sent;
            }
            let outcome = self.attempt(&call, history).await;
            let evidence = self.evidence(operation);
            let left = effort.deadline.saturating_duration_since(Instant::now());
            let Some(wait) = attempts.next(&outcome, evidence, left) else {
                self.metrics.concluded(operation, &outcome);
                return attempts.conclude(outcome, evidence);
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

    /// Waits until the quota has a call left.
    async fn admit(
        &self,
        operation: Operation,
        deadline: Instant,
        ended: &CancellationToken,
    ) -> Result<(), Conclusion> {
        loop {
            if ended.is_cancelled() {
                return Err(Conclusion::Stopped);
            }
            let taken = self.with_quota(|quota| quota.take(priority(operation), now()));
            let Err(wait) = taken else { return Ok(()) };
            // A little later than the others, or all would come at the same instant.
            let wait = retry::jittered(wait);
            let started = Instant::now();
            if started + wait >= deadline {
                return Err(Conclusion::OutOfTime);
            }
            let _either = ended.run_until_cancelled(tokio::time::sleep(wait)).await;
            self.metrics.throttled(started.elapsed());
        }
    }

    /// One request. It is signed in here, because the signature covers the date and the request id
    /// and both must be fresh each time.
    async fn attempt(&self, call: &Call, history: &mut History) -> Outcome {
        let stamp = (self.fresh)();
        let started = Instant::now();
        let sent = self.with_evidence(call.operation, Evidence::send);
        let outcome = match &self.access {
            Access::Signed(keys) => {
                let headers = signed_headers(keys, &stamp, call.operation.path());
                self.send(call, &stamp, &headers, &self.hide).await
            }
            Access::Bearer(tokens) => self.attempt_with_token(call, &stamp, tokens).await,
        };
        match &outcome {
            Outcome::Applied | Outcome::AlreadyGone | Outcome::Rejected(_) => {
                self.with_evidence(call.operation, |evidence| evidence.answer(sent));
            }
            Outcome::Throttled(wait) => {
                // A vendor that asks for no wait at all is not to be flooded.
                let wait = (*wait).max(self.policy.initial_delay);
                self.with_quota(|quota| quota.close(wait, now()));
            }
            Outcome::Unauthorised(_) | Outcome::Unavailable(_) => {}
        }
        history.attempted(stamp.at, stamp.request_id, outcome.is_failure());
        self.metrics.attempted(call.operation, &outcome, started.elapsed());
        outcome
    }

    async fn attempt_with_token(&self, call: &Call, stamp: &Stamp, tokens: &Tokens) -> Outcome {
        let token = match tokens.current(stamp).await {
            Ok(token) => token,
            Err(outcome) => return outcome,
        };
        let headers = [
            ("authorization", Secret::new(format!("Bearer {}", token.reveal()))),
            ("x-request-id", Secret::new(stamp.request_id.to_string())),
        ];
        let hide = [self.hide.as_slice(), std::slice::from_ref(&token)].concat();
        let outcome = self.send(call, stamp, &headers, &hide).await;
        if matches!(outcome, Outcome::Unauthorised(_)) {
            tokens.forget(&token).await;
        }
        outcome
    }

    async fn send(
        &self,
        call: &Call,
        stamp: &Stamp,
        headers: &[(&'static str, Secret)],
        hide: &[Secret],
    ) -> Outcome {
        let mut url = self.base_url.clone();
        url.set_path(call.operation.path());
        let posted = self.transport.post_json(url, headers, call.body.clone(), stamp.at).await;
        let received = match posted {
            Ok(received) => received,
            Err(fault) => return Outcome::Unavailable(fault),
        };
        let remaining = self.with_quota(|quota| {
            quota.learn(&received.quota, now());
            quota.remaining()
        });
        self.metrics.quota_remaining(remaining);
        if let Some(date) = received.date {
            let ahead = Some(date - stamp.at);
            *self.clock_ahead.lock().unwrap_or_else(PoisonError::into_inner) = ahead;
        }
        let (status, wait) = (received.status, received.quota.wait());
        Outcome::of_reply(call.operation, Reply { status, body: &received.body, wait, hide })
    }

    fn with_quota<T>(&self, act: impl FnOnce(&mut Quota) -> T) -> T {
        act(&mut self.quota.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn with_evidence<T>(&self, operation: Operation, act: impl FnOnce(&mut Evidence) -> T) -> T {
        let mut evidence = self.evidence.lock().unwrap_or_else(PoisonError::into_inner);
        act(evidence.entry(operation).or_default())
    }
}

fn now() -> std::time::Instant {
    Instant::now().into_std()
}

/// Access that somebody still has comes before URLs that nobody can open.
fn priority(operation: Operation) -> Priority {
    match operation {
        Operation::RemoveGroupMember => Priority::High,
        Operation::DeleteManagedUrl => Priority::Low,
    }
}

fn signed_headers(keys: &Keys, stamp: &Stamp, path: &str) -> [(&'static str, Secret); 4] {
    let text = sign::string_to_sign(stamp, path, keys.app_key.reveal());
    let signature = sign::signature(keys.secret_key.reveal(), &text);
    let authorization = sign::authorization(keys.access_key.reveal(), &signature);
    [
        ("authorization", Secret::new(authorization)),
        ("x-mc-app-id", keys.app_id.clone()),
        ("x-mc-date", Secret::new(stamp.date())),
        ("x-mc-req-id", Secret::new(stamp.request_id.to_string())),
    ]
}
