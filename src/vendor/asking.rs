//! Asks the vendor for one call, reads the answer, and learns from it.

use super::caller::Answer;
use super::sign::Stamp;
use super::transport::ReplyBody;
use super::vendor::{Asked, Effort, Vendor};
use crate::command::{Call, Operation};
use crate::telemetry::span;
use crate::verdict::code::explained;
use crate::verdict::{Conclusion, History, Outcome, Request};
use serde_json::json;
use std::sync::PoisonError;
use tokio::time::Instant;
use tracing::Instrument;

impl Vendor {
    /// Asks for the call. Anybody can have said nothing: it counts only if the vendor is heard right after
    /// it and the call then meets nothing again, since whoever answered first may have been gone by then.
    ///
    /// # Errors
    ///
    /// The conclusion, where it was not begun.
    pub(super) async fn ask(
        &self,
        call: &Call,
        history: &mut History,
        effort: Effort<'_>,
    ) -> Result<Asked, Conclusion> {
        let asked = self.request(call, history, effort).await?;
        if !asked.is_mute {
            return Ok(asked);
        }
        // What is rare is on the heap, or every message would carry the room for it along.
        if !Box::pin(self.is_heard(effort.deadline)).await {
            return Ok(Asked {
                outcome: asked.outcome.into_weather(),
                body: ReplyBody::default(),
                ..asked
            });
        }
        Box::pin(self.request(call, history, effort)).await
    }

    /// One request with a fresh stamp. A change is written down first.
    async fn request(
        &self,
        call: &Call,
        history: &mut History,
        effort: Effort<'_>,
    ) -> Result<Asked, Conclusion> {
        let (path, stamp) = (call.operation.path(), (self.fresh)());
        let caller = &self.tenant.caller;
        let mut vendor_id = None;
        let span = caller.span(path, history.resends());
        let sent = Request::sent(stamp.at, stamp.request_id);
        if let (Some(write_ahead), Some(command)) = (effort.write_ahead, history.current())
            && !write_ahead.write(command, &sent).await
        {
            return Err(Conclusion::Stopped);
        }
        history.keep(sent);
        let posting = caller.post(call.operation, call.body.clone(), &stamp, effort.deadline);
        let asked = match posting.instrument(span.clone()).await {
            Ok(answer) => {
                span.record("http.response.status_code", answer.received.status);
                vendor_id = answer.request_id(&stamp);
                self.read(call.operation, answer, &stamp, vendor_id.as_deref())
            }
            Err(outcome) => {
                Asked { outcome, body: ReplyBody::default(), wait: None, is_mute: false }
            }
        };
        let outcome = &asked.outcome;
        if let Some(fault) = outcome.fault() {
            span::failed(&span, &fault.code);
        }
        let request = Request {
            at: stamp.at,
            id: stamp.request_id,
            vendor_id,
            outcome: outcome.label(),
            // Of a stranger's own words nobody knows what is in them.
            code: outcome.fault().map(|it| it.code.clone()).filter(|it| explained(it).is_some()),
        };
        history.attempted(request, outcome.is_failure());
        Ok(asked)
    }

    /// What an answer says of the call.
    fn read(
        &self,
        operation: Operation,
        mut answer: Answer,
        stamp: &Stamp,
        request_id: Option<&str>,
    ) -> Asked {
        let caller = &self.tenant.caller;
        self.learn(operation, &mut answer, stamp);
        let reply = answer.reply(request_id);
        let (outcome, is_mute) = (Outcome::of_reply(operation, reply), reply.is_mute());
        let status = answer.received.status;
        let wait = match &outcome {
            Outcome::Unauthorized(_) => caller.refused(&answer),
            // Nobody knows who has refused, but the token is at stake.
            Outcome::Unavailable(_) if status == 401 => {
                caller.refused(&answer);
                None
            }
            Outcome::Unavailable(_) => answer.received.quota.retry_after,
            Outcome::Applied
            | Outcome::NotFound
            | Outcome::Rejected(_)
            | Outcome::Forbidden(_)
            | Outcome::Throttled(_) => None,
        };
        if reply.is_voice() && !matches!(outcome, Outcome::Unauthorized(_)) {
            caller.accepted(&answer);
        }
        Asked { outcome, body: answer.received.body, wait, is_mute }
    }

    /// Whether the vendor itself answers: a call that changes nothing, and any answer in its own voice,
    /// be it a refusal.
    async fn is_heard(&self, deadline: Instant) -> bool {
        let stamp = (self.fresh)();
        let body = json!({"meta": {"pagination": {"pageSize": 1}}, "data": [{}]}).to_string();
        let caller = &self.tenant.caller;
        match caller.post(Operation::FindGroups, body, &stamp, deadline).await {
            Ok(mut answer) => {
                self.learn(Operation::FindGroups, &mut answer, &stamp);
                answer.reply(None).is_voice()
            }
            Err(_) => false,
        }
    }

    /// Keeps what the headers tell, of the quota and of the time.
    fn learn(&self, operation: Operation, answer: &mut Answer, stamp: &Stamp) {
        let remaining = self.tenant.with_quota(operation, |quota| {
            quota.learn(&answer.received.quota, Instant::now().into_std());
            quota.remaining()
        });
        self.metrics.quota_remaining(operation, remaining);
        if let Some(date) = answer.received.date.take() {
            let told = Some((date, stamp.at));
            *self.tenant.told_time.lock().unwrap_or_else(PoisonError::into_inner) = told;
        }
    }
}
