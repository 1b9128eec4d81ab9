//! `policy.max_commands`: it counts effects, and nothing else.

use super::policy::{is_in, join, offboard};
use super::reload::Mounted;
use crate::support::broker::{DEAD_LETTERS, OFFBOARDED, UNBLOCK};
use crate::support::world::World;
use crate::support::{DEADLINE, eventually};
use fake_mimecast::{Fault, FaultKind, Operation};
use serde_json::json;
use std::time::Duration;

const ACKED: &str = r#"eventd_messages_settled_total{disposition="ack",event="user.offboarded"}"#;
const PAUSED: &str = r#"eventd_lane_state{event="user.offboarded",state="paused"}"#;
const SOON: [(&str, &str); 3] = [
    ("BREAKER__INITIAL_PROBE_DELAY", "100ms"),
    ("BREAKER__MAX_PROBE_DELAY", "100ms"),
    ("POLICY__WINDOW", "1h"),
];

fn user(number: u32) -> String {
    format!("user-{number}")
}

async fn offboard_all(world: &World, numbers: std::ops::Range<u32>) {
    for number in numbers {
        join(world, &user(number), &["group-1"]);
        offboard(world, &user(number), json!({"groupIds": ["group-1"]})).await;
    }
}

#[tokio::test]
async fn each_entry_of_one_url_counts_and_what_is_too_much_is_deleted_in_later_windows() {
    let own = [("POLICY__MAX_COMMANDS", "3"), ("POLICY__WINDOW", "12s")];
    let world = World::with(&own).await;
    let left = || (0..7).filter(|number| world.fake.has_url(&format!("entry-{number}"))).count();
    for number in 0..7 {
        let id = format!("entry-{number}");
        world.fake.add_managed_url(&id, "https://example.com/a", "block", "explicit");
    }
    world.publish_bare("url.unblock", r#"{"url":"https://example.com/a"}"#).await;
    world.vhost.wait_for_depth(&format!("{UNBLOCK}.due.10s"), 1).await;
    assert_eq!(left(), 4, "three of them, although they are of one event");
    let acked = r#"eventd_messages_settled_total{disposition="ack",event="url.unblock"}"#;
    world.daemon.wait_for_metric(acked, 1.0).await;
    assert_eq!(left(), 0);
    let calls = world.fake.calls();
    let deleted = calls.iter().filter(|call| call.operation == Operation::DeleteManagedUrl);
    let deleted: Vec<_> = deleted.map(|call| call.at).collect();
    assert_eq!(deleted.len(), 7);
    for (third, next) in [(0, 3), (3, 6)] {
        let between = deleted[next].duration_since(deleted[third]).unwrap();
        assert!(between >= Duration::from_secs(12), "{between:?}");
    }
    assert_eq!(world.vhost.depth(DEAD_LETTERS).await.unwrap().0, 0);
}

#[tokio::test]
async fn an_outage_is_seen_and_uses_up_nothing() {
    let own = [&SOON[..], &[("POLICY__MAX_COMMANDS", "5")]].concat();
    let world = World::with(&own).await;
    let outage = Fault::always(FaultKind::status(503)).for_operation(Operation::RemoveGroupMember);
    world.fake.inject(outage);
    offboard_all(&world, 0..5).await;
    world.daemon.wait_for_metric(PAUSED, 1.0).await;
    world.fake.heal();
    world.daemon.wait_for_metric(ACKED, 5.0).await;
    assert!(!(0..5).any(|number| is_in(&world, &user(number), "group-1")));
    // Five had an effect now: the next one is too much.
    offboard_all(&world, 5..6).await;
    world.vhost.wait_for_depth(&format!("{OFFBOARDED}.due.10m"), 1).await;
    assert!(is_in(&world, &user(5), "group-1"));
}

#[tokio::test]
async fn what_mimecast_does_not_find_or_refuses_uses_up_nothing_and_a_lost_reply_does() {
    let own = [&SOON[..], &[("POLICY__MAX_COMMANDS", "3")]].concat();
    let world = World::with(&own).await;
    world.fake.add_group("group-1");
    let refusal = Fault::always(FaultKind::fail("err_validation_null"));
    world.fake.inject(refusal.for_item_containing("refused"));
    for number in 0..10 {
        offboard(&world, &format!("nobody-{number}"), json!({"groupIds": ["group-1"]})).await;
        offboard(&world, &format!("refused-{number}"), json!({"groupIds": ["group-1"]})).await;
    }
    world.daemon.wait_for_metric(ACKED, 10.0).await;
    world.vhost.wait_for_depth(DEAD_LETTERS, 10).await;
    world.fake.inject_instead([Fault::next(FaultKind::LoseReply)]);
    offboard_all(&world, 0..3).await;
    world.daemon.wait_for_metric(ACKED, 13.0).await;
    offboard_all(&world, 3..4).await;
    world.vhost.wait_for_depth(&format!("{OFFBOARDED}.due.10m"), 1).await;
    assert!(is_in(&world, &user(3), "group-1"));
}

#[tokio::test]
async fn however_many_replies_are_lost_no_more_has_an_effect_than_may_have_one() {
    let own = [&SOON[..], &[("POLICY__MAX_COMMANDS", "5")]].concat();
    let world = World::with(&own).await;
    let lost = Fault::always(FaultKind::LoseReply).for_operation(Operation::RemoveGroupMember);
    world.fake.inject(lost);
    let gone = || (0..20).filter(|number| !is_in(&world, &user(*number), "group-1")).count();
    offboard_all(&world, 0..20).await;
    world.daemon.wait_for_metric(PAUSED, 1.0).await;
    assert!((1..=5).contains(&gone()), "{}", gone());
    // Those are tried again, and count once.
    world.fake.heal();
    world.vhost.wait_for_depth(&format!("{OFFBOARDED}.due.10m"), 15).await;
    world.daemon.wait_for_metric(ACKED, 5.0).await;
    assert_eq!(gone(), 5);
}

#[tokio::test]
async fn a_short_window_keeps_its_rate() {
    let own = [("POLICY__MAX_COMMANDS", "4"), ("POLICY__WINDOW", "1s")];
    let world = World::with(&own).await;
    offboard_all(&world, 0..20).await;
    world.daemon.wait_for_metric(ACKED, 20.0).await;
    let calls = world.fake.calls();
    let at: Vec<_> = calls.iter().map(|call| call.at).collect();
    assert_eq!(at.len(), 20);
    let between = |from: usize, to: usize| at[to].duration_since(at[from]).unwrap();
    assert!((0..16).all(|first| between(first, first + 4) >= Duration::from_millis(900)));
    // By way of the delay queues it would take at least ten seconds.
    assert!(between(0, 19) < Duration::from_secs(9), "{:?}", between(0, 19));
    assert_eq!(world.vhost.depth(DEAD_LETTERS).await.unwrap().0, 0);
}

#[tokio::test]
async fn a_limit_that_a_reload_sets_first_counts_what_was_done_before() {
    let mut mounted = Mounted::new("", None).await;
    let (daemon, key) = (mounted.start().await, mounted.right_key());
    for number in 0..5 {
        mounted.unblock(&format!("e-{number}"), &format!("entry-{number}")).await;
    }
    daemon.settled(5).await;
    mounted.write("[policy]\nmax_commands = 5\nwindow = \"1h\"\n", &key);
    daemon.signal("HUP");
    daemon.wait_for_metric(r#"eventd_settings_reloads_total{result="applied"}"#, 1.0).await;
    mounted.unblock("e-5", "entry-5").await;
    mounted.vhost.wait_for_depth(&format!("{UNBLOCK}.due.10m"), 1).await;
    assert!(mounted.fake.has_url("entry-5"));
    mounted.write("[policy]\nmax_commands = 7\nwindow = \"1h\"\n", &key);
    daemon.signal("HUP");
    daemon.wait_for_at_least(r#"eventd_settings_reloads_total{result="applied"}"#, 2.0).await;
    mounted.unblock("e-6", "entry-6").await;
    mounted.unblock("e-7", "entry-7").await;
    mounted.fake.wait_for_calls(7, DEADLINE).await;
    eventually("both are deleted", async || (!mounted.fake.has_url("entry-7")).then_some(())).await;
}
