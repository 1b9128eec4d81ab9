//! What Mimecast has done is in the audit trail, whatever happens to the connection, the disk and the daemon
//! meanwhile: the fake's own record of each change is held against the lines.

use super::audit::Place;
use crate::support::broker::OFFBOARDED;
use crate::support::daemon::Daemon;
use crate::support::node::Node;
use crate::support::program::run;
use crate::support::relay::Relay;
use crate::support::within::{Within, fresh};
use crate::support::world::World;
use crate::support::{DEADLINE, eventually};
use fake_mimecast::{Fault, FaultKind};
use lapin::BasicProperties;
use mimecast_eventd::vendor::Stamp;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};

const ACKED: &str = r#"eventd_messages_settled_total{disposition="ack",event="user.offboarded"}"#;
const PAUSED: &str = r#"eventd_lane_state{event="user.offboarded",state="paused"}"#;

/// So that a pause asks for nothing by itself.
const LONG: [(&str, &str); 2] =
    [("BREAKER__INITIAL_PROBE_DELAY", "9m"), ("BREAKER__MAX_PROBE_DELAY", "9m")];

/// Expects that each change of the tenant is a request in exactly one line, and that the trail is whole.
async fn expect_each_change_in_one_line(place: &Place, world: &World) {
    let mut told = BTreeMap::<String, usize>::new();
    for line in lines(place) {
        for command in line["commands"].as_array().unwrap() {
            for request in command["requests"].as_array().unwrap() {
                *told.entry(request["id"].as_str().unwrap().to_owned()).or_default() += 1;
            }
        }
    }
    let calls = world.fake.calls();
    let changes = calls.iter().filter(|call| call.operation.is_change() && call.applied);
    for call in changes {
        let id = call.request_id.as_ref().unwrap();
        assert_eq!(told.get(id), Some(&1), "{call:?}: {:?}", world.daemon.logged("settled").last());
    }
    let (code, found) = place.verified(world, "audit.jsonl", &[]).await;
    assert_eq!(code, Some(0), "{found:?}");
}

/// Ada is in two groups; the removal from the second one hangs, until it is let go or the daemon goes away.
async fn second_command_hangs(world: &World) {
    for group in ["group-1", "group-2"] {
        world.fake.add_member(group, "ada@example.com");
    }
    world.fake.inject(Fault::next(FaultKind::Hold).for_item_containing("group-2"));
    let calls = world.fake.calls().len();
    world.offboard("e-1", "ada@example.com", &["group-1", "group-2"]).await;
    world.fake.wait_for_calls(calls + 2, DEADLINE).await;
}

async fn wait_until_done(world: &World) {
    eventually("the rest is done", async || {
        (!world.fake.is_member("group-2", "ada@example.com")).then_some(())
    })
    .await;
    world.vhost.wait_for_depth(OFFBOARDED, 0).await;
}

fn lines(place: &Place) -> Vec<Value> {
    ["settled", "interrupted"].iter().flat_map(|kind| place.lines(kind)).collect()
}

fn results(line: &Value) -> Vec<&Value> {
    line["commands"].as_array().unwrap().iter().map(|it| &it["result"]).collect()
}

#[tokio::test]
async fn what_was_done_in_a_session_that_ended_is_in_the_trail() {
    // The command that hangs is done in the end, or refused.
    for is_refused in [false, true] {
        let place = Place::new();
        let relay = Relay::to(Node::shared().authority()).await;
        let mut world = World::by(&relay.authority(), &place.own()).await;
        second_command_hangs(&world).await;
        relay.cut();
        world.daemon.wait_for_logged("the session ended", 1).await;
        world.fake.refuse_credentials(is_refused);
        world.fake.release();
        let line = eventually("it is written", async || lines(&place).first().cloned()).await;
        assert_eq!((results(&line)[0], results(&line).len()), (&json!("applied"), 2), "{line}");
        assert_eq!(line["event_id"], "e-1");
        world.fake.refuse_credentials(false);
        wait_until_done(&world).await;
        world.daemon.wait_for_metric(ACKED, 1.0).await;
        world.daemon.signal("TERM");
        assert_eq!(world.daemon.ended().await, Some(0));
        expect_each_change_in_one_line(&place, &world).await;
    }
}

#[tokio::test]
async fn sessions_that_end_again_and_again_lose_no_change_and_tell_none_twice() {
    let place = Place::new();
    let relay = Relay::to(Node::shared().authority()).await;
    let mut world = World::by(&relay.authority(), &place.own()).await;
    for number in 0..60 {
        let (address, groups) = (format!("user-{number}@example.com"), ["group-1", "group-2"]);
        groups.iter().for_each(|group| world.fake.add_member(group, &address));
        world.fake.inject(
            Fault::next([FaultKind::LoseReply, FaultKind::Reset][number % 2].clone())
                .for_item_containing(&address),
        );
    }
    world.fake.inject(Fault::always(FaultKind::Delay { milliseconds: 3 }));
    for number in 0..60 {
        let address = format!("user-{number}@example.com");
        world.offboard(&address, &address, &["group-1", "group-2"]).await;
    }
    for round in 1..6 {
        world.fake.wait_for_calls(round * 25, DEADLINE).await;
        relay.cut();
    }
    let is_done = |number: usize| {
        let address = format!("user-{number}@example.com");
        !["group-1", "group-2"].iter().any(|group| world.fake.is_member(group, &address))
    };
    eventually("all is done", async || (0..60).all(is_done).then_some(())).await;
    world.vhost.wait_for_depth(OFFBOARDED, 0).await;
    world.daemon.signal("TERM");
    assert_eq!(world.daemon.ended().await, Some(0));
    expect_each_change_in_one_line(&place, &world).await;
}

#[tokio::test]
async fn what_a_killed_process_had_asked_for_is_marked_by_the_next_start() {
    let place = Place::new();
    let mut world = place.world(&[]).await;
    second_command_hangs(&world).await;
    // Somebody else's message is settled meanwhile.
    world.fake.add_member("group-1", "bob@example.com");
    world.offboard("e-2", "bob@example.com", &["group-1"]).await;
    world.daemon.wait_for_metric(ACKED, 1.0).await;
    world.daemon.signal("KILL");
    world.daemon.ended().await;
    world.fake.release();
    let file = place.path.to_str().unwrap();
    let show = ["audit", "show", "--address", "ada@example.com", file];
    let shown = run(&world.variables, &show).await.out;
    assert_eq!(shown.matches("asked, no answer").count(), 2, "{shown}");
    world.restart_daemon().await;
    wait_until_done(&world).await;
    world.daemon.wait_for_metric(ACKED, 1.0).await;
    let told = place.lines("interrupted");
    let told: Vec<_> = told
        .iter()
        .map(|line| {
            let command = &line["commands"][0];
            (&line["event_id"], &command["group_id"], &command["requests"][0]["outcome"])
        })
        .collect();
    let (event, outcome) = (json!("e-1"), json!("unanswered"));
    let groups = [json!("group-1"), json!("group-2")];
    assert_eq!(told, [(&event, &groups[0], &outcome), (&event, &groups[1], &outcome)]);
    expect_each_change_in_one_line(&place, &world).await;
    // The next start has nothing more to say.
    world.daemon.signal("KILL");
    world.daemon.ended().await;
    world.restart_daemon().await;
    assert_eq!(place.lines("interrupted").len(), 2);
}

#[tokio::test]
async fn what_is_under_way_over_rotations_is_marked_although_the_older_files_are_gone() {
    let place = Place::new();
    let mut world = place.world(&[]).await;
    second_command_hangs(&world).await;
    for number in 1..=2 {
        fs::rename(&place.path, place.folder.path().join(format!("older-{number}"))).unwrap();
        world.daemon.signal("HUP");
        world.daemon.wait_for_logged("the audit trail goes on in another file", number).await;
    }
    world.daemon.signal("KILL");
    world.daemon.ended().await;
    world.fake.release();
    let older = place.folder.path().join("older-2");
    let files = [older.to_str().unwrap(), place.path.to_str().unwrap()];
    let show = [&["audit", "show", "--address", "ada@example.com"][..], &files].concat();
    let shown = run(&world.variables, &show).await.out;
    assert_eq!(shown.matches("asked, no answer").count(), 2, "{shown}");
    world.restart_daemon().await;
    wait_until_done(&world).await;
    world.daemon.wait_for_metric(ACKED, 1.0).await;
    assert_eq!(place.lines("interrupted").len(), 2);
    expect_each_change_in_one_line(&place, &world).await;
}

#[tokio::test]
async fn a_killed_process_with_a_thousand_changes_of_one_event_leaves_each_in_one_line_of_a_small_file()
 {
    let place = Place::new();
    let mut world = place.world(&[]).await;
    let name = |number: usize| format!("entry-{number:0>200}");
    let ids: Vec<String> = (0..1000).map(name).collect();
    ids.iter().for_each(|id| world.fake.add_url(id));
    world.fake.inject(Fault::next(FaultKind::Hold).for_item_containing(name(700)));
    world.publish_bare("url.unblock", &json!({"ids": ids}).to_string()).await;
    world.fake.wait_for_calls(701, DEADLINE).await;
    world.daemon.signal("KILL");
    world.daemon.ended().await;
    world.fake.release();
    world.restart_daemon().await;
    assert_eq!(place.lines("interrupted").len(), 701);
    let acked = r#"eventd_messages_settled_total{disposition="ack",event="url.unblock"}"#;
    world.daemon.wait_for_metric(acked, 1.0).await;
    expect_each_change_in_one_line(&place, &world).await;
    let size = fs::metadata(&place.path).unwrap().len();
    assert!(size < 8 << 20, "{size} bytes");
}

#[tokio::test]
async fn processes_that_are_killed_again_and_again_leave_no_change_without_a_line() {
    let place = Place::new();
    let mut world = place.world(&[]).await;
    let address = |number: usize| format!("user-{number}@example.com");
    for number in 0..200 {
        ["group-1", "group-2"].iter().for_each(|it| world.fake.add_member(it, &address(number)));
    }
    world.fake.inject(Fault::always(FaultKind::Delay { milliseconds: 20 }));
    for round in 0..5 {
        let calls = world.fake.calls().len();
        for number in round * 40..(round + 1) * 40 {
            world.offboard(&address(number), &address(number), &["group-1", "group-2"]).await;
        }
        world.fake.wait_for_calls(calls + 10, DEADLINE).await;
        world.daemon.signal("KILL");
        world.daemon.ended().await;
        world.restart_daemon().await;
    }
    let is_done = |number: usize| {
        !["group-1", "group-2"].iter().any(|it| world.fake.is_member(it, &address(number)))
    };
    eventually("all is done", async || (0..200).all(is_done).then_some(())).await;
    world.vhost.wait_for_depth(OFFBOARDED, 0).await;
    world.daemon.signal("TERM");
    assert_eq!(world.daemon.ended().await, Some(0));
    assert!(!place.lines("interrupted").is_empty());
    expect_each_change_in_one_line(&place, &world).await;
}

/// Makes its caller panic once, when it is to.
fn panics_once() -> Stamp {
    assert!(!WILL_PANIC.swap(false, Ordering::Relaxed), "as if a handler had a bug");
    fresh()
}

static WILL_PANIC: AtomicBool = AtomicBool::new(false);

#[tokio::test]
async fn what_was_done_before_the_daemon_failed_over_a_message_is_in_the_trail() {
    let place = Place::new();
    let within = Within::stamped(Node::shared().authority(), &place.own(), panics_once).await;
    for group in ["group-1", "group-2"] {
        within.fake.add_member(group, "ada@example.com");
    }
    within.fake.inject(Fault::next(FaultKind::Hold).for_item_containing("group-1"));
    let event =
        json!({"id": "e-1", "emailAddress": "ada@example.com", "groupIds": ["group-1", "group-2"]});
    let event = event.to_string().into_bytes();
    within.vhost.publish("user.offboarded", &event, BasicProperties::default()).await;
    within.fake.wait_for_calls(1, DEADLINE).await;
    WILL_PANIC.store(true, Ordering::Relaxed);
    within.fake.release();
    within.wait_for_metric(ACKED, 1.0).await;
    let lines = place.lines("settled");
    let told: Vec<_> = lines.iter().map(|it| (&it["disposition"], results(it))).collect();
    let [(first, before), (second, after)] = &told[..] else { panic!("{lines:?}") };
    assert_eq!((*first, before[0]), (&json!("requeue"), &json!("applied")), "{lines:?}");
    assert_eq!((*second, after[0]), (&json!("ack"), &json!("already_gone")), "{lines:?}");
}

#[tokio::test]
async fn what_was_done_before_a_stop_that_took_too_long_is_in_the_trail() {
    let place = Place::new();
    let mut world = place.world(&[("DRAIN_TIMEOUT", "1s")]).await;
    second_command_hangs(&world).await;
    world.daemon.signal("TERM");
    assert_eq!(world.daemon.ended().await, Some(0));
    let [line] = &place.lines("interrupted")[..] else { panic!("it is written") };
    assert_eq!(results(line), [&json!("applied"), &Value::Null]);
    assert_eq!(line["commands"][1]["requests"][0]["outcome"], "unanswered");
    assert_eq!(world.daemon.logged("interrupted after something was done for it").len(), 1);
    world.restart_daemon().await;
    wait_until_done(&world).await;
    world.daemon.wait_for_metric(ACKED, 1.0).await;
    expect_each_change_in_one_line(&place, &world).await;
}

#[tokio::test]
async fn what_was_done_while_the_disk_was_full_is_in_the_trail_after_a_stop() {
    let place = Place::new();
    let mut world = place.world_that_can_fill(&LONG).await;
    second_command_hangs(&world).await;
    place.leave_room(&world, Some(0));
    world.fake.release();
    world.daemon.wait_for_metric(PAUSED, 1.0).await;
    assert_eq!(place.lines("settled").len(), 0);
    place.leave_room(&world, None);
    world.daemon.signal("TERM");
    assert_eq!(world.daemon.ended().await, Some(0));
    expect_each_change_in_one_line(&place, &world).await;
    world.restart_daemon().await;
    world.daemon.wait_for_metric(ACKED, 1.0).await;
    expect_each_change_in_one_line(&place, &world).await;
}

#[tokio::test]
async fn a_disk_that_is_full_to_the_end_is_told_with_the_event_and_the_next_line_says_that_it_came_again()
 {
    let place = Place::new();
    let mut world = place.world_that_can_fill(&LONG).await;
    second_command_hangs(&world).await;
    place.leave_room(&world, Some(0));
    world.fake.release();
    world.daemon.wait_for_metric(PAUSED, 1.0).await;
    world.daemon.signal("TERM");
    assert_eq!(world.daemon.ended().await, Some(0));
    let told = world.daemon.logged("interrupted after something was done for it");
    assert_eq!(told[0]["event_id"], "e-1");
    let told =
        world.daemon.logged("what was done is not in the audit trail; the log names its events");
    assert_eq!(told[0]["lines"], 1);
    world.restart_daemon().await;
    world.daemon.wait_for_metric(ACKED, 1.0).await;
    let line = &place.lines("settled")[0];
    assert_eq!((&line["repeated"], results(line)[0]), (&json!(true), &json!("already_gone")));
}

#[tokio::test]
async fn nothing_more_is_done_while_what_was_done_cannot_be_written_even_in_the_next_session() {
    let place = Place::new();
    let relay = Relay::to(Node::shared().authority()).await;
    let mut world = World::by(&relay.authority(), &place.own()).await;
    let ignoring = ["sh", "-c", r#"trap "" XFSZ; exec "$@""#, "sh"];
    drop(world.daemon);
    world.daemon = Daemon::start_by(&ignoring, &world.variables).await;
    world.daemon.wait_until_ready().await;
    second_command_hangs(&world).await;
    place.leave_room(&world, Some(0));
    relay.cut();
    world.daemon.wait_for_logged("the session ended", 1).await;
    world.fake.release();
    world.daemon.wait_for_metric(PAUSED, 1.0).await;
    let calls = world.fake.changes_called();
    world.offboard("e-2", "bob@example.com", &["group-1"]).await;
    // Its interrupted line is tried again and again meanwhile.
    let tried = world.daemon.metric("eventd_audit_failures_total").await;
    world.daemon.wait_for_at_least("eventd_audit_failures_total", tried + 3.0).await;
    assert_eq!(world.fake.changes_called(), calls);
    place.leave_room(&world, None);
    world.daemon.wait_for_metric(ACKED, 2.0).await;
    wait_until_done(&world).await;
    assert!(!place.lines("interrupted").is_empty());
    expect_each_change_in_one_line(&place, &world).await;
    assert!(fs::metadata(&place.path).unwrap().len() > 0);
}
