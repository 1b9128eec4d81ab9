//! Carries out one [`Disposition`]: the only place that acks, rejects or returns a message.

use crate::broker::{BrokerError, lost};
use crate::copy;
use crate::delivery::Delivery;
use crate::disposition::{Disposition, History};
use crate::publisher::Publisher;
use lapin::options::{BasicAckOptions, BasicNackOptions, BasicRejectOptions};

/// What dead letters need to know about the lane.
#[derive(Clone, Copy, Debug)]
pub struct Lane<'a> {
    /// The queue that the message came from.
    pub queue: &'a str,
    /// Where dead letters go.
    pub dead_letter_exchange: &'a str,
}

/// Tells the broker what becomes of `delivery`. A dead letter is safe in its queue before the
/// original is acked: a crash in between makes a duplicate, never a loss.
///
/// # Errors
///
/// [`BrokerError::NotTaken`] when the dead letter is not safe: the message is still ours.
/// [`BrokerError::SettleLost`] and [`BrokerError::Lost`] when it is no longer: it comes again.
pub async fn settle(
    delivery: &Delivery,
    disposition: &Disposition,
    history: &History,
    lane: Lane<'_>,
    publisher: &Publisher,
) -> Result<(), BrokerError> {
    let sent = match disposition {
        Disposition::Ack => delivery.acker.ack(BasicAckOptions::default()).await,
        Disposition::DeadLetter(reason, fault) => {
            let properties = copy::dead_letter(delivery, *reason, fault, history, lane.queue);
            publisher
                .publish(
                    lane.dead_letter_exchange,
                    &delivery.envelope.routing_key,
                    &delivery.envelope.body,
                    properties,
                )
                .await?;
            delivery.acker.ack(BasicAckOptions::default()).await
        }
        // A reject, not a nack: since RabbitMQ 4.3 only a reject counts towards the delivery limit.
        Disposition::Requeue(_) => {
            delivery.acker.reject(BasicRejectOptions { requeue: true }).await
        }
        Disposition::Return => {
            delivery.acker.nack(BasicNackOptions { multiple: false, requeue: true }).await
        }
    };
    match sent {
        Ok(true) => Ok(()),
        // lapin's way to say that nothing was sent, because the channel is gone.
        Ok(false) => Err(BrokerError::SettleLost),
        Err(error) => Err(lost(error)),
    }
}
