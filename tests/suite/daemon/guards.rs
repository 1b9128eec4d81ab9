//! The rules of the policy, from the broker to the dead letter: what is against one is not carried out,
//! and everything beside it is.

use crate::support::broker::DEAD_LETTERS;
use crate::support::world::World;
use chrono::{TimeDelta, Utc};
use lapin::BasicProperties;
use serde_json::{Value, json};

/// An offboarding by itself, whose parts a test changes.
fn event(id: &str, address: &str) -> Value {
    json!({
        "specversion": "1.0", "id": id, "source": "/hr", "type": "user.offboarded",
        "time": Utc::now().to_rfc3339(),
        "data": {"emailAddress": address, "groupIds": ["group-1"]},
    })
}

async fn publish(world: &World, event: &Value, properties: BasicProperties) {
    let address = event["data"]["emailAddress"].as_str().unwrap().trim();
    world.fake.add_member("group-1", address);
    world.vhost.publish("user.offboarded", event.to_string().as_bytes(), properties).await;
}

fn plain() -> BasicProperties {
    BasicProperties::default()
}

/// Waits for the dead letter of the event that was refused by the rule, beside an innocent.
async fn is_refused(world: &World, reason: &str, rule: &str, address: &str) {
    let letter = world.vhost.take(DEAD_LETTERS).await;
    assert_eq!((letter.header("x-eventd-reason"), letter.header("x-eventd-code")), (reason, rule));
    assert!(world.fake.is_member("group-1", address), "it was carried out");
    let counted = format!("eventd_policy_decisions_total{{rule=\"{rule}\"}}");
    world.daemon.wait_for_at_least(&counted, 1.0).await;
}

#[tokio::test]
async fn a_source_that_is_not_allowed_is_denied_and_so_is_none() {
    let world = World::with(&[("POLICY__ALLOWED_SOURCES", r#"["/hr", "/idm/*"]"#)]).await;
    let mut foreign = event("foreign", "foreign@example.com");
    foreign["source"] = json!("/hr/test");
    publish(&world, &foreign, plain()).await;
    is_refused(&world, "denied", "allowed_sources", "foreign@example.com").await;
    let bare = json!({"emailAddress": "bare@example.com", "groupIds": ["group-1"]});
    world.fake.add_member("group-1", "bare@example.com");
    world.publish_bare("user.offboarded", &bare.to_string()).await;
    is_refused(&world, "denied", "allowed_sources", "bare@example.com").await;
    publish(&world, &event("ada", "ada@example.com"), plain()).await;
    let settled = world.daemon.settled(3).await;
    assert_eq!(settled[2]["disposition"], "ack");
    assert!(!world.fake.is_member("group-1", "ada@example.com"));
}

#[tokio::test]
async fn the_user_that_the_broker_checked_counts_and_is_not_forgotten_in_a_copy() {
    let world = World::with(&[("POLICY__ALLOWED_USERS", r#"["guest"]"#)]).await;
    publish(&world, &event("nobody", "nobody@example.com"), plain()).await;
    is_refused(&world, "denied", "allowed_users", "nobody@example.com").await;
    // Headers of ours are anybody's where they do not come the way of our copies.
    let mut forged = lapin::types::FieldTable::default();
    let guest = lapin::types::AMQPValue::LongString("guest".into());
    forged.insert("x-eventd-user-id".into(), guest);
    publish(&world, &event("forged", "forged@example.com"), plain().with_headers(forged)).await;
    is_refused(&world, "denied", "allowed_users", "forged@example.com").await;
    // A dead letter says who it was.
    let mut malformed = event("mistaken", "mistaken@example.com");
    malformed["data"]["groupIds"] = json!([]);
    publish(&world, &malformed, plain().with_user_id("guest".into())).await;
    let letter = world.vhost.take(DEAD_LETTERS).await;
    let told = (letter.header("x-eventd-reason"), letter.header("x-eventd-user-id"));
    assert_eq!(told, ("malformed", "guest"));
    // It waits as a copy, which the broker would not take with the user of the original.
    let mut later = event("ada", "ada@example.com");
    later["data"]["effectiveAt"] = json!((Utc::now() + TimeDelta::seconds(1)).to_rfc3339());
    publish(&world, &later, plain().with_user_id("guest".into())).await;
    let acked = r#"eventd_messages_settled_total{disposition="ack",event="user.offboarded"}"#;
    world.daemon.wait_for_metric(acked, 1.0).await;
    assert!(!world.fake.is_member("group-1", "ada@example.com"));
}

#[tokio::test]
async fn a_protected_address_is_removed_from_nothing() {
    let own = [("POLICY__PROTECTED_ADDRESSES", r#"["*@Board.example.com"]"#)];
    let world = World::with(&own).await;
    publish(&world, &event("board", " Ada@BOARD.example.com"), plain()).await;
    is_refused(&world, "denied", "protected_addresses", "ada@board.example.com").await;
    world.fake.add_member("group-1", "board.example.com");
    let domain = json!({"domain": "board.example.com", "groupIds": ["group-1"]});
    world.publish_bare("user.offboarded", &domain.to_string()).await;
    is_refused(&world, "denied", "protected_addresses", "board.example.com").await;
    publish(&world, &event("ada", "ada@example.com"), plain()).await;
    assert_eq!(world.daemon.settled(3).await[2]["disposition"], "ack");
    assert!(!world.fake.is_member("group-1", "ada@example.com"));
}

#[tokio::test]
async fn an_event_that_is_too_old_or_undated_is_expired() {
    let world = World::with(&[("POLICY__MAX_EVENT_AGE", "1day")]).await;
    let mut old = event("old", "old@example.com");
    old["time"] = json!((Utc::now() - TimeDelta::hours(25)).to_rfc3339());
    publish(&world, &old, plain()).await;
    is_refused(&world, "expired", "max_event_age", "old@example.com").await;
    let mut undated = event("undated", "undated@example.com");
    undated.as_object_mut().unwrap().remove("time");
    publish(&world, &undated, plain()).await;
    is_refused(&world, "expired", "max_event_age", "undated@example.com").await;
    // The broker's property stands in for a time that is missing.
    let now = u64::try_from(Utc::now().timestamp()).unwrap();
    publish(&world, &undated, plain().with_timestamp(now)).await;
    publish(&world, &event("ada", "ada@example.com"), plain()).await;
    let settled = world.daemon.settled(4).await;
    assert!(settled[2..].iter().all(|line| line["disposition"] == "ack"), "{settled:?}");

    let allowing = [("POLICY__MAX_EVENT_AGE", "1day"), ("POLICY__ALLOW_UNDATED", "true")];
    let world = World::with(&allowing).await;
    publish(&world, &undated, plain()).await;
    publish(&world, &old, plain()).await;
    is_refused(&world, "expired", "max_event_age", "old@example.com").await;
    assert!(!world.fake.is_member("group-1", "undated@example.com"));
}

#[tokio::test]
async fn a_time_to_come_does_not_make_an_event_young_for_ever() {
    let world = World::with(&[("POLICY__MAX_EVENT_AGE", "1day")]).await;
    let mut future = event("future", "future@example.com");
    future["time"] = json!((Utc::now() + TimeDelta::days(300)).to_rfc3339());
    publish(&world, &future, plain()).await;
    is_refused(&world, "expired", "max_event_age", "future@example.com").await;
    let old = u64::try_from((Utc::now() - TimeDelta::days(2)).timestamp()).unwrap();
    publish(&world, &future, plain().with_timestamp(old)).await;
    is_refused(&world, "expired", "max_event_age", "future@example.com").await;
    // Clocks differ a little, and the broker's property stands in for a time that tells nothing.
    let mut ahead = event("ahead", "ahead@example.com");
    ahead["time"] = json!((Utc::now() + TimeDelta::minutes(4)).to_rfc3339());
    publish(&world, &ahead, plain()).await;
    let now = u64::try_from(Utc::now().timestamp()).unwrap();
    publish(&world, &future, plain().with_timestamp(now)).await;
    let settled = world.daemon.settled(4).await;
    assert!(settled[2..].iter().all(|line| line["disposition"] == "ack"), "{settled:?}");
}

#[tokio::test]
async fn a_timestamp_in_milliseconds_makes_no_event_young() {
    let milliseconds = |days: i64| {
        let at = Utc::now() - TimeDelta::days(days);
        plain().with_timestamp(u64::try_from(at.timestamp_millis()).unwrap())
    };
    let undated = |name: &str| {
        let mut event = event(name, &format!("{name}@example.com"));
        event.as_object_mut().unwrap().remove("time");
        event
    };
    let world = World::with(&[("POLICY__MAX_EVENT_AGE", "1day")]).await;
    for (name, days) in [("old", 2), ("now", 0)] {
        publish(&world, &undated(name), milliseconds(days)).await;
        is_refused(&world, "expired", "max_event_age", &format!("{name}@example.com")).await;
    }
    publish(&world, &event("ada", "ada@example.com"), milliseconds(2)).await;
    let settled = world.daemon.settled(3).await;
    assert_eq!(settled[2]["disposition"], "ack", "its own time counts: {settled:?}");

    let allowing = [("POLICY__MAX_EVENT_AGE", "1day"), ("POLICY__ALLOW_UNDATED", "true")];
    let world = World::with(&allowing).await;
    publish(&world, &undated("now"), milliseconds(0)).await;
    publish(&world, &undated("old"), milliseconds(2)).await;
    is_refused(&world, "expired", "max_event_age", "old@example.com").await;
    let settled = world.daemon.settled(2).await;
    assert!(settled.iter().any(|line| line["disposition"] == "ack"), "{settled:?}");
}
