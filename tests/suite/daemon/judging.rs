//! Whether a message is at fault or Mimecast is unwell: the daemon asks by a health call, and needs no other message
//! and no other replica for that.

use crate::support::broker::{DEAD_LETTERS, OFFBOARDED, UNBLOCK};
use crate::support::daemon::Daemon;
use crate::support::node::Node;
use crate::support::program::run;
use crate::support::relay::Relay;
use crate::support::settings;
use crate::support::within::Within;
use crate::support::world::World;
use crate::support::{DEADLINE, eventually};
use fake_mimecast::{Call, Fault, FaultKind, Operation};
use lapin::BasicProperties;
use serde_json::json;
use std::time::Duration;

const ACKED: &str = r#"eventd_messages_settled_total{disposition="ack",event="url.unblock"}"#;
const RETRIED: &str = r#"eventd_messages_settled_total{disposition="retry",event="url.unblock"}"#;
const PAUSED: &str = r#"eventd_lane_state{event="url.unblock",state="paused"}"#;
const LEAVERS_ACKED: &str =
    r#"eventd_messages_settled_total{disposition="ack",event="user.offboarded"}"#;
const LEAVERS_RETRIED: &str =
    r#"eventd_messages_settled_total{disposition="retry",event="user.offboarded"}"#;
const LEAVERS_PAUSED: &str = r#"eventd_lane_state{event="user.offboarded",state="paused"}"#;

/// The attempts of a message before the health call (`retry.attempts`).
const ATTEMPTS: usize = 4;

fn down() -> Fault {
    Fault::always(FaultKind::status(503))
}

fn unknown(status: u16) -> FaultKind {
    FaultKind::FlatFail { status, code: "err_of_tomorrow".into() }
}

/// The item that each call was about.
fn items(calls: &[Call]) -> Vec<&str> {
    calls.iter().map(|call| call.item["id"].as_str().unwrap()).collect()
}

/// The calls that were made with messages, not health calls.
fn of_messages(world: &World) -> usize {
    let calls = world.fake.calls();
    items(&calls).iter().filter(|item| !item.starts_with("mimecast-eventd-health-")).count()
}

fn pauses(daemon: &Daemon) -> usize {
    daemon.logged("lane paused").len()
}

#[tokio::test]
async fn one_message_that_always_fails_and_nothing_else_takes_its_delays_and_pauses_nothing() {
    for kind in [
        FaultKind::status(503),
        FaultKind::status(500),
        FaultKind::Html { status: 502 },
        FaultKind::Reset,
        FaultKind::fail("err_developer_key"),
        FaultKind::FlatFail { status: 409, code: "err_of_tomorrow".into() },
    ] {
        let world = World::with(&[("RETRY__LADDER", r#"["200ms", "400ms"]"#)]).await;
        world.fake.inject(Fault::always(kind.clone()).for_item_containing("poison"));
        world.unblock("e-1", "poison").await;
        world.offboard("e-2", "ada@example.com", &["poison-group"]).await;
        for _ in 0..2 {
            let found = world.vhost.take(DEAD_LETTERS).await;
            assert_eq!(found.header("x-eventd-reason"), "retries_exhausted", "{kind:?}");
        }
        assert_eq!(world.daemon.metric(RETRIED).await, 2.0, "{kind:?}");
        assert_eq!(pauses(&world.daemon), 0, "{kind:?}");
        world.daemon.wait_until_ready().await;
    }
}

#[tokio::test]
async fn one_message_that_is_always_refused_and_nothing_else_is_rejected_and_pauses_nothing() {
    for kind in [
        unknown(400),
        unknown(403),
        FaultKind::fail("err_of_tomorrow"),
        FaultKind::fail("err_xdk_operation_forbidden_for_address"),
    ] {
        let world = World::hmac().await;
        world.fake.inject(Fault::always(kind.clone()).for_item_containing("refused"));
        for number in 0..2 {
            world.unblock(&format!("e-{number}"), &format!("refused-{number}")).await;
            let address = format!("refused-{number}@example.com");
            world.offboard(&address, &address, &["group-1"]).await;
        }
        for _ in 0..4 {
            let found = world.vhost.take(DEAD_LETTERS).await;
            assert_eq!(found.header("x-eventd-reason"), "rejected", "{kind:?}");
            assert_eq!(found.headers["x-eventd-attempts"], 3, "{kind:?}");
        }
        assert_eq!(pauses(&world.daemon), 0, "{kind:?}");
    }
}

#[tokio::test]
async fn a_group_that_always_fails_pauses_nothing_and_costs_other_groups_nothing() {
    for kind in [FaultKind::status(503), unknown(403), unknown(400)] {
        let world = World::with(&[("RETRY__LADDER", r#"["200ms"]"#)]).await;
        world.fake.inject(Fault::always(kind.clone()).for_item_containing("broken-group"));
        world.fake.add_member("good-group", "eve@example.com");
        world.offboard("e-1", "ada@example.com", &["broken-group"]).await;
        world.offboard("e-2", "eve@example.com", &["good-group"]).await;
        world.vhost.take(DEAD_LETTERS).await;
        world.daemon.wait_for_metric(LEAVERS_ACKED, 1.0).await;
        assert!(!world.fake.is_member("good-group", "eve@example.com"));
        assert_eq!(pauses(&world.daemon), 0, "{kind:?}");
    }
}

#[tokio::test]
async fn of_several_replicas_none_pauses_for_a_bad_message_and_innocent_ones_are_applied() {
    for replicas in [2, 4] {
        let world = World::with(&[("RETRY__LADDER", r#"["300ms", "600ms"]"#)]).await;
        world.fake.inject(down().for_item_containing("poison"));
        let mut others = Vec::new();
        for _ in 1..replicas {
            let other = Daemon::start(&world.variables).await;
            other.wait_until_ready().await;
            others.push(other);
        }
        world.unblock("bad", "poison").await;
        let mut innocents = 0;
        let found = eventually("the bad one is dead-lettered", async || {
            let entry = format!("entry-{innocents}");
            world.fake.add_url(&entry);
            world.unblock(&format!("e-{innocents}"), &entry).await;
            innocents += 1;
            for daemon in others.iter().chain([&world.daemon]) {
                assert_eq!(daemon.get("/readyz").await.0, 200);
            }
            world.vhost.take_now(DEAD_LETTERS).await
        })
        .await;
        assert_eq!(found.header("x-eventd-reason"), "retries_exhausted");
        let attempts = 3 * (ATTEMPTS + 1);
        assert_eq!(found.headers["x-eventd-attempts"], attempts);
        eventually("all innocent ones are applied", async || {
            (0..innocents).all(|it| !world.fake.has_url(&format!("entry-{it}"))).then_some(())
        })
        .await;
        world.vhost.wait_for_depth(UNBLOCK, 0).await;
        for daemon in others.iter().chain([&world.daemon]) {
            assert_eq!(pauses(daemon), 0);
        }
    }
}

#[tokio::test]
async fn while_mimecast_is_down_a_lane_makes_health_calls_alone_at_growing_intervals() {
    let waits = [100, 200, 400, 400, 400, 400].map(Duration::from_millis);
    let own = [
        ("BREAKER__INITIAL_PROBE_DELAY", "100ms"),
        ("BREAKER__MAX_PROBE_DELAY", "400ms"),
        ("TIMINGS", "queue_depths=500ms"),
    ];
    let world = World::with(&own).await;
    // An answer from before the outage, which must not end it.
    world.unblock("e-0", "entry-0").await;
    world.daemon.wait_for_metric(ACKED, 1.0).await;
    world.fake.inject(down());
    world.unblock("e-1", "entry-1").await;
    world.daemon.wait_for_metric(PAUSED, 1.0).await;
    for number in 0..3 {
        world.unblock(&format!("e-2-{number}"), "queued").await;
    }
    let before = 1 + ATTEMPTS + 1;
    world.fake.wait_for_calls(before + waits.len(), DEADLINE).await;

    let calls = world.fake.calls();
    let mut last = &calls[before - 1];
    for (probe, wait) in calls[before..].iter().zip(waits) {
        let waited = probe.at.duration_since(last.at).unwrap();
        // The wait begins when the call before it has come to its end, a moment after its arrival.
        assert!(waited >= wait, "a health call came after {waited:?}, not after {wait:?}");
        last = probe;
    }
    assert_eq!(of_messages(&world), 1 + ATTEMPTS, "no message is tried");
    assert_eq!((pauses(&world.daemon), world.daemon.logged("lane resumed").len()), (1, 0));
    // Nothing is held.
    world.vhost.wait_for_depth(UNBLOCK, 4).await;
    world.daemon.wait_for_metric(r#"eventd_messages_in_flight{event="url.unblock"}"#, 0.0).await;
    let told = eventually("all that waits is told", async || {
        let (_, told) = world.daemon.get("/readyz").await;
        told.contains("; 4 waiting").then_some(told)
    })
    .await;
    let parts = ["url.unblock paused for ", ": http_503: ", ", first for event e-1", "next health"];
    assert!(parts.iter().all(|part| told.contains(part)), "{told}");
    let lane = world.daemon.status().await["lanes"][1].clone();
    assert_eq!(lane["paused_for_event"], "e-1");
    assert!(lane["next_health_call"].is_string() && lane["since"].is_string(), "{lane}");

    world.fake.heal();
    world.daemon.wait_for_metric(ACKED, 5.0).await;
    world.daemon.wait_until_ready().await;
    let resumed = world.daemon.logged("lane resumed");
    let paused = Duration::from_millis(resumed[0]["paused_ms"].as_u64().unwrap());
    assert!(resumed.len() == 1 && paused >= waits.iter().sum::<Duration>(), "{resumed:?}");
    world.vhost.wait_for_depth(UNBLOCK, 0).await;
    world.vhost.wait_for_depth(DEAD_LETTERS, 0).await;
}

#[tokio::test]
async fn the_log_has_a_pause_once_when_it_begins_and_once_when_its_cause_changes() {
    let world = World::hmac().await;
    world.fake.inject(down());
    world.unblock("e-1", "entry-1").await;
    world.daemon.wait_for_metric(PAUSED, 1.0).await;
    let called = world.fake.changes_called();
    world.fake.wait_for_calls(called + 5, DEADLINE).await;
    world.fake.inject_instead([Fault::always(FaultKind::Html { status: 502 })]);
    world.daemon.wait_for_logged("lane paused", 2).await;
    let called = world.fake.changes_called();
    world.fake.wait_for_calls(called + 5, DEADLINE).await;
    world.fake.heal();
    world.daemon.wait_for_logged("lane resumed", 1).await;
    let logged = world.daemon.logged("lane paused");
    let said: Vec<_> = logged.iter().map(|it| (&it["event_id"], &it["event"])).collect();
    let lane = json!("url.unblock");
    assert_eq!(said, [(&json!("e-1"), &lane); 2]);
    assert!(logged[0]["why"].as_str().unwrap().starts_with("http_503"), "{logged:?}");
    assert!(logged[1]["why"].as_str().unwrap().starts_with("http_502"), "{logged:?}");
}

#[tokio::test]
async fn an_outage_costs_each_message_its_attempts_and_the_lane_its_health_calls_and_no_more() {
    let own = [("BREAKER__INITIAL_PROBE_DELAY", "1s"), ("BREAKER__MAX_PROBE_DELAY", "9m")];
    let mut world = World::with(&own).await;
    world.unblock("e-0", "entry-0").await;
    world.daemon.wait_for_metric(ACKED, 1.0).await;
    world.fake.inject(down());
    for number in 0..40 {
        world.unblock(&format!("e-{number}"), &format!("entry-{number}")).await;
    }
    world.daemon.wait_for_metric(PAUSED, 1.0).await;
    world.daemon.wait_for_metric(r#"eventd_messages_in_flight{event="url.unblock"}"#, 0.0).await;
    // The end of the daemon is the end of its calls.
    world.daemon.signal("TERM");
    assert_eq!(world.daemon.ended().await, Some(0));
    let prefetch = 16;
    let of_messages = of_messages(&world) - 1;
    assert!(of_messages <= prefetch * ATTEMPTS, "{of_messages} calls in an outage");
    // Messages share a health call; after 1, 2, 4, 8 and 16 s the patience of this test is over.
    let health_calls = world.fake.calls().len() - 1 - of_messages;
    assert!(health_calls <= prefetch + 5, "{health_calls} health calls");
    world.vhost.wait_for_depth(UNBLOCK, 40).await;
}

#[tokio::test]
async fn what_needs_no_call_of_mimecast_costs_those_behind_it_no_interval_of_a_pause() {
    let own = [("BREAKER__INITIAL_PROBE_DELAY", "500ms"), ("BREAKER__MAX_PROBE_DELAY", "20s")];
    let world = World::with(&own).await;
    world.fake.inject(down());
    world.unblock("e-0", "entry-0").await;
    world.daemon.wait_for_metric(PAUSED, 1.0).await;
    let later = (chrono::Utc::now() + chrono::TimeDelta::hours(1)).to_rfc3339();
    for number in 0..15 {
        world.publish("url.unblock", "nonsense").await;
        let waits = json!({"id": format!("later-{number}"), "effectiveAt": later});
        world.publish_bare("url.unblock", &waits.to_string()).await;
        let nothing = json!({"url": format!("https://example.com/{number}")});
        world.publish_bare("url.unblock", &nothing.to_string()).await;
    }
    for number in 0..5 {
        world.fake.add_url(&format!("good-{number}"));
        world.unblock(&format!("e-good-{number}"), &format!("good-{number}")).await;
    }
    world.fake.heal();
    eventually("the good ones are applied", async || {
        (0..5).all(|number| !world.fake.has_url(&format!("good-{number}"))).then_some(())
    })
    .await;
    world.vhost.wait_for_depth(DEAD_LETTERS, 15).await;
    assert_eq!((pauses(&world.daemon), world.daemon.logged("lane resumed").len()), (1, 1));
}

#[tokio::test]
async fn a_role_that_loses_its_permission_pauses_its_lane_and_nothing_is_dead_lettered() {
    for kind in [
        FaultKind::Forbidden,
        FaultKind::fail("err_xdk_operation_forbidden_for_address"),
        unknown(403),
        unknown(400),
        FaultKind::fail("err_of_tomorrow"),
    ] {
        let world = World::hmac().await;
        for number in 0..5 {
            let address = format!("done-{number}@example.com");
            world.offboard(&address, &address, &["group-1"]).await;
        }
        world.daemon.wait_for_metric(LEAVERS_ACKED, 5.0).await;
        let lost = Fault::always(kind.clone()).for_operation(Operation::RemoveGroupMember);
        world.fake.inject(lost);
        let leavers: Vec<String> = (0..30).map(|it| format!("leaver-{it}@example.com")).collect();
        for address in &leavers {
            world.fake.add_member("group-1", address);
            world.offboard(address, address, &["group-1"]).await;
        }
        world.daemon.wait_for_metric(LEAVERS_PAUSED, 1.0).await;
        let calls = world.fake.changes_called();
        world.fake.wait_for_calls(calls + 3, DEADLINE).await;
        world.vhost.wait_for_depth(OFFBOARDED, 30).await;
        world.fake.heal();
        world.daemon.wait_for_metric(LEAVERS_ACKED, 35.0).await;
        assert!(leavers.iter().all(|it| !world.fake.is_member("group-1", it)), "{kind:?}");
        let settled = world.daemon.logged("settled");
        let allowed = ["ack", "requeue"];
        let is_allowed = |line: &&serde_json::Value| {
            allowed.iter().any(|disposition| line["disposition"] == **disposition)
        };
        assert_eq!(settled.iter().filter(|line| !is_allowed(line)).count(), 0, "{kind:?}");
        world.vhost.wait_for_depth(DEAD_LETTERS, 0).await;
    }
}

#[tokio::test]
async fn a_permission_that_is_lost_for_what_is_there_alone_dead_letters_no_leaver() {
    let world = World::hmac().await;
    world.fake.add_group("group-2");
    world.offboard("done", "done@example.com", &["group-1"]).await;
    world.daemon.wait_for_metric(LEAVERS_ACKED, 1.0).await;
    // What is made up is still said not to be there.
    let forbidden = FaultKind::fail("err_xdk_operation_forbidden_for_address");
    let lost = Fault::always(forbidden).for_operation(Operation::RemoveGroupMember);
    world.fake.inject(lost.for_item_containing("group-"));
    let leavers: Vec<String> = (0..30).map(|it| format!("leaver-{it}@example.com")).collect();
    for address in &leavers {
        world.fake.add_member("group-1", address);
        world.offboard(address, address, &["group-1"]).await;
    }
    world.daemon.wait_for_metric(LEAVERS_PAUSED, 1.0).await;
    let calls = world.fake.changes_called();
    world.fake.wait_for_calls(calls + 3, DEADLINE).await;
    world.fake.heal();
    world.daemon.wait_for_metric(LEAVERS_ACKED, 31.0).await;
    assert!(leavers.iter().all(|it| !world.fake.is_member("group-1", it)));
    world.vhost.wait_for_depth(DEAD_LETTERS, 0).await;
}

#[tokio::test]
async fn the_third_refusal_in_a_row_pauses_the_lane_and_the_others_are_applied_later() {
    let world = World::with(&[("EVENTS__URL_UNBLOCK__PREFETCH", "1")]).await;
    world.fake.inject(Fault::always(unknown(403)).for_item_containing("entry-"));
    for number in 0..10 {
        world.fake.add_url(&format!("entry-{number}"));
        world.unblock(&format!("e-{number}"), &format!("entry-{number}")).await;
    }
    world.daemon.wait_for_metric(PAUSED, 1.0).await;
    let before = of_messages(&world);
    eventually("messages are tried", async || (of_messages(&world) >= before + 6).then_some(()))
        .await;
    world.vhost.wait_for_depth(DEAD_LETTERS, 2).await;
    world.fake.heal();
    world.daemon.wait_for_metric(ACKED, 8.0).await;
    world.daemon.wait_until_ready().await;
    world.vhost.wait_for_depth(DEAD_LETTERS, 2).await;
}

#[tokio::test]
async fn a_group_that_was_answered_and_is_forbidden_now_stops_nobody_of_another_group() {
    let forbid = || FaultKind::fail("err_xdk_operation_forbidden_for_address");
    for may_list in [true, false] {
        let world = World::hmac().await;
        world.fake.inject(Fault::always(forbid()).for_item_containing("mimecast-eventd-health"));
        if !may_list {
            world.fake.inject(Fault::always(forbid()).for_operation(Operation::FindGroups));
        }
        for (number, group) in ["group-b", "group-a"].into_iter().enumerate() {
            let address = format!("done-{number}@example.com");
            world.offboard(&address, &address, &[group]).await;
            world.daemon.wait_for_metric(LEAVERS_ACKED, (number + 1) as f64).await;
        }
        world.fake.inject(Fault::always(forbid()).for_item_containing("group-a"));
        world.offboard("forbidden", "ada@example.com", &["group-a"]).await;
        // Nothing that was under way before says anything.
        world.daemon.wait_for_metric(LEAVERS_PAUSED, 1.0).await;
        for number in 0..5 {
            let address = format!("leaver-{number}@example.com");
            world.fake.add_member("group-b", &address);
            world.offboard(&address, &address, &["group-b"]).await;
        }
        world.daemon.wait_for_metric(LEAVERS_ACKED, 7.0).await;
        let found = world.vhost.take(DEAD_LETTERS).await;
        assert_eq!(found.header("x-eventd-reason"), "rejected", "{may_list}");
        assert!(String::from_utf8_lossy(&found.body).contains("forbidden"));
        world.vhost.wait_for_depth(DEAD_LETTERS, 0).await;
        world.daemon.wait_until_ready().await;
    }
}

#[tokio::test]
async fn a_refused_question_whether_an_effect_has_come_is_not_the_fault_of_the_event() {
    let own = [("POLICY__VERIFY_EFFECT", "true"), ("RETRY__LADDER", r#"["100ms"]"#)];
    let world = World::with(&own).await;
    let forbidden = FaultKind::fail("err_xdk_operation_forbidden_for_address");
    world.fake.inject(Fault::always(forbidden).for_operation(Operation::GetGroupMembers));
    for number in 0..4 {
        let address = format!("leaver-{number}@example.com");
        world.fake.add_member("group-1", &address);
        world.offboard(&address, &address, &["group-1"]).await;
    }
    // Each waits aside for longer than its only retry delay.
    world.vhost.wait_for_depth(&format!("{OFFBOARDED}.due.10s"), 4).await;
    world.daemon.wait_for_metric(LEAVERS_RETRIED, 4.0).await;
    assert_eq!(pauses(&world.daemon), 0);
    world.fake.heal();
    world.daemon.wait_for_metric(LEAVERS_ACKED, 4.0).await;
    world.vhost.wait_for_depth(DEAD_LETTERS, 0).await;
}

#[tokio::test]
async fn a_refusal_of_all_that_passes_dead_letters_nothing_and_spends_no_delay() {
    for kind in [unknown(403), unknown(400), FaultKind::fail("err_of_tomorrow"), unknown(422)] {
        let world = World::hmac().await;
        world.fake.inject(Fault::next(kind.clone()).times(20));
        for number in 0..10 {
            world.fake.add_url(&format!("entry-{number}"));
            world.unblock(&format!("e-{number}"), &format!("entry-{number}")).await;
            let address = format!("ada-{number}@example.com");
            world.fake.add_member("group-1", &address);
            world.offboard(&address, &address, &["group-1"]).await;
        }
        world.daemon.wait_for_metric(ACKED, 10.0).await;
        world.daemon.wait_for_metric(LEAVERS_ACKED, 10.0).await;
        assert_eq!(world.daemon.metric(RETRIED).await, 0.0, "{kind:?}");
        world.vhost.wait_for_depth(DEAD_LETTERS, 0).await;
    }
}

#[tokio::test]
async fn neither_a_429_nor_a_refusal_of_the_caller_is_an_answer_that_ends_a_pause() {
    for kind in [
        FaultKind::Throttle { reset_milliseconds: Some(1), retry_after: None },
        FaultKind::Unauthorized,
        FaultKind::Expired,
        FaultKind::Forbidden,
    ] {
        let world = World::hmac().await;
        let calls = u32::try_from(ATTEMPTS).unwrap();
        world.fake.inject(Fault::next(FaultKind::status(503)).times(calls));
        world.fake.inject(Fault::next(kind.clone()).times(5));
        world.fake.inject(down());
        world.unblock("e-1", "entry-1").await;
        world.daemon.wait_for_metric(PAUSED, 1.0).await;
        // What is to be no answer comes to an end, and is followed by what certainly is none.
        world.fake.wait_for_calls(ATTEMPTS + 5 + 2, DEADLINE).await;
        assert_eq!(world.daemon.logged("lane resumed").len(), 0, "{kind:?}");
        world.fake.heal();
        world.daemon.wait_for_metric(ACKED, 1.0).await;
        world.daemon.wait_until_ready().await;
        eventually("the lane goes on once", async || {
            (world.daemon.logged("lane resumed").len() == 1).then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn where_health_calls_are_answered_and_real_ones_fail_the_third_message_pauses_the_lane() {
    let own = [("RETRY__LADDER", r#"["1h"]"#), ("EVENTS__URL_UNBLOCK__PREFETCH", "1")];
    let world = World::with(&own).await;
    for number in 0..8 {
        world.fake.add_url(&format!("entry-{number}"));
    }
    world.fake.inject(down().for_item_containing("entry-"));
    for number in 0..8 {
        world.unblock(&format!("e-{number}"), &format!("entry-{number}")).await;
        // That Mimecast does not find something is no change.
        world.unblock(&format!("gone-{number}"), &format!("gone-{number}")).await;
    }
    world.daemon.wait_for_metric(PAUSED, 1.0).await;
    // It tries its oldest messages, and spends no delay of theirs.
    let before = of_messages(&world);
    eventually("messages are tried", async || (of_messages(&world) >= before + 6).then_some(()))
        .await;
    assert_eq!(world.daemon.metric(RETRIED).await, 2.0, "those before the third");
    world.fake.heal();
    world.daemon.wait_for_metric(ACKED, 8.0 + 6.0).await;
    world.daemon.wait_until_ready().await;
    world.vhost.wait_for_depth(UNBLOCK, 0).await;
    world.vhost.wait_for_depth(DEAD_LETTERS, 0).await;
}

#[tokio::test]
async fn a_message_that_was_changed_in_part_before_it_failed_pauses_nothing() {
    let own = [("RETRY__LADDER", r#"["1h"]"#), ("EVENTS__USER_OFFBOARDED__PREFETCH", "1")];
    let world = World::with(&own).await;
    world.fake.inject(down().for_item_containing("broken-group"));
    world.fake.add_member("good-group", "eve@example.com");
    for number in 0..2 {
        world.offboard(&format!("e-{number}"), "ada@example.com", &["broken-group"]).await;
    }
    world.offboard("e-2", "eve@example.com", &["good-group", "broken-group"]).await;
    world.daemon.wait_for_metric(LEAVERS_RETRIED, 3.0).await;
    assert!(!world.fake.is_member("good-group", "eve@example.com"));
    assert_eq!(pauses(&world.daemon), 0);
}

#[tokio::test]
async fn a_slow_message_does_not_keep_a_paused_lane_from_trying_others() {
    let world = World::with(&[("RETRY__LADDER", r#"["1h"]"#)]).await;
    world.fake.inject(Fault::next(FaultKind::Hold).for_item_containing("slow"));
    world.fake.inject(down().for_item_containing("poison"));
    world.unblock("first", "first").await;
    world.daemon.wait_for_metric(ACKED, 1.0).await;
    world.unblock("slow", "slow").await;
    world.fake.wait_for_calls(2, DEADLINE).await;
    for number in 0..3 {
        world.unblock(&format!("e-{number}"), &format!("poison-{number}")).await;
    }
    world.daemon.wait_for_metric(PAUSED, 1.0).await;
    world.fake.add_url("good");
    world.unblock("good", "good").await;
    eventually("it is applied", async || (!world.fake.has_url("good")).then_some(())).await;
    world.daemon.wait_until_ready().await;
    world.fake.release();
    world.daemon.wait_for_metric(ACKED, 3.0).await;
}

#[tokio::test]
async fn no_replica_stays_paused_for_want_of_a_change_once_the_queue_is_empty() {
    let world = World::hmac().await;
    let other = Daemon::start(&world.variables).await;
    other.wait_until_ready().await;
    world.fake.inject(down().for_item_containing("entry-"));
    for number in 0..12 {
        world.fake.add_url(&format!("entry-{number}"));
        world.unblock(&format!("e-{number}"), &format!("entry-{number}")).await;
    }
    world.daemon.wait_for_metric(PAUSED, 1.0).await;
    other.wait_for_metric(PAUSED, 1.0).await;
    world.fake.heal();
    world.vhost.wait_for_depth(UNBLOCK, 0).await;
    world.daemon.wait_until_ready().await;
    other.wait_until_ready().await;
}

#[tokio::test]
async fn a_lost_permission_for_entries_pauses_the_lane_where_health_calls_were_never_answered() {
    for kind in [unknown(403), unknown(400)] {
        let world = World::hmac().await;
        world.fake.add_url("done");
        world.unblock("done", "done").await;
        world.daemon.wait_for_metric(ACKED, 1.0).await;
        let lost = Fault::always(kind.clone()).for_operation(Operation::DeleteManagedUrl);
        world.fake.inject(lost);
        for number in 0..6 {
            world.fake.add_url(&format!("entry-{number}"));
            world.unblock(&format!("e-{number}"), &format!("entry-{number}")).await;
        }
        world.daemon.wait_for_metric(PAUSED, 1.0).await;
        let calls = world.fake.changes_called();
        world.fake.wait_for_calls(calls + 20, DEADLINE).await;
        assert_eq!(world.daemon.metric(RETRIED).await, 0.0, "{kind:?}");
        world.fake.heal();
        world.daemon.wait_for_metric(ACKED, 7.0).await;
        world.vhost.wait_for_depth(DEAD_LETTERS, 0).await;
    }
}

#[tokio::test]
async fn where_health_calls_are_forbidden_a_refused_message_is_rejected_once_others_are_applied() {
    let world = World::hmac().await;
    let forbid = |item| Fault::always(unknown(403)).for_item_containing(item);
    world.fake.inject(forbid("mimecast-eventd-health-"));
    world.fake.inject(forbid("refused"));
    world.unblock("bad", "refused").await;
    let mut innocents = 0;
    let found = eventually("the bad one is dead-lettered", async || {
        let entry = format!("entry-{innocents}");
        world.fake.add_url(&entry);
        world.unblock(&entry, &entry).await;
        innocents += 1;
        world.vhost.take_now(DEAD_LETTERS).await
    })
    .await;
    assert_eq!(found.header("x-eventd-reason"), "rejected");
    world.vhost.wait_for_depth(UNBLOCK, 0).await;
    world.daemon.wait_until_ready().await;
    assert_eq!(world.daemon.metric(RETRIED).await, 0.0);
}

#[tokio::test]
async fn a_pause_for_want_of_a_change_costs_each_message_one_delay_after_ten_minutes() {
    let own = [
        ("RETRY__LADDER", r#"["15s", "1h"]"#),
        ("EVENTS__URL_UNBLOCK__PREFETCH", "1"),
        ("BREAKER__INITIAL_PROBE_DELAY", "50ms"),
        ("BREAKER__MAX_PROBE_DELAY", "100ms"),
    ];
    let within = Within::by(Node::shared().authority(), &own).await;
    within.fake.inject(down().for_item_containing("entry-"));
    let publish = async |number: usize| {
        let body = json!({"id": format!("entry-{number}")}).to_string();
        within.vhost.publish("url.unblock", body.as_bytes(), BasicProperties::default()).await;
    };
    for number in 0..6 {
        publish(number).await;
    }
    within.wait_for_metric(PAUSED, 1.0).await;
    within.wait_for_metric(RETRIED, 2.0).await;
    within.pass(Duration::from_mins(11)).await;
    // The two come back after their delay, and the first that would take a second one pauses the lane again.
    within.wait_for_metric(RETRIED, 8.0).await;
    within.wait_for_metric(PAUSED, 1.0).await;
    let waiting = within.vhost.depth(&format!("{UNBLOCK}.retry.1h")).await.unwrap().0;
    assert!(waiting <= 2, "{waiting} took a second delay");
    within.fake.heal();
    eventually("each is applied, or waits for its second delay", async || {
        let waiting = within.vhost.depth(&format!("{UNBLOCK}.retry.1h")).await.unwrap().0;
        (within.metric(ACKED).await == f64::from(6 - waiting)).then_some(())
    })
    .await;
    let (vhost, _fake) = within.stop().await;
    vhost.wait_for_depth(DEAD_LETTERS, 0).await;
}

#[tokio::test]
async fn a_message_that_is_settled_costs_a_lane_that_tries_messages_no_interval() {
    let own = [
        ("RETRY__LADDER", r#"["1h"]"#),
        ("EVENTS__URL_UNBLOCK__PREFETCH", "1"),
        ("BREAKER__INITIAL_PROBE_DELAY", "2s"),
        ("BREAKER__MAX_PROBE_DELAY", "10m"),
    ];
    let world = World::with(&own).await;
    world.fake.inject(down().for_item_containing("poison"));
    for number in 0..3 {
        world.unblock(&format!("e-{number}"), &format!("poison-{number}")).await;
    }
    world.daemon.wait_for_metric(PAUSED, 1.0).await;
    for _ in 0..15 {
        world.publish("url.unblock", "nonsense").await;
    }
    world.fake.add_url("good");
    world.unblock("good", "good").await;
    // After 2, 4, 8, 16 and 32 s the patience of this test is over.
    eventually("it is applied", async || (!world.fake.has_url("good")).then_some(())).await;
    world.daemon.wait_until_ready().await;
    world.vhost.wait_for_depth(DEAD_LETTERS, 15).await;
}

#[tokio::test]
async fn an_event_of_many_groups_that_comes_again_does_not_hold_its_lane_until_it_is_done() {
    let mut world = World::hmac().await;
    let groups: Vec<String> = (0..40).map(|number| format!("group-{number}")).collect();
    let groups: Vec<&str> = groups.iter().map(String::as_str).collect();
    groups.iter().for_each(|group| world.fake.add_member(group, "ada@example.com"));
    world.fake.add_member("other", "eve@example.com");
    let slow = Fault::always(FaultKind::Delay { milliseconds: 250 });
    world.fake.inject(slow.for_item_containing("ada@"));
    world.offboard("many", "ada@example.com", &groups).await;
    world.fake.wait_for_calls(3, DEADLINE).await;
    world.offboard("other", "eve@example.com", &["other"]).await;
    // The one before is killed in mid work.
    world.daemon = Daemon::start(&world.variables).await;
    eventually("the other one is applied", async || {
        (!world.fake.is_member("other", "eve@example.com")).then_some(())
    })
    .await;
    assert!(world.fake.is_member("group-39", "ada@example.com"), "it waited for all of the first");
    eventually("the first one is done", async || {
        (!world.fake.is_member("group-39", "ada@example.com")).then_some(())
    })
    .await;
    world.vhost.wait_for_depth(OFFBOARDED, 0).await;
}

#[tokio::test]
async fn restarts_in_an_outage_spend_neither_delivery_limit_nor_delays() {
    let limit = ("EVENTS__URL_UNBLOCK__DELIVERY_LIMIT", "20");
    let mut world = World::with(&[limit, ("RETRY__ATTEMPTS", "2")]).await;
    world.fake.add_url("entry-1");
    world.fake.inject(down());
    for number in 0..3 {
        world.unblock(&format!("e-{number}"), "entry-1").await;
    }
    for restart in 0..40 {
        if restart % 2 == 0 {
            world.daemon.wait_for_metric(PAUSED, 1.0).await;
        } else {
            world.fake.wait_for_calls(world.fake.changes_called() + 1, DEADLINE).await;
        }
        world.daemon.signal("TERM");
        assert_eq!(world.daemon.ended().await, Some(0));
        world.vhost.wait_for_depth(UNBLOCK, 3).await;
        world.daemon = Daemon::start(&world.variables).await;
    }
    world.fake.heal();
    world.vhost.wait_for_depth(UNBLOCK, 0).await;
    eventually("it is applied", async || (!world.fake.has_url("entry-1")).then_some(())).await;
    world.vhost.wait_for_depth(DEAD_LETTERS, 0).await;
}

#[tokio::test]
async fn a_daemon_that_is_killed_in_an_outage_asks_before_it_takes_what_comes_again() {
    let limit = ("EVENTS__URL_UNBLOCK__DELIVERY_LIMIT", "2");
    let mut world = World::with(&[limit, ("RETRY__ATTEMPTS", "50")]).await;
    world.fake.add_url("entry-1");
    world.fake.inject(down());
    world.unblock("e-1", "entry-1").await;
    for _ in 0..4 {
        let before = of_messages(&world);
        eventually("it is tried", async || (of_messages(&world) > before + 1).then_some(())).await;
        // The one before is killed.
        world.daemon = Daemon::start(&world.variables).await;
        let before = of_messages(&world);
        world.daemon.wait_for_metric(PAUSED, 1.0).await;
        world.vhost.wait_for_depth(UNBLOCK, 1).await;
        assert!(of_messages(&world) <= before + 1, "it was tried before the health call");
        world.daemon = Daemon::start(&world.variables).await;
    }
    world.fake.heal();
    eventually("it is applied", async || (!world.fake.has_url("entry-1")).then_some(())).await;
    world.vhost.wait_for_depth(DEAD_LETTERS, 0).await;
}

#[tokio::test]
async fn whoever_resumes_a_lane_that_has_paused_itself_learns_what_a_health_call_said() {
    let own = [("BREAKER__INITIAL_PROBE_DELAY", "9m"), ("BREAKER__MAX_PROBE_DELAY", "9m")];
    let world = World::with(&own).await;
    world.fake.add_url("entry-1");
    world.fake.inject(down());
    world.unblock("e-1", "entry-1").await;
    world.daemon.wait_for_metric(PAUSED, 1.0).await;
    let before = world.fake.changes_called();
    let resumed = run(&world.variables, &["resume", "url.unblock"]).await;
    assert!(resumed.out.contains("still paused: http_503: "), "{resumed:?}");
    assert_eq!(world.fake.changes_called(), before + 1, "the health call is made at once");
    world.fake.heal();
    let resumed = run(&world.variables, &["resume", "url.unblock", "--json"]).await;
    assert_eq!(resumed.field("state"), ["resumed"], "{resumed:?}");
    assert_eq!(resumed.field("changed"), [true], "{resumed:?}");
    world.daemon.wait_for_metric(ACKED, 1.0).await;
    assert!(!world.fake.has_url("entry-1"));
}

#[tokio::test]
async fn whoever_resumes_a_lane_does_not_wait_for_a_health_call_that_hangs() {
    let own = [("MIMECAST__TIMEOUT", "200s")];
    let world = World::with(&own).await;
    world.fake.add_url("entry-1");
    world.fake.inject(Fault::next(FaultKind::status(503)).times(ATTEMPTS as u32));
    let health = "mimecast-eventd-health";
    world.fake.inject(Fault::next(FaultKind::status(503)).for_item_containing(health).times(3));
    world.fake.inject(Fault::always(FaultKind::Hang).for_item_containing(health));
    world.unblock("e-1", "entry-1").await;
    // Its attempts, three health calls that fail, and the one that hangs.
    world.fake.wait_for_calls(ATTEMPTS + 4, DEADLINE).await;
    world.fake.heal();
    let resume = run(&world.variables, &["resume", "url.unblock"]).await;
    assert!(resume.out.contains("resumed"), "{resume:?}");
    world.daemon.wait_for_metric(ACKED, 1.0).await;
}

#[tokio::test]
async fn a_pause_by_hand_and_a_stop_do_not_wait_for_the_quota_or_for_a_health_call() {
    let hour = FaultKind::Throttle { reset_milliseconds: Some(3_600_000), retry_after: None };
    for kind in [hour, FaultKind::Hang] {
        let mut world = World::new(settings::hmac, &[("MIMECAST__TIMEOUT", "3s")]).await;
        world.fake.inject(Fault::next(kind));
        world.fake.inject(down());
        world.unblock("e-1", "entry-1").await;
        world.fake.wait_for_calls(1, DEADLINE).await;
        run(&world.variables, &["pause", "url.unblock"]).await;
        world.vhost.wait_for_depth(UNBLOCK, 1).await;
        world
            .daemon
            .wait_for_metric(r#"eventd_messages_in_flight{event="url.unblock"}"#, 0.0)
            .await;
        world.daemon.signal("TERM");
        assert_eq!(world.daemon.ended().await, Some(0));
        world.vhost.wait_for_depth(UNBLOCK, 1).await;
    }
}

#[tokio::test]
async fn a_paused_lane_notices_at_once_that_its_connection_is_lost() {
    let relay = Relay::to(Node::shared().authority()).await;
    let own = [("BREAKER__INITIAL_PROBE_DELAY", "9m"), ("BREAKER__MAX_PROBE_DELAY", "9m")];
    let world = World::by(&relay.authority(), &own).await;
    world.fake.inject(down());
    world.unblock("e-1", "entry-1").await;
    world.offboard("e-2", "ada@example.com", &["group-1"]).await;
    world.daemon.wait_for_metric(PAUSED, 1.0).await;
    world.daemon.wait_for_metric(LEAVERS_PAUSED, 1.0).await;
    for event in ["url.unblock", "user.offboarded"] {
        let in_flight = format!(r#"eventd_messages_in_flight{{event="{event}"}}"#);
        world.daemon.wait_for_metric(&in_flight, 0.0).await;
    }
    world.fake.heal();
    relay.cut();
    world
        .daemon
        .wait_for_metric(r#"eventd_amqp_connections_total{event="url.unblock"}"#, 2.0)
        .await;
    // The next session starts with nothing of the last one, the pause neither.
    world.daemon.wait_for_metric(ACKED, 1.0).await;
}
