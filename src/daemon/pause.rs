//! A paused lane: no consumer, so that its queue grows visibly; one message at a time as a probe;
//! and everything that it still holds, safe. When to pause, probe and resume is decided in `breaker`.

use super::worker::{Carried, InWork, Message, Worker, flat};
use crate::broker::{BrokerError, Consumer};
use crate::command::Operation;
use crate::settings::Breaker;
use crate::telemetry::{LaneState, Report};
use crate::verdict::{Disposition, Fault, Pause, Stuck, Turn};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Nothing is held for longer than this: before that a copy of the suspect goes to the end of the
/// queue, and another message is the suspect. The broker's limit for a delivery is 30 minutes (RabbitMQ,
/// "Delivery Acknowledgement Timeout").
const HOLD_LIMIT: Duration = Duration::from_mins(10);

/// One pause of one lane.
pub(super) struct Paused<'a> {
    worker: &'a Arc<Worker>,
    pause: Pause,
    began: Instant,
    /// Messages that nothing is wrong with but the time; the first is the suspect.
    stuck: Vec<(Message, Stuck)>,
    /// Messages whose copies the broker does not take.
    not_taken: Vec<(Message, Report)>,
    /// Whether the vendor has to answer before the lane goes on.
    until_answered: bool,
}

impl<'a> Paused<'a> {
    /// Pauses the lane because of `reason`.
    pub(super) fn begin(worker: &'a Arc<Worker>, reason: Carried) -> Paused<'a> {
        let Breaker { initial_probe_delay, max_probe_delay } = worker.breaker;
        let mark = worker.vendor.evidence(Operation::of(worker.lane.event_type)).mark();
        let mut paused = Paused {
            worker,
            pause: Pause::begin(mark, initial_probe_delay, max_probe_delay),
            began: Instant::now(),
            stuck: Vec::new(),
            not_taken: Vec::new(),
            until_answered: false,
        };
        paused.keep(reason);
        paused
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
        ended: &CancellationToken,
    ) -> Result<(), BrokerError> {
        for delivery in consumer.cancel().await? {
            // Nobody began with it, and nobody can now.
            let message = self.worker.receive(delivery);
            self.park(message, Fault::new("paused", "the lane was paused")).await?;
        }
        let mut probe_at = Instant::now() + self.pause.wait();
        while !self.is_over() {
            tokio::select! {
                biased;
                () = ended.cancelled() => return self.give_up().await,
                Some(carried) = in_work.join_next() => self.keep(flat(carried)?),
                () = tokio::time::sleep_until(probe_at) => {
                    self.probe(consumer, ended).await?;
                    probe_at = Instant::now() + self.pause.wait();
                }
            }
        }
        self.resume(consumer, in_work, ended).await
    }

    /// One step at a time: first what only the broker has to take, then one message as the probe.
    async fn probe(
        &mut self,
        consumer: &Consumer,
        ended: &CancellationToken,
    ) -> Result<(), BrokerError> {
        let turn = self.pause.probe();
        for (message, report) in std::mem::take(&mut self.not_taken) {
            if message.since.elapsed() < HOLD_LIMIT {
                let carried = self.worker.settle(message, report).await?;
                self.keep(carried);
            } else {
                // No copy of it can be parked either: back to its queue, and once more from there.
                self.worker.give_back(&message).await?;
            }
        }
        self.park_all_but_the_suspect().await?;
        if !self.not_taken.is_empty() || !self.until_answered {
            return Ok(());
        }
        let next = match (turn, self.stuck.is_empty()) {
            (Turn::Suspect, false) => None,
            (Turn::Suspect, true) | (Turn::Queue, _) => consumer.get().await?,
        };
        let message = match (next, self.stuck.pop()) {
            (Some(delivery), suspect) => {
                self.stuck.extend(suspect);
                self.worker.receive(delivery)
            }
            (None, Some((suspect, _))) => suspect,
            (None, None) => {
                // Nothing is left to probe with: the next message that comes shall.
                self.until_answered = false;
                return Ok(());
            }
        };
        let carried = Arc::clone(self.worker).carry(message, true, ended.clone()).await?;
        self.keep(carried);
        self.park_all_but_the_suspect().await
    }

    /// Keeps what is still ours, and says why.
    fn keep(&mut self, carried: Carried) {
        match carried {
            Carried::Settled => {}
            Carried::Stuck(mut message, stuck) => {
                self.say(&format!("{}: {}", stuck.fault.code, stuck.fault.detail));
                // Not an earlier one: an answer between two outages is no evidence in the second.
                message.suspect = Some(stuck.failed.mark);
                self.until_answered = true;
                self.stuck.push((message, stuck));
            }
            Carried::NotTaken(message, report, error) => {
                self.say(&error.to_string());
                self.not_taken.push((message, report));
            }
        }
    }

    async fn park_all_but_the_suspect(&mut self) -> Result<(), BrokerError> {
        let suspect_may_stay = self
            .stuck
            .first()
            .is_some_and(|(suspect, _)| suspect.since.elapsed() + self.pause.wait() < HOLD_LIMIT);
        while self.stuck.len() > usize::from(suspect_may_stay) {
            let Some((message, stuck)) = self.stuck.pop() else { break };
            self.park(message, stuck.fault).await?;
        }
        Ok(())
    }

    /// Puts a copy of the message to the end of its queue.
    async fn park(&mut self, message: Message, fault: Fault) -> Result<(), BrokerError> {
        let report = Report::of(&message.delivery.history, Disposition::Park(fault));
        let carried = self.worker.settle(message, report).await?;
        self.keep(carried);
        Ok(())
    }

    fn is_over(&self) -> bool {
        let evidence = self.worker.vendor.evidence(Operation::of(self.worker.lane.event_type));
        self.not_taken.is_empty() && (!self.until_answered || self.pause.is_over(evidence))
    }

    /// Consumes again. The suspect goes first: if it fails once more, the answer that ended the
    /// pause is the evidence against it.
    async fn resume(
        self,
        consumer: &mut Consumer,
        in_work: &mut InWork,
        ended: &CancellationToken,
    ) -> Result<(), BrokerError> {
        for (message, _) in self.stuck {
            in_work.spawn(Arc::clone(self.worker).carry(message, false, ended.clone()));
        }
        consumer.consume().await?;
        let event = self.worker.lane.event_type.name();
        let paused_ms = self.began.elapsed().as_millis() as u64;
        tracing::info!(event, paused_ms, "the lane goes on");
        Ok(())
    }

    /// Gives back everything that is held, because of a stop. After the end of a session there is
    /// nobody to give it back to, and the broker has it again already.
    async fn give_up(self) -> Result<(), BrokerError> {
        let stuck = self.stuck.into_iter().map(|(message, _)| message);
        let not_taken = self.not_taken.into_iter().map(|(message, _)| message);
        for message in stuck.chain(not_taken) {
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
