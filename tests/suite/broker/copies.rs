//! What a message has behind it goes with it: over a pause, in a parked copy, on a rung, into the
//! dead letter. And a copy is the same message.

use crate::support::broker::{DEAD_LETTERS, Found, OFFBOARDED, UNBLOCK};
use crate::support::world::World;
use crate::support::{DEADLINE, eventually};
use chrono::DateTime;
use fake_mimecast::{Call, Fault, FaultKind};
use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable};
use serde_json::Value;

const PAUSED: &str = r#"eventd_lane_state{event="url.unblock",state="paused"}"#;
const PARKED: &str = r#"eventd_messages_settled_total{disposition="requeue",event="url.unblock"}"#;
const RETRIED: &str = r#"eventd_messages_settled_total{disposition="retry",event="url.unblock"}"#;

fn down() -> Fault {
    Fault::always(FaultKind::status(503))
}

/// The calls that were about `item`.
fn calls_for(world: &World, item: &str) -> Vec<Call> {
    world.fake.calls().into_iter().filter(|call| call.item["id"] == item).collect()
}

/// The moment in the header, in the form of `x-mc-date`.
fn first_failed_at(found: &Found) -> String {
    let at = DateTime::parse_from_rfc3339(found.header("x-eventd-first-failed-at")).unwrap();
    at.to_utc().format("%a, %d %b %Y %H:%M:%S UTC").to_string()
}

#[tokio::test]
async fn the_attempts_of_a_message_are_counted_on_over_a_pause() {
    let world = World::hmac().await;
    world.fake.inject(down());
    for number in 0..3 {
        world.unblock(&format!("e-{number}"), &format!("entry-{number}")).await;
    }
    world.daemon.wait_for_metric(PAUSED, 1.0).await;
    let called = world.fake.changes_called();
    world.fake.wait_for_calls(called + 6, crate::support::DEADLINE).await;
    world.fake.heal();
    let acked = eventually("all are applied", async || {
        let settled = world.daemon.logged("settled");
        let acked: Vec<Value> =
            settled.into_iter().filter(|line| line["disposition"] == "ack").collect();
        (acked.len() == 3).then_some(acked)
    })
    .await;
    for number in 0..3 {
        let id = format!("e-{number}");
        let line = acked.iter().find(|line| line["event_id"] == id).unwrap();
        let calls = calls_for(&world, &format!("entry-{number}"));
        assert_eq!(line["attempts"], calls.len(), "{line}");
        let last = calls.last().unwrap().request_id.as_ref().unwrap();
        assert_eq!(line["request_id"], **last, "the id of the last request");
    }
}

#[tokio::test]
async fn a_parked_copy_says_how_often_and_since_when_its_message_fails() {
    let own = [("BREAKER__INITIAL_PROBE_DELAY", "1s"), ("BREAKER__MAX_PROBE_DELAY", "10m")];
    let mut world = World::with(&own).await;
    // So that all of them are in work at once.
    world.unblock("first", "first").await;
    world.daemon.settled(1).await;
    world.fake.inject(Fault::next(FaultKind::Hold).times(4));
    for number in 0..4 {
        world.unblock(&format!("e-{number}"), &format!("entry-{number}")).await;
    }
    world.fake.wait_for_calls(1 + 4, DEADLINE).await;
    world.fake.refuse_credentials(true);
    world.fake.release();
    // All have failed, and are parked before the next health call.
    world.daemon.wait_for_at_least(PARKED, 4.0).await;
    world.daemon.signal("TERM");
    assert_eq!(world.daemon.ended().await, Some(0));
    world.vhost.wait_for_depth(UNBLOCK, 4).await;
    let mut parked = 0;
    while let Some(found) = world.vhost.take_now(UNBLOCK).await {
        if !found.headers.contains_key("x-eventd-attempts") {
            continue;
        }
        parked += 1;
        let event: Value = serde_json::from_slice(&found.body).unwrap();
        let calls = calls_for(&world, event["data"]["id"].as_str().unwrap());
        assert_eq!(found.headers["x-eventd-attempts"], calls.len());
        match calls.first() {
            Some(first) => {
                assert_eq!(first_failed_at(&found), *first.date.as_ref().unwrap());
                assert_eq!(found.header("x-eventd-code"), "err_xdk_invalid_signature");
            }
            // It was delivered when the lane had paused already.
            None => assert_eq!(found.header("x-eventd-code"), "paused"),
        }
        assert_eq!(found.headers["x-eventd-rung"], 0);
        assert_eq!(found.header("x-eventd-exchange"), "events");
        assert_eq!(found.header("x-eventd-routing-key"), "url.unblock");
        assert_eq!(*found.properties.delivery_mode(), Some(2));
    }
    assert_eq!(parked, 4);
}

#[tokio::test]
async fn a_rung_that_was_climbed_is_not_climbed_again_after_a_pause() {
    let own = [
        ("RETRY__LADDER", r#"["1s", "1h"]"#),
        ("BREAKER__INITIAL_PROBE_DELAY", "1s"),
        ("BREAKER__MAX_PROBE_DELAY", "10m"),
    ];
    let mut world = World::with(&own).await;
    world.fake.inject(down().for_item_containing("poison"));
    world.publish_bare("url.unblock", r#"{"ids":["poison-1","entry-1"]}"#).await;
    world.publish_bare("url.unblock", r#"{"ids":["poison-2","entry-2"]}"#).await;
    world.daemon.wait_for_metric(RETRIED, 2.0).await;
    // When they come back from their rung, nothing is answered.
    world.fake.inject(down());
    world.daemon.wait_for_metric(PAUSED, 1.0).await;
    world.daemon.wait_for_at_least(PARKED, 1.0).await;
    world.daemon.signal("TERM");
    assert_eq!(world.daemon.ended().await, Some(0));
    world.vhost.wait_for_depth(UNBLOCK, 2).await;
    let mut attempts = Vec::new();
    for _ in 0..2 {
        let found = world.vhost.take(UNBLOCK).await;
        let body: Value = serde_json::from_slice(&found.body).unwrap();
        let failed = calls_for(&world, body["ids"][0].as_str().unwrap());
        assert_eq!(found.headers["x-eventd-rung"], 1);
        assert_eq!(first_failed_at(&found), *failed[0].date.as_ref().unwrap());
        assert!(!found.header("x-eventd-done").is_empty());
        assert_eq!(found.header("x-eventd-exchange"), "events");
        let done = calls_for(&world, body["ids"][1].as_str().unwrap());
        assert_eq!(done.len(), 1, "what was done is not done again");
        let told = found.headers["x-eventd-attempts"].as_u64().unwrap();
        attempts.push((usize::try_from(told).unwrap(), failed.len() + done.len()));
    }
    // Six on the way to the rung, and those since then, if it was tried again.
    assert!(attempts.iter().all(|(told, made)| told == made), "{attempts:?}");
    assert!(attempts.iter().any(|(told, _)| *told > 6), "{attempts:?}");
}

#[tokio::test]
async fn a_dead_letter_says_when_its_message_failed_first_and_how_often_in_all() {
    let world = World::with(&[("RETRY__LADDER", r#"["1100ms"]"#)]).await;
    world.fake.inject(down().for_item_containing("poison"));
    world.publish_bare("url.unblock", r#"{"ids":["poison","entry-1"]}"#).await;
    // The second time there is no other command to tell by; other messages do.
    let found = eventually("the poison is dead-lettered", async || {
        world.unblock("other", "entry-2").await;
        world.vhost.take_now(DEAD_LETTERS).await
    })
    .await;
    let calls = calls_for(&world, "poison");
    let (first, last) = (calls[0].date.as_ref().unwrap(), calls.last().unwrap());
    assert_eq!(first_failed_at(&found), *first);
    assert_ne!(first, last.date.as_ref().unwrap(), "a second at least lies between");
    assert_eq!(found.headers["x-eventd-attempts"], calls.len() + 1);
    assert_eq!(found.header("x-eventd-request-id"), last.request_id.as_ref().unwrap());
    assert_eq!(found.header("x-eventd-reason"), "retries_exhausted");
    // The broker's own, of the rung: a copy with it would be taken for a cycle.
    assert!(!found.headers.contains_key("x-death"), "{found:?}");
}

#[tokio::test]
async fn a_copy_on_a_rung_is_the_same_message_and_comes_back_as_the_same_kind() {
    let world = World::with(&[("RETRY__LADDER", r#"["1s"]"#)]).await;
    world.fake.add_url("poison");
    // After the last attempt, which follows the health call.
    let passes = Fault::next(FaultKind::status(503)).times(5);
    world.fake.inject(passes.for_item_containing("poison"));
    // Straight into the queue, as some producers do: nothing but its type says what it is.
    let properties =
        BasicProperties::default().with_type("url.unblock".into()).with_message_id("m-1".into());
    let both = br#"{"ids":["poison","entry-1"]}"#;
    world.vhost.publish_to("", UNBLOCK, both, properties).await;
    let settled = world.daemon.settled(2).await;
    assert_eq!(settled[0]["disposition"], "retry", "{settled:?}");
    assert_eq!(settled[1]["disposition"], "ack", "{settled:?}");
    assert_eq!(settled[1]["event_id"], "m-1");
    assert!(!world.fake.has_url("poison"));
    world.vhost.wait_for_depth(DEAD_LETTERS, 0).await;
}

#[tokio::test]
async fn a_dead_letter_keeps_every_property_that_it_may_keep() {
    let world = World::hmac().await;
    let mut headers = FieldTable::default();
    headers.insert("team".into(), AMQPValue::LongString("hr".into()));
    headers.insert("x-eventd-reason".into(), AMQPValue::LongString("forged".into()));
    headers.insert("x-first-death-queue".into(), AMQPValue::LongString("forged".into()));
    let original = BasicProperties::default()
        .with_content_type("text/plain".into())
        .with_content_encoding("utf-8".into())
        .with_correlation_id("correlation".into())
        .with_reply_to("reply".into())
        .with_message_id("message".into())
        .with_timestamp(1_700_000_000)
        .with_type("type".into())
        .with_user_id("guest".into())
        .with_app_id("app".into())
        .with_cluster_id("cluster".into())
        .with_priority(3)
        .with_expiration("3600000".into())
        .with_headers(headers);
    world.vhost.publish("user.offboarded", b"nonsense", original.clone()).await;
    let found = world.vhost.take(DEAD_LETTERS).await;
    let properties = found.properties;
    assert_eq!(properties.content_type(), original.content_type());
    assert_eq!(properties.content_encoding(), original.content_encoding());
    assert_eq!(properties.correlation_id(), original.correlation_id());
    assert_eq!(properties.reply_to(), original.reply_to());
    assert_eq!(properties.message_id(), original.message_id());
    assert_eq!(properties.timestamp(), original.timestamp());
    assert_eq!(properties.kind(), original.kind());
    assert_eq!(properties.app_id(), original.app_id());
    assert_eq!(properties.cluster_id(), original.cluster_id());
    assert_eq!(properties.priority(), original.priority());
    assert_eq!(*properties.delivery_mode(), Some(2));
    assert!(properties.expiration().is_none());
    // Of the daemon, which has the same.
    assert_eq!(properties.user_id().as_ref().unwrap().as_str(), "guest");
    let known = [
        "team",
        "x-eventd-attempts",
        "x-eventd-code",
        "x-eventd-dead-lettered-at",
        "x-eventd-detail",
        "x-eventd-exchange",
        "x-eventd-mac",
        "x-eventd-queue",
        "x-eventd-reason",
        "x-eventd-routing-key",
        "x-eventd-user-id",
        "x-eventd-version",
    ];
    // The broker counts deliveries in a header of its own.
    let names: Vec<_> = found.headers.keys().filter(|name| *name != "x-delivery-count").collect();
    assert_eq!(names, known);
    assert_eq!(found.headers["x-eventd-reason"], "malformed");
    assert_eq!(found.headers["x-eventd-user-id"], "guest");
    world.vhost.wait_for_depth(OFFBOARDED, 0).await;
}
