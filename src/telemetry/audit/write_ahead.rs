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
        WriteAhead { audit, lane, envelope, event, trace, delivery, failure: OnceLock::new() }
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
        let about = About { lane, envelope, event, trace, delivery };
        let line = Settled::of(Kind::Asked, about, (None, &history), Duration::ZERO);
        let written = self.audit.append(request.at, line.lines(), &Written::default()).await;
        written.map_err(|error| self.failure.get_or_init(|| error)).is_ok()
    }

    /// Why something could not be written, if that was so.
    pub fn into_failure(self) -> Option<AuditError> {
        self.failure.into_inner()
    }
}
