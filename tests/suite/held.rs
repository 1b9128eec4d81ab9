//! No delivery is held for longer than 25 minutes, because the broker closes the channel after 30:
//! by a clock that the tests advance.

use crate::support::DEADLINE;
use crate::support::broker::{DEAD_LETTERS, UNBLOCK};
use crate::support::node::Node;
use crate::support::wire::{Method, Wire};
use crate::support::within::Within;
use fake_mimecast::{Fault, FaultKind};
use std::time::Duration;

/// The promise.
const HELD_AT_MOST: Duration = Duration::from_mins(25);

const REQUEUED: &str =
    r#"eventd_messages_settled_total{disposition="requeue",event="url.unblock"}"#;
const PAUSED: &str = r#"eventd_lane_state{event="url.unblock",state="paused"}"#;

fn is_settlement(method: &Method) -> bool {
    matches!(method, Method::Ack | Method::Nack { .. } | Method::Reject { .. })
}

async fn unblock(within: &Within) {
    let properties = lapin::BasicProperties::default();
    within.vhost.publish("url.unblock", br#"{"id":"entry-1"}"#, properties).await;
}

/// Lets time pass in small steps, with a moment for everybody to act in each, until the delivery is
/// settled.
async fn settled_in_time(within: &Within, wire: &Wire) {
    let step = Duration::from_secs(10);
    let mut held = Duration::ZERO;
    while wire.client_said(is_settlement).is_empty() {
        assert!(held < HELD_AT_MOST, "the delivery is held for longer");
        within.pass(step).await;
        held += step;
        within.get("/metrics").await.expect("the daemon lives");
    }
}

#[tokio::test]
async fn a_suspect_is_parked_before_the_broker_loses_its_patience() {
    let wire = Wire::to(Node::shared().authority()).await;
    let own = [("BREAKER__INITIAL_PROBE_DELAY", "2m"), ("BREAKER__MAX_PROBE_DELAY", "2m")];
    let within = Within::by(&wire.authority(), &own).await;
    within.fake.inject(Fault::always(FaultKind::status(503)));
    unblock(&within).await;
    within.wait_for_metric(PAUSED, 1.0).await;
    settled_in_time(&within, &wire).await;
    within.wait_for_metric(REQUEUED, 1.0).await;
    assert_eq!(wire.client_said(is_settlement)[0].method, Method::Ack, "a copy, and then the ack");
    within.fake.heal();
    let (vhost, _fake) = within.stop().await;
    vhost.wait_for_depth(DEAD_LETTERS, 0).await;
    vhost.wait_for_depth(UNBLOCK, 1).await;
}

#[tokio::test]
async fn a_message_that_waits_for_the_quota_is_parked_before_the_broker_loses_its_patience() {
    let wire = Wire::to(Node::shared().authority()).await;
    let within = Within::by(&wire.authority(), &[]).await;
    let throttle =
        FaultKind::Throttle { reset_milliseconds: None, retry_after: Some("120".into()) };
    within.fake.inject(Fault::always(throttle));
    unblock(&within).await;
    within.fake.wait_for_calls(1, DEADLINE).await;
    settled_in_time(&within, &wire).await;
    within.wait_for_metric(REQUEUED, 1.0).await;
    assert_eq!(wire.client_said(is_settlement)[0].method, Method::Ack, "a copy, and then the ack");
    within.fake.heal();
    let (vhost, _fake) = within.stop().await;
    vhost.wait_for_depth(DEAD_LETTERS, 0).await;
    vhost.wait_for_depth(UNBLOCK, 1).await;
}

#[tokio::test]
async fn a_message_of_many_commands_is_parked_before_the_broker_loses_its_patience() {
    let wire = Wire::to(Node::shared().authority()).await;
    let within = Within::by(&wire.authority(), &[("MIMECAST__TIMEOUT", "4m")]).await;
    within.fake.inject(Fault::always(FaultKind::Hang));
    let ids: Vec<String> = (0..20).map(|number| format!("entry-{number}")).collect();
    let body = serde_json::json!({ "ids": ids }).to_string();
    let properties = lapin::BasicProperties::default();
    within.vhost.publish("url.unblock", body.as_bytes(), properties).await;
    within.fake.wait_for_calls(1, DEADLINE).await;
    let step = Duration::from_secs(10);
    let mut worked_on = Duration::ZERO;
    while within.metric(PAUSED).await == 0.0 {
        assert!(worked_on < Duration::from_mins(15), "it is still worked on");
        within.pass(step).await;
        worked_on += step;
    }
    within.stop().await;
}
