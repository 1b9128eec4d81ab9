//! The story of a message: delivered, understood, carried out, settled.

use crate::broker::{BrokerError, Delivery, Publisher, settle};
use crate::command::{Command, Operation};
use crate::event::{Event, EventError};
use crate::settings::{Breaker, Lane};
use crate::telemetry::{InFlight, Metrics, Readiness, Report};
use crate::vendor::{Effort, Stamp, Vendor};
use crate::verdict::{
    Conclusion, Decision, Disposition, Fault, Judgement, Ladder, Mark, Stuck, retry,
};
use futures_util::FutureExt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Nothing new begins for a message that has been in work for this long. Together with the longest
/// time that a pause holds it and the longest attempt, it is settled within 25 minutes: after 30 the
/// broker closes the channel (RabbitMQ, "Delivery Acknowledgement Timeout").
const WORK_LIMIT: Duration = Duration::from_mins(10);

/// Works on one lane for one session.
#[derive(Debug)]
pub(super) struct Worker {
    /// The lane.
    pub lane: Lane,
    /// The waits of a lane that is paused.
    pub breaker: Breaker,
    /// Where messages wait whose fault is their own and may pass.
    pub ladder: Ladder,
    /// Where dead letters go.
    pub dead_letter_exchange: String,
    /// Who carries out commands.
    pub vendor: Arc<Vendor>,
    /// Who publishes copies.
    pub publisher: Arc<Publisher>,
    /// What happened, counted.
    pub metrics: Arc<Metrics>,
    /// Whether the lane does its work.
    pub readiness: Arc<Readiness>,
    /// What time it is.
    pub fresh: fn() -> Stamp,
}

/// A message in work.
#[derive(Debug)]
pub(super) struct Message {
    /// What the broker handed out.
    pub delivery: Delivery,
    /// When it did.
    pub since: Instant,
    /// For the suspect of a pause: the moment of its first failure when it was last tried.
    pub suspect: Option<Mark>,
    _in_flight: InFlight,
}

/// What carrying a message came to.
#[derive(Debug)]
pub(super) enum Carried {
    /// It is settled.
    Settled,
    /// Nothing of its lane would succeed; it is still ours.
    Stuck(Message, Stuck),
    /// The broker does not take the copy that settling needs; it is still ours.
    NotTaken(Message, Report, BrokerError),
}

impl Worker {
    /// One message from delivery to settlement.
    ///
    /// # Errors
    ///
    /// When the message is no longer ours, because its channel is gone.
    pub(super) async fn carry(
        self: Arc<Self>,
        mut message: Message,
        probe: bool,
        stop: CancellationToken,
    ) -> Result<Carried, BrokerError> {
        let effort = Effort { probe, deadline: Instant::now() + WORK_LIMIT };
        let handling = AssertUnwindSafe(self.handle(&message, effort, &stop)).catch_unwind().await;
        let (mut report, decision) = match handling {
            Ok(handled) => handled,
            Err(_) => self.after_panic(&message, &stop).await,
        };
        report.disposition = match decision {
            Decision::Settle(disposition) => disposition,
            Decision::Judge(stuck) => match self.judge(&message, &stuck) {
                Judgement::Plague => {
                    // It goes on from here, be it held or parked.
                    message.delivery.history = report.history;
                    return Ok(Carried::Stuck(message, stuck));
                }
                Judgement::Poison => {
                    Disposition::of_poison(&self.ladder, report.history.climbed, stuck.fault)
                }
            },
        };
        self.settle(message, report).await
    }

    /// What a message asks for, done as far as that is possible now. It touches no broker.
    async fn handle(
        &self,
        message: &Message,
        effort: Effort,
        stop: &CancellationToken,
    ) -> (Report, Decision) {
        let envelope = &message.delivery.envelope;
        let report = Report::of(&message.delivery.history, Disposition::Return);
        let refuse = |report, error: &EventError| {
            (report, Decision::Settle(Disposition::of_event_error(error)))
        };
        let event = match Event::parse(envelope, self.lane.event_type) {
            Ok(event) => event,
            Err(error) => return refuse(report, &error),
        };
        let mut report = report.about(&event);
        let commands = match Command::of_event(&event, &self.lane.default_groups) {
            Ok(commands) => commands,
            Err(error) => return refuse(report, &error),
        };
        let mut conclusions = Vec::with_capacity(commands.len());
        for command in &commands {
            let digest = command.call().digest();
            if report.history.done.contains(&digest) {
                continue;
            }
            if !conclusions.is_empty() && Instant::now() >= effort.deadline {
                conclusions.push(Conclusion::OutOfTime);
                continue;
            }
            let history = &mut report.history;
            let conclusion = self.vendor.execute(command, history, effort, stop).await;
            if matches!(conclusion, Conclusion::Applied | Conclusion::AlreadyGone) {
                report.history.done.push(digest);
            }
            conclusions.push(conclusion);
        }
        (report, Decision::of_conclusions(conclusions))
    }

    /// Holds a message that we failed over, so that it cannot go round in a hot loop.
    async fn after_panic(&self, message: &Message, stop: &CancellationToken) -> (Report, Decision) {
        let Delivery { history, deliveries, .. } = &message.delivery;
        let Breaker { initial_probe_delay, max_probe_delay } = self.breaker;
        let hold = retry::hold(initial_probe_delay, max_probe_delay, *deliveries);
        let _either = stop.run_until_cancelled(tokio::time::sleep(hold)).await;
        let fault = Fault::new("panic", "the daemon failed over this message");
        let requeue = Disposition::Requeue(fault);
        (Report::of(history, requeue.clone()), Decision::Settle(requeue))
    }

    fn judge(&self, message: &Message, stuck: &Stuck) -> Judgement {
        let evidence = self.vendor.evidence(Operation::of(self.lane.event_type));
        evidence.judge(stuck.failed, message.suspect)
    }

    /// Settles a message as its report says.
    ///
    /// # Errors
    ///
    /// When the message is no longer ours, because its channel is gone.
    pub(super) async fn settle(
        &self,
        message: Message,
        report: Report,
    ) -> Result<Carried, BrokerError> {
        match self.try_settle(&message, &report).await {
            Ok(()) => Ok(Carried::Settled),
            Err(error @ BrokerError::NotTaken { .. }) => {
                Ok(Carried::NotTaken(message, report, error))
            }
            Err(error) => Err(error),
        }
    }

    /// Gives a message back to its queue, because we stop.
    ///
    /// # Errors
    ///
    /// When the message is no longer ours, because its channel is gone.
    pub(super) async fn give_back(&self, message: &Message) -> Result<(), BrokerError> {
        let report = Report::of(&message.delivery.history, Disposition::Return);
        self.try_settle(message, &report).await
    }

    /// Takes a delivery into work.
    pub(super) fn receive(&self, delivery: Delivery) -> Message {
        let _in_flight = self.metrics.received(self.lane.event_type);
        Message { delivery, since: Instant::now(), suspect: None, _in_flight }
    }

    async fn try_settle(&self, message: &Message, report: &Report) -> Result<(), BrokerError> {
        let lane = settle::Lane {
            queue: &self.lane.queue,
            dead_letter_exchange: &self.dead_letter_exchange,
        };
        let Report { disposition, history, .. } = report;
        let settling =
            settle::settle(&message.delivery, disposition, history, lane, &self.publisher);
        let settled = settling.await;
        match &settled {
            Ok(()) => self.tell(report, message.since.elapsed()),
            Err(BrokerError::NotTaken { .. }) => {}
            Err(_) => self.metrics.settle_lost(),
        }
        settled
    }

    /// Counts and logs a message whose settlement the broker took.
    fn tell(&self, report: &Report, took: Duration) {
        let event = self.lane.event_type;
        self.metrics.settled(event, &report.disposition, took);
        if report.disposition == Disposition::Ack {
            let now = (self.fresh)().at;
            let lag = report.event_time.map(|time| (now - time).to_std().unwrap_or_default());
            self.metrics.succeeded(event, now.timestamp_micros() as f64 / 1e6, lag);
        }
        report.log(event.name(), took);
    }
}

/// The messages in work.
pub(super) type InWork = JoinSet<Result<Carried, BrokerError>>;

/// A task that was aborted or panicked outside the handling ends the session like any other failure.
///
/// # Errors
///
/// That, or what the task failed with.
pub(super) fn flat(
    carried: Result<Result<Carried, BrokerError>, JoinError>,
) -> Result<Carried, BrokerError> {
    carried.unwrap_or_else(|error| Err(BrokerError::Lost(error.to_string())))
}
