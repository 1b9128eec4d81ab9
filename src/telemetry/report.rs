//! What handling a message came to, and the one log line about it.

use super::audit::entry::{self, About, Kind};
use super::audit::{Audit, WriteAhead, Written};
use super::status::Settled;
use crate::event::{Data, Envelope, Event, Member, TraceId};
use crate::secrecy::{Pseudonyms, Seal};
use crate::verdict::{CommandResult, Disposition, History, Reason};
use chrono::{DateTime, Utc};
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

/// What handling a message came to.
#[derive(Debug)]
pub struct Report {
    /// What becomes of it.
    pub disposition: Disposition,
    /// How it came to that.
    pub history: History,
    /// Tells this delivery from all others in the audit trail.
    delivery: Uuid,
    /// The id of the event, without addresses in clear.
    pub event_id: Option<String>,
    subject: Option<String>,
    trace: Option<TraceId>,
    /// What it holds, once that is understood.
    pub event: Option<Arc<Event>>,
    /// Whether the audit trail has it already.
    pub written: Written,
    /// Whether its copy is safe already, if it has one.
    pub is_copied: bool,
    /// Whether it was told already to those who listen.
    pub is_announced: bool,
}

impl Report {
    /// Of the message in `envelope`, as long as nothing else is known of it. No other delivery has the id `delivery`.
    pub fn of(
        envelope: &Envelope,
        history: &History,
        disposition: Disposition,
        delivery: Uuid,
    ) -> Report {
        let (history, trace) = (history.clone(), envelope.traceparent.as_deref());
        let trace = trace.and_then(TraceId::of);
        Report {
            disposition,
            history,
            delivery,
            event_id: None,
            subject: None,
            trace,
            event: None,
            written: Written::default(),
            is_copied: false,
            is_announced: false,
        }
    }

    /// Begins with the message, be it for the first time or once more. What was done before goes on with it, but for
    /// what the audit trail has already: that is in no second line.
    pub fn begin(&mut self) {
        self.disposition = Disposition::Return;
        if std::mem::take(&mut self.written).is_true() {
            self.history.executions.clear();
            self.history.repeated = true;
        }
        (self.is_copied, self.is_announced) = (false, false);
    }

    /// Tells that the message holds `event`; people go by their pseudonyms.
    pub fn tell(&mut self, event: &Arc<Event>, pseudonyms: &Pseudonyms) {
        self.event = Some(Arc::clone(event));
        // The trace of who published it is nearer than the one that its event began with.
        self.trace = self.trace.take().or_else(|| event.trace.clone());
        self.event_id = event.id.as_deref().map(|id| pseudonyms.line(id, 128));
        self.subject = match &event.data {
            Data::UserOffboarded { member: Member::EmailAddress(address), .. } => {
                Some(pseudonyms.of(address.as_str()))
            }
            Data::UserOffboarded { member: Member::Domain(domain), .. } => {
                Some(pseudonyms.line(domain.as_str(), 253))
            }
            Data::UrlUnblock { .. } => None,
        };
    }

    /// Whether what the event asks for is so, and may be our doing: that Mimecast knows nothing of it is no effect.
    pub fn is_effective(&self) -> bool {
        self.disposition == Disposition::Ack && self.history.result != Some(CommandResult::NotFound)
    }

    /// How long after it was to be so its effect was confirmed, at `now`, if it was.
    pub fn lag(&self, now: DateTime<Utc>) -> Option<Duration> {
        self.event.as_ref().filter(|_| self.is_effective())?.lag(now)?.to_std().ok()
    }

    /// The message as settled after `took` in work, for the page of the last ones.
    pub fn settled(&self, event: &'static str, took: Duration) -> Settled {
        Settled {
            event,
            event_id: self.event_id.clone(),
            subject: self.subject.clone(),
            disposition: self.disposition.label(),
            reason: self.disposition.reason().map(Reason::label),
            code: self.disposition.fault().map(|fault| fault.code.clone()),
            result: self.history.result,
            attempts: self.history.attempts,
            duration_ms: took.as_millis() as u64,
        }
    }

    /// What the audit trail says of the message in `envelope`, which came through the lane of `event`; nothing
    /// when it needs no line.
    pub fn entry(&self, event: &str, envelope: &Envelope, took: Duration) -> Option<Vec<String>> {
        let is_needed = entry::is_needed(&self.disposition, &self.history);
        is_needed.then(|| self.lines(Kind::Settled, event, envelope, took))
    }

    /// The same where the daemon was interrupted: what Mimecast was asked to change, or nothing.
    pub fn interrupted(
        &self,
        event: &str,
        envelope: &Envelope,
        took: Duration,
    ) -> Option<Vec<String>> {
        self.history.has_asked().then(|| self.lines(Kind::Interrupted, event, envelope, took))
    }

    /// Writes to `audit` what Mimecast is to be asked to change for the message, before it is asked.
    pub fn write_ahead<'a>(
        &self,
        audit: &'a Audit,
        lane: &'a str,
        envelope: &'a Envelope,
    ) -> WriteAhead<'a> {
        WriteAhead::new(
            audit,
            (lane, envelope),
            (self.event.clone(), self.trace.clone()),
            self.delivery,
        )
    }

    fn lines(&self, kind: Kind, lane: &str, envelope: &Envelope, took: Duration) -> Vec<String> {
        let Report { disposition, history, delivery, trace, event, .. } = self;
        let (event, trace, delivery) = (event.as_deref(), trace.as_ref(), *delivery);
        let body_sha256 = &Seal::default().of(&envelope.body);
        let about = About { lane, envelope, body_sha256, event, trace, delivery };
        // Whoever is interrupted has not decided, whatever was meant before.
        let disposition = (kind == Kind::Settled).then_some(disposition);
        entry::Settled::of(kind, about, (disposition, history), took).lines()
    }

    /// Logs the message as settled, after `took` in work.
    pub fn log(&self, event: &str, took: Duration) {
        let Report { history, event_id, subject, trace, .. } = self;
        let trace_id = trace.as_ref().map(tracing::field::display);
        let request_id = history.request_id.map(tracing::field::display);
        let disposition = self.disposition.label();
        let (attempts, duration_ms) = (history.attempts, took.as_millis() as u64);
        let result = history.result.map(CommandResult::label);
        let fault = self.disposition.fault();
        if matches!(self.disposition, Disposition::Wait(..)) {
            // It may do this a hundred times, and nothing has happened.
            tracing::debug!(
                event,
                event_id,
                subject,
                trace_id,
                disposition,
                duration_ms,
                "settled"
            );
            return;
        }
        if self.disposition == Disposition::Ack {
            tracing::info!(
                event,
                event_id,
                subject,
                trace_id,
                disposition,
                result,
                attempts,
                request_id,
                duration_ms,
                "settled"
            );
            return;
        }
        let reason = self.disposition.reason().map(Reason::label);
        let code = fault.map(|fault| fault.code.as_str());
        let detail = fault.map(|fault| fault.detail.as_str());
        tracing::warn!(
            event,
            event_id,
            subject,
            trace_id,
            disposition,
            reason,
            code,
            detail,
            result,
            attempts,
            request_id,
            duration_ms,
            "settled"
        );
    }
}
