//! The consumer of one lane's queue, on a channel of its own.

use super::acks::Acks;
use super::connection::{Broker, BrokerError, lost};
use super::delivery::Delivery;
use futures_util::StreamExt;
use lapin::Channel;
use lapin::message;
use lapin::options::{BasicCancelOptions, BasicConsumeOptions, BasicGetOptions, BasicQosOptions};
use lapin::types::FieldTable;

/// What the broker delivers from one queue. The channel lives as long as this does, and deliveries
/// can be settled as long as the channel lives.
#[derive(Debug)]
pub struct Consumer {
    channel: Channel,
    acks: Acks,
    /// `None` while the lane is paused.
    deliveries: Option<lapin::Consumer>,
    queue: String,
}

impl Consumer {
    /// Opens what consumes from `queue`, one message at a time: whatever a message does to its session,
    /// it does it to itself alone as long as there is no other. It does not begin yet.
    ///
    /// # Errors
    ///
    /// [`BrokerError::Lost`].
    pub async fn open(broker: &Broker, queue: &str) -> Result<Consumer, BrokerError> {
        let channel = broker.channel().await?;
        let acks = Acks::of(channel.clone(), broker.over());
        let consumer = Consumer { channel, acks, deliveries: None, queue: queue.to_owned() };
        consumer.ask_for(1).await?;
        Ok(consumer)
    }

    /// From now on `prefetch` messages at a time, and gives what the broker had handed out by then.
    /// A prefetch holds for the consumers that come after it, so that it takes another one (RabbitMQ,
    /// "Consumer Prefetch").
    ///
    /// # Errors
    ///
    /// [`BrokerError::Lost`].
    pub async fn widen(&mut self, prefetch: u16) -> Result<Vec<Delivery>, BrokerError> {
        let rest = self.cancel().await?;
        self.ask_for(prefetch).await?;
        self.consume().await?;
        Ok(rest)
    }

    /// Prefetch is the limit of memory and of concurrency at once: the broker never hands out more.
    async fn ask_for(&self, prefetch: u16) -> Result<(), BrokerError> {
        self.channel.basic_qos(prefetch, BasicQosOptions::default()).await.map_err(lost)
    }

    /// Consumes, at first or again, if it does not already.
    ///
    /// # Errors
    ///
    /// [`BrokerError::Lost`].
    pub async fn consume(&mut self) -> Result<(), BrokerError> {
        if self.deliveries.is_some() {
            return Ok(());
        }
        let (queue, tag) = (self.queue.as_str().into(), "".into());
        let options = BasicConsumeOptions::default();
        let consuming = self.channel.basic_consume(queue, tag, options, FieldTable::default());
        self.deliveries = Some(consuming.await.map_err(lost)?);
        Ok(())
    }

    /// The next delivery; never while cancelled.
    ///
    /// # Errors
    ///
    /// Whatever ended the stream: it never ends by itself.
    pub async fn next(&mut self) -> Result<Delivery, BrokerError> {
        let Some(deliveries) = &mut self.deliveries else { return std::future::pending().await };
        match deliveries.next().await {
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
        let Some(mut deliveries) = self.deliveries.take() else { return Ok(Vec::new()) };
        let (tag, options) = (deliveries.tag(), BasicCancelOptions::default());
        self.channel.basic_cancel(tag, options).await.map_err(lost)?;
        let mut rest = Vec::new();
        while let Some(delivery) = deliveries.next().await {
            rest.push(self.read(delivery.map_err(lost)?));
        }
        Ok(rest)
    }

    /// One message from the queue, if there is one, without consuming.
    ///
    /// # Errors
    ///
    /// [`BrokerError::Lost`].
    pub async fn get(&self) -> Result<Option<Delivery>, BrokerError> {
        let getting =
            self.channel.basic_get(self.queue.as_str().into(), BasicGetOptions::default());
        let got = getting.await.map_err(lost)?;
        Ok(got.map(|got| self.read(got.delivery)))
    }

    fn read(&self, delivery: message::Delivery) -> Delivery {
        self.acks.handed_out(delivery.delivery_tag);
        Delivery::read(delivery, &self.queue, self.acks.clone())
    }
}
