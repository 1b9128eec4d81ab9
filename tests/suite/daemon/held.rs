//! No delivery is held for longer than 25 minutes, because the broker closes the channel after 30:
//! by a clock that the tests put forward.

use crate::support::broker::{DEAD_LETTERS, UNBLOCK};
use crate::support::node::Node;
use crate::support::wire::{Hold, Method, Wire};
use crate::support::within::Within;
use crate::support::{DEADLINE, eventually};
use fake_mimecast::{Fault, FaultKind};
use lapin::BasicProperties;
use std::time::Duration;

/// A little less than the promise: what is to be done by then begins now.
const NEARLY_TOO_LONG: Duration = Duration::from_mins(24);

const REQUEUED: &str =
    r#"eventd_messages_settled_total{disposition="requeue",event="url.unblock"}"#;
const PAUSED: &str = r#"eventd_lane_state{event="url.unblock",state="paused"}"#;

fn is_settlement(method: &Method) -> bool {
    matches!(method, Method::Ack | Method::Nack { .. } | Method::Reject { .. })
}

/// Publishes one message of so many commands, and waits for its first call.
async fn unblock(within: &Within, commands: usize) {
    let ids: Vec<String> = (0..commands).map(|number| format!("entry-{number}")).collect();
    let body = serde_json::json!({ "ids": ids }).to_string();
    within.vhost.publish("url.unblock", body.as_bytes(), BasicProperties::default()).await;
    within.fake.wait_for_calls(1, DEADLINE).await;
}

/// Insists that the one delivery is settled by a copy at the end of its queue, and no other way.
async fn expect_parked(within: Within, wire: &Wire) {
    let settled = wire.wait_for("ack", 1, is_settlement).await;
    assert_eq!(settled[0].method, Method::Ack, "a copy, and then the ack");
    within.wait_for_metric(REQUEUED, 1.0).await;
    let (vhost, _fake) = within.stop().await;
    vhost.wait_for_depth(DEAD_LETTERS, 0).await;
    vhost.wait_for_depth(UNBLOCK, 1).await;
}

#[tokio::test]
async fn a_message_that_waits_for_the_quota_is_parked_before_the_broker_loses_its_patience() {
    let wire = Wire::to(Node::shared().authority()).await;
    let within = Within::by(&wire.authority(), &[]).await;
    let throttle = FaultKind::Throttle { reset_milliseconds: Some(200), retry_after: None };
    within.fake.inject(Fault::always(throttle));
    unblock(&within, 1).await;
    within.fake.wait_for_calls(3, DEADLINE).await;
    assert_eq!(wire.client_said(is_settlement).len(), 0, "it is not held at all");
    within.pass(NEARLY_TOO_LONG).await;
    expect_parked(within, &wire).await;
}

#[tokio::test]
async fn a_message_of_an_outage_that_nobody_takes_a_copy_of_is_returned_in_time() {
    let wire = Wire::to(Node::shared().authority()).await;
    let own = [("BREAKER__INITIAL_PROBE_DELAY", "50ms"), ("BREAKER__MAX_PROBE_DELAY", "500ms")];
    let within = Within::by(&wire.authority(), &own).await;
    within.fake.inject(Fault::always(FaultKind::status(503)));
    wire.hold(Hold::Confirms);
    unblock(&within, 1).await;
    within.wait_for_metric(PAUSED, 1.0).await;
    let is_copy = |it: &Method| matches!(it, Method::Publish { mandatory: true, .. });
    wire.wait_for("publish", 1, is_copy).await;
    assert_eq!(wire.client_said(is_settlement).len(), 0, "it was given up before its time");
    within.pass(Duration::from_mins(21)).await;
    let settled = eventually("it is returned, after the waits for confirms", async || {
        within.pass(Duration::from_millis(500)).await;
        Some(wire.client_said(is_settlement)).filter(|settled| !settled.is_empty())
    })
    .await;
    assert_eq!(settled[0].method, Method::Nack { requeue: true });
    within.stop().await;
}

#[tokio::test]
async fn a_message_that_has_been_in_work_for_long_is_judged_and_nothing_else_begins_for_it() {
    let wire = Wire::to(Node::shared().authority()).await;
    let within = Within::by(&wire.authority(), &[("MIMECAST__TIMEOUT", "4m")]).await;
    within.fake.inject(Fault::always(FaultKind::Hang));
    unblock(&within, 20).await;
    // Long before the broker would lose its patience: others are to have their turn.
    within.pass(Duration::from_mins(11)).await;
    // No further attempt, and no further command, but the health call.
    within.fake.wait_for_calls(2, DEADLINE).await;
    let calls = within.fake.calls();
    let items: Vec<&str> = calls.iter().map(|call| call.item["id"].as_str().unwrap()).collect();
    assert_eq!((items.len(), items[0]), (2, "entry-0"));
    assert!(items[1].starts_with("mimecast-eventd-health-"), "{items:?}");
    within.pass(Duration::from_mins(5)).await;
    within.wait_for_metric(PAUSED, 1.0).await;
    within.wait_for_metric(REQUEUED, 1.0).await;
    within.stop().await;
}

#[tokio::test]
async fn a_message_whose_copy_nobody_takes_is_returned_before_the_broker_loses_its_patience() {
    let wire = Wire::to(Node::shared().authority()).await;
    let own = [("BREAKER__INITIAL_PROBE_DELAY", "50ms"), ("BREAKER__MAX_PROBE_DELAY", "500ms")];
    let within = Within::by(&wire.authority(), &own).await;
    within.vhost.refuse_dead_letters().await;
    let is_publish = |method: &Method| matches!(method, Method::Publish { mandatory: true, .. });
    within.vhost.publish("url.unblock", b"nonsense", BasicProperties::default()).await;
    wire.wait_for("publish", 3, is_publish).await;
    assert_eq!(wire.client_said(is_settlement).len(), 0, "it is not held at all");
    within.pass(NEARLY_TOO_LONG).await;
    let settled = wire.wait_for("nack", 1, is_settlement).await;
    assert_eq!(settled[0].method, Method::Nack { requeue: true });
    within.stop().await;
}

#[tokio::test]
async fn copies_are_waited_for_side_by_side_and_hold_up_no_good_message() {
    let wire = Wire::to(Node::shared().authority()).await;
    let own = [("BREAKER__INITIAL_PROBE_DELAY", "50ms"), ("BREAKER__MAX_PROBE_DELAY", "500ms")];
    let within = Within::by(&wire.authority(), &own).await;
    wire.hold(Hold::Confirms);
    let publish = async |body: &str| {
        within.vhost.publish("url.unblock", body.as_bytes(), BasicProperties::default()).await;
    };
    let tried = || {
        wire.client_said(|method| matches!(method, Method::Publish { mandatory: true, .. })).len()
    };
    for _ in 0..10 {
        publish("nonsense").await;
        within.pass(Duration::from_secs(6)).await;
    }
    eventually("each is tried, and none is confirmed", async || (tried() >= 10).then_some(()))
        .await;
    // Those that come behind them are applied meanwhile.
    within.fake.add_url("entry-1");
    publish(r#"{"id":"entry-1"}"#).await;
    eventually("the good one is applied", async || {
        within.pass(Duration::from_secs(1)).await;
        (!within.fake.has_url("entry-1")).then_some(())
    })
    .await;
    wire.hold(Hold::Nothing);
    within.vhost.wait_for_depth(DEAD_LETTERS, 10).await;
    within.vhost.wait_for_depth(UNBLOCK, 0).await;
    within.stop().await;
}

/// How many channels the daemon has open.
fn channels(wire: &Wire) -> usize {
    let said = |number: u16| wire.client_said(|method| *method == Method::Other(20, number)).len();
    said(10) - said(40) - said(41)
}

#[tokio::test]
async fn copies_that_nobody_confirms_keep_few_channels_and_each_is_sent_once() {
    let wire = Wire::to(Node::shared().authority()).await;
    let own = [
        ("BREAKER__INITIAL_PROBE_DELAY", "50ms"),
        ("BREAKER__MAX_PROBE_DELAY", "500ms"),
        ("EVENTS__URL_UNBLOCK__PREFETCH", "200"),
    ];
    let within = Within::by(&wire.authority(), &own).await;
    let before = channels(&wire);
    wire.hold(Hold::Confirms);
    for number in 0..150 {
        let body = format!("nonsense {number}");
        within.vhost.publish("url.unblock", body.as_bytes(), BasicProperties::default()).await;
    }
    let is_copy = |method: &Method| matches!(method, Method::Publish { mandatory: true, .. });
    wire.wait_for("publish", 64, is_copy).await;
    for _ in 0..20 {
        within.pass(Duration::from_secs(6)).await;
        within.metric(PAUSED).await;
    }
    let copies = wire.client_said(is_copy).len();
    assert!(copies <= 2 * 64, "{copies} copies were sent while none was confirmed");
    let opened = channels(&wire) - before;
    assert!(opened <= 2 * 64, "{opened} channels");
    wire.hold(Hold::Nothing);
    eventually("all become dead letters, each once", async || {
        within.pass(Duration::from_secs(1)).await;
        within.vhost.depth(DEAD_LETTERS).await.filter(|(messages, _)| *messages >= 150)
    })
    .await;
    within.vhost.wait_for_depth(DEAD_LETTERS, 150).await;
    within.vhost.wait_for_depth(UNBLOCK, 0).await;
    assert_eq!(wire.client_said(is_copy).len(), 150);
    within.stop().await;
}

#[tokio::test]
async fn a_delivery_that_is_returned_gives_up_the_channels_of_its_copies() {
    let wire = Wire::to(Node::shared().authority()).await;
    let own = [("BREAKER__INITIAL_PROBE_DELAY", "50ms"), ("BREAKER__MAX_PROBE_DELAY", "500ms")];
    let within = Within::by(&wire.authority(), &own).await;
    let before = channels(&wire);
    wire.hold(Hold::Confirms);
    for _ in 0..8 {
        within.vhost.publish("url.unblock", b"nonsense", BasicProperties::default()).await;
    }
    let is_copy = |method: &Method| matches!(method, Method::Publish { mandatory: true, .. });
    for round in 1..=2 {
        wire.wait_for("publish", 8 * round, is_copy).await;
        within.pass(Duration::from_mins(21)).await;
        eventually("all are returned", async || {
            within.pass(Duration::from_millis(500)).await;
            (wire.client_said(is_settlement).len() >= 8 * round).then_some(())
        })
        .await;
    }
    eventually("what they kept is given up", async || (channels(&wire) <= before).then_some(()))
        .await;
    wire.hold(Hold::Nothing);
    within.stop().await;
}
