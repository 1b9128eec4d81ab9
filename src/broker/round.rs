//! A consumer of the dead-letter queue: it takes a number of letters, and gives way to the next one.

use super::connection::{BrokerError, cause, lost};
use super::held::Held;
use crate::settings::Timings;
use futures_util::StreamExt;
use lapin::Channel;
use lapin::options::{BasicConsumeOptions, BasicQosOptions, QueueDeclareOptions};
use lapin::types::FieldTable;
use tokio::time::Instant;

/// A consumer, and how many messages it may still take.
#[derive(Debug)]
pub(super) struct Round {
    pub deliveries: lapin::Consumer,
    pub left: u16,
    /// The bytes of the largest body that it brought.
    pub largest: usize,
}

impl Round {
    /// Begins to consume `left` letters from `queue`.
    ///
    /// # Errors
    ///
    /// [`BrokerError::Lost`], or that it may not be read.
    pub(super) async fn open(
        channel: &Channel,
        queue: &str,
        left: u16,
    ) -> Result<Round, BrokerError> {
        channel.basic_qos(left, BasicQosOptions::default()).await.map_err(lost)?;
        let (options, none) = (BasicConsumeOptions::default(), FieldTable::default());
        let consuming = channel.basic_consume(queue.into(), "".into(), options, none);
        Ok(Round { deliveries: consuming.await.map_err(lost)?, left, largest: 0 })
    }

    /// Takes what the broker hands out until the places of the consumer are taken, or the queue is empty. What is on
    /// its way to a consumer as it is cancelled, the broker returns by itself, before all that is returned here (seen
    /// with RabbitMQ 3.10.8).
    ///
    /// # Errors
    ///
    /// [`BrokerError::Lost`].
    pub(super) async fn fill(
        &mut self,
        channel: &Channel,
        queue: &str,
        held: &mut Held,
        timings: Timings,
    ) -> Result<(), BrokerError> {
        let until = Instant::now() + timings.returned;
        // The queue can be empty while its last message is on its way, but not twice in a row: the broker answers on
        // this channel in the order of what it sends.
        let mut empty = 0;
        while self.left > 0 && empty < 2 && Instant::now() < until {
            match tokio::time::timeout(timings.poll, self.deliveries.next()).await {
                Ok(Some(delivery)) => {
                    held.take(delivery.map_err(lost)?.delivery_tag);
                    (self.left, empty) = (self.left - 1, 0);
                }
                Ok(None) => return Ok(()),
                Err(_) if count(channel, queue).await?.0 == 0 => empty += 1,
                Err(_) => empty = 0,
            }
        }
        Ok(())
    }
}

/// How many messages are ready in the queue, and how many consumers it has.
///
/// # Errors
///
/// [`BrokerError::Topology`] when there is no such queue, [`BrokerError::Lost`] with the connection.
pub(super) async fn count(channel: &Channel, queue: &str) -> Result<(u32, u32), BrokerError> {
    let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
    let declared = channel.queue_declare(queue.into(), passive, FieldTable::default()).await;
    let refused = |error: lapin::Error| match error.is_amqp_soft_error() {
        true => BrokerError::Topology(cause(&error)),
        false => lost(error),
    };
    declared.map(|queue| (queue.message_count(), queue.consumer_count())).map_err(refused)
}
