//! Steps of a run: messages, faults, their ends, and the facts that a run waits for.

use super::message::Kind;
use super::scene::Scene;
use crate::broker::{DEAD_LETTERS, UNBLOCK};
use crate::disturbed::Disturbed;
use fake_mimecast::{Fault, FaultKind};
use lapin::options::{ExchangeDeleteOptions, QueueDeleteOptions};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// What happens next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub enum Op {
    /// Publishes so many messages; one in ten is malformed, and one in ten rejected.
    Publish(u8),
    /// Publishes so many events that can be applied.
    PublishGood(u8),
    /// Publishes one message that is no event.
    PublishMalformed,
    /// Publishes one event whose items the API rejects.
    PublishRefused,
    /// Publishes one event whose items the API fails on.
    PublishPoison,
    /// The API answers 503 to every call.
    ApiDown,
    /// The API and the link to it work.
    ApiUp,
    /// The API answers every call 150 ms later.
    ApiSlow,
    /// The API accepts calls and answers none.
    ApiHangs,
    /// The API resets the connection of every call.
    ApiResets,
    /// The API answers with a text that is not JSON.
    ApiTalksGarbage,
    /// The API answers 429 to every call.
    ApiThrottles,
    /// The API accepts ten calls in 200 ms, and answers 429 to the others.
    ApiLimits,
    /// The API applies every call and closes its connection.
    ApiDropsReplies,
    /// The API refuses the credentials.
    RefuseCredentials,
    /// The API applies the next call and closes its connection.
    LoseReply,
    /// The port of the API refuses connections.
    ApiRefuses,
    /// Nothing passes on the link to the API.
    FreezeApi,
    /// Requests reach the API, and its answers are lost.
    LoseReplies,
    /// The connections to the broker are closed.
    CutBroker,
    /// Every piece of data from and to the broker comes 50 ms later.
    SlowBroker,
    /// Nothing passes on the link to the broker.
    FreezeBroker,
    /// The port of the broker refuses connections.
    RefuseBroker,
    /// The link to the broker works.
    ThawBroker,
    /// Dead letters are refused by a queue that is full.
    RefuseDeadLetters,
    /// Dead letters are taken again.
    AcceptDeadLetters,
    /// The dead-letter exchange is deleted.
    DeleteDeadLetterExchange,
    /// The queue of a lane is deleted.
    DeleteLaneQueue,
    /// The broker stops and starts.
    RestartBroker,
    /// The broker is killed and starts.
    KillBroker,
    /// The broker has a memory alarm.
    BlockBroker,
    /// Nothing more can be written to the audit trail, until the daemon begins again.
    FillDisk,
    /// The audit trail can be written again.
    EmptyDisk,
    /// The daemon is killed.
    KillDaemon,
    /// The daemon gets SIGTERM.
    StopDaemon,
    /// A daemon starts, if none runs.
    StartDaemon,
    /// Nothing, for so many milliseconds: faults meet work at any point of it.
    Wait(u16),
    /// Waits for so many calls since the last messages were published.
    Calls(u8),
    /// Waits for so many more calls, as the health calls of paused lanes are.
    Probes(u8),
    /// Waits until both lanes are paused.
    Paused,
    /// Waits until both lanes have noticed that the broker is gone.
    Disconnected,
    /// Waits until so many connections of this daemon have ended.
    Sessions(u8),
    /// Waits until both lanes consume.
    Ready,
}

impl Op {
    /// Whether it is done to a broker that others cannot have at the same time.
    pub fn needs_a_node(self) -> bool {
        matches!(self, Op::RestartBroker | Op::KillBroker | Op::BlockBroker)
    }

    /// True for a fault and for the end of one.
    fn is_a_change(self) -> bool {
        let publishes = matches!(
            self,
            Op::Publish(_)
                | Op::PublishGood(_)
                | Op::PublishMalformed
                | Op::PublishRefused
                | Op::PublishPoison
        );
        let waits = matches!(
            self,
            Op::Wait(_)
                | Op::Calls(_)
                | Op::Probes(_)
                | Op::Paused
                | Op::Disconnected
                | Op::Sessions(_)
                | Op::Ready
        );
        !publishes && !waits
    }

    /// Lets it happen, to `node` if it needs one.
    pub async fn happen(self, scene: &mut Scene, node: Option<&mut Disturbed>) {
        if self.is_a_change() {
            scene.healed();
        }
        match self {
            Op::Publish(count) => scene.publish(count.into()).await,
            Op::PublishGood(count) => {
                for _ in 0..count {
                    scene.publish_one(Kind::Good).await;
                }
            }
            Op::PublishMalformed => scene.publish_one(Kind::Malformed).await,
            Op::PublishRefused => scene.publish_one(Kind::Refused).await,
            Op::PublishPoison => scene.publish_one(Kind::Poison).await,
            Op::ApiDown => scene.api(FaultKind::status(503)),
            Op::ApiUp => {
                scene.api_well();
                scene.api_link.open();
            }
            Op::ApiSlow => scene.api(FaultKind::Delay { milliseconds: 150 }),
            Op::ApiHangs => scene.api(FaultKind::Hang),
            Op::ApiResets => scene.api(FaultKind::Reset),
            Op::ApiTalksGarbage => scene.api(FaultKind::NotJson),
            Op::ApiThrottles => {
                scene.api(FaultKind::Throttle { reset_milliseconds: Some(50), retry_after: None });
            }
            Op::ApiLimits => scene.fake.limit(10, Duration::from_millis(200)),
            Op::ApiDropsReplies => scene.api(FaultKind::LoseReply),
            Op::RefuseCredentials => scene.fake.refuse_credentials(true),
            Op::LoseReply => scene.fake.inject(Fault::next(FaultKind::LoseReply)),
            Op::ApiRefuses => scene.api_link.refuse(),
            Op::FreezeApi => scene.api_link.freeze(),
            Op::LoseReplies => scene.api_link.swallow(),
            Op::CutBroker => scene.broker_link.cut(),
            Op::SlowBroker => scene.broker_link.slow(Duration::from_millis(50)),
            Op::FreezeBroker => scene.broker_link.freeze(),
            Op::RefuseBroker => scene.broker_link.refuse(),
            Op::ThawBroker => scene.broker_link.open(),
            Op::RefuseDeadLetters => scene.vhost.refuse_dead_letters().await,
            Op::AcceptDeadLetters => scene.vhost.accept_dead_letters().await,
            Op::DeleteLaneQueue => {
                let channel = scene.vhost.channel().await;
                let delete = QueueDeleteOptions::default();
                channel.queue_delete(UNBLOCK.into(), delete).await.unwrap();
            }
            Op::DeleteDeadLetterExchange => {
                let channel = scene.vhost.channel().await;
                let delete = ExchangeDeleteOptions::default();
                channel.exchange_delete(DEAD_LETTERS.into(), delete).await.unwrap();
            }
            Op::RestartBroker | Op::KillBroker => {
                let node = node.expect("who restarts a node has one");
                match self == Op::KillBroker {
                    true => node.kill().await,
                    false => node.stop().await,
                }
                node.start().await;
                scene.vhost.reconnect().await;
            }
            Op::BlockBroker => node.expect("who starves a node has one").starve(),
            Op::FillDisk => scene.fill_disk(true),
            Op::EmptyDisk => scene.fill_disk(false),
            Op::KillDaemon => scene.kill_daemon().await,
            Op::StopDaemon => scene.stop_daemon().await,
            Op::StartDaemon if scene.daemon.is_none() => scene.start_daemon().await,
            Op::StartDaemon => {}
            Op::Wait(milliseconds) => {
                tokio::time::sleep(Duration::from_millis(milliseconds.into())).await;
            }
            Op::Calls(more) => scene.calls(more.into()).await,
            Op::Probes(more) => scene.probes(more.into()).await,
            Op::Paused => scene.paused().await,
            Op::Disconnected => scene.disconnected().await,
            Op::Sessions(count) => scene.session_ended(usize::from(count) - 1).await,
            Op::Ready => scene.daemon().wait_until_ready().await,
        }
    }
}

/// Heals everything that can have happened, and sees to it that a daemon runs.
pub async fn heal(scene: &mut Scene, node: Option<&Disturbed>) {
    if let Some(node) = node {
        node.feed();
    }
    // Without the exchange too: whoever declares it again binds its queue.
    scene.vhost.accept_dead_letters().await;
    scene.heal().await;
}

/// The number in an environment variable.
pub fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} is not a number: {text}")))
}
