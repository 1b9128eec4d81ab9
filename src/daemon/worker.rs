//! A message from its delivery to its settlement.

use super::drain::Drain;
use super::hand::{Hand, Prompt};
use super::message::{Held, Message, Processed};
use super::obstacle::Obstacle;
use super::reload::Current;
use crate::broker::{Announcer, BrokerError, Delivery, Settler};
use crate::command::Operation;
use crate::settings::{LaneSettings, Settings, Timings};
use crate::telemetry::span;
use crate::telemetry::{Audit, Board, Metrics, Readiness};
use crate::vendor::{CurrentVendor, Effort, Stamp};
use crate::verdict::{Breaker, Disposition, Fault, Health, Ladder, Pausing, Streak, Until, retry};
use futures_util::FutureExt;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

/// Works on one lane for one session.
#[derive(Debug)]
pub(super) struct Worker {
    /// The lane.
    pub lane: LaneSettings,
    /// What is in force.
    pub settings: Current,
    /// Whether somebody has paused the lane.
    pub hand: Hand,
    /// Where messages wait whose fault is their own and may pass.
    pub ladder: Ladder,
    /// Who carries out commands.
    pub vendor: Arc<CurrentVendor>,
    /// Who tells the broker what becomes of messages.
    pub settler: Settler,
    /// Who tells others.
    pub announcer: Announcer,
    /// Set when the session has settled something.
    pub settled: Arc<AtomicBool>,
    /// Notified when a call was answered for a message of several.
    pub answered: Notify,
    /// How long a delivery may be ours.
    pub held: Duration,
    /// The messages that were at fault one after the other, also in earlier sessions.
    pub streak: Arc<Mutex<Streak>>,
    /// Since when its lane waits for a change, also in earlier sessions.
    pub unchanged_since: Arc<Mutex<Option<Instant>>>,
    /// How a person makes the lane ask at once.
    pub prompt: Arc<Prompt>,
    /// What happened, counted.
    pub metrics: Arc<Metrics>,
    /// Whether the lane does its work.
    pub readiness: Arc<Readiness>,
    /// What was settled lately.
    pub board: Arc<Board>,
    /// Where it is written down what was done, if it is.
    pub audit: Option<Arc<Audit>>,
    /// What a stop waits for.
    pub drain: Drain,
    /// What time it is.
    pub fresh: fn() -> Stamp,
}

impl Worker {
    /// One message from delivery to settlement; what could not be settled is held. A `probe` has one attempt at each
    /// call, and is not settled yet: a copy can take long, and others are to be tried meanwhile.
    ///
    /// # Errors
    ///
    /// When the message is no longer ours, because its channel is gone.
    pub(super) fn process(
        self: Arc<Self>,
        message: Box<Message>,
        probe: bool,
        ended: CancellationToken,
    ) -> impl Future<Output = Result<Processed, BrokerError>> + Send + 'static {
        let span = span::process(&self.lane.queue, &message.delivery.envelope);
        self.process_in_span(message, probe, ended).instrument(span)
    }

    /// The same, unless the health call of the lane is not answered: then the message is held.
    ///
    /// # Errors
    ///
    /// When the message is no longer ours, because its channel is gone.
    pub(super) async fn process_if_well(
        self: Arc<Self>,
        message: Box<Message>,
        ended: CancellationToken,
    ) -> Result<Processed, BrokerError> {
        let operation = Operation::of(self.lane.event_type);
        let health = self.vendor.health(operation, None, message.deadline, &ended).await;
        match health {
            Health::NotAnswered(fault) => {
                let until = Until::Answered { operation, group: None };
                Ok(Processed::Held(Held::Pausing(message, Pausing { until, fault })))
            }
            Health::Answered | Health::Forbidden(_) | Health::Unclear(_) | Health::OutOfTime => {
                self.process(message, false, ended).await
            }
        }
    }

    async fn process_in_span(
        self: Arc<Self>,
        mut message: Box<Message>,
        probe: bool,
        ended: CancellationToken,
    ) -> Result<Processed, BrokerError> {
        let deadline = message.deadline.min(Instant::now() + self.timings().work);
        let effort = Effort::new(probe, deadline);
        let attempts = message.report.history.attempts;
        let deciding = AssertUnwindSafe(self.decide(&mut message, effort, &ended)).catch_unwind();
        let decided = match deciding.await {
            Ok(decided) => decided,
            Err(_) => Ok(self.after_panic(&message, &ended).await),
        };
        if let Some(error) = message.unwritten.take() {
            let fault =
                Fault::new("not_begun", "what is to be done could not be written down first");
            let held = Held::NotSettled(message.to_be_parked(fault), Obstacle::Audit(error));
            return Ok(Processed::Held(held));
        }
        match decided {
            Ok(disposition) => {
                let asked = message.report.history.attempts > attempts;
                let changed = message.report.history.has_changed();
                message.report.disposition = disposition;
                if probe {
                    return Ok(Processed::Decided { message, asked, changed });
                }
                Ok(self.settle_or_hold(message).await?.map_or(Processed::Settled, Processed::Held))
            }
            // It goes on from here, be it held or parked.
            Err(pausing) => Ok(Processed::Held(Held::Pausing(message, pausing))),
        }
    }

    /// Holds a message that we failed over, so that it cannot go round in a hot loop.
    async fn after_panic(&self, message: &Message, ended: &CancellationToken) -> Disposition {
        let Breaker { initial_probe_delay, max_probe_delay } = self.settings().breaker;
        let hold = retry::hold(initial_probe_delay, max_probe_delay, message.delivery.deliveries);
        let _either = ended.run_until_cancelled(tokio::time::sleep(hold)).await;
        Disposition::Requeue(Fault::new("panic", "the daemon failed over this message"))
    }

    /// What is in force now.
    pub(super) fn settings(&self) -> Arc<Settings> {
        self.settings.borrow().clone()
    }

    /// The waits and limits that are no settings.
    pub(super) fn timings(&self) -> Timings {
        self.settings.borrow().timings
    }

    /// Since when its lane waits for a change, pauses that end for want of messages included.
    pub(super) fn unchanged_since(&self) -> MutexGuard<'_, Option<Instant>> {
        self.unchanged_since.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether what is done can be written down, as far as was seen.
    pub(super) fn is_provable(&self) -> bool {
        self.audit.as_ref().is_none_or(|audit| audit.is_writable())
    }

    /// The messages that were at fault one after the other.
    pub(super) fn streak(&self) -> MutexGuard<'_, Streak> {
        self.streak.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a delivery into work.
    pub(super) fn receive(&self, delivery: Delivery) -> Box<Message> {
        let (lane, guards) = (self.lane.event_type, &self.drain);
        let guards = (self.metrics.received(lane), guards.count());
        let id = self.audit.as_ref().map(|_| (self.fresh)().request_id).unwrap_or_default();
        Message::new((delivery, id), (lane, self.audit.clone()), guards, self.held)
    }
}
