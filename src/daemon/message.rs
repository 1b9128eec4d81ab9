//! A message in work, and one that is held because nothing can be done for it now.

use super::obstacle::{NotSettled, Obstacle};
use crate::broker::{BrokerError, Delivery};
use crate::telemetry::{InFlight, Report};
use crate::verdict::{Disposition, Fault, Pausing};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;
use tokio::time::Instant;

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
    _in_flight: InFlight,
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
    /// A delivery that just came, and is ours for at most `held`.
    pub(super) fn new(delivery: Delivery, in_flight: InFlight, held: Duration) -> Box<Message> {
        let since = Instant::now();
        let report = Report::of(&delivery.envelope, &delivery.history, Disposition::Return);
        let deadline = since + held;
        Box::new(Message { delivery, since, deadline, report, _in_flight: in_flight })
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
