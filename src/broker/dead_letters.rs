//! The dead-letter queue in the hands of people: looked through, sent back to its lanes, thrown away.
//!
//! RabbitMQ counts what is returned to a queue. It drops the message beyond the delivery limit, which a policy can
//! lower unseen, and RabbitMQ 4.3 can hide it for a while. So nothing is returned here: a copy of each letter that
//! stays goes to the end of the queue, and the original is acked once the copy is confirmed. After the last letter
//! the queue has the order that it had. Only what is too large, or signed with another key, is returned at the end.

use super::authorship::Authorship;
use super::connection::{Broker, BrokerError, lost};
use super::copy;
use super::dead_letter::DeadLetter;
use super::publication::Publication;
use super::publisher::Publisher;
use super::round::{ROUND, count, fetch};
use super::signed;
use super::tail::Tail;
use crate::settings::Timings;
use futures_util::future::join_all;
use lapin::Channel;
use lapin::options::{BasicAckOptions, BasicNackOptions};
use std::collections::VecDeque;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// Messages that are returned at once. RabbitMQ 3.10 returns more of them than this in the order of a hash (tried
/// with 3.10.8).
const GROUP: usize = 32;

/// Copies that are under way at once, each on a channel of its own, so that the time until one is confirmed is
/// not the time that each of them takes.
pub const COPIES: usize = 16;

/// The dead letters that were there when it was opened, one after the other.
#[derive(Debug)]
pub struct DeadLetters {
    channel: Channel,
    tail: Tail,
    authorship: Arc<Authorship>,
    publishers: [Publisher; COPIES],
    over: CancellationToken,
    queue: String,
    /// Letters that were there at first and were not fetched yet.
    left: u32,
    unseen: u32,
    others: u32,
    returned: usize,
    /// What was fetched and not handed out yet.
    fetched: VecDeque<Arc<DeadLetter>>,
    /// What was handed out and not discarded.
    in_hand: Vec<Arc<DeadLetter>>,
    /// The tags of what is to be taken out.
    done: Vec<u64>,
    /// The tags of what cannot be copied.
    held: Vec<u64>,
    /// How many each round may have.
    most: u16,
    /// The end of the queue has copies already.
    is_turned: bool,
    /// A copy was refused, so that no other one is sent.
    is_refused: bool,
    timings: Timings,
}

impl DeadLetters {
    /// Opens the queue; nothing is taken from it yet. What is published goes over the connection `copies`.
    ///
    /// # Errors
    ///
    /// [`BrokerError::Topology`] when there is no such queue, [`BrokerError::Lost`] with a connection.
    pub async fn open(
        broker: &Broker,
        copies: &Broker,
        queue: &str,
        authorship: Arc<Authorship>,
    ) -> Result<DeadLetters, BrokerError> {
        let channel = broker.channel().await?;
        let (there, others) = count(&channel, queue).await?;
        Ok(DeadLetters {
            channel,
            tail: Tail::open(copies, queue, Arc::clone(&authorship)).await?,
            authorship,
            publishers: std::array::from_fn(|_| Publisher::of(copies)),
            over: broker.over(),
            queue: queue.to_owned(),
            left: there,
            unseen: 0,
            others,
            returned: 0,
            fetched: VecDeque::new(),
            in_hand: Vec::new(),
            done: Vec::new(),
            held: Vec::new(),
            most: ROUND,
            is_turned: false,
            is_refused: false,
            timings: broker.timings(),
        })
    }

    /// Asks whether the broker takes copies of what stays, before anything is fetched.
    ///
    /// # Errors
    ///
    /// [`BrokerError::NotTaken`] if it does not.
    pub async fn ask_for_copies(&mut self) -> Result<(), BrokerError> {
        if self.left == 0 { Ok(()) } else { self.tail.ask().await }
    }

    /// Fetches at most so many at once, because they are needed slowly.
    pub fn fetch_at_most(&mut self, letters: u32) {
        self.most = u16::try_from(letters).unwrap_or(ROUND).clamp(1, ROUND);
    }

    /// How many others consume from the queue: what they hold is not seen.
    pub fn others(&self) -> u32 {
        self.others
    }

    /// How many were not fetched yet.
    pub fn left(&self) -> u32 {
        self.left
    }

    /// How many of those that were there at first were never handed out: somebody else has them.
    pub fn unseen(&self) -> u32 {
        self.unseen
    }

    /// How many were returned to the queue, which counts as a delivery.
    pub fn returned(&self) -> usize {
        self.returned
    }

    /// The next letter, `None` after the last of those that were there at first. The ones before it stay.
    ///
    /// # Errors
    ///
    /// As for [`DeadLetters::next_few`].
    pub async fn next(&mut self) -> Result<Option<Arc<DeadLetter>>, BrokerError> {
        Ok(self.next_few(1).await?.pop())
    }

    /// The next letters, no more than `most` of them and none after the last of those that were there at
    /// first. The ones before them stay.
    ///
    /// # Errors
    ///
    /// [`BrokerError::Lost`], that the queue may not be read, or that the broker takes no copy of what stays.
    pub async fn next_few(&mut self, most: usize) -> Result<Vec<Arc<DeadLetter>>, BrokerError> {
        if most > 0 && self.fetched.is_empty() {
            self.put_back().await?;
            self.fetch().await?;
        } else if self.done.len() >= COPIES {
            self.put_back().await?;
        }
        let few = most.min(self.fetched.len());
        let letters: Vec<_> = self.fetched.drain(..few).collect();
        self.in_hand.extend(letters.iter().cloned());
        Ok(letters)
    }

    /// Fetches the next round, if there is one.
    async fn fetch(&mut self) -> Result<(), BrokerError> {
        let most = u16::try_from(self.left).unwrap_or(ROUND).min(self.most);
        if most == 0 {
            return Ok(());
        }
        let deliveries = fetch(&self.channel, &self.queue, most, self.timings.quiet).await?;
        let read = |delivery| Arc::new(DeadLetter::read(delivery, &self.authorship));
        let mut letters: Vec<_> = deliveries.into_iter().map(read).collect();
        // Copies of this run come after all that was there at first: somebody else has taken some of that. They are
        // put back again, and not handed out.
        let end = letters.iter().position(|letter| self.tail.has(letter));
        self.in_hand = letters.split_off(end.unwrap_or(letters.len()));
        self.left -= u32::from(most);
        let missing = usize::from(most).saturating_sub(letters.len());
        if missing > 0 {
            self.unseen = std::mem::take(&mut self.left) + u32::try_from(missing).unwrap_or(0);
        }
        self.fetched = letters.into();
        Ok(())
    }

    /// Puts copies of what is in hand to the end of the queue, and takes the originals and what is done out of it.
    async fn put_back(&mut self) -> Result<(), BrokerError> {
        let mut letters = std::mem::take(&mut self.in_hand);
        letters.sort_by_key(|letter| letter.delivery_tag);
        let cannot = |letter: &mut Arc<DeadLetter>| {
            letter.envelope.passed_over.is_some() || letter.is_of_another_key
        };
        self.held.extend(letters.extract_if(.., cannot).map(|letter| letter.delivery_tag));
        let mut put_back = Ok(());
        for (letter, taken) in letters.iter().zip(self.tail.append(&letters).await) {
            match taken {
                Ok(()) => self.done.push(letter.delivery_tag),
                Err(error) => {
                    self.in_hand.push(letter.clone());
                    put_back = put_back.and(Err(error));
                }
            }
        }
        self.is_turned |= self.in_hand.len() < letters.len();
        self.is_refused |= put_back.is_err();
        self.ack().await?;
        put_back
    }

    /// Acks what is done, all before what is held with one ack: when a channel is closed RabbitMQ forgets acks that it
    /// has not passed on, which it does once it has 32 under way (tried with 3.10.8).
    async fn ack(&mut self) -> Result<(), BrokerError> {
        let mut done = std::mem::take(&mut self.done);
        done.sort_unstable();
        let letters = self.in_hand.iter().chain(&self.fetched).map(|letter| letter.delivery_tag);
        let held = letters.chain(self.held.iter().copied()).min();
        let before = done.partition_point(|tag| held.is_none_or(|held| *tag < held));
        let (together, each) = done.split_at(before);
        let together = together.last().map(|last| (*last, true));
        for (tag, multiple) in together.into_iter().chain(each.iter().map(|tag| (*tag, false))) {
            let acking = self.channel.basic_ack(tag, BasicAckOptions { multiple });
            // lapin leaves an ack pending for ever that was on its way to the connection when that failed.
            let acked = self.over.run_until_cancelled(acking).await;
            acked.ok_or(BrokerError::SettleLost)?.map_err(lost)?;
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
            signed::publish(publisher, &self.authorship, publication, copy::replayed(letter))
        }))
        .await
    }

    /// Lets `letter` go for good. It is taken out of the queue with a few others, before so many more are handed out or
    /// when everything is given back.
    pub fn discard(&mut self, letter: &DeadLetter) {
        self.in_hand.retain(|in_hand| in_hand.delivery_tag != letter.delivery_tag);
        self.done.push(letter.delivery_tag);
    }

    /// Puts everything back that is still there, in the order that it had. Nothing comes after it.
    ///
    /// # Errors
    ///
    /// When the broker takes no copy, so that what is held is returned to the queue; or when the connection is gone,
    /// which returns it too.
    pub async fn give_back(&mut self) -> Result<(), BrokerError> {
        let put_back = self.put_back_all().await;
        self.in_hand.extend(self.fetched.drain(..));
        self.ack().await?;
        self.return_held().await?;
        // A consumer counts until what it was given is acked. It is waited for in vain if another one came meanwhile.
        let ending = async {
            while count(&self.channel, &self.queue).await?.1 > self.others {
                tokio::time::sleep(self.timings.poll).await;
            }
            Ok(())
        };
        tokio::time::timeout(self.timings.quiet, ending).await.unwrap_or(Ok(()))?;
        put_back
    }

    /// Puts everything to the end of the queue that is not there yet. What was never fetched stays where it is if
    /// nothing is behind it that was before it.
    async fn put_back_all(&mut self) -> Result<(), BrokerError> {
        while !self.is_refused {
            self.in_hand.extend(self.fetched.drain(..));
            self.put_back().await?;
            if !self.is_turned || self.left == 0 {
                break;
            }
            self.fetch().await?;
        }
        Ok(())
    }

    /// Returns what is held to the head of the queue, which counts as a delivery.
    async fn return_held(&mut self) -> Result<(), BrokerError> {
        let mut tags: Vec<_> = self.in_hand.drain(..).map(|letter| letter.delivery_tag).collect();
        tags.append(&mut self.held);
        tags.sort_unstable();
        self.returned += tags.len();
        let options = BasicNackOptions { multiple: true, requeue: true };
        for last in tags.chunks(GROUP).filter_map(|group| group.last()) {
            self.channel.basic_nack(*last, options).await.map_err(lost)?;
            count(&self.channel, &self.queue).await?;
        }
        Ok(())
    }
}
