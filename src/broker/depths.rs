//! How many messages wait in queues, by a look that changes nothing.

use super::connection::{Broker, cause};
use lapin::Channel;
use lapin::options::QueueDeclareOptions;
use lapin::types::FieldTable;
use std::time::Duration;

/// How long the broker may take to say it: of a queue without a leader it says nothing.
const PATIENCE: Duration = Duration::from_secs(5);

/// Looks at queues, over a channel of its own: one that may not be looked at costs its channel.
#[derive(Debug, Default)]
pub struct Depths(Option<Channel>);

impl Depths {
    /// How many messages are ready in `queue`.
    ///
    /// # Errors
    ///
    /// Why that is not known.
    pub async fn look(&mut self, broker: &Broker, queue: &str) -> Result<u32, String> {
        let looking = async {
            // It stays where it is, also when nobody waits for the answer any more: a channel that is just
            // being closed would keep its connection from ending well.
            let channel = match &self.0 {
                Some(channel) if channel.status().connected() => channel,
                Some(_) | None => {
                    let opened = broker.channel().await.map_err(|error| error.to_string())?;
                    self.0.insert(opened)
                }
            };
            let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
            let declared =
                channel.queue_declare(queue.into(), passive, FieldTable::default()).await;
            declared.map(|queue| queue.message_count()).map_err(|error| cause(&error))
        };
        let silent = || Err("the broker does not say".to_owned());
        tokio::time::timeout(PATIENCE, looking).await.unwrap_or_else(|_| silent())
    }
}
