//! The consumer of one lane's queue, on a channel of its own.

use super::acks::Acks;
use super::authorship::Authorship;
use super::connection::{Broker, BrokerError, lost};
use super::delivery::Delivery;
use super::round::count;
use futures_util::StreamExt;
use futures_util::future::try_join_all;
use futures_util::stream::SelectAll;
use lapin::Channel;
use lapin::message;
use lapin::options::{BasicCancelOptions, BasicConsumeOptions, BasicQosOptions};
use lapin::types::FieldTable;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Maximum time until a queue hands a message out that is ready.
const HANDED_OUT: Duration = Duration::from_secs(1);

/// What the broker delivers from one queue. The channel lives as long as this does, and deliveries
/// can be settled as long as the channel lives.
#[derive(Debug)]
pub struct Consumer {
    channel: Channel,
    acks: Acks,
    /// The consumers at the broker: none while the lane is paused, and two where it became wider as it consumed.
    deliveries: SelectAll<lapin::Consumer>,
    /// How many of them there are to be.
    consumers: usize,
    /// Messages that the broker hands out at once, to all of them together.
    prefetch: u16,
    queue: String,
    authorship: Arc<Authorship>,
    /// The interval at which an empty queue is asked whether it is empty.
    poll: Duration,
}

impl Consumer {
    /// Opens what consumes from `queue`, one message at a time: whatever a message does to its session,
    /// it does it to itself alone as long as there is no other. It does not begin yet.
    ///
    /// # Errors
    ///
    /// [`BrokerError::Lost`].
    pub async fn open(
        broker: &Broker,
        queue: &str,
        authorship: Arc<Authorship>,
    ) -> Result<Consumer, BrokerError> {
        let channel = broker.channel().await?;
        let acks = Acks::of(channel.clone(), broker.over());
        let (deliveries, queue) = (SelectAll::new(), queue.to_owned());
        let (consumers, prefetch, poll) = (0, 1, broker.timings().poll);
        Ok(Consumer { channel, acks, deliveries, consumers, prefetch, queue, authorship, poll })
    }

    /// From now on `prefetch` messages at a time. A prefetch holds for the consumers that come after it (RabbitMQ,
    /// "Consumer Prefetch"), so that another one takes what is more. The first one stays: whatever is on its way to
    /// a consumer that is cancelled comes back as redelivered.
    ///
    /// # Errors
    ///
    /// [`BrokerError::Lost`].
    pub async fn widen(&mut self, prefetch: u16) -> Result<(), BrokerError> {
        let more = prefetch.saturating_sub(self.prefetch);
        self.prefetch = prefetch.max(self.prefetch);
        if more > 0 && self.consumers > 0 {
            self.add(more).await?;
        }
        Ok(())
    }

    /// The next consumer takes one message at a time.
    pub fn narrow(&mut self) {
        self.prefetch = 1;
    }

    /// Consumes, at first or again, if it does not already.
    ///
    /// # Errors
    ///
    /// [`BrokerError::Lost`].
    pub async fn consume(&mut self) -> Result<(), BrokerError> {
        if self.consumers == 0 {
            self.add(self.prefetch).await?;
        }
        Ok(())
    }

    /// Adds a consumer at the broker. Its prefetch is the limit of memory and of concurrency at once: the broker never
    /// hands out more.
    async fn add(&mut self, prefetch: u16) -> Result<(), BrokerError> {
        self.channel.basic_qos(prefetch, BasicQosOptions::default()).await.map_err(lost)?;
        let (queue, tag) = (self.queue.as_str().into(), "".into());
        let options = BasicConsumeOptions::default();
        let consuming = self.channel.basic_consume(queue, tag, options, FieldTable::default());
        self.deliveries.push(consuming.await.map_err(lost)?);
        self.consumers += 1;
        Ok(())
    }

    /// The next delivery; never while cancelled.
    ///
    /// # Errors
    ///
    /// Whatever ended the stream: it never ends by itself.
    pub async fn next(&mut self) -> Result<Delivery, BrokerError> {
        if self.consumers == 0 {
            return std::future::pending().await;
        }
        if self.deliveries.len() < self.consumers {
            return Err(BrokerError::Cancelled(self.queue.clone()));
        }
        match self.deliveries.next().await {
            Some(Ok(delivery)) => Ok(self.read(delivery)),
            Some(Err(error)) => Err(lost(error)),
            None => Err(BrokerError::Cancelled(self.queue.clone())),
        }
    }

    /// Takes no more, and gives what the broker had handed out by then.
    ///
    /// # Errors
    ///
    /// [`BrokerError::Lost`].
    pub async fn cancel(&mut self) -> Result<Vec<Delivery>, BrokerError> {
        self.consumers = 0;
        let consumers: Vec<lapin::Consumer> =
            std::mem::take(&mut self.deliveries).into_iter().collect();
        // All at once: as long as one is left, the broker hands out more.
        let cancel = |consumer: &lapin::Consumer| {
            self.channel.basic_cancel(consumer.tag(), BasicCancelOptions::default())
        };
        try_join_all(consumers.iter().map(cancel)).await.map_err(lost)?;
        let mut rest = Vec::new();
        for mut deliveries in consumers {
            while let Some(delivery) = deliveries.next().await {
                rest.push(self.read(delivery.map_err(lost)?));
            }
        }
        Ok(rest)
    }

    /// One message from the queue, if it hands one out, and no more. Not by `basic.get`: a queue with a single active
    /// consumer refuses that, and RabbitMQ closes the channel (405).
    ///
    /// # Errors
    ///
    /// [`BrokerError::Lost`].
    pub async fn take_one(&mut self) -> Result<Option<Delivery>, BrokerError> {
        self.narrow();
        self.consume().await?;
        let taken = self.first().await?;
        Ok(taken.or(self.cancel().await?.pop()))
    }

    /// The next delivery, unless the queue is empty or hands out nothing.
    async fn first(&mut self) -> Result<Option<Delivery>, BrokerError> {
        let until = Instant::now() + HANDED_OUT;
        // The queue can be empty while its last message is on its way, but not twice in a row: the broker answers on
        // this channel in the order of what it sends.
        let mut empty = 0;
        while empty < 2 && Instant::now() < until {
            match tokio::time::timeout(self.poll, self.next()).await {
                Ok(delivery) => return delivery.map(Some),
                Err(_) if count(&self.channel, &self.queue).await?.0 == 0 => empty += 1,
                Err(_) => empty = 0,
            }
        }
        Ok(None)
    }

    fn read(&self, delivery: message::Delivery) -> Delivery {
        self.acks.handed_out(delivery.delivery_tag);
        Delivery::read(delivery, &self.queue, (self.acks.clone(), &self.authorship))
    }
}
