//! The story of a message: delivered, understood, carried out, settled.

use crate::broker::BrokerError;
use crate::command::Command;
use crate::config::{Breaker, Lane};
use crate::consumer::Consumer;
use crate::delivery::Delivery;
use crate::disposition::Disposition;
use crate::event::{Envelope, Event};
use crate::metrics::Metrics;
use crate::outcome::Fault;
use crate::publisher::Publisher;
use crate::report::Report;
use crate::sign::Stamp;
use crate::vendor::Vendor;
use crate::{retry, settle};
use futures_util::FutureExt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// No new attempt begins when a delivery has been held for this long. With the longest attempt and
/// the longest wait after it, settlement stays well before the broker's limit of 30 minutes, after
/// which it closes the channel (RabbitMQ, "Delivery Acknowledgement Timeout").
const HOLD_LIMIT: Duration = Duration::from_mins(10);

/// Works on one lane for one session.
#[derive(Debug)]
pub struct Worker {
    /// The lane.
    pub lane: Lane,
    /// The waits of messages that cannot go on.
    pub breaker: Breaker,
    /// Where dead letters go.
    pub dead_letter_exchange: String,
    /// Who carries out commands.
    pub vendor: Arc<Vendor>,
    /// Who publishes dead letters.
    pub publisher: Arc<Publisher>,
    /// What happened, counted.
    pub metrics: Arc<Metrics>,
    /// What time it is.
    pub fresh: fn() -> Stamp,
}

impl Worker {
    /// Works on what `consumer` delivers until `stop`, and then finishes what is in work. `ended`
    /// comes with `stop` or when the session is over.
    ///
    /// # Errors
    ///
    /// Whatever ended the session. What is still in work then goes on in the background: its
    /// settlement will be lost, and counted.
    pub async fn run(
        self: Arc<Self>,
        mut consumer: Consumer,
        stop: CancellationToken,
        ended: CancellationToken,
    ) -> Result<(), BrokerError> {
        let mut in_work = JoinSet::new();
        let result = loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => break Ok(()),
                () = ended.cancelled() => break Err(BrokerError::Lost("the session is over".into())),
                Some(carried) = in_work.join_next() => match flat(carried) {
                    Ok(()) => {}
                    Err(error) => break Err(error),
                },
                next = consumer.next() => match next {
                    Ok(delivery) => {
                        in_work.spawn(Arc::clone(&self).carry(delivery, ended.clone()));
                    }
                    Err(error) => break Err(error),
                },
            }
        };
        let result = match result {
            Ok(()) => self.finish(&mut consumer, &mut in_work).await,
            Err(error) => Err(error),
        };
        in_work.detach_all();
        result
    }

    /// Takes no more messages, returns those that nobody began with, and waits for the others.
    async fn finish(
        &self,
        consumer: &mut Consumer,
        in_work: &mut JoinSet<Result<(), BrokerError>>,
    ) -> Result<(), BrokerError> {
        for delivery in consumer.cancel().await? {
            let _in_flight = self.metrics.received(self.lane.event_type);
            let report = Report::of(Disposition::Return);
            self.settle(&delivery, &report, Instant::now()).await?;
        }
        while let Some(carried) = in_work.join_next().await {
            flat(carried)?;
        }
        Ok(())
    }

    /// One message from delivery to settlement.
    async fn carry(
        self: Arc<Self>,
        delivery: Delivery,
        stop: CancellationToken,
    ) -> Result<(), BrokerError> {
        let _in_flight = self.metrics.received(self.lane.event_type);
        let started = Instant::now();
        let envelope = &delivery.envelope;
        let handling = AssertUnwindSafe(self.handle(envelope, &stop)).catch_unwind().await;
        let mut report = handling.unwrap_or_else(|_| {
            let fault = Fault::new("panic", "the daemon failed over this message");
            Report::of(Disposition::Requeue(fault))
        });
        if let Disposition::Requeue(fault) = &report.disposition {
            let hold = self.hold(envelope);
            self.announce_hold(fault, hold);
            if stop.run_until_cancelled(tokio::time::sleep(hold)).await.is_none() {
                report.disposition = Disposition::Return;
            }
        }
        self.settle_surely(&delivery, &report, started, &stop).await
    }

    /// What a message asks for, done. It touches no broker.
    async fn handle(&self, envelope: &Envelope, stop: &CancellationToken) -> Report {
        let event = match Event::parse(envelope, self.lane.event_type) {
            Ok(event) => event,
            Err(error) => return Report::of(Disposition::of_event_error(&error)),
        };
        let mut report = Report::about(&event);
        let commands = match Command::of_event(&event, &self.lane.default_groups) {
            Ok(commands) => commands,
            Err(error) => {
                report.disposition = Disposition::of_event_error(&error);
                return report;
            }
        };
        let deadline = Instant::now() + HOLD_LIMIT;
        let mut conclusions = Vec::with_capacity(commands.len());
        for command in &commands {
            let execution = self.vendor.execute(command, &mut report.history, deadline, stop);
            conclusions.push(execution.await);
        }
        report.disposition = Disposition::of_conclusions(&conclusions);
        report
    }

    /// Settles, and keeps the message for as long as its dead letter is not safe anywhere.
    async fn settle_surely(
        &self,
        delivery: &Delivery,
        report: &Report,
        started: Instant,
        stop: &CancellationToken,
    ) -> Result<(), BrokerError> {
        let Breaker { initial_probe_delay, max_probe_delay } = self.breaker;
        let mut tries = 0;
        loop {
            match self.settle(delivery, report, started).await {
                Err(error @ BrokerError::NotTaken { .. }) => {
                    tracing::error!(event = self.lane.event_type.name(), %error, "message kept");
                    let wait = retry::hold(initial_probe_delay, max_probe_delay, tries);
                    if stop.run_until_cancelled(tokio::time::sleep(wait)).await.is_none() {
                        let returned = Report::of(Disposition::Return);
                        return self.settle(delivery, &returned, started).await;
                    }
                    tries += 1;
                }
                settled => return settled,
            }
        }
    }

    async fn settle(
        &self,
        delivery: &Delivery,
        report: &Report,
        started: Instant,
    ) -> Result<(), BrokerError> {
        let lane = settle::Lane {
            queue: &self.lane.queue,
            dead_letter_exchange: &self.dead_letter_exchange,
        };
        let Report { disposition, history, .. } = report;
        match settle::settle(delivery, disposition, history, lane, &self.publisher).await {
            Ok(()) => {
                self.tell(report, started.elapsed());
                Ok(())
            }
            Err(error) => {
                if matches!(error, BrokerError::SettleLost | BrokerError::Lost(_)) {
                    self.metrics.settle_lost();
                }
                Err(error)
            }
        }
    }

    fn hold(&self, envelope: &Envelope) -> Duration {
        let Breaker { initial_probe_delay, max_probe_delay } = self.breaker;
        retry::hold(initial_probe_delay, max_probe_delay, envelope.deliveries)
    }

    fn announce_hold(&self, fault: &Fault, hold: Duration) {
        tracing::warn!(
            event = self.lane.event_type.name(),
            code = fault.code,
            detail = fault.detail,
            hold_ms = hold.as_millis() as u64,
            "attempts are used up, the message is held before it goes back"
        );
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

/// A task that was aborted or panicked outside the handling ends the session like any other failure.
fn flat(carried: Result<Result<(), BrokerError>, JoinError>) -> Result<(), BrokerError> {
    carried.unwrap_or_else(|error| Err(BrokerError::Lost(error.to_string())))
}
