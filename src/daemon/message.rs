//! A message in work, and one that is held because nothing can be done for it now.
//!
//! It owns what was done for it, and says it to the audit trail: before it is settled, or else when it is dropped,
//! whatever drops it: the end of a session, a stop, or a panic.

use super::obstacle::{NotSettled, Obstacle};
use crate::broker::{BrokerError, Delivery};
use crate::event::EventType;
use crate::telemetry::{Audit, AuditError, InFlight, Report};
use crate::verdict::{Disposition, Fault, Pausing};
use chrono::{DateTime, Utc};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::task::task_tracker::TaskTrackerToken;
use uuid::Uuid;

/// A message in work. It is on the heap: it goes through many hands, and is large.
#[derive(Debug)]
pub(super) struct Message {
    /// What the broker handed out.
    pub delivery: Delivery,
    /// When it did.
    pub since: Instant,
    /// Until when it may be ours.
    pub deadline: Instant,
    /// What handling it came to so far, over all attempts of ours at it.
    pub report: Report,
    /// Why what is to be done for it could not be written down first, if that was so.
    pub unwritten: Option<AuditError>,
    pub lane: EventType,
    pub audit: Option<Arc<Audit>>,
    _in_flight: InFlight,
    /// Goes last: a stop does not wait for what is to be written down by then.
    _counted: TaskTrackerToken,
}

/// The result of processing a message.
#[derive(Debug)]
pub(super) enum Processed {
    /// It is settled.
    Settled,
    /// Of a probe: it is decided, and to be settled as its report says.
    Decided {
        /// The message.
        message: Box<Message>,
        /// Whether Mimecast was asked for it.
        asked: bool,
        /// Whether a change was made for it.
        changed: bool,
    },
    /// Its lane has to pause.
    Held(Held),
}

/// A message that could not be settled and is still ours. Its lane has to pause.
#[derive(Debug)]
pub(super) enum Held {
    /// Nothing of its lane would succeed.
    Pausing(Box<Message>, Pausing),
    /// What settling needs is not to be had.
    NotSettled(Box<Message>, Obstacle),
}

impl Message {
    /// A delivery that just came to `lane`, and is ours for at most `held`. In the audit trail no other has
    /// this id.
    pub(super) fn new(
        (delivery, id): (Delivery, Uuid),
        (lane, audit): (EventType, Option<Arc<Audit>>),
        (in_flight, counted): (InFlight, TaskTrackerToken),
        held: Duration,
    ) -> Box<Message> {
        let since = Instant::now();
        let report = Report::of(&delivery.envelope, &delivery.history, Disposition::Return, id);
        let deadline = since + held;
        Box::new(Message {
            delivery,
            since,
            deadline,
            report,
            unwritten: None,
            lane,
            audit,
            _in_flight: in_flight,
            _counted: counted,
        })
    }

    /// Lets the audit trail say what becomes of it, if that needs a line and has none.
    ///
    /// # Errors
    ///
    /// [`AuditError`]; then it is not to be settled.
    pub(super) async fn write_down(
        &self,
        now: impl FnOnce() -> DateTime<Utc>,
    ) -> Result<(), AuditError> {
        let Message { delivery, report, .. } = self;
        let Some(audit) = self.audit.as_ref().filter(|_| !report.written.is_true()) else {
            return Ok(());
        };
        match report.entry(self.lane.name(), &delivery.envelope, self.since.elapsed()) {
            Some(entries) => audit.append(now(), entries, &report.written).await,
            None => Ok(()),
        }
    }

    /// What the audit trail has to say of it, where it is interrupted now.
    fn owed(&self) -> Option<(&Audit, Vec<String>)> {
        let audit = self.audit.as_ref().filter(|_| !self.report.written.is_true())?;
        let (envelope, took) = (&self.delivery.envelope, self.since.elapsed());
        Some((audit, self.report.interrupted(self.lane.name(), envelope, took)?))
    }

    /// Whether something was done for it that is in no line of the audit trail.
    pub(super) fn is_unwritten(&self) -> bool {
        self.owed().is_some()
    }

    /// The same message, of which a copy is to go to the end of its queue.
    pub(super) fn to_be_parked(mut self: Box<Message>, fault: Fault) -> Box<Message> {
        self.report.disposition = Disposition::Park(fault);
        self
    }

    /// What is left of it after it was to be settled as its report says.
    ///
    /// # Errors
    ///
    /// When it is no longer ours.
    pub(super) fn left_by(
        self: Box<Message>,
        settled: Result<(), NotSettled>,
    ) -> Result<Option<Held>, BrokerError> {
        match settled {
            Ok(()) => Ok(None),
            Err(NotSettled::Ours(obstacle)) => Ok(Some(Held::NotSettled(self, obstacle))),
            Err(NotSettled::Lost(error)) => Err(error),
        }
    }

    /// What tells it from other messages, also when it comes again.
    pub(super) fn identity(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        let envelope = &self.delivery.envelope;
        (&envelope.message_id, &envelope.body).hash(&mut hasher);
        hasher.finish()
    }
}

impl Drop for Message {
    fn drop(&mut self) {
        let Some((audit, entries)) = self.owed() else { return };
        let Report { event_id, history, .. } = &self.report;
        let (event, request_id) =
            (self.lane.name(), history.request_id.map(tracing::field::display));
        tracing::warn!(event, event_id, request_id, "interrupted after something was done for it");
        audit.owe(entries, &self.report.written);
    }
}
