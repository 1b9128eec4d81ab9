//! Carries out one [`Disposition`]: the only place that acks, rejects or returns a message of a lane.

use super::authorship::Authorship;
use super::connection::{BrokerError, lost};
use super::copy;
use super::delivery::Delivery;
use super::publication::Publication;
use super::publisher::Publisher;
use super::signed;
use crate::verdict::{Answer, Disposition, Fault, History, Place, Step};
use chrono::{DateTime, Utc};
use lapin::options::{BasicNackOptions, BasicRejectOptions};
use std::sync::Arc;

/// Settles the messages of one lane's queue.
#[derive(Debug)]
pub struct Settler {
    /// The queue that the messages came from.
    pub queue: String,
    /// Where dead letters go.
    pub dead_letter_exchange: String,
    /// Whether what it settles are copies of messages that others work on: none is kept or sent on.
    pub dry_run: bool,
    /// Who sends copies.
    pub publisher: Publisher,
    /// By what they are known.
    pub authorship: Arc<Authorship>,
}

impl Settler {
    /// Publishes the copy of `delivery`, if its `disposition` has one. `now` is asked for the time when something becomes
    /// a dead letter. After `Ok` it is safe, so that the original can be [settled](Settler::settle).
    ///
    /// # Errors
    ///
    /// [`BrokerError::NotTaken`] when the copy is not safe: the message is still ours. [`BrokerError::Lost`] when it is
    /// no longer: it comes again.
    pub async fn copy(
        &self,
        delivery: &Delivery,
        disposition: &Disposition,
        history: &History,
        now: impl Fn() -> DateTime<Utc>,
    ) -> Result<(), BrokerError> {
        for step in self.in_force(disposition).steps() {
            if let Step::Copy(place, fault) = step {
                // On the heap, for most messages have no copy, and would carry the room for it along.
                Box::pin(self.copy_to(delivery, place, fault, history, &now)).await?;
            }
        }
        Ok(())
    }

    /// Tells the broker what becomes of `delivery`, whose copy is safe if it has one.
    ///
    /// # Errors
    ///
    /// [`BrokerError::SettleLost`] and [`BrokerError::Lost`] when the message is no longer ours: it comes again.
    pub async fn settle(
        &self,
        delivery: &Delivery,
        disposition: &Disposition,
    ) -> Result<(), BrokerError> {
        for step in self.in_force(disposition).steps() {
            if let Step::Answer(answer) = step {
                let told = delivery.acks.until_over(tell(delivery, answer)).await;
                told.unwrap_or(Err(BrokerError::SettleLost))?;
            }
        }
        self.publisher.forget(delivery.tag);
        Ok(())
    }

    /// Copies of messages that others work on are not kept.
    fn in_force<'a>(&self, disposition: &'a Disposition) -> &'a Disposition {
        let is_kept = !self.dry_run || *disposition == Disposition::Return;
        if is_kept { disposition } else { &Disposition::Ack }
    }

    async fn copy_to(
        &self,
        delivery: &Delivery,
        place: Place,
        fault: &Fault,
        history: &History,
        now: impl Fn() -> DateTime<Utc>,
    ) -> Result<(), BrokerError> {
        let waiting = |climbed| copy::waiting(delivery, climbed, fault, history);
        // The default exchange is the one without a name; its routing keys are queues.
        let (exchange, routing_key, properties) = match place {
            Place::Rung(rung) => ("", rung.queue(&self.queue), waiting(rung.number)),
            Place::Hop(hop) => ("", hop.queue(&self.queue), waiting(history.climbed)),
            Place::Queue => ("", self.queue.clone(), waiting(history.climbed)),
            Place::DeadLetters(reason) => {
                let properties =
                    copy::dead_letter(delivery, reason, fault, history, (&self.queue, now()));
                let routing_key = delivery.envelope.routing_key.clone();
                (self.dead_letter_exchange.as_str(), routing_key, properties)
            }
        };
        if delivery.envelope.passed_over.is_some() {
            let cause = "its body was too large to be kept, and the copy would be empty".to_owned();
            return Err(BrokerError::NotTaken { exchange: exchange.to_owned(), cause });
        }
        let (of, body) = (Some(delivery.tag), &delivery.envelope.body);
        let copy = Publication { of, mandatory: true, exchange, routing_key: &routing_key, body };
        signed::publish(&self.publisher, &self.authorship, copy, properties).await
    }
}

async fn tell(delivery: &Delivery, answer: Answer) -> Result<(), BrokerError> {
    let Delivery { acker, acks, tag, .. } = delivery;
    let given_back = match answer {
        Answer::Ack => return acks.ack(*tag).await,
        Answer::Reject => acker.reject(BasicRejectOptions { requeue: false }).await,
        // A reject, not a nack: since RabbitMQ 4.3 only a reject counts towards the delivery limit.
        Answer::Requeue => acker.reject(BasicRejectOptions { requeue: true }).await,
        Answer::Return => acker.nack(BasicNackOptions { multiple: false, requeue: true }).await,
    };
    match given_back.map_err(lost)? {
        true => {
            acks.given_back(*tag);
            Ok(())
        }
        // lapin's way to say that nothing was sent, because the channel is gone.
        false => Err(BrokerError::SettleLost),
    }
}
