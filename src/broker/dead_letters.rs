//! The dead-letter queue in the hands of people: looked through, sent back to its lanes, thrown away.
//!
//! A message that is returned comes again at once, so that all that were looked at are held until the end,
//! and are hidden from others meanwhile. They are held by the broker: here nothing of them stays but one tag
//! of every few. At the end they go back to the head of the queue in the order that they had. When the
//! connection ends in another way they go back too, but in any order.

use super::connection::{Broker, BrokerError, lost};
use super::copy;
use super::dead_letter::DeadLetter;
use super::delivery;
use super::held::Held;
use super::publisher::{Publication, Publisher};
use super::round::{Round, count};
use crate::settings::Timings;
use futures_util::StreamExt;
use futures_util::future::join_all;
use lapin::Channel;
use lapin::options::{BasicAckOptions, BasicCancelOptions, BasicNackOptions};

/// Messages that the broker hands out ahead of what was looked at, at most. Each round of so many has a
/// consumer of its own on the one channel: a prefetch counts what its consumer holds, and everything is held.
const ROUND: u16 = 192;

/// The first round: nothing is known yet of how large letters are. Each one after it is at most twice as long.
const FIRST_ROUND: u16 = 8;

/// Bytes that a round may have if its letters are as large as the largest of the round before.
const ROUND_BYTES: usize = 8 * 1024 * 1024;

/// Groups that go back before the broker is known to have them. When it is behind it puts together what came
/// in the meantime, and that is more than a group.
const AHEAD: usize = 8;

/// Copies that are under way at once, each on a channel of its own, so that the time until one is confirmed is
/// not the time that each of them takes.
pub const COPIES: usize = 16;

/// The dead letters that were there when it was opened, one after the other.
#[derive(Debug)]
pub struct DeadLetters {
    channel: Channel,
    publishers: [Publisher; COPIES],
    queue: String,
    /// Letters that were there at first and were not handed out yet.
    left: u32,
    unseen: u32,
    others: u32,
    round: Option<Round>,
    /// How many the next round may have.
    ahead: u16,
    /// Whether the last letter was returned to the queue before.
    was_returned: bool,
    held: Held,
    timings: Timings,
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
        Ok(DeadLetters {
            channel,
            publishers: std::array::from_fn(|_| Publisher::of(broker)),
            queue: queue.to_owned(),
            left: there,
            unseen: 0,
            others,
            round: None,
            ahead: FIRST_ROUND,
            was_returned: false,
            held: Held::default(),
            timings: broker.timings(),
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

    /// The next letter, `None` after the last of those that were there at first. The ones before it stay.
    ///
    /// # Errors
    ///
    /// [`BrokerError::Lost`], or that it may not be read.
    pub async fn next(&mut self) -> Result<Option<DeadLetter>, BrokerError> {
        Ok(self.next_few(1).await?.pop())
    }

    /// The next letters, no more than `most` of them and none after the last of those that were there at
    /// first. The ones before them stay.
    ///
    /// # Errors
    ///
    /// As for [`DeadLetters::next`].
    pub async fn next_few(&mut self, most: usize) -> Result<Vec<DeadLetter>, BrokerError> {
        self.held.leave();
        let mut letters = Vec::new();
        while letters.len() < most && self.left > 0 {
            let (queue, quiet) = (self.queue.clone(), self.timings.quiet);
            let round = self.round().await?;
            match tokio::time::timeout(quiet, round.deliveries.next()).await {
                Ok(Some(Ok(delivery))) => {
                    round.left -= 1;
                    round.largest = round.largest.max(delivery.data.len());
                    let is_over = round.left == 0;
                    self.left -= 1;
                    self.held.take(delivery.delivery_tag);
                    self.was_returned = delivery::was_returned(&delivery);
                    letters.push(DeadLetter::read(delivery));
                    if is_over {
                        self.end_round().await?;
                        break;
                    }
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
        Ok(letters)
    }

    /// The consumer that has something to take still, or the next one.
    async fn round(&mut self) -> Result<&mut Round, BrokerError> {
        let round = match self.round.take() {
            Some(round) => round,
            None => {
                let left = u16::try_from(self.left).unwrap_or(ROUND).min(self.ahead);
                Round::open(&self.channel, &self.queue, left).await?
            }
        };
        Ok(self.round.insert(round))
    }

    /// Ends a round whose letters were all taken, before one of them is discarded: else the broker would
    /// give the consumer another one for it.
    async fn end_round(&mut self) -> Result<(), BrokerError> {
        if let Some(used_up) = self.round.take() {
            let (tag, options) = (used_up.deliveries.tag(), BasicCancelOptions::default());
            self.channel.basic_cancel(tag, options).await.map_err(lost)?;
            self.held.end_consumer();
            self.ahead = round_after(self.ahead, used_up.largest);
        }
        Ok(())
    }

    /// Sends copies back to the queues beside them, through the default exchange so that nobody else gets
    /// them, all at once and at most [`COPIES`]. What became of each comes in the same order. A letter stays
    /// until it is [discarded](DeadLetters::discard): whatever happens in between, it is in both.
    ///
    /// # Errors
    ///
    /// [`BrokerError::NotTaken`] when a copy is not safe; others with the connection.
    pub async fn send_back(&self, copies: &[(&DeadLetter, &str)]) -> Vec<Result<(), BrokerError>> {
        join_all(self.publishers.iter().zip(copies).map(|(publisher, (letter, queue))| {
            let body = &letter.envelope.body;
            let publication =
                Publication { of: None, mandatory: true, exchange: "", routing_key: queue, body };
            publisher.publish(publication, copy::replayed(letter))
        }))
        .await
    }

    /// Takes `letter` out of the dead letters for good.
    ///
    /// # Errors
    ///
    /// When the connection is gone, and with it the letter is back where it was.
    pub async fn discard(&mut self, letter: &DeadLetter) -> Result<(), BrokerError> {
        self.held.gone(letter.delivery_tag);
        let acking = letter.acker.ack(BasicAckOptions::default());
        let [publisher, ..] = &self.publishers;
        match publisher.until_over(acking).await {
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

    /// Gives back everything that is still there, in the order that it had. Nothing comes after it.
    ///
    /// # Errors
    ///
    /// When the connection is gone, which gives it back too.
    pub async fn give_back(&mut self) -> Result<(), BrokerError> {
        // The queue has what was returned before what never was, each in its own order: what is returned now comes
        // after all that was returned before.
        while self.was_returned && self.left > 0 {
            self.next_few(usize::from(ROUND)).await?;
        }
        if let Some(mut round) = self.round.take() {
            round.fill(&self.channel, &self.queue, &mut self.held, self.timings).await?;
            let mut deliveries = round.deliveries;
            let (tag, options) = (deliveries.tag(), BasicCancelOptions::default());
            self.channel.basic_cancel(tag, options).await.map_err(lost)?;
            // What was handed out and not looked at.
            while let Some(delivery) = deliveries.next().await {
                self.held.take(delivery.map_err(lost)?.delivery_tag);
            }
        }
        self.held.leave();
        let options = BasicNackOptions { multiple: true, requeue: true };
        let mut returned = 0;
        for groups in self.held.groups().chunks(AHEAD) {
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
                tokio::time::sleep(self.timings.poll).await;
            }
            Ok(())
        };
        tokio::time::timeout(self.timings.returned, waiting).await.unwrap_or(Ok(()))
    }
}

/// How many letters are fetched ahead after a round of so many, the largest of which had `largest` bytes.
fn round_after(letters: u16, largest: usize) -> u16 {
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
