//! Carries out one [`Disposition`]: the only place that acks, rejects or returns a message of a lane.

use super::connection::{BrokerError, lost};
use super::copy;
use super::delivery::Delivery;
use super::publisher::{Publication, Publisher};
use crate::verdict::{Answer, Disposition, Fault, History, Place, Step};
use chrono::{DateTime, Utc};
use lapin::options::{BasicNackOptions, BasicRejectOptions};

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
}

impl Settler {
    /// Tells the broker what becomes of `delivery`, one step after the other. `now` is asked for the time
    /// when something becomes a dead letter.
    ///
    /// # Errors
    ///
    /// [`BrokerError::NotTaken`] when the copy is not safe: the message is still ours.
    /// [`BrokerError::SettleLost`] and [`BrokerError::Lost`] when it is no longer: it comes again.
    pub async fn settle(
        &self,
        delivery: &Delivery,
        disposition: &Disposition,
        history: &History,
        now: impl Fn() -> DateTime<Utc>,
    ) -> Result<(), BrokerError> {
        let is_kept = !self.dry_run || *disposition == Disposition::Return;
        let disposition = if is_kept { disposition } else { &Disposition::Ack };
        for step in disposition.steps() {
            match step {
                // On the heap, for most messages have no copy, and would carry the room for it along.
                Step::Copy(place, fault) => {
                    Box::pin(self.copy(delivery, place, fault, history, &now)).await?;
                }
                Step::Answer(answer) => {
                    let told = delivery.acks.until_over(tell(delivery, answer)).await;
                    told.unwrap_or(Err(BrokerError::SettleLost))?;
                }
            }
        }
        Ok(())
    }

    async fn copy(
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
        let frame_max = self.publisher.frame_max();
        let properties = copy::fitting(properties, frame_max).ok_or_else(|| {
            let cause = format!(
                "its properties do not fit into a frame of {frame_max} bytes; \
                 set frame_max of RabbitMQ to 131072"
            );
            BrokerError::NotTaken { exchange: exchange.to_owned(), cause }
        })?;
        let (of, body) = (Some(delivery.tag), &delivery.envelope.body);
        let copy = Publication { of, mandatory: true, exchange, routing_key: &routing_key, body };
        self.publisher.publish(copy, properties).await
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
