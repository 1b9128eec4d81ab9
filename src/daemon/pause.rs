//! A paused lane: no consumer, so that its queue grows visibly; one message at a time as a probe;
//! and everything that it still holds, safe. When to probe and to resume is decided by the verdict.

use super::hand::{Hand, moved};
use super::in_work::InWork;
use super::message::{Held, Message, Waiting};
use super::obstacle::Obstacle;
use super::worker::Worker;
use crate::broker::{BrokerError, Consumer};
use crate::command::Operation;
use crate::settings::Breaker;
use crate::telemetry::LaneState;
use crate::verdict::{Disposition, Fault, Holding, Probing, Turn};
use std::sync::Arc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// One pause of one lane.
pub(super) struct Pause<'a> {
    worker: &'a Arc<Worker>,
    holding: Holding<Box<Message>, Waiting>,
    began: Instant,
    /// Whether what was done cannot be written down: then nothing more is done.
    is_unprovable: bool,
}

impl<'a> Pause<'a> {
    /// Pauses the lane because of the message that is `held`.
    pub(super) fn begin(worker: &'a Arc<Worker>, held: Held) -> Pause<'a> {
        let Breaker { initial_probe_delay, max_probe_delay } = worker.settings().breaker;
        let lane = worker.lane.event_type;
        let operations = Operation::ALL.into_iter().filter(|it| it.event_type() == lane);
        let began = operations.map(|it| (it, worker.vendor.evidence(it).mark())).collect();
        let probing = Probing::begin(began, initial_probe_delay, max_probe_delay);
        let holding = Holding::begin(probing);
        let mut pause = Pause { worker, holding, began: Instant::now(), is_unprovable: false };
        pause.keep(held);
        pause
    }

    /// Holds the lane until it may go on, and then sets it going again. Ends early with `ended`.
    ///
    /// # Errors
    ///
    /// Whatever ended the session.
    pub(super) async fn run(
        mut self,
        consumer: &mut Consumer,
        in_work: &mut InWork,
        hand: &mut Hand,
        ended: &CancellationToken,
    ) -> Result<(), BrokerError> {
        let mut settings = self.worker.settings.clone();
        settings.mark_unchanged();
        for delivery in consumer.cancel().await? {
            // Nobody began with it, and nobody can now.
            let message = self.worker.receive(delivery);
            if message.delivery.envelope.passed_over.is_some() {
                // Its body was too large to be kept: a copy would be empty.
                self.worker.give_back(&message).await?;
                continue;
            }
            self.park(message, Fault::new("paused", "the lane was paused"));
        }
        self.settle_waiting().await?;
        let mut probe_at = Instant::now() + self.holding.probing.wait();
        while !self.is_over() {
            tokio::select! {
                biased;
                () = ended.cancelled() => return self.give_up().await,
                () = moved(hand) => {
                    if hand.borrow_and_update().is_some() {
                        return self.hand_over().await;
                    }
                }
                // It may be what it waits for: the vendor is asked at once.
                Ok(()) = settings.changed() => {
                    let Breaker { initial_probe_delay, max_probe_delay } =
                        settings.borrow_and_update().breaker;
                    self.holding.probing.begin_again(initial_probe_delay, max_probe_delay);
                    probe_at = Instant::now();
                }
                Some(carried) = in_work.next() => {
                    if let Some(held) = carried? {
                        self.keep(held);
                    }
                }
                () = tokio::time::sleep_until(probe_at) => {
                    self.step(consumer, ended).await?;
                    probe_at = Instant::now() + self.holding.probing.wait();
                }
            }
        }
        self.resume(consumer, in_work, ended).await
    }

    /// One step at a time: first what only the broker has to take, then one message as the probe. The
    /// vendor is probed even if it is not what the lane waits for: what is good is applied meanwhile.
    async fn step(
        &mut self,
        consumer: &Consumer,
        ended: &CancellationToken,
    ) -> Result<(), BrokerError> {
        let turn = self.holding.probing.turn();
        self.settle_waiting().await?;
        if self.is_over() || self.is_unprovable {
            return Ok(());
        }
        match self.choose(turn, consumer).await? {
            Some(message) => self.probe(message, ended).await,
            None => {
                self.holding.has_nothing_to_probe_with();
                Ok(())
            }
        }
    }

    /// Settles what waits for its copies, and the suspect too before it is held for too long. Dead
    /// letters and copies that come back go different ways: when one is refused, the others of its kind
    /// wait, since each try can take as long as a confirm. What may not wait any longer goes back.
    async fn settle_waiting(&mut self) -> Result<(), BrokerError> {
        let wait = self.holding.probing.wait();
        self.is_unprovable = false;
        let limit = self.worker.timings().suspect;
        let suspect = &mut self.holding.suspect;
        if let Some((suspect, stuck)) =
            suspect.take_if(|(it, _)| it.since.elapsed() + wait >= limit)
        {
            self.park(suspect, stuck.fault);
        }
        let (mut dead_letters_refused, mut others_refused) = (false, false);
        for waiting in std::mem::take(&mut self.holding.waiting) {
            let refused = match waiting.report.disposition.reason() {
                Some(_) => &mut dead_letters_refused,
                None => &mut others_refused,
            };
            if *refused {
                self.holding.waiting.push(waiting);
                continue;
            }
            let Waiting { message, report } = waiting;
            if let Some(held) = self.worker.settle_or_hold(message, report).await? {
                *refused = true;
                self.keep(held);
            }
        }
        let next = Instant::now() + wait;
        let too_long = self.holding.waiting.extract_if(.., |it| next >= it.message.deadline());
        for Waiting { message, .. } in too_long.collect::<Vec<_>>() {
            self.worker.give_back(&message).await?;
        }
        Ok(())
    }

    /// The message to probe with, if there is any.
    async fn choose(
        &mut self,
        turn: Turn,
        consumer: &Consumer,
    ) -> Result<Option<Box<Message>>, BrokerError> {
        if let Some(ours) = self.holding.choose(turn) {
            return Ok(Some(ours));
        }
        match consumer.get().await? {
            Some(delivery) => Ok(Some(self.worker.receive(delivery))),
            None => Ok(self.holding.take()),
        }
    }

    /// Asks the vendor once, with `message`.
    async fn probe(
        &mut self,
        message: Box<Message>,
        ended: &CancellationToken,
    ) -> Result<(), BrokerError> {
        let carried = Arc::clone(self.worker).carry(message, true, ended.clone()).await?;
        if let Some(held) = carried {
            self.keep(held);
        }
        self.settle_waiting().await
    }

    /// Keeps what is still ours, and says why.
    fn keep(&mut self, held: Held) {
        match held {
            Held::Stuck(mut message, stuck) => {
                self.say(&format!("{}: {}", stuck.fault.code, stuck.fault.detail));
                // Not an earlier one: an answer between two outages is no evidence in the second.
                message.suspect = Some((stuck.operation, stuck.mark));
                if let Some((message, fault)) = self.holding.keep(message, stuck) {
                    self.park(message, fault);
                }
            }
            Held::NotSettled(message, report, obstacle) => {
                self.say(&obstacle.to_string());
                self.is_unprovable |= matches!(obstacle, Obstacle::Audit(_));
                self.holding.waiting.push(Waiting { message, report: *report });
            }
        }
    }

    /// Lets a copy of the message go to the end of the queue, with the others that wait for theirs.
    fn park(&mut self, message: Box<Message>, fault: Fault) {
        let report = message.report(Disposition::Park(fault));
        self.holding.waiting.push(Waiting { message, report });
    }

    fn is_over(&self) -> bool {
        self.holding.is_over(|operation| self.worker.vendor.evidence(operation))
    }

    /// Consumes again, and begins with what is held once more.
    async fn resume(
        self,
        consumer: &mut Consumer,
        in_work: &mut InWork,
        ended: &CancellationToken,
    ) -> Result<(), BrokerError> {
        for message in self.holding.into_messages() {
            in_work.begin(self.worker, message, ended);
        }
        consumer.consume().await?;
        let event = self.worker.lane.event_type.name();
        let paused_ms = self.began.elapsed().as_millis() as u64;
        tracing::info!(event, paused_ms, "the lane goes on");
        Ok(())
    }

    /// A person has paused the lane: nothing is held for longer than it takes to let go of it.
    async fn hand_over(self) -> Result<(), BrokerError> {
        let Holding { suspect, waiting, .. } = self.holding;
        let suspect = suspect.map(|(message, stuck)| Held::Stuck(message, stuck).into_parts());
        let waiting = waiting.into_iter().map(|it| (it.message, it.report));
        for (message, report) in suspect.into_iter().chain(waiting) {
            if let Some(held) = self.worker.settle_or_hold(message, report).await? {
                self.worker.give_back(&held.into_message()).await?;
            }
        }
        Ok(())
    }

    /// Gives back everything that is held, because of a stop. After the end of a session there is
    /// nobody to give it back to, and the broker has it again already.
    async fn give_up(self) -> Result<(), BrokerError> {
        for message in self.holding.into_messages() {
            self.worker.give_back(&message).await?;
        }
        Ok(())
    }

    fn say(&self, why: &str) {
        let event = self.worker.lane.event_type;
        tracing::warn!(event = event.name(), why, "the lane is paused");
        self.worker.readiness.enter(event, LaneState::Paused, why);
    }
}
