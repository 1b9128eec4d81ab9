//! The story of a message: delivered, understood, carried out, settled.

use super::budget::Budget;
use super::hand::Hand;
use super::message::{Held, Message};
use super::reload::Current;
use crate::broker::{Announcer, BrokerError, Delivery, Settler};
use crate::command::{Intent, Operation, Rule};
use crate::event::{Envelope, Event, EventError};
use crate::settings::{Breaker, LaneSettings, Settings, Timings};
use crate::telemetry::span;
use crate::telemetry::{Audit, Board, Metrics, Readiness, Report};
use crate::vendor::{Effort, Stamp, Vendor};
use crate::verdict::{Conclusion, Disposition, Evidence, Fault, History, Ladder, Stuck, retry};
use futures_util::FutureExt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;
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
    /// How many commands it may carry out.
    pub budget: Arc<Budget>,
    /// Who carries out commands.
    pub vendor: Arc<Vendor>,
    /// Who tells the broker what becomes of messages.
    pub settler: Settler,
    /// Who tells others.
    pub announcer: Announcer,
    /// Set when the session has settled something.
    pub settled: Arc<AtomicBool>,
    /// What happened, counted.
    pub metrics: Arc<Metrics>,
    /// Whether the lane does its work.
    pub readiness: Arc<Readiness>,
    /// What was settled lately.
    pub board: Arc<Board>,
    /// Where it is written down what was done, if it is.
    pub audit: Option<Arc<Audit>>,
    /// What time it is.
    pub fresh: fn() -> Stamp,
}

impl Worker {
    /// One message from delivery to settlement; what could not be settled is held.
    ///
    /// # Errors
    ///
    /// When the message is no longer ours, because its channel is gone.
    pub(super) fn carry(
        self: Arc<Self>,
        message: Box<Message>,
        probe: bool,
        ended: CancellationToken,
    ) -> impl Future<Output = Result<Option<Held>, BrokerError>> + Send + 'static {
        let span = span::process(&self.lane.queue, &message.delivery.envelope);
        self.carry_on(message, probe, ended).instrument(span)
    }

    async fn carry_on(
        self: Arc<Self>,
        mut message: Box<Message>,
        probe: bool,
        ended: CancellationToken,
    ) -> Result<Option<Held>, BrokerError> {
        let deadline = message.deadline().min(Instant::now() + self.timings().work);
        let effort = Effort { probe, deadline };
        let handling = AssertUnwindSafe(self.handle(&message, effort, &ended)).catch_unwind();
        let (mut report, decided) = match handling.await {
            Ok(handled) => handled,
            Err(_) => self.after_panic(&message, &ended).await,
        };
        match decided.or_else(|stuck| self.judge(&message, stuck, &mut report.history)) {
            Ok(disposition) => {
                report.disposition = disposition;
                let settled = self.settle_and_record(&message, &mut report).await;
                message.left_by(settled, report)
            }
            Err(stuck) => {
                // It goes on from here, be it held or parked.
                message.delivery.history = report.history;
                message.event = report.event;
                Ok(Some(Held::Stuck(message, stuck)))
            }
        }
    }

    /// What a message asks for, done as far as that is possible now. It touches no broker.
    async fn handle(
        &self,
        message: &Message,
        effort: Effort,
        ended: &CancellationToken,
    ) -> (Report, Result<Disposition, Stuck>) {
        let mut report = message.report(Disposition::Return);
        let settings = self.settings();
        let decided = match self.understand(&message.delivery.envelope, &settings, &mut report) {
            Ok(intents) => self.fulfil(&intents, &mut report.history, effort, ended).await,
            Err(disposition) => Ok(disposition),
        };
        (report, decided)
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
        intents: &[Intent],
        history: &mut History,
        effort: Effort,
        ended: &CancellationToken,
    ) -> Result<Disposition, Stuck> {
        history.done = std::mem::take(&mut history.done).of(|| Intent::digest(intents));
        history.note(history.done.result());
        let open = intents.iter().enumerate().filter(|(place, _)| !history.done.has(*place));
        let open: Vec<(usize, &Intent)> = open.collect();
        let asked: Vec<&Intent> = open.iter().map(|(_, intent)| *intent).collect();
        if let Err(conclusion) = self.vendor.admit(&asked, history, effort, ended).await {
            return Disposition::of_conclusions(vec![conclusion]);
        }
        let mut conclusions = Vec::with_capacity(open.len());
        for (place, intent) in open {
            if !conclusions.is_empty() && Instant::now() >= effort.deadline {
                conclusions.push(Conclusion::OutOfTime);
                continue;
            }
            if let Err(wait) = self.take_from_budget() {
                conclusions.push(Conclusion::Limited(wait));
                continue;
            }
            let conclusion = self.vendor.fulfil(intent, history, effort, ended).await;
            // Of one alone nothing is left once it is done.
            if conclusion.holds() && intents.len() > 1 {
                let applied = conclusion == Conclusion::Applied;
                history.done.add(place, applied, || Intent::digest(intents));
            }
            conclusions.push(conclusion);
        }
        Disposition::of_conclusions(conclusions)
    }

    /// Takes a command out of what the policy allows, or says how long to wait for one.
    fn take_from_budget(&self) -> Result<(), Duration> {
        let limit = self.settings().contract.guards.max_commands;
        let taken = self.budget.take(limit, Instant::now());
        self.metrics.limited(self.lane.event_type, taken.is_err());
        if taken.is_err() {
            self.metrics.decided(Rule::MaxCommands);
        }
        taken
    }

    /// Holds a message that we failed over, so that it cannot go round in a hot loop.
    async fn after_panic(
        &self,
        message: &Message,
        ended: &CancellationToken,
    ) -> (Report, Result<Disposition, Stuck>) {
        let deliveries = message.delivery.deliveries;
        let Breaker { initial_probe_delay, max_probe_delay } = self.settings().breaker;
        let hold = retry::hold(initial_probe_delay, max_probe_delay, deliveries);
        let _either = ended.run_until_cancelled(tokio::time::sleep(hold)).await;
        let requeue =
            Disposition::Requeue(Fault::new("panic", "the daemon failed over this message"));
        (message.report(requeue.clone()), Ok(requeue))
    }

    /// Whose fault it is that a message is stuck, and what becomes of it.
    fn judge(
        &self,
        message: &Message,
        stuck: Stuck,
        history: &mut History,
    ) -> Result<Disposition, Stuck> {
        let (evidence, suspect) = (self.vendor.evidence(stuck.operation), message.suspect);
        let judged = Disposition::of_stuck(stuck, evidence, suspect, &self.ladder, history);
        judged.or_else(|stuck| {
            let changed = self.changes().answered_since(message.came);
            let failing = history.first_failed_at.map(|since| (self.fresh)().at - since);
            let failing = failing.and_then(|it| it.to_std().ok());
            Disposition::of_unanswered(stuck, changed, failing.unwrap_or_default())
        })
    }

    /// What is in force now.
    pub(super) fn settings(&self) -> Arc<Settings> {
        self.settings.borrow().clone()
    }

    /// The waits and limits that are no settings.
    pub(super) fn timings(&self) -> Timings {
        self.settings.borrow().timings
    }

    /// What is known of the changes that the lane makes.
    fn changes(&self) -> Evidence {
        self.vendor.evidence(Operation::of(self.lane.event_type))
    }

    /// Takes a delivery into work.
    pub(super) fn receive(&self, delivery: Delivery) -> Box<Message> {
        let (came, held) = (self.changes().mark(), self.timings().held);
        Message::new(delivery, came, self.metrics.received(self.lane.event_type), held)
    }
}
