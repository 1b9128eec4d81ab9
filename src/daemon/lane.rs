//! A lane for one session: consume, pause, consume again, and finish at a stop.

use super::hand::{Hand, moved};
use super::in_work::InWork;
use super::message::Held;
use super::pause::Pause;
use super::worker::Worker;
use crate::broker::{BrokerError, Consumer, Delivery};
use crate::telemetry::LaneState;
use std::pin::pin;
use std::sync::Arc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Works on what `consumer` delivers until `stop`, and then finishes what is in work. `ended`
/// comes with `stop` or when the session is over.
///
/// # Errors
///
/// Whatever ended the session. What is still in work then goes on in the background: its
/// settlement will be lost, and counted.
pub(super) async fn run(
    worker: &Arc<Worker>,
    consumer: &mut Consumer,
    stop: &CancellationToken,
    ended: &CancellationToken,
) -> Result<(), BrokerError> {
    let mut lane = Lane { worker, consumer, in_work: InWork::default(), start: Start::Slow(None) };
    let mut hand = worker.hand.clone();
    let event = worker.lane.event_type;
    while !ended.is_cancelled() {
        if hand.borrow_and_update().is_some() {
            lane.rest(&mut hand, ended).await?;
            continue;
        }
        lane.consumer.consume().await?;
        tracing::info!(event = event.name(), queue = worker.lane.queue, "consuming");
        worker.readiness.enter(event, LaneState::Consuming, "");
        if let Some(held) = lane.consume(&mut hand, ended).await? {
            let pause = Pause::begin(worker, held);
            pause.run(lane.consumer, &mut lane.in_work, &mut hand, ended).await?;
        }
    }
    match stop.is_cancelled() {
        true => lane.finish().await,
        false => Err(BrokerError::Lost("the connection ended".into())),
    }
}

struct Lane<'a> {
    worker: &'a Arc<Worker>,
    consumer: &'a mut Consumer,
    in_work: InWork,
    start: Start,
}

/// How far the start of the session is. It takes one message at a time until one was settled that
/// was new to the broker too: so a delivery that ends sessions, in whatever way, is charged alone, and
/// the broker's delivery limit ends it.
enum Start {
    /// One at a time; since when a new one is in work, if one is.
    Slow(Option<Instant>),
    /// As many as the lane is allowed.
    Full,
}

impl Lane<'_> {
    /// Consumes until the lane has to pause for a message that is held, or a person says something, or
    /// until `ended`.
    async fn consume(
        &mut self,
        hand: &mut Hand,
        ended: &CancellationToken,
    ) -> Result<Option<Held>, BrokerError> {
        // Made once: each message would have them put into their lists and taken out again.
        let (mut over, mut moved) = (pin!(ended.cancelled()), pin!(moved(hand)));
        loop {
            let harmless_at = match self.start {
                Start::Slow(Some(since)) => Some(since + self.worker.timings().slow_start),
                Start::Slow(None) | Start::Full => None,
            };
            tokio::select! {
                biased;
                () = &mut over => return Ok(None),
                () = &mut moved => return Ok(None),
                Some(carried) = self.in_work.next() => {
                    if let Some(held) = carried? {
                        return Ok(Some(held));
                    }
                    if harmless_at.is_some() {
                        self.widen().await?;
                    }
                }
                () = until(harmless_at) => self.widen().await?,
                delivery = self.consumer.next() => self.begin(delivery?, ended),
            }
        }
    }

    /// Consumes nothing until a person sets the lane going again, or until `ended`. What was handed out is
    /// finished; what cannot be now goes to the end of the queue.
    async fn rest(
        &mut self,
        hand: &mut Hand,
        ended: &CancellationToken,
    ) -> Result<(), BrokerError> {
        for delivery in self.consumer.cancel().await? {
            self.begin(delivery, ended);
        }
        loop {
            let Some(pause) = hand.borrow_and_update().clone() else { return Ok(()) };
            let event = self.worker.lane.event_type;
            self.worker.readiness.enter(event, LaneState::Paused, &pause.said());
            tokio::select! {
                biased;
                () = ended.cancelled() => return Ok(()),
                () = moved(hand) => {}
                Some(carried) = self.in_work.next() => {
                    if let Some(held) = carried? {
                        self.worker.put_aside(held).await?;
                    }
                }
            }
        }
    }

    fn begin(&mut self, delivery: Delivery, ended: &CancellationToken) {
        if matches!(self.start, Start::Slow(_)) {
            self.start = Start::Slow((!delivery.redelivered).then(Instant::now));
        }
        self.in_work.begin(self.worker, self.worker.receive(delivery), ended);
    }

    /// The session has shown that it lives: from now on as many at a time as the lane is allowed.
    async fn widen(&mut self) -> Result<(), BrokerError> {
        self.start = Start::Full;
        self.consumer.widen(self.worker.lane.prefetch).await
    }

    /// Takes no more messages, returns those that nobody began with, and waits for the others.
    async fn finish(mut self) -> Result<(), BrokerError> {
        for delivery in self.consumer.cancel().await? {
            self.worker.give_back(&self.worker.receive(delivery)).await?;
        }
        while let Some(carried) = self.in_work.next().await {
            if let Some(held) = carried? {
                self.worker.give_back(&held.into_message()).await?;
            }
        }
        Ok(())
    }
}

/// Comes at that moment; never without one.
async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment).await,
        None => std::future::pending().await,
    }
}
