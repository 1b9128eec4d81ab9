//! Carries out commands at the vendor: attempt, read the verdict, wait, try again.

use crate::command::{Call, Command};
use crate::disposition::{Conclusion, History};
use crate::metrics::Metrics;
use crate::mimecast::{Credentials, Keys, Mimecast};
use crate::outcome::{Outcome, Reply};
use crate::retry::Policy;
use crate::secret::Secret;
use crate::sign::{self, Stamp};
use crate::token::Tokens;
use crate::transport::{Transport, TransportError};
use std::sync::Arc;
use std::time::Duration;
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
}

#[derive(Debug)]
enum Access {
    Signed(Keys),
    Bearer(Tokens),
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
        let (base_url, hide) = (settings.base_url.clone(), settings.credentials.secrets());
        Ok(Vendor { transport, base_url, access, hide, policy, fresh, metrics })
    }

    /// Carries out `command`, with as many attempts as the policy has. A 429 is waited out and never
    /// counts; a refusal of the caller gets one second try, since a token may just have ended and
    /// `err_developer_key` is known to pass. No wait goes beyond `deadline`, and `stop` ends a wait
    /// but never a request under way.
    pub async fn execute(
        &self,
        command: &Command,
        history: &mut History,
        deadline: Instant,
        stop: &CancellationToken,
    ) -> Conclusion {
        let call = command.call();
        let mut delays = self.policy.delays();
        let mut second_try = Some(self.policy.initial_delay);
        loop {
            if stop.is_cancelled() {
                return Conclusion::Stopped;
            }
            let outcome = self.attempt(&call, history).await;
            let wait = match &outcome {
                Outcome::Applied | Outcome::AlreadyGone | Outcome::Rejected(_) => None,
                Outcome::Unauthorised(_) => second_try.take(),
                // A vendor that asks for no wait at all is not to be flooded.
                Outcome::Throttled(wait) => Some((*wait).max(self.policy.initial_delay)),
                Outcome::Unavailable(_) => delays.next(),
            };
            let Some(wait) = wait.filter(|wait| Instant::now() + *wait < deadline) else {
                self.metrics.concluded(call.operation, &outcome);
                return Conclusion::Outcome(outcome);
            };
            tracing::debug!(
                operation = call.operation.label(),
                outcome = outcome.label(),
                wait_ms = wait.as_millis() as u64,
                "trying again"
            );
            self.metrics.retried(call.operation, &outcome);
            self.wait(wait, &outcome, stop).await;
        }
    }

    async fn wait(&self, wait: Duration, outcome: &Outcome, stop: &CancellationToken) {
        let started = Instant::now();
        let _either = stop.run_until_cancelled(tokio::time::sleep(wait)).await;
        if matches!(outcome, Outcome::Throttled(_)) {
            self.metrics.throttled(started.elapsed());
        }
    }

    /// One request. It is signed in here, because the signature covers the date and the request id
    /// and both must be fresh each time.
    async fn attempt(&self, call: &Call, history: &mut History) -> Outcome {
        let stamp = (self.fresh)();
        let started = Instant::now();
        let outcome = match &self.access {
            Access::Signed(keys) => {
                let headers = signed_headers(keys, &stamp, call.operation.path());
                self.send(call, &stamp, &headers, &self.hide).await
            }
            Access::Bearer(tokens) => self.attempt_with_token(call, &stamp, tokens).await,
        };
        history.attempted(stamp.at, stamp.request_id, &outcome);
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
        match self.transport.post_json(url, headers, call.body.clone(), stamp.at).await {
            Ok(received) => Outcome::of_reply(
                call.operation,
                Reply { status: received.status, body: &received.body, wait: received.wait, hide },
            ),
            Err(fault) => Outcome::Unavailable(fault),
        }
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
