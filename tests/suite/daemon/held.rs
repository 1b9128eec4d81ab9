//! No delivery is held for longer than 25 minutes, because the broker closes the channel after 30:
//! by a clock that the tests put forward.

use crate::support::broker::{DEAD_LETTERS, UNBLOCK};
use crate::support::node::Node;
use crate::support::wire::{Hold, Method, Wire};
use crate::support::within::Within;
use crate::support::{DEADLINE, eventually};
use fake_mimecast::{Fault, FaultKind};
use futures_util::StreamExt;
use lapin::BasicProperties;
use lapin::options::{BasicAckOptions, BasicConsumeOptions};
use lapin::types::FieldTable;
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
async fn a_suspect_is_parked_before_the_broker_loses_its_patience() {
    let wire = Wire::to(Node::shared().authority()).await;
    let own = [("BREAKER__INITIAL_PROBE_DELAY", "50ms"), ("BREAKER__MAX_PROBE_DELAY", "500ms")];
    let within = Within::by(&wire.authority(), &own).await;
    within.fake.inject(Fault::always(FaultKind::status(503)));
    unblock(&within, 1).await;
    within.wait_for_metric(PAUSED, 1.0).await;
    let calls = within.fake.changes_called();
    within.fake.wait_for_calls(calls + 3, DEADLINE).await;
    assert_eq!(wire.client_said(is_settlement).len(), 0, "it is not held at all");
    within.pass(NEARLY_TOO_LONG).await;
    expect_parked(within, &wire).await;
}

#[tokio::test]
async fn a_lane_whose_suspect_another_replica_took_goes_on() {
    let own = [("BREAKER__INITIAL_PROBE_DELAY", "50ms"), ("BREAKER__MAX_PROBE_DELAY", "500ms")];
    let within = Within::by(Node::shared().authority(), &own).await;
    within.fake.inject(Fault::always(FaultKind::status(503)));
    unblock(&within, 1).await;
    within.wait_for_metric(PAUSED, 1.0).await;
    let channel = within.vhost.channel().await;
    let (options, arguments) = (BasicConsumeOptions::default(), FieldTable::default());
    let mut replica =
        channel.basic_consume(UNBLOCK.into(), "replica".into(), options, arguments).await.unwrap();
    within.pass(Duration::from_mins(11)).await;
    let parked = replica.next().await.unwrap().unwrap();
    within.wait_for_metric(PAUSED, 0.0).await;
    parked.ack(BasicAckOptions::default()).await.unwrap();
    let (vhost, _fake) = within.stop().await;
    vhost.wait_for_depth(UNBLOCK, 0).await;
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
async fn a_probe_that_nobody_takes_a_copy_of_is_returned_before_the_broker_loses_its_patience() {
    let wire = Wire::to(Node::shared().authority()).await;
    let own = [("BREAKER__INITIAL_PROBE_DELAY", "50ms"), ("BREAKER__MAX_PROBE_DELAY", "500ms")];
    let within = Within::by(&wire.authority(), &own).await;
    within.fake.inject(Fault::always(FaultKind::status(503)));
    unblock(&within, 1).await;
    within.wait_for_metric(PAUSED, 1.0).await;
    // Past its time as a suspect it is to be parked, and no copy is confirmed.
    wire.hold(Hold::Confirms);
    within.pass(Duration::from_mins(11)).await;
    wire.wait_for("publish", 1, |it| matches!(it, Method::Publish { mandatory: true, .. })).await;
    // Late in its life it is the probe once more, and the vendor asks to wait.
    within.fake.heal();
    let throttle = FaultKind::Throttle { reset_milliseconds: Some(3_600_000), retry_after: None };
    within.fake.inject(Fault::always(throttle));
    let called = within.fake.changes_called();
    within.pass(Duration::from_mins(7)).await;
    within.fake.wait_for_calls(called + 1, DEADLINE).await;
    assert_eq!(wire.client_said(is_settlement).len(), 0, "it was given up before its time");
    within.pass(Duration::from_mins(5)).await;
    let settled = eventually("it is returned, after the waits for confirms", async || {
        within.pass(Duration::from_secs(31)).await;
        Some(wire.client_said(is_settlement)).filter(|settled| !settled.is_empty())
    })
    .await;
    assert_eq!(settled[0].method, Method::Nack { requeue: true });
    // It did not wait for the vendor beyond its own time.
    assert_eq!(within.fake.calls().len(), called + 1);
    within.stop().await;
}

#[tokio::test]
async fn nothing_new_begins_for_a_message_that_has_been_in_work_for_long() {
    let wire = Wire::to(Node::shared().authority()).await;
    let within = Within::by(&wire.authority(), &[("MIMECAST__TIMEOUT", "4m")]).await;
    within.fake.inject(Fault::always(FaultKind::Hang));
    unblock(&within, 20).await;
    // Long before the broker would lose its patience: others are to have their turn.
    within.pass(Duration::from_mins(11)).await;
    within.wait_for_metric(PAUSED, 1.0).await;
    assert_eq!(within.fake.calls().len(), 1, "no further attempt, and no further command");
    within.stop().await;
}

#[tokio::test]
async fn a_message_whose_copy_nobody_takes_is_returned_before_the_broker_loses_its_patience() {
    let wire = Wire::to(Node::shared().authority()).await;
    let own = [("BREAKER__INITIAL_PROBE_DELAY", "50ms"), ("BREAKER__MAX_PROBE_DELAY", "500ms")];
    let within = Within::by(&wire.authority(), &own).await;
    within.vhost.unbind_dead_letters().await;
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
async fn of_messages_whose_copies_nobody_takes_one_is_tried_and_the_others_wait() {
    const NAME: &str = "com.example.url.unblock.v1";
    let wire = Wire::to(Node::shared().authority()).await;
    let own = [("EVENTS__URL_UNBLOCK__TYPES", &*format!("[{NAME:?}]"))];
    let within = Within::by(&wire.authority(), &own).await;
    within.vhost.unbind_dead_letters().await;
    for name in [NAME, "url.unblock"] {
        within.vhost.publish(name, b"nonsense", BasicProperties::default()).await;
    }
    let tried = |name: &str| {
        wire.client_said(
            |method| matches!(method, Method::Publish { routing_key, .. } if routing_key == name),
        )
        .len()
    };
    eventually("both were tried, and one of them again and again", async || {
        let (one, other) = (tried(NAME), tried("url.unblock"));
        (one.min(other) >= 1 && one.max(other) >= 6).then_some(())
    })
    .await;
    // Each try can take as long as a confirm, and nobody is probed with meanwhile.
    assert_eq!(tried(NAME).min(tried("url.unblock")), 1);

    within.vhost.bind_dead_letters().await;
    within.vhost.wait_for_depth(DEAD_LETTERS, 2).await;
    within.vhost.wait_for_depth(UNBLOCK, 0).await;
    within.stop().await;
}
