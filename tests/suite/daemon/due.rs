//! Events that say when they are to be carried out.

use crate::support::DEADLINE;
use crate::support::broker::{DEAD_LETTERS, OFFBOARDED};
use crate::support::world::World;
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;

const WAITING: &str =
    r#"eventd_messages_settled_total{disposition="wait",event="user.offboarded"}"#;
const ACKED: &str = r#"eventd_messages_settled_total{disposition="ack",event="user.offboarded"}"#;

async fn offboard_at(world: &World, who: &str, at: DateTime<Utc>) {
    let address = format!("{who}@example.com");
    world.fake.add_member("group-1", &address);
    let data =
        json!({"emailAddress": address, "groupIds": ["group-1"], "effectiveAt": at.to_rfc3339()});
    let event = json!({
        "specversion": "1.0", "id": who, "source": "/hr", "type": "user.offboarded",
        "time": (Utc::now() - TimeDelta::days(300)).to_rfc3339(), "data": data,
    });
    world.publish("user.offboarded", &event.to_string()).await;
}

#[tokio::test]
async fn an_event_that_is_not_due_waits_across_a_restart_and_comes_neither_early_nor_late() {
    let mut world = World::hmac().await;
    let at = Utc::now() + TimeDelta::seconds(12);
    offboard_at(&world, "ada", at).await;
    let queue = format!("{OFFBOARDED}.due.10s");
    world.vhost.wait_for_depth(&queue, 1).await;
    world.restart_daemon().await;
    // Beside it, what is due already and what says nothing of it.
    offboard_at(&world, "bob", Utc::now() - TimeDelta::days(1)).await;
    world.fake.add_member("group-1", "eve@example.com");
    world.offboard("eve", "eve@example.com", &["group-1"]).await;
    world.fake.wait_for_calls(2, DEADLINE).await;
    assert!(world.fake.is_member("group-1", "ada@example.com"));
    assert!(!world.fake.is_member("group-1", "bob@example.com"));

    world.fake.wait_for_calls(3, DEADLINE).await;
    let called = DateTime::<Utc>::from(world.fake.calls()[2].at);
    assert!(called >= at, "it came {} early", at - called);
    world.vhost.wait_for_depth(&queue, 0).await;
    world.daemon.wait_for_metric(ACKED, 3.0).await;
    assert!(!world.fake.is_member("group-1", "ada@example.com"));
    // The lag is that since it was due, not since somebody planned it.
    let lags = r#"eventd_event_to_effect_seconds_bucket{event="user.offboarded",le="86400"}"#;
    assert_eq!(world.daemon.metric(lags).await, 2.0, "ada's and eve's; bob's was due yesterday");
}

#[tokio::test]
async fn what_is_due_in_a_year_waits_and_what_is_due_later_is_malformed() {
    let world = World::hmac().await;
    offboard_at(&world, "ada", Utc::now() + TimeDelta::days(399)).await;
    offboard_at(&world, "bob", Utc::now() + TimeDelta::days(401)).await;
    world.vhost.wait_for_depth(&format!("{OFFBOARDED}.due.1day"), 1).await;
    world.daemon.wait_for_metric(WAITING, 1.0).await;
    let letter = world.vhost.take(DEAD_LETTERS).await;
    assert_eq!(letter.header("x-eventd-reason"), "malformed");
    let detail = "effectiveAt is more than 400 days ahead (at /data/effectiveAt)";
    assert_eq!(letter.header("x-eventd-detail"), detail);
    // A hop is no line of the log above debug.
    let lines = world.daemon.settled(2).await;
    let waiting = lines.iter().find(|line| line["disposition"] == "wait").unwrap();
    assert_eq!((&waiting["event_id"], &waiting["level"]), (&json!("ada"), &json!("DEBUG")));
    // Nor is it shown among what became of messages.
    let status = world.daemon.status().await;
    assert_eq!(status["recent"].as_array().unwrap().len(), 1, "{status}");
    assert_eq!(world.fake.calls(), []);
}
