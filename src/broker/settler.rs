//! Carries out one [`Disposition`]: the only place that acks, rejects or returns a message of a lane.

use super::connection::{BrokerError, lost};
use super::copy;
use super::delivery::Delivery;
use super::publisher::{Publication, Publisher};
use crate::verdict::{Disposition, History};
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
    /// Tells the broker what becomes of `delivery`. A copy is safe in its queue before the original is
    /// acked: a crash in between makes a duplicate, never a loss. `now` is asked
    /// for the time when something becomes a dead letter.
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
        let copy = match disposition {
            Disposition::Ack
            | Disposition::PassOver(_)
            | Disposition::Requeue(_)
            | Disposition::Return => None,
            // The default exchange, whose routing keys are queues.
            Disposition::Retry(rung, fault) => {
                let properties = copy::waiting(delivery, rung.number, fault, history);
                Some(("", rung.queue(&self.queue), properties))
            }
            Disposition::Defer(hop, fault) | Disposition::Wait(hop, fault) => {
                let properties = copy::waiting(delivery, history.climbed, fault, history);
                Some(("", hop.queue(&self.queue), properties))
            }
            Disposition::Park(fault) => {
                let properties = copy::waiting(delivery, history.climbed, fault, history);
                Some(("", self.queue.clone(), properties))
            }
            Disposition::DeadLetter(reason, fault) => {
                let properties =
                    copy::dead_letter(delivery, *reason, fault, history, (&self.queue, now()));
                let routing_key = delivery.envelope.routing_key.clone();
                Some((self.dead_letter_exchange.as_str(), routing_key, properties))
            }
        };
        if let Some((exchange, routing_key, properties)) = copy {
            let (of, body) = (Some(delivery.tag), &delivery.envelope.body);
            let copy =
                Publication { of, mandatory: true, exchange, routing_key: &routing_key, body };
            // On the heap, for most messages have no copy, and would carry the room for it along.
            Box::pin(self.publisher.publish(copy, properties)).await?;
        }
        let answered = answer(delivery, disposition);
        self.publisher.until_over(answered).await.unwrap_or(Err(BrokerError::SettleLost))
    }
}

async fn answer(delivery: &Delivery, disposition: &Disposition) -> Result<(), BrokerError> {
    let Delivery { acker, acks, tag, .. } = delivery;
    let given_back = match disposition {
        Disposition::Ack
        | Disposition::Retry(..)
        | Disposition::Defer(..)
        | Disposition::Wait(..)
        | Disposition::DeadLetter(..)
        | Disposition::Park(_) => return acks.ack(*tag).await,
        Disposition::PassOver(_) => acker.reject(BasicRejectOptions { requeue: false }).await,
        // A reject, not a nack: since RabbitMQ 4.3 only a reject counts towards the delivery limit.
        Disposition::Requeue(_) => acker.reject(BasicRejectOptions { requeue: true }).await,
        Disposition::Return => {
            acker.nack(BasicNackOptions { multiple: false, requeue: true }).await
        }
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
