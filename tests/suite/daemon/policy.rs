//! The rules of the policy that the vendor is asked for, and the one that slows a lane down.

use crate::support::broker::{DEAD_LETTERS, OFFBOARDED};
use crate::support::eventually;
use crate::support::node::Node;
use crate::support::relay::Relay;
use crate::support::settings;
use crate::support::world::World;
use fake_mimecast::{Fault, FaultKind, Operation};
use serde_json::{Value, json};
use std::collections::BTreeMap;

const SOON: [(&str, &str); 2] =
    [("BREAKER__INITIAL_PROBE_DELAY", "100ms"), ("BREAKER__MAX_PROBE_DELAY", "100ms")];
const ACKED: &str = r#"eventd_messages_settled_total{disposition="ack",event="user.offboarded"}"#;

/// Publishes an offboarding of somebody who is in each of these groups.
pub(super) async fn offboard(world: &World, who: &str, data: Value) {
    let mut data = data;
    data["emailAddress"] = json!(format!("{who}@example.com"));
    let event = json!({
        "specversion": "1.0", "id": who, "source": "/hr", "type": "user.offboarded", "data": data,
    });
    world.publish("user.offboarded", &event.to_string()).await;
}

pub(super) fn join(world: &World, who: &str, groups: &[&str]) {
    groups.iter().for_each(|it| world.fake.add_member(it, &format!("{who}@example.com")));
}

pub(super) fn is_in(world: &World, who: &str, group: &str) -> bool {
    world.fake.is_member(group, &format!("{who}@example.com"))
}

pub(super) async fn letter(world: &World) -> (String, String) {
    let letter = world.vhost.take(DEAD_LETTERS).await;
    (letter.header("x-eventd-reason").to_owned(), letter.header("x-eventd-code").to_owned())
}

pub(super) fn pair(reason: &str, code: &str) -> (String, String) {
    (reason.to_owned(), code.to_owned())
}

#[tokio::test]
async fn nothing_is_carried_out_of_an_event_that_names_a_protected_group_in_whatever_way() {
    for credentials in [settings::hmac, settings::oauth2] {
        // One by its name, one by its id.
        let own = [("POLICY__PROTECTED_GROUPS", r#"["Board", "id-of-staff"]"#)];
        let world = World::new_with(credentials, &own, |fake| {
            fake.name_group("id-of-board", "Board");
            fake.name_group("id-of-staff", "Staff");
            fake.name_group("id-of-open", "Open");
        })
        .await;
        let all = ["id-of-board", "id-of-staff", "id-of-open"];
        for (who, data) in [
            ("by-id", json!({"groupIds": ["id-of-open", "id-of-board"]})),
            ("by-name", json!({"groups": ["Open", "Board"]})),
            ("by-the-other-id", json!({"groupIds": ["id-of-open", "id-of-staff"]})),
            ("by-the-other-name", json!({"groups": ["Open", "Staff"]})),
        ] {
            join(&world, who, &all);
            offboard(&world, who, data).await;
            assert_eq!(letter(&world).await, pair("denied", "protected_groups"), "{who}");
            assert!(all.iter().all(|group| is_in(&world, who, group)), "{who} was removed");
        }
        join(&world, "innocent", &all);
        offboard(&world, "innocent", json!({"groups": ["Open"]})).await;
        world.daemon.wait_for_metric(ACKED, 1.0).await;
        assert!(!is_in(&world, "innocent", "id-of-open"));
        let counted = r#"eventd_policy_decisions_total{rule="protected_groups"}"#;
        assert_eq!(world.daemon.metric(counted).await, 4.0);
        assert_eq!(world.fake.violations(), [""; 0]);
    }
}

#[tokio::test]
async fn where_groups_are_allowed_no_other_is_left() {
    let own = [("POLICY__ALLOWED_GROUPS", r#"["Open", "gone long ago"]"#)];
    let world = World::new_with(settings::hmac, &own, |fake| {
        fake.name_group("id-of-open", "Open");
        fake.name_group("id-of-other", "Other");
    })
    .await;
    join(&world, "eve", &["id-of-open", "id-of-other"]);
    offboard(&world, "eve", json!({"groupIds": ["id-of-open"], "groups": ["Other"]})).await;
    assert_eq!(letter(&world).await, pair("denied", "allowed_groups"));
    assert!(is_in(&world, "eve", "id-of-open") && is_in(&world, "eve", "id-of-other"));
    join(&world, "ada", &["id-of-open"]);
    offboard(&world, "ada", json!({"groups": ["Open"]})).await;
    world.daemon.wait_for_metric(ACKED, 1.0).await;
    assert!(!is_in(&world, "ada", "id-of-open"));
}

#[tokio::test]
async fn a_protected_name_that_is_no_groups_any_more_pauses_the_lane_until_it_is() {
    let own = [&SOON[..], &[("POLICY__PROTECTED_GROUPS", r#"["Board"]"#)]].concat();
    let world = World::new_with(settings::hmac, &own, |fake| fake.add_group("group-1")).await;
    join(&world, "ada", &["group-1"]);
    offboard(&world, "ada", json!({"groupIds": ["group-1"]})).await;
    let paused = r#"eventd_lane_state{event="user.offboarded",state="paused"}"#;
    world.daemon.wait_for_metric(paused, 1.0).await;
    let (status, why) = world.daemon.get("/readyz").await;
    assert_eq!(status, 503);
    assert!(why.contains("\"Board\" is neither name nor id of a group"), "{why}");
    // It is probed, and that the vendor answers the question changes nothing.
    let asked = world.fake.calls().len();
    eventually("it is probed", async || (world.fake.calls().len() > asked + 6).then_some(())).await;
    assert_eq!(world.daemon.logged("lane resumed").len(), 0);
    assert!(is_in(&world, "ada", "group-1"));
    world.fake.name_group("id-of-board", "Board");
    world.daemon.wait_for_metric(ACKED, 1.0).await;
    world.daemon.wait_until_ready().await;
    assert!(!is_in(&world, "ada", "group-1"));
}

#[tokio::test]
async fn a_group_that_is_renamed_to_a_protected_name_is_protected_once_the_groups_are_read_again() {
    let own = [("POLICY__PROTECTED_GROUPS", r#"["Board"]"#), ("MIMECAST__GROUP_CACHE", "500ms")];
    let world = World::new_with(settings::hmac, &own, |fake| {
        fake.name_group("id-of-board", "Board");
        fake.name_group("id-of-staff", "Staff");
    })
    .await;
    join(&world, "ada", &["id-of-staff"]);
    offboard(&world, "ada", json!({"groupIds": ["id-of-staff"]})).await;
    world.daemon.wait_for_metric(ACKED, 1.0).await;
    assert!(!is_in(&world, "ada", "id-of-staff"));
    // Those who came before the groups were read again have left.
    world.fake.name_group("id-of-staff", "Board");
    let mut number = 0;
    eventually("it is protected", async || {
        number += 1;
        let who = format!("user-{number}");
        join(&world, &who, &["id-of-staff"]);
        offboard(&world, &who, json!({"groupIds": ["id-of-staff"]})).await;
        world.daemon.settled(1 + number).await;
        is_in(&world, &who, "id-of-staff").then_some(())
    })
    .await;
    assert_eq!(letter(&world).await, pair("denied", "protected_groups"));
    // And a name that it has no longer protects it no longer.
    world.fake.name_group("id-of-staff", "Staff");
    eventually("it is not protected any more", async || {
        number += 1;
        let who = format!("user-{number}");
        join(&world, &who, &["id-of-staff"]);
        offboard(&world, &who, json!({"groupIds": ["id-of-staff"]})).await;
        world.daemon.settled(1 + number).await;
        (!is_in(&world, &who, "id-of-staff")).then_some(())
    })
    .await;
}

#[tokio::test]
async fn with_only_blocked_an_id_of_an_entry_that_permits_or_is_not_shown_is_not_deleted() {
    let own = [("POLICY__ONLY_BLOCKED", "true")];
    let world = World::new_with(settings::oauth2, &own, |fake| {
        fake.add_managed_url("permitted", "https://example.com/a", "permit", "explicit");
        fake.add_managed_url("blocked", "https://example.com/b", "block", "domain");
        fake.add_managed_url("renamed", "https://example.com/c", "block", "explicit");
        fake.add_url_alias("renamed", "shown");
    })
    .await;
    world.unblock("e-1", "permitted").await;
    assert_eq!(letter(&world).await, pair("denied", "only_blocked"));
    world.unblock("e-2", "renamed").await;
    assert_eq!(letter(&world).await, pair("ambiguous", "not_listed"));
    let several = json!({"ids": ["blocked", "permitted"]});
    world.publish_bare("url.unblock", &several.to_string()).await;
    assert_eq!(letter(&world).await, pair("denied", "only_blocked"));
    assert!(["permitted", "blocked", "renamed"].iter().all(|id| world.fake.has_url(id)));
    world.unblock("e-3", "blocked").await;
    world.unblock("e-4", "shown").await;
    let acked = r#"eventd_messages_settled_total{disposition="ack",event="url.unblock"}"#;
    world.daemon.wait_for_metric(acked, 2.0).await;
    assert!(!world.fake.has_url("blocked") && !world.fake.has_url("renamed"));
    // Without the rule the vendor deletes what it is told to.
    let world = World::hmac().await;
    world.fake.add_managed_url("permitted", "https://example.com/a", "permit", "explicit");
    world.unblock("e-1", "permitted").await;
    world.daemon.settled(1).await;
    assert!(!world.fake.has_url("permitted"));
}

#[tokio::test]
async fn an_effect_that_is_not_seen_is_no_success() {
    let own = [("POLICY__VERIFY_EFFECT", "true"), ("RETRY__LADDER", r#"["100ms"]"#)];
    let world = World::new_with(settings::hmac, &own, |fake| fake.add_group("group-1")).await;
    // More than a page, and a domain whose addresses are not in the group.
    for number in 0..600 {
        world.fake.add_member("group-1", &format!("member-{number:03}@example.com"));
    }
    world.fake.add_member("group-1", "example.com");
    join(&world, "zoe", &["group-1"]);
    let lie = FaultKind::Status {
        status: 200,
        headers: BTreeMap::new(),
        body: r#"{"meta":{"status":200},"data":[],"fail":[]}"#.into(),
        content_type: "application/json".into(),
    };
    let lie = Fault::always(lie).for_item_containing("zoe@");
    world.fake.inject(lie.for_operation(Operation::RemoveGroupMember));
    offboard(&world, "zoe", json!({"groupIds": ["group-1"]})).await;
    offboard(&world, "member-300", json!({"groupIds": ["group-1"]})).await;
    offboard(&world, "nobody", json!({"groupIds": ["group-1"]})).await;
    assert_eq!(letter(&world).await, pair("rejected", "effect_not_seen"));
    world.daemon.wait_for_metric(ACKED, 2.0).await;
    assert!(!is_in(&world, "member-300", "group-1"));
    let counted = r#"eventd_policy_decisions_total{rule="verify_effect"}"#;
    assert_eq!(world.daemon.metric(counted).await, 2.0, "once, and once more from the rung");
    let domain = json!({"domain": "EXAMPLE.com", "groupIds": ["group-1"]});
    world.publish_bare("user.offboarded", &domain.to_string()).await;
    world.daemon.wait_for_metric(ACKED, 3.0).await;
    assert!(!world.fake.is_member("group-1", "example.com"));
}

#[tokio::test]
async fn above_so_many_commands_a_lane_slows_down_and_loses_nothing() {
    let own = [("POLICY__MAX_COMMANDS", "3"), ("POLICY__WINDOW", "15s")];
    let world = World::with(&own).await;
    let active = r#"eventd_guard_active{event="user.offboarded"}"#;
    assert_eq!(world.daemon.metric(active).await, 0.0);
    // Five groups are five commands: three now, and two once the window is over.
    let groups = ["g-1", "g-2", "g-3", "g-4", "g-5"];
    join(&world, "ada", &groups);
    offboard(&world, "ada", json!({"groupIds": groups})).await;
    world.daemon.wait_for_metric(active, 1.0).await;
    let status = world.daemon.status().await;
    let lanes = status["lanes"].as_array().unwrap().iter();
    let slowed = lanes.map(|lane| lane["slowed_down"].as_bool().unwrap()).collect::<Vec<_>>();
    assert_eq!(slowed, [true, false], "{status}");
    world.vhost.wait_for_depth(&format!("{OFFBOARDED}.due.10s"), 1).await;
    let left = || groups.iter().filter(|group| is_in(&world, "ada", group)).count();
    assert_eq!(left(), 2);
    let decided = r#"eventd_policy_decisions_total{rule="max_commands"}"#;
    assert_eq!(world.daemon.metric(decided).await, 1.0);
    // The other lane has a budget of its own.
    world.unblock("e-1", "entry-1").await;
    world.daemon.settled(2).await;
    world.daemon.wait_for_metric(ACKED, 1.0).await;
    assert_eq!(left(), 0);
    world.daemon.wait_for_metric(active, 0.0).await;
    let calls = world.fake.calls();
    let removals: Vec<_> =
        calls.iter().filter(|call| call.operation == Operation::RemoveGroupMember).collect();
    assert_eq!(removals.len(), 5, "what is done is not done again");
    let waited = removals[3].at.duration_since(removals[0].at).unwrap();
    assert!(waited >= std::time::Duration::from_secs(15), "{waited:?}");
    assert_eq!(world.vhost.depth(DEAD_LETTERS).await.unwrap().0, 0);
}

#[tokio::test]
async fn what_a_lane_may_do_in_a_window_is_not_renewed_by_a_connection() {
    let relay = Relay::to(Node::shared().authority()).await;
    let own = [("POLICY__MAX_COMMANDS", "1"), ("POLICY__WINDOW", "1h")];
    let world = World::by(&relay.authority(), &own).await;
    for who in ["ada", "bob"] {
        join(&world, who, &["g-1"]);
    }
    offboard(&world, "ada", json!({"groupIds": ["g-1"]})).await;
    world.daemon.wait_for_metric(ACKED, 1.0).await;
    relay.cut();
    let connections = r#"eventd_amqp_connections_total{event="user.offboarded"}"#;
    world.daemon.wait_for_metric(connections, 2.0).await;
    offboard(&world, "bob", json!({"groupIds": ["g-1"]})).await;
    world.vhost.wait_for_depth(&format!("{OFFBOARDED}.due.10m"), 1).await;
    assert!(is_in(&world, "bob", "g-1"));
}
