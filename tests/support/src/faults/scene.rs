//! The scene of a fault: broker, vendor and daemon with a relay on either side, and the ledger.

use super::api::nature;
use super::ledger::{Account, Ledger};
use super::message::{Kind, Message};
use super::trail::Trail;
use crate::broker::{DEAD_LETTERS, OFFBOARDED, UNBLOCK, Vhost};
use crate::daemon::Daemon;
use crate::node::Node;
use crate::relay::Relay;
use crate::settings::{self, Variables, named};
use crate::{DEADLINE, eventually};
use fake_mimecast::FakeMimecast;
use lapin::BasicProperties;
use std::time::Duration;
use tokio::time::Instant;

const LADDER: [&str; 3] = ["200ms", "400ms", "800ms"];

/// Everything that a message meets, and what can be done to it.
pub struct Scene {
    /// The virtual host.
    pub vhost: Vhost,
    /// The API.
    pub fake: FakeMimecast,
    /// Between daemon and broker.
    pub broker_link: Relay,
    /// Between daemon and vendor.
    pub api_link: Relay,
    /// `None` while it is stopped.
    pub daemon: Option<Daemon>,
    /// Others that do the same work beside it.
    pub replicas: Vec<Daemon>,
    /// The settings of the daemon.
    pub variables: Variables,
    /// The ledger of the run.
    pub ledger: Ledger,
    /// Calls that had reached the vendor before the last messages were published.
    pub called_before: usize,
    /// What the daemon has written down, unless others work beside it.
    pub trail: Option<Trail>,
    /// Kept for their logs, which a test that fails shows.
    ended: Vec<Daemon>,
    healed: Instant,
}

/// The result of a scene whose ledger is closed.
pub struct Outcome {
    /// The place of every message.
    pub account: Account,
    /// Time from the end of the fault until every lane consumed.
    pub consuming: Duration,
    /// Time from the end of the fault until no message was in flight or queued.
    pub settled: Duration,
    /// The virtual host, which can be used again.
    pub vhost: Vhost,
}

impl Scene {
    /// On the shared node, with some settings of the test's own.
    pub async fn with(own: &[(&str, &str)]) -> Scene {
        Scene::on(Node::shared(), own).await
    }

    /// On `node`. The daemon is ready, and nothing is wrong yet.
    pub async fn on(node: &Node, own: &[(&str, &str)]) -> Scene {
        Scene::at(Vhost::on(node).await, node, own).await
    }

    /// In a virtual host that may have been used before.
    pub async fn at(vhost: Vhost, node: &Node, own: &[(&str, &str)]) -> Scene {
        let fake = FakeMimecast::start(fake_mimecast::Credentials::default()).await;
        let broker_link = Relay::to(node.authority()).await;
        let api_link = Relay::to(&fake.address().to_string()).await;
        let (mut variables, trail) = (settings::hmac(&fake), Trail::new());
        variables.extend([
            named("AUDIT__PATH", trail.path()),
            named("AMQP__URL", &vhost.url_by(&broker_link.authority())),
            named("AMQP__HEARTBEAT", "1s"),
            named("MIMECAST__BASE_URL", &format!("http://{}", api_link.authority())),
            named("MIMECAST__TIMEOUT", "2s"),
            named("RETRY__LADDER", &format!("{LADDER:?}")),
            named("DRAIN_TIMEOUT", "5s"),
        ]);
        variables.extend(own.iter().map(|(name, value)| named(name, value)));
        let mut scene = Scene {
            vhost,
            fake,
            broker_link,
            api_link,
            daemon: None,
            replicas: Vec::new(),
            variables,
            ledger: Ledger::default(),
            called_before: 0,
            trail: Some(trail),
            ended: Vec::new(),
            healed: Instant::now(),
        };
        scene.prepare_groups();
        scene.api_well();
        scene.start_daemon().await;
        scene.daemon().wait_until_ready().await;
        scene
    }

    /// The running daemon.
    pub fn daemon(&self) -> &Daemon {
        self.daemon.as_ref().expect("the daemon runs")
    }

    /// Starts the daemon.
    pub async fn start_daemon(&mut self) {
        // A file that grows too large is as a full disk, if the signal for it is ignored.
        let ignoring = ["sh", "-c", r#"trap "" XFSZ; exec "$@""#, "sh"];
        self.daemon = Some(Daemon::start_by(&ignoring, &self.variables).await);
    }

    /// Stops the daemon as an orchestrator does, and insists on a clean end.
    pub async fn stop_daemon(&mut self) {
        self.take_account().await;
        if let Some(mut daemon) = self.daemon.take() {
            self.ledger.interruptions += 1;
            daemon.signal("TERM");
            assert_eq!(daemon.ended().await, Some(0), "a stop is a clean end");
            self.ended.push(daemon);
        }
    }

    /// Ends the daemon without a warning.
    pub async fn kill_daemon(&mut self) {
        self.take_account().await;
        if let Some(mut daemon) = self.daemon.take() {
            self.ledger.interruptions += 1;
            daemon.signal("KILL");
            assert_eq!(daemon.ended().await, None);
            self.ended.push(daemon);
        }
    }

    /// Writes into the ledger what the daemon knows, before it ends.
    async fn take_account(&mut self) {
        let Some(daemon) = &self.daemon else { return };
        for operation in ["remove_group_member", "delete_managed_url"] {
            for outcome in ["applied", "not_found"] {
                let requests = format!(
                    r#"eventd_api_requests_total{{operation="{operation}",outcome="{outcome}"}}"#
                );
                self.ledger.answered += daemon.metric(&requests).await as usize;
            }
        }
        self.ledger.interruptions += self.ended_sessions();
    }

    /// Leaves no room for what the daemon writes down, or any room again.
    pub fn fill_disk(&self, is_full: bool) {
        if let (Some(trail), Some(daemon)) = (&self.trail, &self.daemon) {
            trail.fill(daemon.process(), is_full);
        }
    }

    /// Publishes `count` messages, of which every tenth is malformed and every tenth refused.
    pub async fn publish(&mut self, count: usize) {
        self.called_before = self.fake.calls().len();
        for _ in 0..count {
            let kind = match self.ledger.next_number() % 20 {
                3 | 14 => Kind::Malformed,
                7 | 18 => Kind::Refused,
                _ => Kind::Good,
            };
            self.publish_one(kind).await;
        }
    }

    /// Publishes one message; with its confirm it is in the ledger.
    pub async fn publish_one(&mut self, kind: Kind) {
        let message = Message { kind, number: self.ledger.next_number() };
        self.prepare(&message);
        let properties =
            BasicProperties::default().with_content_type("application/cloudevents+json".into());
        let body = message.body();
        self.vhost.publish(message.routing_key(), body.as_bytes(), properties).await;
        self.ledger.published(message);
    }

    /// Heals everything, the poison too, and sees to it that a daemon runs.
    pub async fn heal(&mut self) {
        self.broker_link.open();
        self.api_link.open();
        self.fill_disk(false);
        self.fake.refuse_credentials(false);
        self.fake.inject_instead([nature()[0].clone()]);
        if self.daemon.is_none() {
            self.start_daemon().await;
        }
    }

    /// Now the fault is over, or the daemon has to live with it: the time to recover begins.
    pub fn healed(&mut self) {
        self.healed = Instant::now();
    }

    /// Waits until the ledger of the fault called `name` is closed, and panics if it does not close.
    pub async fn finish(mut self, name: &str) -> Outcome {
        self.daemon().wait_until_ready().await;
        let consuming = self.healed.elapsed();
        let unsettled = self.unsettled().await;
        let settled = self.healed.elapsed();
        let account = self.end().await;
        assert!(account.is_closed(), "{name}: {account}");
        assert!(unsettled.is_empty(), "{name}: still going on: {}", unsettled.join(", "));
        Outcome { account, consuming, settled, vhost: self.vhost }
    }

    /// Waits until every message has come to its end, or for as long as anything may take. Then it
    /// gives what is still going on.
    pub async fn unsettled(&mut self) -> Vec<String> {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let going_on = self.going_on().await;
            if going_on.is_empty() || Instant::now() > deadline {
                return going_on;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn going_on(&mut self) -> Vec<String> {
        self.collect().await;
        let mut going_on = self.ledger.open();
        for queue in queues() {
            let (messages, _) = self.vhost.depth(&queue).await.unwrap_or_default();
            if messages > 0 {
                going_on.push(format!("{messages} in {queue}"));
            }
        }
        for event in ["user.offboarded", "url.unblock"] {
            let in_flight = format!(r#"eventd_messages_in_flight{{event="{event}"}}"#);
            for daemon in self.replicas.iter().chain(&self.daemon) {
                let messages = daemon.metric(&in_flight).await;
                if messages > 0.0 {
                    going_on.push(format!("{messages} {event} in flight"));
                }
            }
        }
        going_on
    }

    /// Writes what vendor and dead-letter queue know by now into the ledger.
    async fn collect(&mut self) {
        self.ledger.called(&self.fake.calls(), self.fake.violations());
        while let Some(found) = self.vhost.take_now(DEAD_LETTERS).await {
            self.ledger.dead_lettered(&found);
        }
    }

    /// Stops every daemon, looks into every queue and draws up the account. What was in work comes
    /// back with the end of the consumers.
    pub async fn end(&mut self) -> Account {
        loop {
            self.stop_daemon().await;
            // That was no interruption of anything, or it shows in the queues.
            self.ledger.interruptions -= 1;
            self.daemon = self.replicas.pop();
            if self.daemon.is_none() {
                break;
            }
        }
        for lane in [OFFBOARDED, UNBLOCK] {
            eventually(&format!("{lane} has no consumer any more"), async || {
                let (_, consumers) = self.vhost.depth(lane).await.unwrap_or_default();
                (consumers == 0).then_some(())
            })
            .await;
        }
        for queue in queues() {
            while let Some(found) = self.vhost.take_now(&queue).await {
                self.ledger.queued(&found);
            }
        }
        self.collect().await;
        let trail = self.trail.as_ref().map(|trail| trail.compare(&self.fake.calls()));
        self.ledger.trail = trail.unwrap_or_default();
        self.ledger.account()
    }
}

/// Every queue that a message can wait in; the rungs first, since what they hold goes to the lanes.
fn queues() -> Vec<String> {
    let rung = |delay: &&str| [OFFBOARDED, UNBLOCK].map(|lane| format!("{lane}.retry.{delay}"));
    let rungs = LADDER.iter().flat_map(rung);
    rungs.chain([OFFBOARDED.to_owned(), UNBLOCK.to_owned()]).collect()
}
