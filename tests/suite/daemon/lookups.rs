//! Events that name groups and URLs rather than ids, from the broker to the vendor and back.

use crate::support::broker::{DEAD_LETTERS, OFFBOARDED, UNBLOCK};
use crate::support::eventually;
use crate::support::settings;
use crate::support::world::World;
use fake_mimecast::{Call, Fault, FaultKind, Operation};
use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable};
use serde_json::json;

const SOON: [(&str, &str); 3] = [
    ("BREAKER__INITIAL_PROBE_DELAY", "100ms"),
    ("BREAKER__MAX_PROBE_DELAY", "100ms"),
    ("RETRY__ATTEMPTS", "1"),
];

async fn offboard_by_name(world: &World, id: &str, address: &str, data: serde_json::Value) {
    let mut data = data;
    data["emailAddress"] = json!(address);
    let event = json!({
        "specversion": "1.0", "id": id, "source": "/hr", "type": "user.offboarded", "data": data,
    });
    world.publish("user.offboarded", &event.to_string()).await;
}

async fn unblock_url(world: &World, id: &str, url: &str) {
    let event = json!({
        "specversion": "1.0", "id": id, "source": "/soc", "type": "url.unblock",
        "data": {"url": url},
    });
    world.publish("url.unblock", &event.to_string()).await;
}

#[tokio::test]
async fn groups_by_name_and_by_id_and_urls_are_looked_up_over_either_api() {
    for credentials in [settings::hmac, settings::oauth2] {
        let world = World::new(credentials, &[]).await;
        world.fake.name_group("group-vip", "VIP mailing");
        for group in ["group-1", "group-vip"] {
            world.fake.add_member(group, "ada@example.com");
        }
        world.fake.name_group("group-twice", "twice");
        world.fake.name_group("group-again", "twice");
        world.fake.add_managed_url("one", "https://example.com/a", "block", "explicit");
        world.fake.add_managed_url("two", "https://example.com/a", "block", "explicit");
        offboard_by_name(
            &world,
            "ada",
            "ada@example.com",
            json!({"groups": ["VIP mailing"], "groupIds": ["group-1"]}),
        )
        .await;
        offboard_by_name(&world, "none", "bob@example.com", json!({"groups": ["no such group"]}))
            .await;
        offboard_by_name(&world, "two", "bob@example.com", json!({"groups": ["twice"]})).await;
        unblock_url(&world, "url", "https://example.com/a").await;
        let settled = world.daemon.settled(4).await;
        let of = |id: &str| settled.iter().find(|line| line["event_id"] == id).unwrap();
        assert_eq!(
            (&of("ada")["disposition"], &of("url")["disposition"]),
            (&json!("ack"), &json!("ack"))
        );
        assert_eq!(
            (&of("none")["reason"], &of("none")["code"]),
            (&json!("rejected"), &json!("group_not_found"))
        );
        assert_eq!(
            (&of("two")["reason"], &of("two")["code"]),
            (&json!("ambiguous"), &json!("ambiguous"))
        );
        let detail = of("two")["detail"].as_str().unwrap();
        assert!(detail.contains("group-again, group-twice"), "{detail}");
        for group in ["group-1", "group-vip"] {
            assert!(!world.fake.is_member(group, "ada@example.com"));
        }
        assert!(!world.fake.has_url("one") && !world.fake.has_url("two"));
        world.vhost.wait_for_depth(DEAD_LETTERS, 2).await;
        assert_eq!(world.fake.violations(), [""; 0]);
    }
}

#[tokio::test]
async fn what_cannot_be_looked_up_waits_aside_while_others_are_served() {
    let world = World::with(&SOON).await;
    world.fake.name_group("group-vip", "VIP");
    world.fake.add_member("group-vip", "ada@example.com");
    let forbidden = FaultKind::FlatFail { status: 403, code: "app_forbidden".into() };
    world.fake.inject(Fault::always(forbidden).for_operation(Operation::FindGroups));
    offboard_by_name(&world, "ada", "ada@example.com", json!({"groups": ["VIP"]})).await;
    let aside = format!("{OFFBOARDED}.due.10s");
    world.vhost.wait_for_depth(&aside, 1).await;
    for number in 0..20 {
        let (id, address) = (format!("e-{number}"), format!("innocent-{number}@example.com"));
        world.fake.add_member("group-1", &address);
        world.offboard(&id, &address, &["group-1"]).await;
    }
    let acked = r#"eventd_messages_settled_total{disposition="ack",event="user.offboarded"}"#;
    world.daemon.wait_for_metric(acked, 20.0).await;
    world.vhost.wait_for_depth(&aside, 1).await;
    assert_eq!(world.daemon.logged("lane paused").len(), 0);
    assert!(world.fake.is_member("group-vip", "ada@example.com"));
    world.fake.heal();
    world.daemon.wait_for_metric(acked, 21.0).await;
    assert!(!world.fake.is_member("group-vip", "ada@example.com"));
    assert_eq!(world.vhost.depth(DEAD_LETTERS).await.unwrap().0, 0);
}

#[tokio::test]
async fn what_has_failed_for_long_waits_aside_for_longer() {
    let world = World::with(&SOON).await;
    let forbidden = FaultKind::FlatFail { status: 403, code: "app_forbidden".into() };
    world.fake.inject(Fault::always(forbidden).for_operation(Operation::FindGroups));
    // It is published by the daemon's user, and says of itself what copies say.
    let since = (chrono::Utc::now() - chrono::TimeDelta::hours(1)).to_rfc3339();
    let mut headers = FieldTable::default();
    headers.insert("x-eventd-first-failed-at".into(), AMQPValue::LongString(since.into()));
    headers.insert("x-eventd-exchange".into(), AMQPValue::LongString("events".into()));
    headers.insert("x-eventd-rung".into(), AMQPValue::LongInt(2));
    let event = json!({
        "specversion": "1.0", "id": "ada", "source": "/hr", "type": "user.offboarded",
        "data": {"emailAddress": "ada@example.com", "groups": ["VIP"]},
    });
    let properties = BasicProperties::default().with_headers(headers).with_user_id("guest".into());
    world.vhost.publish_to("", OFFBOARDED, event.to_string().as_bytes(), properties).await;
    let copy = world.vhost.take(&format!("{OFFBOARDED}.due.10m")).await;
    assert_eq!(copy.headers["x-eventd-rung"], 2, "it spends no rung");
    assert_eq!(world.vhost.depth(DEAD_LETTERS).await.unwrap().0, 0);
}

#[tokio::test]
async fn an_outage_of_everything_pauses_the_lane_and_condemns_no_name() {
    let world = World::with(&SOON).await;
    world.fake.name_group("group-vip", "VIP");
    world.fake.add_member("group-vip", "ada@example.com");
    // That others were served before says nothing.
    world.offboard("before", "bob@example.com", &["group-1"]).await;
    world.daemon.settled(1).await;
    world.fake.inject(Fault::always(FaultKind::status(503)));
    offboard_by_name(&world, "ada", "ada@example.com", json!({"groups": ["VIP"]})).await;
    unblock_url(&world, "url", "https://example.com/a").await;
    for event in ["user.offboarded", "url.unblock"] {
        let paused = format!(r#"eventd_lane_state{{event="{event}",state="paused"}}"#);
        world.daemon.wait_for_metric(&paused, 1.0).await;
    }
    // The answer to a question alone does not end a pause for a change.
    world.fake.inject_instead([
        Fault::always(FaultKind::status(503)).for_operation(Operation::RemoveGroupMember),
        Fault::always(FaultKind::status(503)).for_operation(Operation::DeleteManagedUrl),
    ]);
    let before = world.fake.calls().len();
    eventually("it is probed", async || (world.fake.calls().len() > before + 6).then_some(()))
        .await;
    let going_on = world.daemon.logged("lane resumed");
    let flaps = going_on.iter().filter(|line| line["event"] == "user.offboarded").count();
    assert_eq!(flaps, 0, "{going_on:?}");
    world.fake.heal();
    let unblocked = r#"eventd_messages_settled_total{disposition="ack",event="url.unblock"}"#;
    world.daemon.wait_for_metric(unblocked, 1.0).await;
    let acked = r#"eventd_messages_settled_total{disposition="ack",event="user.offboarded"}"#;
    world.daemon.wait_for_metric(acked, 2.0).await;
    assert!(!world.fake.is_member("group-vip", "ada@example.com"));
    assert_eq!(world.vhost.depth(DEAD_LETTERS).await.unwrap().0, 0);
}

#[tokio::test]
async fn an_inventory_of_a_hundred_thousand_entries_takes_no_memory() {
    let world = World::hmac().await;
    // What the first calls take is there to stay.
    unblock_url(&world, "small", "https://example.com/").await;
    world.daemon.settled(1).await;
    let before = world.daemon.metric("process_resident_memory_bytes").await;
    for number in 0..100_000 {
        let url = format!("https://example.com/{number}?some=query&that=is-not-short");
        world.fake.add_managed_url(&format!("entry-{number}"), &url, "block", "explicit");
    }
    // One that is not among them, so that it is read once, to its end.
    unblock_url(&world, "large", "https://example.com/100000?some=query&that=is-not-short").await;
    for pages in (25..=200).step_by(25) {
        eventually("the inventory is read", async || {
            let calls = world.fake.calls();
            let is_page = |call: &&Call| call.operation == Operation::GetAllManagedUrls;
            (calls.iter().filter(is_page).count() > pages).then_some(())
        })
        .await;
    }
    let settled = world.daemon.settled(2).await;
    assert_eq!(settled[1]["disposition"], "ack");
    let grown = world.daemon.metric("process_resident_memory_bytes").await - before;
    assert!(grown < 24.0 * 1024.0 * 1024.0, "it grew by {grown} bytes");
    world.vhost.wait_for_depth(UNBLOCK, 0).await;
}
