//! The dead-letter queue in the hands of people: looked through, sent back to its lanes, thrown away.
//!
//! A message that is returned comes again at once, so that all that were looked at are held until the end,
//! and are hidden from others meanwhile. They are held by the broker: here nothing of them stays but one tag
//! of every few. At the end they go back to the head of the queue in the order that they had. When the
//! connection ends in another way they go back too, but in any order.

use super::connection::{Broker, BrokerError, lost};
use super::copy;
use super::dead_letter::DeadLetter;
use super::publisher::{Publication, Publisher};
use futures_util::StreamExt;
use lapin::Channel;
use lapin::options::{
    BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicNackOptions, BasicQosOptions,
    QueueDeclareOptions,
};
use lapin::types::FieldTable;
use std::time::Duration;

/// Messages that the broker hands out ahead of what was looked at, at most. Each round of so many has a
/// consumer of its own on the one channel: a prefetch counts what its consumer holds, and everything is held.
const ROUND: u16 = 192;

/// The first round: nothing is known yet of how large letters are. Each one after it is at most twice as long.
const FIRST_ROUND: u16 = 8;

/// Bytes that a round may have if its letters are as large as the largest of the round before.
const ROUND_BYTES: usize = 8 * 1024 * 1024;

/// Messages that go back at once. RabbitMQ 3.10 returns more of them than this in the order of a hash (tried
/// with 3.10.8).
const GROUP: usize = 32;

/// Groups that go back before the broker is known to have them. When it is behind it puts together what came
/// in the meantime, and that is more than a group.
const AHEAD: usize = 8;

/// How long is waited until the broker shows that it has them.
const RETURN_TIMEOUT: Duration = Duration::from_secs(5);

/// A queue that has messages ready and hands none out for so long has handed them to somebody else.
const QUIET: Duration = Duration::from_secs(2);

/// The dead letters that were there when it was opened, one after the other.
#[derive(Debug)]
pub struct DeadLetters {
    channel: Channel,
    publisher: Publisher,
    queue: String,
    /// Letters that were there at first and were not handed out yet.
    left: u32,
    unseen: u32,
    others: u32,
    round: Option<Round>,
    /// How many the next round may have.
    ahead: u16,
    held: Held,
}

/// A consumer, and how many messages it may still take.
#[derive(Debug)]
struct Round {
    deliveries: lapin::Consumer,
    left: u16,
    /// The bytes of the largest body that it brought.
    largest: usize,
}

/// What was looked at and left alone, in groups that go back at once.
#[derive(Debug, Default)]
struct Held {
    /// The last tag of each group, and how many messages it has.
    groups: Vec<(u64, usize)>,
    /// The letter that is looked at.
    current: Option<u64>,
    /// The next one begins a group: its consumer is another one.
    is_closed: bool,
}

impl Held {
    /// The letter that was looked at stays; the next one has this tag.
    fn next(&mut self, tag: Option<u64>) {
        if let Some(tag) = std::mem::replace(&mut self.current, tag) {
            match self.groups.last_mut() {
                Some((last, count)) if *count < GROUP && !self.is_closed => {
                    *last = tag;
                    *count += 1;
                }
                Some(_) | None => self.groups.push((tag, 1)),
            }
            self.is_closed = false;
        }
    }
}

impl DeadLetters {
    /// Opens the queue; nothing is taken from it yet.
    ///
    /// # Errors
    ///
    /// [`BrokerError::Topology`] when there is no such queue, [`BrokerError::Lost`] with the connection.
    pub async fn open(broker: &Broker, queue: &str) -> Result<DeadLetters, BrokerError> {
        let channel = broker.channel().await?;
        let (there, others) = count(&channel, queue).await?;
        let publisher = Publisher::open(broker).await?;
        Ok(DeadLetters {
            channel,
            publisher,
            queue: queue.to_owned(),
            left: there,
            unseen: 0,
            others,
            round: None,
            ahead: FIRST_ROUND,
            held: Held::default(),
        })
    }

    /// How many others consume from the queue: what they hold is not seen.
    pub fn others(&self) -> u32 {
        self.others
    }

    /// How many are still to come.
    pub fn left(&self) -> u32 {
        self.left
    }

    /// How many of those that were there at first were never handed out: somebody else has them.
    pub fn unseen(&self) -> u32 {
        self.unseen
    }

    /// The next letter, `None` after the last of those that were there at first.
    ///
    /// # Errors
    ///
    /// [`BrokerError::Lost`], or that it may not be read.
    pub async fn next(&mut self) -> Result<Option<DeadLetter>, BrokerError> {
        while self.left > 0 {
            let queue = self.queue.clone();
            let round = self.round().await?;
            match tokio::time::timeout(QUIET, round.deliveries.next()).await {
                Ok(Some(Ok(delivery))) => {
                    round.left -= 1;
                    round.largest = round.largest.max(delivery.data.len());
                    self.left -= 1;
                    self.held.next(Some(delivery.delivery_tag));
                    return Ok(Some(DeadLetter::read(delivery)));
                }
                Ok(Some(Err(error))) => return Err(lost(error)),
                Ok(None) => return Err(BrokerError::Cancelled(queue)),
                // Somebody else has taken some, so that it has come to its end before its number.
                Err(_) if count(&self.channel, &queue).await?.0 == 0 => {
                    self.unseen = std::mem::take(&mut self.left);
                }
                Err(_) => {}
            }
        }
        Ok(None)
    }

    /// The consumer that has something to take still, or the next one.
    async fn round(&mut self) -> Result<&mut Round, BrokerError> {
        if let Some(used_up) = self.round.take_if(|round| round.left == 0) {
            let (tag, options) = (used_up.deliveries.tag(), BasicCancelOptions::default());
            self.channel.basic_cancel(tag, options).await.map_err(lost)?;
            self.held.next(None);
            self.held.is_closed = true;
            self.ahead = round_after(self.ahead, used_up.largest);
        }
        let round = match self.round.take() {
            Some(round) => round,
            None => {
                let left = u16::try_from(self.left).unwrap_or(ROUND).min(self.ahead);
                self.channel.basic_qos(left, BasicQosOptions::default()).await.map_err(lost)?;
                let (queue, tag) = (self.queue.as_str().into(), "".into());
                let (options, none) = (BasicConsumeOptions::default(), FieldTable::default());
                let consuming = self.channel.basic_consume(queue, tag, options, none);
                Round { deliveries: consuming.await.map_err(lost)?, left, largest: 0 }
            }
        };
        Ok(self.round.insert(round))
    }

    /// Sends a copy of `letter` back to `queue`, through the default exchange so that nobody else gets it.
    /// The letter stays until it is [discarded](DeadLetters::discard): whatever happens in between, it is in
    /// both.
    ///
    /// # Errors
    ///
    /// [`BrokerError::NotTaken`] when the copy is not safe; others with the connection.
    pub async fn send_back(&self, letter: &DeadLetter, queue: &str) -> Result<(), BrokerError> {
        let body = &letter.envelope.body;
        let publication =
            Publication { of: None, mandatory: true, exchange: "", routing_key: queue, body };
        self.publisher.publish(publication, copy::replayed(letter)).await
    }

    /// Takes `letter` out of the dead letters for good.
    ///
    /// # Errors
    ///
    /// When the connection is gone, and with it the letter is back where it was.
    pub async fn discard(&mut self, letter: &DeadLetter) -> Result<(), BrokerError> {
        self.held.current = None;
        let acking = letter.acker.ack(BasicAckOptions::default());
        match self.publisher.until_over(acking).await {
            Some(Ok(true)) => {
                // Its place is free, so that the broker gives the same consumer another one.
                if let Some(round) = &mut self.round {
                    round.left += 1;
                }
                Ok(())
            }
            Some(Ok(false)) | None => Err(BrokerError::SettleLost),
            Some(Err(error)) => Err(lost(error)),
        }
    }

    /// Gives back everything that is still there, in the order that it had.
    ///
    /// # Errors
    ///
    /// When the connection is gone, which gives it back too.
    pub async fn give_back(mut self) -> Result<(), BrokerError> {
        if let Some(Round { mut deliveries, .. }) = self.round.take() {
            let (tag, options) = (deliveries.tag(), BasicCancelOptions::default());
            self.channel.basic_cancel(tag, options).await.map_err(lost)?;
            // What was handed out and not looked at.
            while let Some(delivery) = deliveries.next().await {
                self.held.next(Some(delivery.map_err(lost)?.delivery_tag));
            }
        }
        self.held.next(None);
        let options = BasicNackOptions { multiple: true, requeue: true };
        let mut returned = 0;
        for groups in self.held.groups.chunks(AHEAD) {
            for (last, count) in groups {
                self.channel.basic_nack(*last, options).await.map_err(lost)?;
                returned += count;
            }
            self.wait_for(returned).await?;
        }
        Ok(())
    }

    /// Waits until the queue has so many messages: the broker does not answer to a `nack`. When somebody
    /// else takes them meanwhile it never has, and they are not waited for any longer.
    async fn wait_for(&self, messages: usize) -> Result<(), BrokerError> {
        let waiting = async {
            while (count(&self.channel, &self.queue).await?.0 as usize) < messages {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            Ok(())
        };
        tokio::time::timeout(RETURN_TIMEOUT, waiting).await.unwrap_or(Ok(()))
    }
}

/// How many letters are fetched ahead after a round of so many, the largest of which had `largest` bytes.
fn round_after(letters: u16, largest: usize) -> u16 {
    let fitting = u16::try_from(ROUND_BYTES / largest.max(1)).unwrap_or(ROUND);
    fitting.min(letters.saturating_mul(2)).clamp(1, ROUND)
}

/// How many messages are ready in the queue, and how many consumers it has.
async fn count(channel: &Channel, queue: &str) -> Result<(u32, u32), BrokerError> {
    let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
    let declared = channel.queue_declare(queue.into(), passive, FieldTable::default()).await;
    let refused = |error: lapin::Error| match error.is_amqp_soft_error() {
        true => BrokerError::Topology(super::connection::cause(&error)),
        false => lost(error),
    };
    declared.map(|queue| (queue.message_count(), queue.consumer_count())).map_err(refused)
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
