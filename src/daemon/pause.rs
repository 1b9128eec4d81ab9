//! A paused lane: no consumer, so that its queue grows visibly; one message at a time as a probe;
//! and everything that it still holds, safe. When to probe and to resume is decided by the verdict.

use super::in_work::InWork;
use super::message::{Held, Message};
use super::worker::Worker;
use crate::broker::{BrokerError, Consumer};
use crate::command::Operation;
use crate::settings::Breaker;
use crate::telemetry::{LaneState, Report};
use crate::verdict::{Disposition, Evidence, Fault, Probing, Stuck, Turn};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// No suspect is held for longer than this: before that a copy of it goes to the end of the queue, and
/// another message is the suspect.
const HOLD_LIMIT: Duration = Duration::from_mins(10);

/// What nobody takes a copy of is held for longer, but not beyond the broker's limit for a delivery,
/// which is 30 minutes (RabbitMQ, "Delivery Acknowledgement Timeout"): before that it goes back.
const RETURN_LIMIT: Duration = Duration::from_mins(24);

/// One pause of one lane.
pub(super) struct Pause<'a> {
    worker: &'a Arc<Worker>,
    probing: Probing,
    began: Instant,
    /// The message that the lane is paused for, unless it is the probe just now.
    suspect: Option<(Message, Stuck)>,
    /// Others that nothing is wrong with but the time, until copies of them are at the end of the
    /// queue. If the pause ends before that, they need no copies.
    others: Vec<(Message, Fault)>,
    /// Messages whose copies the broker does not take.
    not_taken: Vec<(Message, Report)>,
    /// Whether the vendor has to answer before the lane goes on.
    until_answered: bool,
}

impl<'a> Pause<'a> {
    /// Pauses the lane because of the message that is `held`.
    pub(super) fn begin(worker: &'a Arc<Worker>, held: Held) -> Pause<'a> {
        let Breaker { initial_probe_delay, max_probe_delay } = worker.breaker;
        let began = evidence(worker).mark();
        let mut pause = Pause {
            worker,
            probing: Probing::begin(began, initial_probe_delay, max_probe_delay),
            began: Instant::now(),
            suspect: None,
            others: Vec::new(),
            not_taken: Vec::new(),
            until_answered: false,
        };
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
        ended: &CancellationToken,
    ) -> Result<(), BrokerError> {
        for delivery in consumer.cancel().await? {
            // Nobody began with it, and nobody can now.
            let paused = Fault::new("paused", "the lane was paused");
            self.others.push((self.worker.receive(delivery), paused));
        }
        self.park_others().await?;
        let mut probe_at = Instant::now() + self.probing.wait();
        while !self.is_over() {
            tokio::select! {
                biased;
                () = ended.cancelled() => return self.give_up().await,
                Some(carried) = in_work.next() => {
                    if let Some(held) = carried? {
                        self.keep(held);
                    }
                }
                () = tokio::time::sleep_until(probe_at) => {
                    self.step(consumer, ended).await?;
                    probe_at = Instant::now() + self.probing.wait();
                }
            }
        }
        self.resume(consumer, in_work, ended).await
    }

    /// One step at a time: first what only the broker has to take, then one message as the probe.
    async fn step(
        &mut self,
        consumer: &Consumer,
        ended: &CancellationToken,
    ) -> Result<(), BrokerError> {
        let turn = self.probing.turn();
        self.settle_again().await?;
        self.park_others().await?;
        if !self.until_answered {
            return Ok(());
        }
        match self.choose(turn, consumer).await? {
            Some(message) => self.probe(message, ended).await,
            None => {
                // Nothing is left to probe with: the next message that comes shall.
                self.until_answered = false;
                Ok(())
            }
        }
    }

    /// Tries once more to settle the messages whose copies were not taken. When one is refused again,
    /// the others wait: each try can take as long as a confirm.
    async fn settle_again(&mut self) -> Result<(), BrokerError> {
        let mut refused = false;
        for (message, report) in std::mem::take(&mut self.not_taken) {
            if refused {
                self.not_taken.push((message, report));
            } else if let Some(held) = self.worker.settle_or_hold(message, report).await? {
                refused = true;
                self.keep(held);
            }
        }
        for (message, report) in std::mem::take(&mut self.not_taken) {
            if self.is_held_too_long(&message) {
                self.worker.give_back(&message).await?;
            } else {
                self.not_taken.push((message, report));
            }
        }
        Ok(())
    }

    /// The message to probe with: the suspect and the queue in turn, as far as there are any. While
    /// copies are not taken, nothing more is taken from the queue than must be.
    async fn choose(
        &mut self,
        turn: Turn,
        consumer: &Consumer,
    ) -> Result<Option<Message>, BrokerError> {
        let copies_are_taken = self.not_taken.is_empty() && self.others.is_empty();
        let ours = match (turn, copies_are_taken) {
            (Turn::Queue, true) => None,
            (Turn::Suspect, _) | (Turn::Queue, false) => self.take_ours(),
        };
        if ours.is_some() {
            return Ok(ours);
        }
        match consumer.get().await? {
            Some(delivery) => Ok(Some(self.worker.receive(delivery))),
            None => Ok(self.take_ours()),
        }
    }

    /// The suspect, or else another one that is held because nothing would have succeeded.
    fn take_ours(&mut self) -> Option<Message> {
        match self.suspect.take() {
            Some((suspect, _)) => Some(suspect),
            None if self.others.is_empty() => None,
            None => Some(self.others.remove(0).0),
        }
    }

    /// Asks the vendor once, with `message`.
    async fn probe(
        &mut self,
        message: Message,
        ended: &CancellationToken,
    ) -> Result<(), BrokerError> {
        let carried = Arc::clone(self.worker).carry(message, true, ended.clone()).await?;
        if let Some(held) = carried {
            self.keep(held);
        }
        self.park_others().await
    }

    /// Keeps what is still ours, and says why.
    fn keep(&mut self, held: Held) {
        match held {
            Held::Stuck(mut message, stuck) => {
                self.say(&format!("{}: {}", stuck.fault.code, stuck.fault.detail));
                // Not an earlier one: an answer between two outages is no evidence in the second.
                message.suspect = Some(stuck.mark);
                self.until_answered = true;
                match &self.suspect {
                    None => self.suspect = Some((message, stuck)),
                    Some(_) => self.others.push((message, stuck.fault)),
                }
            }
            Held::NotTaken(message, report, error) => {
                self.say(&error.to_string());
                // A message that was to be parked has to wait, and nothing else is decided of it.
                if let Disposition::Park(fault) = &report.disposition {
                    self.others.push((message, fault.clone()));
                } else {
                    self.not_taken.push((message, *report));
                }
            }
        }
    }

    /// Puts copies of all that is stuck but the suspect to the end of the queue, and of that too before
    /// it is held for too long. When one is refused, the others wait.
    async fn park_others(&mut self) -> Result<(), BrokerError> {
        let wait = self.probing.wait();
        let too_long = self.suspect.take_if(|(it, _)| it.since.elapsed() + wait >= HOLD_LIMIT);
        self.others.extend(too_long.map(|(message, stuck)| (message, stuck.fault)));
        let mut refused = false;
        for (message, fault) in std::mem::take(&mut self.others) {
            if refused {
                self.others.push((message, fault));
                continue;
            }
            let park = Report::of(&message.delivery.history, Disposition::Park(fault));
            if let Some(held) = self.worker.settle_or_hold(message, park).await? {
                refused = true;
                self.keep(held);
            }
        }
        for (message, fault) in std::mem::take(&mut self.others) {
            if self.is_held_too_long(&message) {
                self.worker.give_back(&message).await?;
            } else {
                self.others.push((message, fault));
            }
        }
        Ok(())
    }

    fn is_held_too_long(&self, message: &Message) -> bool {
        message.since.elapsed() + self.probing.wait() >= RETURN_LIMIT
    }

    fn is_over(&self) -> bool {
        let answered = self.probing.is_over(evidence(self.worker));
        self.not_taken.is_empty() && (answered || !self.until_answered)
    }

    /// Consumes again. The suspect goes first: if it fails once more, the answer that ended the
    /// pause is the evidence against it.
    async fn resume(
        self,
        consumer: &mut Consumer,
        in_work: &mut InWork,
        ended: &CancellationToken,
    ) -> Result<(), BrokerError> {
        let suspect = self.suspect.into_iter().map(|(message, _)| message);
        for message in suspect.chain(self.others.into_iter().map(|(message, _)| message)) {
            in_work.begin(self.worker, message, ended);
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
        let suspect = self.suspect.into_iter().map(|(message, _)| message);
        let others = self.others.into_iter().map(|(message, _)| message);
        let not_taken = self.not_taken.into_iter().map(|(message, _)| message);
        for message in suspect.chain(others).chain(not_taken) {
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

/// What is known about the operation of the worker's lane.
fn evidence(worker: &Worker) -> Evidence {
    worker.vendor.evidence(Operation::of(worker.lane.event_type))
}
