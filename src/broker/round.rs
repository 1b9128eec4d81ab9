//! A number of dead letters, fetched at once by a consumer that is then cancelled.

use super::connection::{BrokerError, cause, lost};
use futures_util::StreamExt;
use lapin::Channel;
use lapin::message::Delivery;
use lapin::options::{
    BasicCancelOptions, BasicConsumeOptions, BasicQosOptions, QueueDeclareOptions,
};
use lapin::types::FieldTable;
use std::time::Duration;

/// Letters that are fetched at once, at most: 16 MiB, where each is as large as one may be that is read. They are put back
/// before the next ones are fetched, so that none is held for long.
pub(super) const ROUND: u16 = 32;

/// Fetches `most` messages from `queue`, or all that it has. After that the broker sends no more, also for those
/// that are acked. A queue that hands out none for the time `quiet` is asked whether it has any.
///
/// # Errors
///
/// [`BrokerError::Lost`], or that it may not be read.
pub(super) async fn fetch(
    channel: &Channel,
    queue: &str,
    most: u16,
    quiet: Duration,
) -> Result<Vec<Delivery>, BrokerError> {
    channel.basic_qos(most, BasicQosOptions::default()).await.map_err(lost)?;
    let (options, none) = (BasicConsumeOptions::default(), FieldTable::default());
    let consuming = channel.basic_consume(queue.into(), "".into(), options, none);
    let mut deliveries = consuming.await.map_err(lost)?;
    let mut fetched = Vec::new();
    while fetched.len() < usize::from(most) {
        match tokio::time::timeout(quiet, deliveries.next()).await {
            Ok(Some(delivery)) => fetched.push(delivery.map_err(lost)?),
            Ok(None) => return Err(BrokerError::Cancelled(queue.to_owned())),
            Err(_) if count(channel, queue).await?.0 == 0 => break,
            Err(_) => {}
        }
    }
    channel.basic_cancel(deliveries.tag(), BasicCancelOptions::default()).await.map_err(lost)?;
    // What came before the broker heard of that.
    while let Some(delivery) = deliveries.next().await {
        fetched.push(delivery.map_err(lost)?);
    }
    Ok(fetched)
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
