//! The story of a message: delivered, understood, carried out, settled.

use super::drain::Drain;
use super::hand::{Hand, Prompt};
use super::message::{Held, Message, Processed};
use super::obstacle::Obstacle;
use super::reload::Current;
use crate::broker::{Announcer, BrokerError, Delivery, Settler};
use crate::command::{Intent, Operation};
use crate::event::{Envelope, Event, EventError};
use crate::settings::{LaneSettings, Settings, Timings};
use crate::telemetry::span;
use crate::telemetry::{Audit, Board, Metrics, Readiness, Report};
use crate::vendor::{CurrentVendor, Effort, Stamp, Vendor};
use crate::verdict::{
    Breaker, Conclusion, Disposition, Done, Fault, Health, History, Ladder, Pausing, Streak, Stuck,
    Until, retry,
};
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
        let effort = Effort { probe, deadline };
        // What is done now could not be written down either.
        if let Some(Err(error)) = self.audit.as_ref().map(|audit| audit.is_complete()) {
            let fault = Fault::new("not_begun", "the audit trail lacks what was done already");
            let held = Held::NotSettled(message.to_be_parked(fault), Obstacle::Audit(error));
            return Ok(Processed::Held(held));
        }
        let attempts = message.report.history.attempts;
        let deciding = AssertUnwindSafe(self.decide(&mut message, effort, &ended)).catch_unwind();
        let decided = match deciding.await {
            Ok(decided) => decided,
            Err(_) => Ok(self.after_panic(&message, &ended).await),
        };
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

    /// What becomes of a message, once what it asks for is done as far as that is possible now. It touches no broker.
    async fn decide(
        &self,
        message: &mut Message,
        effort: Effort,
        ended: &CancellationToken,
    ) -> Result<Disposition, Pausing> {
        message.report.begin();
        let refused_before = self.streak().refused();
        let decided = match self.handle(message, effort, ended).await {
            Ok(disposition) => Ok(disposition),
            Err(stuck) => {
                // Rare, so on the heap: each message would carry the room for it along.
                Box::pin(self.judge(message, stuck, ended)).await
            }
        };
        if message.report.history.has_changed() {
            self.streak().end(&refused_before);
            *self.unchanged_since() = None;
        }
        decided
    }

    /// Does what a message asks for, as far as that is possible now; again for another tenant that comes into force
    /// meanwhile, for which nothing of it is decided or done.
    pub(super) async fn handle(
        &self,
        Message { delivery, report, .. }: &mut Message,
        effort: Effort,
        ended: &CancellationToken,
    ) -> Result<Disposition, Stuck> {
        loop {
            let (vendor, settings) = (self.vendor.now(), self.settings());
            let intents = match self.understand(&delivery.envelope, &settings, report) {
                Ok(intents) => intents,
                Err(disposition) => return Ok(disposition),
            };
            let done = self.fulfil(&vendor, &intents, &mut report.history, effort, ended).await;
            let is_acked = matches!(done, Ok(Disposition::Ack));
            if is_acked || !vendor.is_replaced() || ended.is_cancelled() {
                return done;
            }
            report.history.done = Done::default();
        }
    }

    /// What the vendor is to be asked for now. A mistake is told at once, however far away the time is.
    ///
    /// # Errors
    ///
    /// What becomes of the message when that is nothing.
    fn understand(
        &self,
        envelope: &Envelope,
        Settings { contract, pseudonyms, .. }: &Settings,
        report: &mut Report,
    ) -> Result<Vec<Intent>, Disposition> {
        let lane = self.lane.event_type;
        let refuse = |error: EventError| Disposition::of_event_error(&error);
        let event = Arc::new(Event::parse(envelope, lane, &contract.reading).map_err(refuse)?);
        report.tell(&event, pseudonyms);
        let intents = Intent::of_event(&event, contract.default_groups(lane)).map_err(refuse)?;
        let now = (self.fresh)().at;
        let admitted =
            contract.guards.admit(&event, envelope.user_id.as_deref(), envelope.timestamp, now);
        admitted.map_err(|breach| Disposition::of_breach(&breach))?;
        match event.left(now).map_err(refuse)? {
            Some(left) => Err(Disposition::of_time_left(left)),
            None => Ok(intents),
        }
    }

    /// Each intent in turn, whatever became of the others; but none if one of them is denied.
    async fn fulfil(
        &self,
        vendor: &Vendor,
        intents: &[Intent],
        history: &mut History,
        effort: Effort,
        ended: &CancellationToken,
    ) -> Result<Disposition, Stuck> {
        history.done = std::mem::take(&mut history.done).of(|| vendor.digest(intents));
        history.note(history.done.result());
        let open = intents.iter().enumerate().filter(|(place, _)| !history.done.has(*place));
        let open: Vec<(usize, &Intent)> = open.collect();
        let asked: Vec<&Intent> = open.iter().map(|(_, intent)| *intent).collect();
        if let Err(conclusion) = vendor.admit(&asked, history, effort, ended).await {
            return Disposition::of_conclusions(vec![conclusion]);
        }
        let count = open.len();
        let mut conclusions = Vec::with_capacity(count);
        for (place, intent) in open {
            if !conclusions.is_empty() && Instant::now() >= effort.deadline {
                conclusions.push(Conclusion::OutOfTime);
                continue;
            }
            // The rest needs no question then: none of it may be done now.
            if let Some(Conclusion::Limited(wait)) = conclusions.last() {
                conclusions.push(Conclusion::Limited(*wait));
                continue;
            }
            let conclusion = vendor.fulfil(intent, history, effort, ended).await;
            // Of one alone nothing is left once it is done.
            if conclusion.holds() && intents.len() > 1 {
                let applied = conclusion == Conclusion::Applied;
                history.done.add(place, applied, || vendor.digest(intents));
            }
            let is_answered = !matches!(
                conclusion,
                Conclusion::Stuck(_) | Conclusion::Limited(_) | Conclusion::Stopped
            );
            conclusions.push(conclusion);
            if is_answered && conclusions.len() < count {
                self.answered.notify_one();
            }
        }
        Disposition::of_conclusions(conclusions)
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

    /// The messages that were at fault one after the other.
    pub(super) fn streak(&self) -> MutexGuard<'_, Streak> {
        self.streak.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a delivery into work.
    pub(super) fn receive(&self, delivery: Delivery) -> Box<Message> {
        let (lane, guards) = (self.lane.event_type, &self.drain);
        let guards = (self.metrics.received(lane), guards.count());
        Message::new(delivery, (lane, self.audit.clone()), guards, self.held)
    }
}
