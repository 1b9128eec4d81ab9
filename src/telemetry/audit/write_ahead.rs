//! What Mimecast is about to be asked to change, written down before it is asked.
//!
//! A process can be killed between a change and the line that tells of it. The next start then marks the change as
//! interrupted, from the line that was written ahead.

use super::audit::Audit;
use super::entry::{About, Kind, Settled};
use super::error::AuditError;
use super::written::Written;
use crate::command::Command;
use crate::event::{Envelope, Event, TraceId};
use crate::secrecy::Seal;
use crate::verdict::{History, Request};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use uuid::Uuid;

/// Writes to the audit trail what Mimecast is about to be asked to change for one message.
#[derive(Debug)]
pub struct WriteAhead<'a> {
    audit: &'a Audit,
    lane: &'a str,
    envelope: &'a Envelope,
    /// The SHA-256 of the body, for all commands of the message.
    body_sha256: OnceLock<String>,
    event: Option<Arc<Event>>,
    trace: Option<TraceId>,
    delivery: Uuid,
    failure: OnceLock<AuditError>,
}

impl<'a> WriteAhead<'a> {
    pub(in crate::telemetry) fn new(
        audit: &'a Audit,
        (lane, envelope): (&'a str, &'a Envelope),
        (event, trace): (Option<Arc<Event>>, Option<TraceId>),
        delivery: Uuid,
    ) -> WriteAhead<'a> {
        let (body_sha256, failure) = (OnceLock::new(), OnceLock::new());
        WriteAhead { audit, lane, envelope, body_sha256, event, trace, delivery, failure }
    }

    /// Writes that `command` is about to be asked for by `request`. False if that cannot be written: then it is not to
    /// be asked for.
    #[must_use]
    pub async fn write(&self, command: &Command, request: &Request) -> bool {
        let mut history = History::default();
        history.begin(command);
        history.keep(request.clone());
        let WriteAhead { lane, envelope, delivery, .. } = *self;
        let (event, trace) = (self.event.as_deref(), self.trace.as_ref());
        let body_sha256 = self.body_sha256.get_or_init(|| Seal::default().of(&envelope.body));
        let about = About { lane, envelope, body_sha256, event, trace, delivery };
        let line = Settled::of(Kind::Asked, about, (None, &history), Duration::ZERO);
        let written = self.audit.append(request.at, line.lines(), &Written::default()).await;
        written.map_err(|error| self.failure.get_or_init(|| error)).is_ok()
    }

    /// Why something could not be written, if that was so.
    pub fn into_failure(self) -> Option<AuditError> {
        self.failure.into_inner()
    }
}
