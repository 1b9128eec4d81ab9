//! The consumer of one lane's queue, on a channel of its own.

use super::connection::{Broker, BrokerError, lost};
use super::delivery::Delivery;
use crate::settings::LaneSettings;
use futures_util::StreamExt;
use lapin::Channel;
use lapin::options::{BasicCancelOptions, BasicConsumeOptions, BasicGetOptions, BasicQosOptions};
use lapin::types::FieldTable;

/// What the broker delivers from one queue. The channel lives as long as this does, and deliveries
/// can be settled as long as the channel lives.
#[derive(Debug)]
pub struct Consumer {
    channel: Channel,
    /// `None` while the lane is paused.
    deliveries: Option<lapin::Consumer>,
    queue: String,
}

impl Consumer {
    /// Starts consuming. Prefetch comes first, so that the broker never hands out more: it is the
    /// limit of memory and of concurrency at once.
    ///
    /// # Errors
    ///
    /// [`BrokerError::Lost`].
    pub async fn open(broker: &Broker, lane: &LaneSettings) -> Result<Consumer, BrokerError> {
        let channel = broker.channel().await?;
        let qos = BasicQosOptions::default();
        channel.basic_qos(lane.prefetch, qos).await.map_err(lost)?;
        let mut consumer = Consumer { channel, deliveries: None, queue: lane.queue.clone() };
        consumer.consume().await?;
        Ok(consumer)
    }

    /// Consumes, at first or again.
    ///
    /// # Errors
    ///
    /// [`BrokerError::Lost`].
    pub async fn consume(&mut self) -> Result<(), BrokerError> {
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
            Some(Ok(delivery)) => Ok(delivery.into()),
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
            rest.push(delivery.map_err(lost)?.into());
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
        Ok(getting.await.map_err(lost)?.map(|got| got.delivery.into()))
    }
}
