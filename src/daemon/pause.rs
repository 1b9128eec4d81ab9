//! A paused lane: no consumer, so that its queue grows visibly.
//!
//! What the lane holds goes to the end of its queue as confirmed copies, side by side. Then the lane asks at growing
//! intervals, until what it waits for has come: by a health call, or by its oldest message where a health call says
//! nothing or only copies are waited for. It keeps nothing but messages whose copies RabbitMQ does not take.

use super::control::RESUMED;
use super::hand::{Hand, moved};
use super::in_work::{Ended, InWork};
use super::message::{Held, Message};
use super::worker::Worker;
use crate::broker::{BrokerError, Consumer};
use crate::telemetry::Paused;
use crate::verdict::{Disposition, Fault, Health, Pause, Pausing, Until};
use std::sync::Arc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// One pause of one lane.
pub(super) struct LanePause<'a> {
    worker: &'a Arc<Worker>,
    consumer: &'a mut Consumer,
    in_work: &'a mut InWork,
    ended: &'a CancellationToken,
    pause: Pause,
    /// Messages whose copies RabbitMQ has not taken.
    #[expect(clippy::vec_box, reason = "each goes on in its box")]
    waiting: Vec<Box<Message>>,
    /// Why a copy was not taken, or the audit trail not written.
    obstacle: Option<String>,
    /// The event that it has paused for first.
    event_id: Option<String>,
    /// The cause that was logged last.
    shown: String,
    began: Instant,
    probe_at: Instant,
    /// Whether a probe was settled, so that the next one costs no interval.
    goes_on: bool,
}

impl<'a> LanePause<'a> {
    /// Pauses the lane because of the message that is `held`.
    pub(super) fn begin(
        worker: &'a Arc<Worker>,
        (consumer, in_work): (&'a mut Consumer, &'a mut InWork),
        ended: &'a CancellationToken,
        held: Held,
    ) -> LanePause<'a> {
        let now = Instant::now();
        let mut pause = LanePause {
            worker,
            consumer,
            in_work,
            ended,
            pause: Pause::begin(worker.settings().breaker),
            waiting: Vec::new(),
            obstacle: None,
            event_id: None,
            shown: String::new(),
            began: now,
            probe_at: now,
            goes_on: false,
        };
        pause.hold(held);
        pause
    }

    /// Holds the lane until it may go on, or a person has paused it, or until the session ends.
    ///
    /// # Errors
    ///
    /// Whatever ended the session.
    pub(super) async fn run(mut self, hand: &mut Hand) -> Result<(), BrokerError> {
        let mut settings = self.worker.settings.clone();
        settings.mark_unchanged();
        self.put_back().await?;
        self.schedule();
        let (worker, session_ended) = (self.worker, self.ended);
        while !self.is_over() {
            // Beyond that, what is bad and stays costs an interval each: it is held in memory.
            if self.goes_on && self.held() < usize::from(worker.lane.prefetch) {
                self.goes_on = false;
                self.probe_with_a_message().await?;
            }
            let expires_at = self.expires_at();
            tokio::select! {
                biased;
                () = session_ended.cancelled() => break,
                () = moved(hand) => if hand.borrow_and_update().is_some() { break },
                // It may be what the lane waits for, and calls with other credentials are other calls.
                Ok(()) = settings.changed() => {
                    self.pause.begin_again(settings.borrow_and_update().breaker);
                    self.probe().await?;
                }
                () = worker.prompt.wanted() => {
                    worker.vendor.ask_anew();
                    self.probe().await?;
                }
                Some(ended) = self.in_work.next() => self.take(ended?),
                () = tokio::time::sleep_until(self.probe_at), if !self.in_work.is_asking() => {
                    self.probe().await?;
                }
                () = tokio::time::sleep_until(expires_at), if self.pause.expires() => {
                    self.pause.expired();
                    worker.streak().release();
                    *worker.unchanged_since() = None;
                }
            }
        }
        self.leave();
        Ok(())
    }

    /// Nobody began with what was handed out, and nobody can now.
    async fn put_back(&mut self) -> Result<(), BrokerError> {
        for delivery in self.consumer.cancel().await? {
            let message = self.worker.receive(delivery);
            match message.delivery.envelope.passed_over {
                // Its body was too large to be kept: a copy would be empty.
                Some(_) => self.in_work.give_back(message),
                None => self.in_work.park(message, Fault::new("paused", "the lane was paused")),
            }
        }
        Ok(())
    }

    /// Something in work has ended.
    fn take(&mut self, ended: Ended) {
        match ended {
            Ended::Asked(health) => self.learn(health),
            Ended::Decided { asked, changed } => {
                self.pause.settled(asked, changed);
                self.goes_on = true;
                self.tell_prompt();
            }
            Ended::Held(held) => self.hold(held),
            Ended::Settled | Ended::Released => {}
        }
    }

    /// A health call has ended.
    fn learn(&mut self, health: Health) {
        if self.pause.learn(health) {
            self.show(None);
        }
        self.schedule();
        self.tell_prompt();
    }

    /// Keeps what is still ours, and shows why.
    fn hold(&mut self, held: Held) {
        match held {
            Held::Pausing(message, pausing) => {
                let fault = pausing.fault.clone();
                if self.pause.add(pausing) {
                    self.show(message.report.event_id.clone());
                }
                self.in_work.park(message, fault);
                self.tell_prompt();
            }
            Held::NotSettled(message, obstacle) => {
                self.obstacle = Some(obstacle.to_string());
                let event_id = message.report.event_id.clone();
                self.waiting.push(message);
                self.show(event_id);
            }
        }
    }

    /// One step at a time: the copies that wait, and what the lane asks with.
    async fn probe(&mut self) -> Result<(), BrokerError> {
        self.settle_waiting();
        if let Some(Until::Answered { operation, group }) =
            self.pause.reason.as_ref().map(|reason| &reason.until)
        {
            // The next one is scheduled when it has ended.
            self.probe_at = Instant::now();
            self.worker.readiness.next_probe(self.worker.lane.event_type, self.probe_at);
            self.in_work.ask((*operation, group.clone()), self.ended);
            return Ok(());
        }
        self.schedule();
        self.probe_with_a_message().await
    }

    /// Messages whose copies are waited for.
    fn held(&self) -> usize {
        self.waiting.len() + self.in_work.copies()
    }

    /// Tries the oldest message, unless one is being tried, or nothing may be done.
    async fn probe_with_a_message(&mut self) -> Result<(), BrokerError> {
        let is_busy = self.in_work.is_probing();
        if is_busy || !self.worker.is_provable() || self.pause.waits_for_health() {
            return Ok(());
        }
        match self.consumer.take_one().await? {
            Some(delivery) => self.in_work.probe(self.worker.receive(delivery), self.ended),
            // There is nothing to try with: the next message that comes is tried.
            None if self.held() == 0 => self.pause.nothing_to_try(),
            None => {}
        }
        Ok(())
    }

    /// Settles what waits for its copies. What may not wait any longer goes back.
    fn settle_waiting(&mut self) {
        let next = Instant::now() + self.worker.settings().breaker.max_probe_delay;
        for message in std::mem::take(&mut self.waiting) {
            match next >= message.deadline {
                true => self.in_work.give_back(message),
                false => self.in_work.settle(message),
            }
        }
    }

    /// When each message may take a retry delay, if the lane waits for a change.
    fn expires_at(&self) -> Instant {
        let now = Instant::now();
        let expires = self.pause.expires();
        let since = expires.then(|| *self.worker.unchanged_since().get_or_insert(now));
        since.unwrap_or(now) + self.worker.timings().unchanged
    }

    /// Sets the time of the next probe.
    fn schedule(&mut self) {
        self.probe_at = Instant::now() + self.pause.wait();
        self.worker.readiness.next_probe(self.worker.lane.event_type, self.probe_at);
    }

    /// Whether nothing is waited for any more. Messages that were to be parked need no copies then, but a line if
    /// something was done for them.
    fn is_over(&self) -> bool {
        let is_to_be_parked = |it: &Message| {
            matches!(it.report.disposition, Disposition::Park(_)) && !it.is_unwritten()
        };
        self.pause.reason.is_none()
            && self.worker.is_provable()
            && self.waiting.iter().all(|it| is_to_be_parked(it))
            && self.in_work.copies() == 0
    }

    /// Begins with what is held again, or lets go of it where a person has paused the lane or the session ends.
    fn leave(self) {
        let is_over = self.is_over();
        for message in self.waiting {
            match is_over {
                true => self.in_work.begin(message, self.ended),
                false => self.in_work.give_back(message),
            }
        }
        if is_over {
            let event = self.worker.lane.event_type.name();
            let paused_ms = self.began.elapsed().as_millis() as u64;
            tracing::info!(event, paused_ms, "lane resumed");
            self.worker.prompt.answer(RESUMED);
        }
    }

    /// Shows and logs why the lane pauses, unless that was logged last, and the event that it has paused for.
    fn show(&mut self, event_id: Option<String>) {
        let fault = self.pause.reason.as_ref().map(|reason| reason.fault.to_string());
        // Once the copies were taken, that they were not is no cause any more.
        let obstacle = self.obstacle.clone().filter(|_| self.held() > 0);
        let why: Vec<String> = fault.into_iter().chain(obstacle).collect();
        let (event, why) = (self.worker.lane.event_type, why.join("; "));
        self.event_id = self.event_id.take().or(event_id);
        if self.shown != why {
            let event_id = self.event_id.clone();
            tracing::warn!(event = event.name(), event_id, why, "lane paused");
            self.shown.clone_from(&why);
            let tries_messages = !self.pause.waits_for_health();
            self.worker.readiness.pause(event, Paused { why, event_id, tries_messages });
        }
    }

    /// Whoever has asked for a probe is told its result, unless that was the end of the pause.
    fn tell_prompt(&self) {
        if let Some(Pausing { fault, .. }) = &self.pause.reason {
            self.worker.prompt.answer(&format!("still paused: {fault}"));
        }
    }
}
