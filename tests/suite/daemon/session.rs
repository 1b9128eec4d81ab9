//! Sessions with the broker: each way in which one ends, and that the next one takes over.

use crate::support::broker::{DEAD_LETTERS, UNBLOCK, Vhost};
use crate::support::daemon::Daemon;
use crate::support::node::Node;
use crate::support::relay::Relay;
use crate::support::settings::{self, named};
use crate::support::wire::{Hold, Method, Wire};
use crate::support::within::{Within, fresh};
use crate::support::world::World;
use crate::support::{DEADLINE, eventually};
use fake_mimecast::{FakeMimecast, Fault, FaultKind};
use lapin::options::{BasicGetOptions, BasicNackOptions, QueueDeleteOptions};
use serde_json::Value;
use std::time::Duration;

#[tokio::test]
async fn a_connection_that_is_cut_is_made_anew_and_the_message_comes_again() {
    let relay = Relay::to(Node::shared().authority()).await;
    let world = World::by(&relay.authority(), &[]).await;
    world.fake.add_url("entry-1");
    world.fake.inject(Fault::next(FaultKind::Hold));
    world.unblock("e-1", "entry-1").await;
    world.fake.wait_for_calls(1, DEADLINE).await;
    relay.cut();

    let settled = r#"eventd_messages_settled_total{disposition="ack",event="url.unblock"}"#;
    world.daemon.wait_for_metric(settled, 1.0).await;
    assert!(!world.fake.has_url("entry-1"));
    // The first handling goes on to its end, and its ack has nowhere to go.
    assert_eq!(world.daemon.metric(r#"eventd_settle_lost_total{event="url.unblock"}"#).await, 0.0);
    world.fake.release();
    world.daemon.wait_for_metric(r#"eventd_settle_lost_total{event="url.unblock"}"#, 1.0).await;
    world
        .daemon
        .wait_for_metric(r#"eventd_amqp_connections_total{event="url.unblock"}"#, 2.0)
        .await;
    world.daemon.wait_for_metric(r#"eventd_amqp_connected{event="url.unblock"}"#, 1.0).await;
    world.vhost.wait_for_depth(UNBLOCK, 0).await;
}

#[tokio::test]
async fn operators_see_whose_connections_they_are() {
    let world = World::hmac().await;
    eventually("the broker shows two connections of each lane", async || {
        let names = world.vhost.connection_names().await;
        (names.iter().filter(|name| *name == "mimecast-eventd").count() == 4).then_some(())
    })
    .await;
}

#[tokio::test]
async fn messages_that_somebody_has_looked_at_are_done_side_by_side() {
    let mut world = World::hmac().await;
    world.daemon.signal("TERM");
    assert_eq!(world.daemon.ended().await, Some(0));
    for number in 0..8 {
        world.unblock(&format!("e-{number}"), &format!("entry-{number}")).await;
    }
    // As the management UI does.
    let channel = world.vhost.channel().await;
    for _ in 0..8 {
        let got = channel.basic_get(UNBLOCK.into(), BasicGetOptions::default()).await.unwrap();
        assert!(got.is_some());
    }
    channel.basic_nack(0, BasicNackOptions { multiple: true, requeue: true }).await.unwrap();
    world.vhost.wait_for_depth(UNBLOCK, 8).await;
    world.fake.inject(Fault::always(FaultKind::Hold).for_item_containing("entry-"));
    world.restart_daemon().await;
    // The health call, and all of them while none has ended.
    world.fake.wait_for_calls(1 + 8, DEADLINE).await;
    world.fake.heal();
    world.fake.release();
    world.vhost.wait_for_depth(UNBLOCK, 0).await;
    let acked = r#"eventd_messages_settled_total{disposition="ack",event="url.unblock"}"#;
    world.daemon.wait_for_metric(acked, 8.0).await;
}

#[tokio::test]
async fn a_queue_that_is_deleted_is_declared_again_and_named_with_what_was_in_it() {
    for (queue, first, second) in [
        (DEAD_LETTERS.to_owned(), "nonsense-1", "nonsense-2"),
        (format!("{UNBLOCK}.retry.10s"), r#"{"id":"poison-1"}"#, r#"{"id":"poison-2"}"#),
    ] {
        let world = World::with(&[("RETRY__LADDER", r#"["10s", "1h"]"#)]).await;
        let down = Fault::always(FaultKind::status(503)).for_item_containing("poison");
        world.fake.inject(down);
        world.publish_bare("url.unblock", first).await;
        eventually("its depth is seen", async || {
            let metrics = world.daemon.get("/metrics").await.1;
            let seen = |line: &&str| {
                line.starts_with("eventd_queue_messages{") && line.contains(&format!("{queue:?}"))
            };
            metrics.lines().find(seen)?.ends_with(" 1").then_some(())
        })
        .await;
        let channel = world.vhost.channel().await;
        channel.queue_delete(queue.as_str().into(), QueueDeleteOptions::default()).await.unwrap();
        world.publish_bare("url.unblock", second).await;
        world.unblock("e-1", "entry-1").await;
        eventually("the next copy is there", async || {
            (world.vhost.depth(&queue).await?.0 == 1).then_some(())
        })
        .await;
        let acked = r#"eventd_messages_settled_total{disposition="ack",event="url.unblock"}"#;
        world.daemon.wait_for_metric(acked, 1.0).await;
        world.daemon.wait_until_ready().await;
        let gone = world.daemon.logged("a queue is gone, and whatever was in it is lost");
        let is_told = |line: &Value| line["queue"] == *queue && line["messages_before"] == 1;
        assert!(gone.iter().any(is_told), "{gone:?}");
        assert!(gone.iter().all(|line| line["level"] == "ERROR"));
        assert_eq!(world.daemon.logged("the session ended").len(), 0);
    }
}

#[tokio::test]
async fn a_link_that_is_half_open_is_given_up_after_two_heartbeats() {
    let relay = Relay::to(Node::shared().authority()).await;
    let world = World::by(&relay.authority(), &[("AMQP__HEARTBEAT", "1s")]).await;
    relay.freeze();
    world.daemon.wait_for_metric(r#"eventd_amqp_connected{event="url.unblock"}"#, 0.0).await;
    assert_eq!(world.daemon.get("/readyz").await.0, 503);
    relay.cut();
    relay.open();
    world.daemon.wait_until_ready().await;
    world.unblock("e-1", "entry-1").await;
    assert_eq!(world.daemon.settled(1).await[0]["disposition"], "ack");
}

#[tokio::test]
async fn a_paused_lane_that_loses_its_connection_says_of_what() {
    let wire = Wire::to(Node::shared().authority()).await;
    let relay = Relay::to(&wire.authority()).await;
    let own = [("BREAKER__INITIAL_PROBE_DELAY", "5m"), ("BREAKER__MAX_PROBE_DELAY", "5m")];
    let world = World::by(&relay.authority(), &own).await;
    world.fake.inject(Fault::always(FaultKind::status(503)));
    world.unblock("e-1", "entry-1").await;
    let paused = r#"eventd_lane_state{event="url.unblock",state="paused"}"#;
    world.daemon.wait_for_metric(paused, 1.0).await;
    let is_cancelled = |method: &Method| *method == Method::Other(60, 31);
    wire.wait_for_broker("it consumes no more", is_cancelled).await;
    relay.cut();
    let ended = eventually("its session ends", async || {
        let mut ended = world.daemon.logged("the session ended").into_iter();
        ended.find(|ended| ended["event"] == "url.unblock")
    })
    .await;
    let cause = ended["error"].as_str().unwrap().strip_prefix("lost the broker: ");
    assert!(cause.is_some_and(|cause| !cause.is_empty()), "{ended}");
}

#[tokio::test]
async fn a_consumer_that_is_cancelled_by_the_broker_comes_back() {
    let world = World::hmac().await;
    let channel = world.vhost.channel().await;
    channel.queue_delete(UNBLOCK.into(), QueueDeleteOptions::default()).await.unwrap();
    let ended = eventually("the daemon tells of it", async || {
        world.daemon.logged("the session ended").first().cloned()
    })
    .await;
    assert!(ended["error"].as_str().unwrap().contains(UNBLOCK), "{ended}");
    world.vhost.wait_for_consumer(UNBLOCK).await;
    world.daemon.wait_until_ready().await;
    world.unblock("e-1", "entry-1").await;
    assert_eq!(world.daemon.settled(1).await[0]["disposition"], "ack");
}

#[tokio::test]
async fn a_broker_that_is_not_there_is_waited_for_and_one_that_dies_is_found_again() {
    let (relay, vhost) = (Relay::to(Node::shared().authority()).await, Vhost::new().await);
    let fake = FakeMimecast::start(fake_mimecast::Credentials::default()).await;
    let mut variables = settings::hmac(&fake);
    variables.extend([named("AMQP__URL", &vhost.url_by(&relay.authority()))]);
    relay.refuse();

    let daemon = Daemon::start(&variables).await;
    let cannot = "user.offboarded disconnected: cannot connect to the broker";
    eventually("the lane says that it cannot connect", async || {
        Some(daemon.get("/readyz").await)
            .filter(|(status, why)| *status == 503 && why.contains(cannot))
    })
    .await;
    assert_eq!(daemon.get("/livez").await.0, 200);
    assert_eq!(daemon.metric(r#"eventd_amqp_connected{event="url.unblock"}"#).await, 0.0);

    relay.open();
    daemon.wait_until_ready().await;
    relay.refuse();
    daemon.wait_for_metric(r#"eventd_amqp_connected{event="url.unblock"}"#, 0.0).await;
    relay.open();
    daemon.wait_until_ready().await;
    daemon.wait_for_metric(r#"eventd_amqp_connections_total{event="url.unblock"}"#, 2.0).await;
}

#[tokio::test]
async fn a_broker_that_says_nothing_at_all_is_given_up_and_tried_again() {
    let wire = Wire::to(Node::shared().authority()).await;
    wire.hold(Hold::Everything);
    let within = Within::unready(&wire.authority(), &[], fresh).await;
    // The answer to the client's first word, which it never hears.
    let is_start = |method: &Method| *method == Method::Other(10, 10);
    wire.wait_for_broker("the broker is asked", is_start).await;
    within.pass(Duration::from_secs(31)).await;
    let (status, why) = eventually("the daemon gives up", async || {
        within.get("/readyz").await.filter(|(_, why)| why.contains("no answer in time"))
    })
    .await;
    assert_eq!(status, 503, "{why}");
    wire.hold(Hold::Nothing);
    eventually("it is tried again", async || {
        within.get("/readyz").await.filter(|(status, _)| *status == 200)
    })
    .await;
    assert!(wire.broker_said(is_start).iter().any(|start| start.connection > 0));
    within.stop().await;
}

#[tokio::test]
async fn a_broker_that_falls_silent_while_queues_are_set_up_is_given_up_and_tried_again() {
    let wire = Wire::to(Node::shared().authority()).await;
    wire.hold(Hold::Declarations);
    let within = Within::unready(&wire.authority(), &[], fresh).await;
    let is_declared = |method: &Method| *method == Method::Other(50, 11);
    wire.wait_for_broker("the broker declares a queue", is_declared).await;
    within.pass(Duration::from_secs(31)).await;
    let (status, why) = eventually("the daemon gives up", async || {
        within.get("/readyz").await.filter(|(_, why)| why.contains("no answer while queues"))
    })
    .await;
    assert_eq!(status, 503, "{why}");
    wire.hold(Hold::Nothing);
    eventually("it is tried again", async || {
        within.get("/readyz").await.filter(|(status, _)| *status == 200)
    })
    .await;
    within.stop().await;
}

#[tokio::test]
async fn between_sessions_there_is_a_wait_and_it_is_the_one_that_is_told() {
    let relay = Relay::to(Node::shared().authority()).await;
    let own = [("TIMINGS", "first_reconnect=100ms,last_reconnect=1s")];
    let world = World::by(&relay.authority(), &own).await;
    relay.refuse();
    let ends = eventually("it tries for the sixth time", async || {
        let ends = world.daemon.logged("the session ended").into_iter();
        let ends: Vec<Value> = ends.filter(|end| end["event"] == "url.unblock").collect();
        Some(ends).filter(|ends| ends.len() >= 6)
    })
    .await;
    let at = |end: &Value| {
        let text = end["timestamp"].as_str().unwrap();
        chrono::DateTime::parse_from_rfc3339(text).unwrap()
    };
    let mut waits = 0;
    for (end, next) in ends.iter().zip(&ends[1..]) {
        let wait = end["again_in_ms"].as_i64().unwrap();
        let waited = (at(next) - at(end)).num_milliseconds();
        // Both are rounded to milliseconds, each in its own way.
        assert!(waited + 2 >= wait, "waited for {waited} ms, and said {wait} ms");
        assert!(wait <= 1_000);
        waits += wait;
    }
    // Five waits of up to 0.1, 0.2, 0.4, 0.8 and 1 s: by chance they are not all next to nothing.
    assert!(waits > 10, "waits of {waits} ms in all");
    assert_eq!(world.daemon.metric(r#"eventd_amqp_connected{event="url.unblock"}"#).await, 0.0);
    relay.open();
    world.daemon.wait_until_ready().await;
    for event in ["user.offboarded", "url.unblock"] {
        for (state, value) in [("consuming", 1.0), ("disconnected", 0.0), ("paused", 0.0)] {
            let series = format!(r#"eventd_lane_state{{event="{event}",state="{state}"}}"#);
            assert_eq!(world.daemon.metric(&series).await, value, "{series}");
        }
    }
}

#[tokio::test]
async fn the_waits_between_sessions_begin_anew_after_a_settlement_and_not_after_a_connection() {
    let wire = Wire::to(Node::shared().authority()).await;
    let shorter = ("TIMINGS", "first_reconnect=100ms,last_reconnect=1s");
    let own = [("EVENTS__URL_UNBLOCK__DELIVERY_LIMIT", "1000"), shorter];
    let world = World::by(&wire.authority(), &own).await;
    let waits = || {
        let ends = world.daemon.logged("the session ended").into_iter();
        let waits = ends.filter(|end| end["event"] == "url.unblock");
        waits.map(|end| end["again_in_ms"].as_i64().unwrap()).collect::<Vec<_>>()
    };
    // Each session connects, is handed the message, and dies of it.
    wire.cut_on("KILLER");
    world.unblock("KILLER", "entry-1").await;
    eventually("a wait is longer than the shortest can be", async || {
        waits().into_iter().find(|wait| *wait > 100)
    })
    .await;
    for round in 1..=4 {
        wire.cut_on("nothing that anybody says");
        world.daemon.settled(round).await;
        let before = waits().len();
        wire.cut_on("KILLER");
        world.unblock("KILLER", "entry-1").await;
        let wait = eventually("another session ends", async || waits().get(before).copied()).await;
        assert!(wait <= 100, "{wait} ms after a session that has settled something");
    }
}

#[tokio::test]
async fn a_broker_that_is_away_leaves_every_lane_disconnected_and_nothing_else() {
    let relay = Relay::to(Node::shared().authority()).await;
    let world = World::by(&relay.authority(), &[]).await;
    relay.refuse();
    for event in ["user.offboarded", "url.unblock"] {
        for (state, value) in [("disconnected", 1.0), ("consuming", 0.0), ("paused", 0.0)] {
            let series = format!(r#"eventd_lane_state{{event="{event}",state="{state}"}}"#);
            world.daemon.wait_for_metric(&series, value).await;
        }
    }
    world.daemon.wait_for_metric(r#"eventd_amqp_connected{event="url.unblock"}"#, 0.0).await;
    let (status, why) = world.daemon.get("/readyz").await;
    assert_eq!(status, 503);
    assert!(why.contains("url.unblock disconnected: "), "{why}");
    assert!(why.contains("user.offboarded disconnected: "), "{why}");
    assert_eq!(world.daemon.get("/livez").await, (200, "ok\n".into()));
}
