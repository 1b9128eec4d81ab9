//! How many messages wait in queues, by a look that changes nothing.

use super::connection::{Broker, cause};
use lapin::Channel;
use lapin::options::QueueDeclareOptions;
use lapin::types::FieldTable;

/// Looks at queues, over a channel of its own: one that may not be looked at costs its channel.
#[derive(Debug, Default)]
pub struct Depths(Option<Channel>);

impl Depths {
    /// How many messages are ready in `queue`; `None` when the connection ends meanwhile.
    ///
    /// # Errors
    ///
    /// Why the broker does not say it.
    pub async fn look(&mut self, broker: &Broker, queue: &str) -> Result<Option<u32>, String> {
        let looking = tokio::time::timeout(broker.timings().inspect, self.ask(broker, queue)).await;
        match looking {
            Ok(Ok(messages)) => Ok(Some(messages)),
            Ok(Err(error)) if error.is_amqp_soft_error() => Err(cause(&error)),
            Ok(Err(_)) => Ok(None),
            Err(_) => {
                // The answer may still come, and would be taken for that to another question.
                self.0 = None;
                Err("the broker does not answer".into())
            }
        }
    }

    /// The channel stays where it is, also when nobody waits for the answer any more: one that is just being
    /// closed would keep its connection from ending well.
    async fn ask(&mut self, broker: &Broker, queue: &str) -> Result<u32, lapin::Error> {
        let channel = match &self.0 {
            Some(channel) if channel.status().connected() => channel,
            Some(_) | None => self.0.insert(broker.new_channel().await?),
        };
        let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        let declared = channel.queue_declare(queue.into(), passive, FieldTable::default()).await;
        declared.map(|queue| queue.message_count())
    }
}
