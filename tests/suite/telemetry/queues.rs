//! What is shown of the daemon's own queues.

use crate::support::broker::{DEAD_LETTERS, OFFBOARDED, UNBLOCK, Vhost};
use crate::support::daemon::Daemon;
use crate::support::disturbed::Disturbed;
use crate::support::eventually;
use crate::support::node::Node;
use crate::support::program::run;
use crate::support::relay::Relay;
use crate::support::settings::{self, named};
use crate::support::world::World;
use fake_mimecast::{Credentials, FakeMimecast, Fault, FaultKind};
use lapin::BasicProperties;
use lapin::options::QueueDeclareOptions;
use std::collections::BTreeMap;

/// The queues are read every half a second.
const OFTEN: (&str, &str) = ("TIMINGS", "queue_depths=500ms");

fn of(queue: &str) -> String {
    format!("eventd_queue_messages{{queue=\"{queue}\"}}")
}

const GONE: &str = "a queue is gone, and whatever was in it is lost";
const UNKNOWN: &str = "how many messages wait there is not known";

/// With a daemon that makes nothing that is missing.
async fn verifying(mut world: World) -> World {
    world.variables.extend([named("AMQP__TOPOLOGY", "verify")]);
    world.restart_daemon().await;
    world
}

#[tokio::test]
async fn the_depth_of_every_queue_is_shown_and_what_it_is_for() {
    let world = World::with(&[("RETRY__LADDER", r#"["1h"]"#), OFTEN]).await;
    // Three that lie in their lane, one that waits, and two dead letters.
    run(&world.variables, &["pause", "user.offboarded"]).await;
    world
        .daemon
        .wait_for_metric(r#"eventd_lane_state{event="user.offboarded",state="paused"}"#, 1.0)
        .await;
    for number in 0..3 {
        world.offboard(&format!("e-{number}"), "ada@example.com", &["staff"]).await;
    }
    world.fake.inject(Fault::always(FaultKind::status(503)).for_item_containing("poison"));
    world
        .vhost
        .publish("url.unblock", br#"{"ids":["poison","entry-1"]}"#, BasicProperties::default())
        .await;
    for _ in 0..2 {
        world.vhost.publish("url.unblock", b"nonsense", BasicProperties::default()).await;
    }
    for (queue, messages) in [
        (OFFBOARDED.to_owned(), 3.0),
        (UNBLOCK.to_owned(), 0.0),
        (format!("{UNBLOCK}.retry.1h"), 1.0),
        (format!("{OFFBOARDED}.retry.1h"), 0.0),
        (format!("{UNBLOCK}.due.10s"), 0.0),
        (DEAD_LETTERS.to_owned(), 2.0),
    ] {
        world.daemon.wait_for_metric(&of(&queue), messages).await;
    }
    let (_, text) = world.daemon.get("/metrics").await;
    let info = text.lines().filter_map(|line| line.strip_prefix("eventd_queue_info{"));
    let mut purposes: BTreeMap<&str, u32> = BTreeMap::new();
    for line in info {
        let purpose = line.split("purpose=\"").nth(1).unwrap().split('"').next().unwrap();
        *purposes.entry(purpose).or_default() += 1;
    }
    assert_eq!(purposes, BTreeMap::from([("lane", 2), ("delay", 8), ("dead_letter", 1)]));
    let lane =
        format!("eventd_queue_info{{event=\"url.unblock\",purpose=\"lane\",queue=\"{UNBLOCK}\"}}");
    assert_eq!(world.daemon.metric(&lane).await, 1.0);
    let dead =
        format!("eventd_queue_info{{event=\"\",purpose=\"dead_letter\",queue=\"{DEAD_LETTERS}\"}}");
    assert_eq!(world.daemon.metric(&dead).await, 1.0);
}

#[tokio::test]
async fn what_may_not_be_looked_at_is_not_a_number_and_warned_of_once() {
    let vhost = Vhost::new().await;
    let fake = FakeMimecast::start(Credentials::default()).await;
    let mut variables = settings::hmac(&fake);
    variables.extend([named("AMQP__URL", &vhost.url), named(OFTEN.0, OFTEN.1)]);
    Daemon::start(&variables).await.wait_until_ready().await;
    variables.extend([named("AMQP__TOPOLOGY", "verify")]);
    let daemon = Daemon::start(&variables).await;
    daemon.wait_until_ready().await;
    // A queue that is there and read goes under the daemon's eyes, and the daemon may not make it again.
    let channel = vhost.channel().await;
    let unknown = of(&format!("{UNBLOCK}.due.1day"));
    daemon.wait_for_metric(&unknown, 0.0).await;
    channel.queue_delete(format!("{UNBLOCK}.due.1day").into(), Default::default()).await.unwrap();
    eventually("it is not a number", async || daemon.metric(&unknown).await.is_nan().then_some(()))
        .await;
    daemon.wait_for_logged(GONE, 1).await;
    let told = daemon.logged(GONE);
    assert!(told[0]["why"].as_str().unwrap().starts_with("NOT_FOUND"), "{told:?}");
    // The looks go on, at the others and at this one, and nothing more is said. The other lane does not look
    // at this queue of its neighbour, and between two looks that see it grow stands one at the one that is gone.
    let neighbour = format!("{UNBLOCK}.due.10m");
    for messages in [1.0, 2.0] {
        vhost.publish_to("", &neighbour, b"nonsense", BasicProperties::default()).await;
        daemon.wait_for_metric(&of(&neighbour), messages).await;
    }
    assert!(daemon.metric(&unknown).await.is_nan());
    daemon.wait_for_logged(UNKNOWN, 1).await;
    assert_eq!((daemon.logged(GONE).len(), daemon.logged(UNKNOWN).len()), (1, 1));
    assert_eq!(daemon.metric(r#"eventd_amqp_connections_total{event="url.unblock"}"#).await, 1.0);
}

#[tokio::test]
async fn a_queue_that_the_broker_shows_to_nobody_without_a_permission_is_not_a_number() {
    let vhost = Vhost::new().await;
    let fake = FakeMimecast::start(Credentials::default()).await;
    let mut variables = settings::hmac(&fake);
    let buried = named("AMQP__DEAD_LETTER_QUEUE", "buried");
    variables.extend([named("AMQP__URL", &vhost.url), named(OFTEN.0, OFTEN.1), buried]);
    Daemon::start(&variables).await.wait_until_ready().await;
    let write = r"^(amq\.default|mimecast-eventd\.dead-letter)$";
    let url = vhost.url_of_user("", write, r"^mimecast-eventd\.(user|url)\.").await;
    variables.extend([named("AMQP__URL", &url), named("AMQP__TOPOLOGY", "verify")]);
    let daemon = Daemon::start(&variables).await;
    daemon.wait_until_ready().await;
    daemon.wait_for_metric(&of(UNBLOCK), 0.0).await;
    if Node::shared().version() < (4, 3) {
        // Older brokers show everything to everybody.
        daemon.wait_for_metric(&of("buried"), 0.0).await;
        return;
    }
    let warned = eventually("it is warned of", async || {
        Some(daemon.logged(UNKNOWN)).filter(|said| !said.is_empty())
    })
    .await;
    assert!(warned[0]["why"].as_str().unwrap().starts_with("ACCESS_REFUSED"), "{warned:?}");
    assert!(warned.iter().all(|line| line["queue"] == "buried"), "{warned:?}");
    assert!(daemon.metric(&of("buried")).await.is_nan());
}

#[tokio::test]
async fn a_refusal_that_the_broker_cuts_inside_a_character_costs_no_connection() {
    if Node::shared().version() >= (4, 0) {
        // Those end the connection themselves, with INTERNAL_ERROR, over each refusal with such a name.
        return;
    }
    // So long that the broker cuts its text after 252 bytes, in the middle of a character.
    let name = format!("a{}", "é".repeat(127));
    let world = World::with(&[OFTEN, ("AMQP__DEAD_LETTER_QUEUE", &name)]).await;
    let world = verifying(world).await;
    world.daemon.wait_for_metric(&of(&name), 0.0).await;
    let channel = world.vhost.channel().await;
    channel.queue_delete(name.as_str().into(), Default::default()).await.unwrap();
    let warned = eventually("it is told", async || {
        let warned = world.daemon.logged(GONE);
        Some(warned).filter(|warned| !warned.is_empty())
    })
    .await;
    let why = warned[0]["why"].as_str().unwrap();
    assert!(why.starts_with("NOT_FOUND - no queue 'aé") && why.ends_with("é?..."), "{why}");
    for number in 0..5 {
        world.offboard(&format!("e-{number}"), "ada@example.com", &["staff"]).await;
    }
    world.daemon.settled(5).await;
    for event in ["user.offboarded", "url.unblock"] {
        let connections = format!("eventd_amqp_connections_total{{event=\"{event}\"}}");
        assert_eq!(world.daemon.metric(&connections).await, 1.0);
    }
    assert!(world.daemon.logged("the session ended").is_empty());
}

#[tokio::test]
async fn queues_that_are_missing_for_long_cost_the_lanes_no_channel_and_the_others_no_depth() {
    let node = Disturbed::node().await;
    // lapin returns the error of a closed channel to whoever gets its number next, and begins again after this one.
    node.running().evaluate("application:set_env(rabbit, channel_max, 8).");
    let often =
        [("TIMINGS", "queue_depths=100ms,refused_look=200ms"), ("RETRY__LADDER", r#"["1h"]"#)];
    let world = World::start(Vhost::on(node.running()).await, settings::hmac, &often).await;
    let world = verifying(world).await;
    let due = |delay: &str| format!("{UNBLOCK}.due.{delay}");
    let missing = [due("10s"), due("10m"), due("1day"), format!("{UNBLOCK}.retry.1h")];
    for queue in &missing {
        world.daemon.wait_for_metric(&of(queue), 0.0).await;
    }
    let channel = world.vhost.channel().await;
    for queue in &missing {
        channel.queue_delete(queue.as_str().into(), Default::default()).await.unwrap();
    }
    for unknown in missing.iter().map(|queue| of(queue)) {
        eventually("it is not a number", async || {
            world.daemon.metric(&unknown).await.is_nan().then_some(())
        })
        .await;
    }
    // Each of them is asked for again and again, far more often than there are channels.
    let looks = r#"eventd_queue_messages{queue="mimecast-eventd.dead-letter"}"#;
    for number in 1..=20 {
        world.publish("url.unblock", "nonsense").await;
        world.daemon.wait_for_metric(looks, f64::from(number)).await;
        let unknown = &of(&missing[number as usize % missing.len()]);
        assert!(world.daemon.metric(unknown).await.is_nan());
    }
    // They come back, and are seen without a new session.
    for queue in &missing {
        let durable = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
        channel.queue_declare(queue.as_str().into(), durable, Default::default()).await.unwrap();
        world.daemon.wait_for_metric(&of(queue), 0.0).await;
    }
    let connections = r#"eventd_amqp_connections_total{event="url.unblock"}"#;
    assert_eq!(world.daemon.metric(connections).await, 1.0);
    node.running().evaluate("application:set_env(rabbit, channel_max, 2047).");
}

#[tokio::test]
async fn without_a_connection_nothing_is_known() {
    let relay = Relay::to(Node::shared().authority()).await;
    let world = World::by(&relay.authority(), &[OFTEN]).await;
    let all = [UNBLOCK, OFFBOARDED, DEAD_LETTERS];
    for queue in all {
        world.daemon.wait_for_metric(&of(queue), 0.0).await;
    }
    relay.refuse();
    eventually("nothing is known", async || {
        for queue in all {
            if !world.daemon.metric(&of(queue)).await.is_nan() {
                return None;
            }
        }
        Some(())
    })
    .await;
    relay.open();
    world.daemon.wait_for_metric(&of(UNBLOCK), 0.0).await;
}
