//! A message in work, and one that is held because nothing can be done for it now.

use super::obstacle::{NotSettled, Obstacle};
use crate::broker::{BrokerError, Delivery};
use crate::command::Operation;
use crate::event::Event;
use crate::telemetry::{InFlight, Report};
use crate::verdict::{Disposition, Mark, Stuck};
use std::sync::Arc;
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
    deadline: Instant,
    /// The moment when it came, among the changes that its lane makes.
    pub came: Mark,
    /// For the suspect of a pause: the moment of its first failure when it was last tried, and in what.
    pub suspect: Option<(Operation, Mark)>,
    /// What it holds, once it was understood and could not be settled.
    pub event: Option<Arc<Event>>,
    _in_flight: InFlight,
}

/// A message that could not be settled and is still ours. Its lane has to pause.
#[derive(Debug)]
pub(super) enum Held {
    /// Nothing of its lane would succeed.
    Stuck(Box<Message>, Stuck),
    /// What settling needs is not to be had.
    NotSettled(Box<Message>, Box<Report>, Obstacle),
}

/// A message that waits to be settled, and how it is to be.
pub(super) struct Waiting {
    pub message: Box<Message>,
    pub report: Report,
}

impl Message {
    /// A delivery that just came, and is ours for at most `held`.
    pub(super) fn new(
        delivery: Delivery,
        came: Mark,
        in_flight: InFlight,
        held: Duration,
    ) -> Box<Message> {
        let since = Instant::now();
        Box::new(Message {
            delivery,
            since,
            deadline: since + held,
            came,
            suspect: None,
            event: None,
            _in_flight: in_flight,
        })
    }

    /// What is known of it before anything is done, or instead.
    pub(super) fn report(&self, disposition: Disposition) -> Report {
        let mut report = Report::of(&self.delivery.envelope, &self.delivery.history, disposition);
        report.event.clone_from(&self.event);
        report
    }

    /// What is left of it after it was to be settled as its report says.
    ///
    /// # Errors
    ///
    /// When it is no longer ours.
    pub(super) fn left_by(
        self: Box<Message>,
        settled: Result<(), NotSettled>,
        report: Report,
    ) -> Result<Option<Held>, BrokerError> {
        match settled {
            Ok(()) => Ok(None),
            Err(NotSettled::Ours(obstacle)) => {
                Ok(Some(Held::NotSettled(self, Box::new(report), obstacle)))
            }
            Err(NotSettled::Lost(error)) => Err(error),
        }
    }

    /// Until when it may be ours.
    pub(super) fn deadline(&self) -> Instant {
        self.deadline
    }
}

impl AsRef<Disposition> for Waiting {
    fn as_ref(&self) -> &Disposition {
        &self.report.disposition
    }
}

impl From<Waiting> for Box<Message> {
    fn from(waiting: Waiting) -> Box<Message> {
        waiting.message
    }
}

impl Held {
    /// The message, and what is to become of it for now: what is stuck is parked.
    pub(super) fn into_parts(self) -> (Box<Message>, Report) {
        match self {
            Held::Stuck(message, stuck) => {
                let report = message.report(Disposition::Park(stuck.fault));
                (message, report)
            }
            Held::NotSettled(message, report, _) => (message, *report),
        }
    }

    /// The message itself.
    pub(super) fn into_message(self) -> Box<Message> {
        match self {
            Held::Stuck(message, _) | Held::NotSettled(message, ..) => message,
        }
    }
}
