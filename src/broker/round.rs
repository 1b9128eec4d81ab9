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

/// Letters that are fetched at once, at most. They are put back before the next ones are fetched, so that none is
/// held for long.
pub(super) const ROUND: u16 = 192;

/// The first round: nothing is known yet of how large letters are. Each one after it is at most twice as long.
pub(super) const FIRST_ROUND: u16 = 8;

/// Bytes that a round may have if its letters are as large as the largest of the round before.
const ROUND_BYTES: usize = 8 * 1024 * 1024;

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

/// How many letters are fetched at once after a round of so many, the largest of which had `largest` bytes.
pub(super) fn round_after(letters: u16, largest: usize) -> u16 {
    let fitting = u16::try_from(ROUND_BYTES / largest.max(1)).unwrap_or(ROUND);
    fitting.min(letters.saturating_mul(2)).clamp(1, ROUND)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_grow_by_doubling_and_have_no_more_than_the_largest_letter_allows() {
        let mebibyte = 1024 * 1024;
        for (letters, largest, next) in [
            (FIRST_ROUND, 0, 16),
            (16, 1000, 32),
            (128, 1000, ROUND),
            (ROUND, 1000, ROUND),
            (ROUND, mebibyte, 8),
            (8, 4 * mebibyte, 2),
            (2, 100 * mebibyte, 1),
            (1, 1000, 2),
        ] {
            assert_eq!(round_after(letters, largest), next, "{letters}, {largest}");
        }
    }
}
