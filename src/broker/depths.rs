//! How many messages wait in queues, by a look that changes nothing.

use super::connection::{Broker, cause};
use crate::settings::Amqp;
use lapin::options::QueueDeclareOptions;
use lapin::types::FieldTable;
use lapin::{Channel, ErrorKind};
use std::collections::BTreeMap;
use tokio::time::Instant;

/// Looks at queues, over a channel of its own on the connection of the lane.
///
/// A look that is refused costs its channel, and a connection has only so many of them.
/// So a queue whose look was refused is looked at aside, once a minute, over a connection that is made for that. So are
/// all that follow it in the same round: whatever the broker refuses at once costs the lane one channel.
#[derive(Debug, Default)]
pub struct Depths {
    channel: Option<Channel>,
    /// Queues whose looks were refused, and when they are looked at again.
    refused: BTreeMap<String, Instant>,
}

/// What a look at a queue tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Depth {
    /// So many messages are ready in it.
    Messages(u32),
    /// It is not there, in the broker's words.
    Missing(String),
    /// Nothing, and why, unless the connection ended before the answer.
    Unknown(Option<String>),
}

impl Depths {
    /// Looks at all `queues`, except those that were refused within a minute, and tells each result.
    pub async fn look(
        &mut self,
        (broker, amqp): (&Broker, &Amqp),
        queues: &[&str],
        mut tell: impl FnMut(&str, Depth),
    ) {
        let (mut aside, mut costs) = (Vec::new(), false);
        for queue in queues {
            match self.refused.get(*queue) {
                Some(at) if *at > Instant::now() => continue,
                None if !costs => {}
                Some(_) | None => {
                    aside.push(*queue);
                    continue;
                }
            }
            let looked = depth(broker, &mut self.channel, queue).await;
            costs = matches!(looked, Looked::Refused(_) | Looked::NoChannel);
            if matches!(looked, Looked::NoChannel) {
                aside.push(*queue);
            } else {
                tell(queue, self.learn(queue, amqp, &looked));
            }
        }
        let mut connection = Aside { amqp, connected: None };
        for queue in aside {
            let looked = connection.look(queue).await;
            tell(queue, self.learn(queue, amqp, &looked));
        }
        connection.close().await;
    }

    /// Remembers what was refused, until it is answered.
    fn learn(&mut self, queue: &str, amqp: &Amqp, looked: &Looked) -> Depth {
        let is_refused = match looked {
            Looked::Answered(_) => {
                self.refused.remove(queue);
                false
            }
            Looked::Refused(_) => true,
            Looked::NoChannel | Looked::Failed(_) | Looked::Lost => {
                self.refused.contains_key(queue)
            }
        };
        if is_refused {
            let at = Instant::now() + amqp.timings.refused_look;
            self.refused.insert(queue.to_owned(), at);
        }
        match looked {
            Looked::Answered(messages) => Depth::Messages(*messages),
            Looked::Refused(why) if why.starts_with("NOT_FOUND") => Depth::Missing(why.clone()),
            Looked::Refused(why) | Looked::Failed(why) => Depth::Unknown(Some(why.clone())),
            Looked::NoChannel | Looked::Lost => Depth::Unknown(None),
        }
    }

    /// Looks at all queues the next time: those that were refused may be declared meanwhile.
    pub fn forget(&mut self) {
        self.refused.clear();
    }
}

/// The result of one look.
enum Looked {
    Answered(u32),
    Refused(String),
    /// The connection has no channel left for it.
    NoChannel,
    /// There is no connection, or no answer.
    Failed(String),
    /// The connection ended.
    Lost,
}

/// Looks over `channel`, or a new one in its place. It stays where it is, also when nobody waits for the answer any more:
/// one that is just being closed would keep its connection from ending well.
async fn depth(broker: &Broker, channel: &mut Option<Channel>, queue: &str) -> Looked {
    let asking = async {
        let open = match channel {
            Some(open) if open.status().connected() => open,
            Some(_) | None => channel.insert(broker.new_channel().await?),
        };
        let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        open.queue_declare(queue.into(), passive, FieldTable::default()).await
    };
    match tokio::time::timeout(broker.timings().inspect, asking).await {
        Ok(Ok(declared)) => Looked::Answered(declared.message_count()),
        Ok(Err(error)) if error.is_amqp_soft_error() => Looked::Refused(cause(&error)),
        Ok(Err(error)) if matches!(error.kind(), ErrorKind::ChannelsLimitReached) => {
            Looked::NoChannel
        }
        Ok(Err(_)) => Looked::Lost,
        Err(_) => {
            // The answer may still come, and would be taken for that to another question.
            *channel = None;
            Looked::Failed("the broker does not answer".into())
        }
    }
}

/// A connection for looks that may be refused.
struct Aside<'a> {
    amqp: &'a Amqp,
    connected: Option<Result<(Broker, Option<Channel>), String>>,
}

impl Aside<'_> {
    /// Looks at `queue`. Once all channels of the connection are used, another one takes its place.
    async fn look(&mut self, queue: &str) -> Looked {
        if let looked @ (Looked::Answered(_) | Looked::Refused(_) | Looked::Failed(_)) =
            self.look_once(queue).await
        {
            return looked;
        }
        self.close().await;
        self.look_once(queue).await
    }

    async fn look_once(&mut self, queue: &str) -> Looked {
        match self.connected().await {
            Ok((broker, channel)) => depth(broker, channel, queue).await,
            Err(why) => Looked::Failed(why.clone()),
        }
    }

    async fn connected(&mut self) -> &mut Result<(Broker, Option<Channel>), String> {
        match &mut self.connected {
            Some(connected) => connected,
            none => {
                let connected = Broker::connect(self.amqp, |_| {}).await;
                none.insert(connected.map(|broker| (broker, None)).map_err(|it| it.to_string()))
            }
        }
    }

    async fn close(&mut self) {
        if let Some(Ok((broker, _channel))) = self.connected.take() {
            broker.close().await;
        }
    }
}
