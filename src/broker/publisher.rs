//! Publishes copies so that they are either safe in a queue or known not to be.

use super::connection::{Broker, BrokerError, lost};
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::{BasicProperties, Channel, Confirmation};
use std::time::Duration;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

/// A broker that has not confirmed by now is short of memory or disk, or not there.
const CONFIRM_TIMEOUT: Duration = Duration::from_secs(30);

/// The session's channel for publishing. It is not one that is consumed on: a refused copy must not
/// take a consumer down. One copy at a time, so that a returned one can only be the one waited for.
#[derive(Debug)]
pub struct Publisher {
    channel: Mutex<Channel>,
    over: CancellationToken,
}

impl Publisher {
    /// Opens the channel and asks for confirms.
    ///
    /// # Errors
    ///
    /// [`BrokerError::Lost`].
    pub async fn open(broker: &Broker) -> Result<Publisher, BrokerError> {
        let channel = broker.channel().await?;
        channel.confirm_select(ConfirmSelectOptions::default()).await.map_err(lost)?;
        Ok(Publisher { channel: Mutex::new(channel), over: broker.over() })
    }

    /// Publishes with `mandatory` and waits for the confirm: after `Ok` the copy is in a queue.
    ///
    /// # Errors
    ///
    /// [`BrokerError::NotTaken`] when the broker says so or says nothing in time, and
    /// [`BrokerError::Lost`] with the channel, which a missing exchange costs.
    pub async fn publish(
        &self,
        exchange: &str,
        routing_key: &str,
        body: &[u8],
        properties: BasicProperties,
    ) -> Result<(), BrokerError> {
        let channel = self.channel.lock().await;
        let mandatory = BasicPublishOptions { mandatory: true, immediate: false };
        let publishing = async {
            let confirm = channel
                .basic_publish(exchange.into(), routing_key.into(), mandatory, body, properties)
                .await?;
            confirm.await
        };
        let not_taken =
            |cause: String| BrokerError::NotTaken { exchange: exchange.to_owned(), cause };
        match tokio::time::timeout(CONFIRM_TIMEOUT, publishing).await {
            Ok(Ok(Confirmation::Ack(None))) => Ok(()),
            Ok(Ok(Confirmation::Ack(Some(_)))) => Err(not_taken("no queue is bound for it".into())),
            Ok(Ok(Confirmation::Nack(_))) => Err(not_taken("a queue refused it".into())),
            Ok(Ok(Confirmation::NotRequested)) => Err(not_taken("confirms are off".into())),
            Ok(Err(error)) => Err(lost(error)),
            Err(_) => Err(not_taken("no confirm in time".into())),
        }
    }

    /// Waits for something of the same connection, but not beyond its end: lapin leaves an ack
    /// pending for ever that was on its way to the connection when that failed.
    pub(super) async fn until_over<T>(&self, something: impl Future<Output = T>) -> Option<T> {
        self.over.run_until_cancelled(something).await
    }
}
