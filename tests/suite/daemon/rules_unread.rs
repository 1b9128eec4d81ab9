//! Rules about groups that cannot be evaluated: the lane pauses, and no event pays for it.

use super::policy::{is_in, join, letter, offboard, pair};
use crate::support::broker::DEAD_LETTERS;
use crate::support::eventually;
use crate::support::settings;
use crate::support::world::World;
use fake_mimecast::{Fault, FaultKind, Operation};
use serde_json::{Value, json};
use std::collections::BTreeMap;

const SOON: [(&str, &str); 3] = [
    ("BREAKER__INITIAL_PROBE_DELAY", "100ms"),
    ("BREAKER__MAX_PROBE_DELAY", "100ms"),
    ("RETRY__ATTEMPTS", "2"),
];
const PAUSED: &str = r#"eventd_lane_state{event="user.offboarded",state="paused"}"#;
const ACKED: &str = r#"eventd_messages_settled_total{disposition="ack",event="user.offboarded"}"#;
const PROTECTED: (&str, &str) = ("POLICY__PROTECTED_GROUPS", r#"["Board"]"#);
const ALLOWED: (&str, &str) = ("POLICY__ALLOWED_GROUPS", r#"["id-of-staff"]"#);

/// A list of groups with these entries, and no other.
fn list(folders: &Value) -> FaultKind {
    let body = json!({"meta": {"status": 200}, "data": [{"folders": folders}], "fail": []});
    FaultKind::Status {
        status: 200,
        headers: BTreeMap::new(),
        body: body.to_string(),
        content_type: "application/json".into(),
    }
}

/// A tenant with this rule, whose groups cannot be found.
async fn unread(rule: (&str, &str), kind: FaultKind) -> World {
    World::new_with(settings::hmac, &[&SOON[..], &[rule]].concat(), |fake| {
        fake.name_group("id-of-board", "Board");
        fake.name_group("id-of-staff", "Staff");
        fake.inject(Fault::always(kind).for_operation(Operation::FindGroups));
    })
    .await
}

fn user(number: u32) -> String {
    format!("user-{number}")
}

#[tokio::test]
async fn a_rule_whose_groups_cannot_be_read_pauses_the_lane_and_costs_no_event_anything() {
    let refused = || FaultKind::FlatFail { status: 403, code: "some_permission".into() };
    let other = || list(&json!([{"id": "id-of-other", "description": "Other"}]));
    for (rule, kind) in [
        (PROTECTED, refused()),
        (PROTECTED, list(&json!([]))),
        (ALLOWED, refused()),
        (ALLOWED, list(&json!([]))),
        (ALLOWED, other()),
    ] {
        let shown = format!("{rule:?} {kind:?}");
        let world = unread(rule, kind).await;
        for number in 0..20 {
            join(&world, &user(number), &["id-of-staff"]);
            let by_id = json!({"groupIds": ["id-of-staff"]});
            let data = if number % 2 == 0 { by_id } else { json!({"groups": ["Staff"]}) };
            offboard(&world, &user(number), data).await;
        }
        world.daemon.wait_for_metric(PAUSED, 1.0).await;
        let asked = world.fake.calls().len();
        eventually("it is probed", async || (world.fake.calls().len() > asked + 9).then_some(()))
            .await;
        assert!((0..20).all(|number| is_in(&world, &user(number), "id-of-staff")), "{shown}");
        assert_eq!(world.vhost.depth(DEAD_LETTERS).await.unwrap().0, 0, "{shown}");
        world.fake.heal();
        world.daemon.wait_for_metric(ACKED, 20.0).await;
        world.daemon.wait_until_ready().await;
        assert!(!(0..20).any(|number| is_in(&world, &user(number), "id-of-staff")), "{shown}");
        assert_eq!(world.vhost.depth(DEAD_LETTERS).await.unwrap().0, 0, "{shown}");
    }
}

#[tokio::test]
async fn a_group_of_one_event_that_there_is_not_is_the_matter_of_this_event_alone() {
    for rule in [PROTECTED, ALLOWED] {
        let world = World::new_with(settings::hmac, &[&SOON[..], &[rule]].concat(), |fake| {
            fake.name_group("id-of-board", "Board");
            fake.name_group("id-of-staff", "Staff");
        })
        .await;
        for number in 0..10 {
            join(&world, &user(number), &["id-of-staff"]);
            let nonsense = json!({"groups": [format!("nonsense {number}")]});
            offboard(&world, &format!("nobody-{number}"), nonsense).await;
            offboard(&world, &user(number), json!({"groupIds": ["id-of-staff"]})).await;
        }
        world.daemon.wait_for_metric(ACKED, 10.0).await;
        for _ in 0..10 {
            assert_eq!(letter(&world).await, pair("rejected", "group_not_found"), "{rule:?}");
        }
        assert_eq!(world.daemon.logged("lane paused").len(), 0, "{rule:?}");
        assert!(!(0..10).any(|number| is_in(&world, &user(number), "id-of-staff")), "{rule:?}");
    }
}
