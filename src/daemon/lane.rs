//! A lane for one session: consume, pause, consume again, and finish at a stop.

use super::hand::{Hand, moved};
use super::in_work::{Ended, InWork};
use super::message::Held;
use super::obstacle::Obstacle;
use super::pause::LanePause;
use super::worker::Worker;
use crate::broker::{BrokerError, Consumer, Delivery};
use crate::telemetry::LaneState;
use crate::verdict::{Fault, Pausing, Until};
use futures_util::FutureExt;
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
    let (in_work, waits) = (InWork::new(worker), ended.child_token());
    let mut lane = Lane { worker, consumer, in_work, start: Start::First, waits };
    let mut hand = worker.hand.clone();
    let event = worker.lane.event_type;
    while !ended.is_cancelled() {
        if hand.borrow_and_update().is_some() {
            lane.stay_paused(&mut hand, ended).await?;
            continue;
        }
        lane.consumer.consume().await?;
        tracing::info!(event = event.name(), queue = worker.lane.queue, "consuming");
        worker.readiness.enter(event, LaneState::Consuming, "");
        if let Some(held) = lane.consume(&mut hand, ended).await? {
            let lanes_own = (&mut *lane.consumer, &mut lane.in_work);
            LanePause::begin(worker, lanes_own, &lane.waits, held).run(&mut hand).await?;
            lane.begin_slowly();
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
    /// Ends the waits of messages in work.
    waits: CancellationToken,
}

/// How far the start of a session is, or what comes after a pause. The lane takes one message at a time until one that
/// is no suspect is settled, or a call of one was answered. So a delivery that ends sessions, in whatever way, is
/// charged alone at last, and the broker's delivery limit ends it.
enum Start {
    /// No message has come in the session.
    First,
    /// One at a time; since when one that is no suspect is in work, if one is.
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
        let worker = self.worker;
        // Made once: each message would have them put into their lists and taken out again.
        let (mut over, mut moved) = (pin!(ended.cancelled()), pin!(moved(hand)));
        loop {
            let harmless_at = match self.start {
                Start::Slow(Some(since)) => Some(since + worker.timings().slow_start),
                Start::First | Start::Slow(None) | Start::Full => None,
            };
            let is_slow = matches!(self.start, Start::Slow(_));
            tokio::select! {
                biased;
                () = &mut over => return Ok(None),
                () = &mut moved => return Ok(None),
                Some(carried) = self.in_work.next() => match carried? {
                    Ended::Held(held) => match self.set_aside(held) {
                        Some(held) => return Ok(Some(held)),
                        // It is in hand, and did no harm.
                        None if is_slow => self.widen().await?,
                        None => {}
                    },
                    Ended::Settled if harmless_at.is_some() => self.widen().await?,
                    Ended::Settled | Ended::Decided { .. } | Ended::Released | Ended::Asked(_) => {}
                },
                () = until(harmless_at) => self.widen().await?,
                () = worker.answered.notified(), if is_slow => self.widen().await?,
                delivery = self.consumer.next() => self.begin(delivery?),
            }
        }
    }

    /// Consumes nothing until a person resumes the lane, or until `ended`. Requests in flight are finished; whatever
    /// waits, and what was handed out, goes to the end of the queue.
    async fn stay_paused(
        &mut self,
        hand: &mut Hand,
        ended: &CancellationToken,
    ) -> Result<(), BrokerError> {
        self.waits.cancel();
        self.put_back().await?;
        let result = loop {
            let Some(pause) = hand.borrow_and_update().clone() else { break Ok(()) };
            let event = self.worker.lane.event_type;
            self.worker.readiness.enter(event, LaneState::Paused, &pause.said());
            tokio::select! {
                biased;
                () = ended.cancelled() => break Ok(()),
                () = moved(hand) => {}
                Some(ended) = self.in_work.next() => self.release(ended?),
            }
        };
        self.waits = ended.child_token();
        result
    }

    /// Puts what was handed out, and nobody began with, to the end of the queue.
    async fn put_back(&mut self) -> Result<(), BrokerError> {
        for delivery in self.consumer.cancel().await? {
            let fault = Fault::new("not_begun", "the lane stopped or was paused before it began");
            let pausing = Pausing { until: Until::Decided, fault };
            let message = self.worker.receive(delivery);
            self.in_work.release(Held::Pausing(message, pausing));
        }
        Ok(())
    }

    fn begin(&mut self, delivery: Delivery) {
        let (is_first, again) = (matches!(self.start, Start::First), delivery.redelivered);
        if !matches!(self.start, Start::Full) {
            // Somebody may have looked at it, or a session ended over another one.
            let is_suspect = delivery.deliveries > u32::from(self.worker.lane.delivery_limit) / 5;
            self.start = Start::Slow((!is_suspect).then(Instant::now));
        }
        let message = self.worker.receive(delivery);
        if is_first && again {
            self.in_work.begin_again(message, &self.waits);
        } else {
            self.in_work.begin(message, &self.waits);
        }
    }

    /// Sets a message aside that needs a copy while RabbitMQ takes none for want of memory or disk: others need none.
    /// Half of those that the lane may have in hand can wait so; one more, and it has to pause.
    fn set_aside(&mut self, held: Held) -> Option<Held> {
        let Worker { lane, settler, .. } = &**self.worker;
        let has_room = self.in_work.copies() < usize::from(lane.prefetch) / 2;
        match held {
            Held::NotSettled(message, Obstacle::Copy(error))
                if has_room && settler.publisher.is_blocked() =>
            {
                let (event, event_id) = (lane.event_type.name(), &message.report.event_id);
                tracing::warn!(event, event_id, %error, "a message waits for its copy");
                self.in_work.settle_later(message, &self.waits);
                None
            }
            Held::Pausing(..) | Held::NotSettled(..) => Some(held),
        }
    }

    /// From now on one message at a time.
    fn begin_slowly(&mut self) {
        self.consumer.narrow();
        self.start = Start::Slow(None);
        // What was answered before says nothing of now.
        let _before = self.worker.answered.notified().now_or_never();
    }

    /// The session has shown that it lives: from now on as many at a time as the lane is allowed.
    async fn widen(&mut self) -> Result<(), BrokerError> {
        self.start = Start::Full;
        self.consumer.widen(self.worker.lane.prefetch).await
    }

    /// Takes no more messages, puts back those that nobody began with, and waits for the others.
    async fn finish(mut self) -> Result<(), BrokerError> {
        self.put_back().await?;
        while let Some(ended) = self.in_work.next().await {
            self.release(ended?);
        }
        Ok(())
    }

    /// Lets go of what cannot be settled now.
    fn release(&mut self, ended: Ended) {
        match ended {
            Ended::Held(held) => self.in_work.release(held),
            Ended::Settled | Ended::Decided { .. } | Ended::Released | Ended::Asked(_) => {}
        }
    }
}

/// Comes at that moment; never without one.
async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment).await,
        None => std::future::pending().await,
    }
}
