//! The story of a message: delivered, understood, carried out, settled.

use crate::broker::{BrokerError, lost};
use crate::command::Command;
use crate::config::{Breaker, Lane};
use crate::delivery;
use crate::disposition::{Disposition, History};
use crate::event::{Data, Envelope, Event, Member};
use crate::metrics::Metrics;
use crate::outcome::Fault;
use crate::publisher::Publisher;
use crate::sign::Stamp;
use crate::vendor::Vendor;
use crate::{redact, retry, settle};
use chrono::{DateTime, Utc};
use futures_util::{FutureExt, StreamExt};
use lapin::message::Delivery;
use lapin::options::{BasicCancelOptions, BasicConsumeOptions, BasicQosOptions};
use lapin::types::FieldTable;
use lapin::{Channel, Consumer};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
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

/// What handling a message came to.
#[derive(Debug)]
struct Handled {
    disposition: Disposition,
    history: History,
    event_id: Option<String>,
    event_time: Option<DateTime<Utc>>,
    /// Whom or what it is about, hashed where it is a person.
    subject: Option<String>,
}

impl Worker {
    /// Starts consuming from the lane's queue on `channel`. Prefetch comes first, so that the broker
    /// never hands out more: it is the limit of memory and of concurrency at once.
    ///
    /// # Errors
    ///
    /// [`BrokerError::Lost`].
    pub async fn consume(&self, channel: &Channel) -> Result<Consumer, BrokerError> {
        let qos = BasicQosOptions::default();
        channel.basic_qos(self.lane.prefetch, qos).await.map_err(lost)?;
        let (queue, tag) = (self.lane.queue.as_str().into(), "".into());
        let options = BasicConsumeOptions::default();
        channel.basic_consume(queue, tag, options, FieldTable::default()).await.map_err(lost)
    }

    /// Works on what `consumer` delivers until `stop`, and then finishes what is in work.
    ///
    /// # Errors
    ///
    /// Whatever ended the session. What is still in work then goes on in the background: its
    /// settlement will be lost, and counted.
    pub async fn run(
        self: Arc<Self>,
        channel: Channel,
        mut consumer: Consumer,
        stop: CancellationToken,
    ) -> Result<(), BrokerError> {
        let mut in_work = JoinSet::new();
        let ended = loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => break Ok(()),
                Some(carried) = in_work.join_next() => match carried {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => break Err(error),
                    Err(error) => break Err(BrokerError::Lost(format!("a task ended badly: {error}"))),
                },
                next = consumer.next() => match next {
                    Some(Ok(delivery)) => {
                        in_work.spawn(Arc::clone(&self).carry(delivery, stop.clone()));
                    }
                    Some(Err(error)) => break Err(lost(error)),
                    None => break Err(BrokerError::Cancelled(self.lane.queue.clone())),
                },
            }
        };
        if let Err(error) = ended {
            in_work.detach_all();
            return Err(error);
        }
        self.finish(&channel, consumer, in_work).await
    }

    /// Takes no more messages, returns those that nobody began with, and waits for the others.
    async fn finish(
        &self,
        channel: &Channel,
        mut consumer: Consumer,
        mut in_work: JoinSet<Result<(), BrokerError>>,
    ) -> Result<(), BrokerError> {
        let tag = consumer.tag();
        channel.basic_cancel(tag, BasicCancelOptions::default()).await.map_err(lost)?;
        while let Some(next) = consumer.next().await {
            let delivery = next.map_err(lost)?;
            let _in_flight = self.metrics.received(self.lane.event_type);
            let handled = Handled::of(Disposition::Return);
            self.settle(&delivery, &handled, Instant::now()).await?;
        }
        while let Some(carried) = in_work.join_next().await {
            carried.unwrap_or_else(|error| Err(BrokerError::Lost(error.to_string())))?;
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
        let envelope = delivery::envelope(&delivery);
        let handling = AssertUnwindSafe(self.handle(&envelope, &stop)).catch_unwind().await;
        let mut handled = handling.unwrap_or_else(|_| {
            let fault = Fault::new("panic", "the daemon failed over this message");
            Handled::of(Disposition::Requeue(fault))
        });
        if let Disposition::Requeue(fault) = &handled.disposition {
            let hold = self.hold(&envelope);
            self.announce_hold(fault, hold);
            if stop.run_until_cancelled(tokio::time::sleep(hold)).await.is_none() {
                handled.disposition = Disposition::Return;
            }
        }
        self.settle_surely(&delivery, &handled, started, &stop).await
    }

    /// What a message asks for, done. It touches no broker.
    async fn handle(&self, envelope: &Envelope, stop: &CancellationToken) -> Handled {
        let event = match Event::parse(envelope, self.lane.event_type) {
            Ok(event) => event,
            Err(error) => return Handled::of(Disposition::of_event_error(&error)),
        };
        let mut handled = Handled::of(Disposition::Ack).about(&event);
        let commands = match Command::of_event(&event, &self.lane.default_groups) {
            Ok(commands) => commands,
            Err(error) => {
                handled.disposition = Disposition::of_event_error(&error);
                return handled;
            }
        };
        let deadline = Instant::now() + HOLD_LIMIT;
        let mut conclusions = Vec::with_capacity(commands.len());
        for command in &commands {
            let execution = self.vendor.execute(command, &mut handled.history, deadline, stop);
            conclusions.push(execution.await);
        }
        handled.disposition = Disposition::of_conclusions(&conclusions);
        handled
    }

    /// Settles, and keeps the message for as long as its dead letter is not safe anywhere.
    async fn settle_surely(
        &self,
        delivery: &Delivery,
        handled: &Handled,
        started: Instant,
        stop: &CancellationToken,
    ) -> Result<(), BrokerError> {
        let Breaker { initial_probe_delay, max_probe_delay } = self.breaker;
        let mut tries = 0;
        loop {
            match self.settle(delivery, handled, started).await {
                Err(error @ BrokerError::NotTaken { .. }) => {
                    tracing::error!(event = self.lane.event_type.name(), %error, "message kept");
                    let wait = retry::hold(initial_probe_delay, max_probe_delay, tries);
                    if stop.run_until_cancelled(tokio::time::sleep(wait)).await.is_none() {
                        let returned = Handled::of(Disposition::Return);
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
        handled: &Handled,
        started: Instant,
    ) -> Result<(), BrokerError> {
        let lane = settle::Lane {
            queue: &self.lane.queue,
            dead_letter_exchange: &self.dead_letter_exchange,
        };
        let Handled { disposition, history, .. } = handled;
        match settle::settle(delivery, disposition, history, lane, &self.publisher).await {
            Ok(()) => {
                self.report(handled, started.elapsed());
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
            hold_ms = hold.as_millis(),
            "attempts are used up, the message is held before it goes back"
        );
    }

    /// Counts and logs a message whose settlement the broker took.
    fn report(&self, handled: &Handled, took: Duration) {
        let event = self.lane.event_type;
        self.metrics.settled(event, &handled.disposition, took);
        if handled.disposition == Disposition::Ack {
            let now = (self.fresh)().at;
            let lag = handled.event_time.map(|time| (now - time).to_std().unwrap_or_default());
            self.metrics.succeeded(event, now.timestamp_micros() as f64 / 1e6, lag);
        }
        handled.log(event.name(), took);
    }
}

impl Handled {
    fn of(disposition: Disposition) -> Handled {
        Handled {
            disposition,
            history: History::default(),
            event_id: None,
            event_time: None,
            subject: None,
        }
    }

    fn about(mut self, event: &Event) -> Handled {
        self.event_id = event.id.as_deref().map(|id| redact::line(id, 128));
        self.event_time = event.time;
        self.subject = match &event.data {
            Data::UserOffboarded { member: Member::EmailAddress(address), .. } => {
                Some(redact::hash(address))
            }
            Data::UserOffboarded { member: Member::Domain(domain), .. } => {
                Some(redact::line(domain, 253))
            }
            Data::UrlUnblock { .. } => None,
        };
        self
    }

    /// The one line about a settled message.
    fn log(&self, event: &str, took: Duration) {
        let Handled { history, event_id, subject, .. } = self;
        let request_id = history.request_id.map(tracing::field::display);
        let disposition = self.disposition.label();
        let (attempts, duration_ms) = (history.attempts, took.as_millis());
        let (reason, fault) = match &self.disposition {
            Disposition::Ack => {
                tracing::info!(
                    event,
                    event_id,
                    subject,
                    disposition,
                    attempts,
                    request_id,
                    duration_ms,
                    "settled"
                );
                return;
            }
            Disposition::DeadLetter(reason, fault) => (Some(reason.label()), Some(fault)),
            Disposition::Requeue(fault) => (None, Some(fault)),
            Disposition::Return => (None, None),
        };
        let code = fault.map(|fault| fault.code.as_str());
        let detail = fault.map(|fault| fault.detail.as_str());
        tracing::warn!(
            event,
            event_id,
            subject,
            disposition,
            reason,
            code,
            detail,
            attempts,
            request_id,
            duration_ms,
            "settled"
        );
    }
}
