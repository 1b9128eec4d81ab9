//! The consumer of one lane's queue, on a channel of its own.

use crate::broker::{Broker, BrokerError, lost};
use crate::config::Lane;
use crate::delivery::Delivery;
use futures_util::StreamExt;
use lapin::Channel;
use lapin::options::{BasicCancelOptions, BasicConsumeOptions, BasicQosOptions};
use lapin::types::FieldTable;

/// What the broker delivers from one queue. The channel lives as long as this does, and deliveries
/// can be settled as long as the channel lives.
#[derive(Debug)]
pub struct Consumer {
    channel: Channel,
    deliveries: lapin::Consumer,
    queue: String,
}

impl Consumer {
    /// Starts consuming. Prefetch comes first, so that the broker never hands out more: it is the
    /// limit of memory and of concurrency at once.
    ///
    /// # Errors
    ///
    /// [`BrokerError::Lost`].
    pub async fn open(broker: &Broker, lane: &Lane) -> Result<Consumer, BrokerError> {
        let channel = broker.channel().await?;
        let qos = BasicQosOptions::default();
        channel.basic_qos(lane.prefetch, qos).await.map_err(lost)?;
        let (queue, tag) = (lane.queue.as_str().into(), "".into());
        let options = BasicConsumeOptions::default();
        let consuming = channel.basic_consume(queue, tag, options, FieldTable::default());
        let deliveries = consuming.await.map_err(lost)?;
        Ok(Consumer { channel, deliveries, queue: lane.queue.clone() })
    }

    /// The next delivery.
    ///
    /// # Errors
    ///
    /// Whatever ended the stream: it never ends by itself.
    pub async fn next(&mut self) -> Result<Delivery, BrokerError> {
        match self.deliveries.next().await {
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
        let tag = self.deliveries.tag();
        self.channel.basic_cancel(tag, BasicCancelOptions::default()).await.map_err(lost)?;
        let mut rest = Vec::new();
        while let Some(delivery) = self.deliveries.next().await {
            rest.push(delivery.map_err(lost)?.into());
        }
        Ok(rest)
    }
}
