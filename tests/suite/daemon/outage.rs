//! What climbs the ladder, what pauses a lane, and what an outage costs nobody.

use crate::support::broker::{DEAD_LETTERS, OFFBOARDED, UNBLOCK};
use crate::support::world::World;
use crate::support::{DEADLINE, eventually};
use fake_mimecast::{Fault, FaultKind, Operation};
use serde_json::json;

const ACKED: &str = r#"eventd_messages_settled_total{disposition="ack",event="url.unblock"}"#;
const RETRIED: &str = r#"eventd_messages_settled_total{disposition="retry",event="url.unblock"}"#;
const PAUSED: &str = r#"eventd_lane_state{event="url.unblock",state="paused"}"#;

fn down() -> Fault {
    Fault::always(FaultKind::status(503))
}

#[tokio::test]
async fn the_only_message_of_the_day_pauses_its_lane_in_an_outage_and_succeeds_after_it() {
    let world = World::hmac().await;
    world.fake.add_url("entry-1");
    world.fake.inject(down().for_operation(Operation::DeleteManagedUrl));
    world.unblock("e-1", "entry-1").await;
    world.daemon.wait_for_metric(PAUSED, 1.0).await;
    world.offboard("e-3", "ada@example.com", &["group-1"]).await;
    let other = r#"eventd_messages_settled_total{disposition="ack",event="user.offboarded"}"#;
    world.daemon.wait_for_metric(other, 1.0).await;
    assert_eq!(world.daemon.metric(PAUSED).await, 1.0, "the answer to the other lane says nothing");
    let (status, why) = world.daemon.get("/readyz").await;
    assert_eq!(status, 503);
    assert!(why.contains("url.unblock paused for ") && why.contains(": http_503"), "{why}");
    assert!(why.contains("user.offboarded consuming"), "one lane paused leaves the other: {why}");
    let told = &world.daemon.logged("lane paused")[0];
    assert_eq!((&told["event"], &told["level"]), (&json!("url.unblock"), &json!("WARN")));
    assert_eq!(told["why"], "http_503: HTTP 503 without a code");
    world.unblock("e-2", "entry-2").await;
    world.vhost.wait_for_depth(UNBLOCK, 2).await;
    // Some probes later it still is none.
    let calls = world.fake.changes_called();
    world.fake.wait_for_calls(calls + 3, DEADLINE).await;
    assert_eq!(world.daemon.logged("lane resumed").len(), 0);
    assert_eq!(world.daemon.metric(RETRIED).await, 0.0);

    world.fake.heal();
    world.daemon.wait_for_metric(ACKED, 2.0).await;
    world.daemon.wait_until_ready().await;
    assert!(!world.fake.has_url("entry-1"));
    assert_eq!(world.daemon.metric(RETRIED).await, 0.0);
    world.vhost.wait_for_depth(DEAD_LETTERS, 0).await;
}

#[tokio::test]
async fn an_outage_of_many_probes_and_many_outages_spend_neither_limit_nor_rungs() {
    let world = World::with(&[("EVENTS__URL_UNBLOCK__DELIVERY_LIMIT", "3")]).await;
    let mut acked = 0.0;
    for outage in 0..6 {
        world.fake.inject(down());
        for number in 0..20 {
            world.unblock(&format!("e-{outage}-{number}"), "entry-1").await;
        }
        world.daemon.wait_for_metric(PAUSED, 1.0).await;
        let before = world.fake.changes_called();
        world.fake.wait_for_calls(before + 10, DEADLINE).await;
        world.fake.heal();
        acked += 20.0;
        world.daemon.wait_for_metric(ACKED, acked).await;
    }
    assert_eq!(world.daemon.metric(RETRIED).await, 0.0);
    world.vhost.wait_for_depth(UNBLOCK, 0).await;
    world.vhost.wait_for_depth(DEAD_LETTERS, 0).await;
}

#[tokio::test]
async fn a_poisonous_message_climbs_the_ladder_while_its_lane_goes_on_and_is_dead_lettered_at_its_end()
 {
    let world = World::with(&[("RETRY__LADDER", r#"["200ms", "400ms"]"#)]).await;
    world.fake.inject(down().for_item_containing("poison"));
    world.unblock("poison", "poison").await;
    let mut number = 0;
    // Others keep coming.
    let found = eventually("the poison is dead-lettered", async || {
        number += 1;
        world.unblock(&format!("e-{number}"), "entry-1").await;
        world.vhost.take_now(DEAD_LETTERS).await
    })
    .await;
    assert_eq!(found.header("x-eventd-reason"), "retries_exhausted");
    assert_eq!(found.header("x-eventd-code"), "http_503");
    assert_eq!(found.header("x-eventd-exchange"), "events");
    assert_eq!(found.header("x-eventd-routing-key"), "url.unblock");
    assert_eq!(found.header("x-eventd-queue"), UNBLOCK);
    assert!(found.headers["x-eventd-attempts"].as_u64().unwrap() >= 12, "{found:?}");
    assert!(!found.headers.keys().any(|name| name.starts_with("x-death")), "{found:?}");
    assert!(
        !found.headers.contains_key("x-eventd-rung")
            && !found.headers.contains_key("x-eventd-done")
    );
    assert_eq!(world.daemon.metric(RETRIED).await, 2.0);
    world.daemon.wait_for_metric(ACKED, f64::from(number)).await;
    world.daemon.wait_until_ready().await;
    assert_eq!(world.fake.violations(), Vec::<String>::new());
}

#[tokio::test]
async fn a_ladder_copy_says_what_is_done_and_only_the_rest_is_tried_again() {
    let world = World::with(&[("RETRY__LADDER", r#"["1s"]"#)]).await;
    // Of the fourth group she is no member.
    for group in ["group-1", "group-2", "group-3"] {
        world.fake.add_member(group, "ada@example.com");
    }
    let refusal = FaultKind::fail("err_new");
    world.fake.inject(Fault::always(refusal).for_item_containing("group-3"));
    // It passes after the attempts of the first delivery, a health call for this group, and the last attempt.
    let passes = Fault::next(FaultKind::status(503)).times(6);
    world.fake.inject(passes.for_item_containing("group-2"));
    let groups = ["group-1", "group-2", "group-3", "group-4"];
    world.offboard("e-1", "ada@example.com", &groups).await;
    let settled = world.daemon.settled(1).await;
    assert_eq!(settled[0]["disposition"], "retry", "{settled:?}");
    let found = world.vhost.take(DEAD_LETTERS).await;
    assert_eq!(found.header("x-eventd-reason"), "rejected");
    assert!(!world.fake.is_member("group-2", "ada@example.com"));
    let calls = world.fake.calls();
    for group in ["group-1", "group-4"] {
        // A health call may name the group, with nobody of it.
        let is_hers = |call: &&fake_mimecast::Call| {
            call.item["id"] == group && call.item["emailAddress"] == "ada@example.com"
        };
        let times = calls.iter().filter(is_hers).count();
        assert_eq!(times, 1, "what was done is not done again: {group}");
    }
}

#[tokio::test]
async fn what_is_done_for_some_groups_is_not_taken_for_done_for_others() {
    let (address, setting) = ("ada@example.com", "EVENTS__USER_OFFBOARDED__DEFAULT_GROUPS");
    let own = [(setting, r#"["group-1", "group-2", "group-3"]"#), ("RETRY__LADDER", r#"["3s"]"#)];
    let mut world = World::with(&own).await;
    for number in 1..=5 {
        world.fake.add_member(&format!("group-{number}"), address);
    }
    let passes = Fault::next(FaultKind::status(503)).times(6);
    world.fake.inject(passes.for_item_containing("group-2"));
    world.publish_bare("user.offboarded", &json!({"emailAddress": address}).to_string()).await;
    assert_eq!(world.daemon.settled(1).await[0]["disposition"], "retry");
    world.daemon.signal("TERM");
    assert_eq!(world.daemon.ended().await, Some(0));
    // The copy that waits says that the first and the third are done.
    let others = r#"["group-4", "group-2", "group-5"]"#;
    world.variables.insert(format!("EVENTD_{setting}"), others.into());
    world.restart_daemon().await;
    assert_eq!(world.daemon.settled(1).await[0]["disposition"], "ack");
    for number in 1..=5 {
        assert!(!world.fake.is_member(&format!("group-{number}"), address), "group-{number}");
    }
}

#[tokio::test]
async fn what_waits_in_a_rung_of_an_older_ladder_comes_back() {
    let mut world = World::with(&[("RETRY__LADDER", r#"["3s"]"#)]).await;
    let rung = "mimecast-eventd.url.unblock.retry.3s";
    world.fake.add_url("poison");
    let passes = Fault::next(FaultKind::status(503)).times(5);
    world.fake.inject(passes.for_item_containing("poison"));
    world.publish_bare("url.unblock", r#"{"ids":["poison","entry-1"]}"#).await;
    world.daemon.wait_for_metric(RETRIED, 1.0).await;
    world.variables.insert("EVENTD_RETRY__LADDER".into(), r#"["1s", "7s"]"#.into());
    world.restart_daemon().await;
    eventually("the poison comes back and is no poison any more", async || {
        (!world.fake.has_url("poison")).then_some(())
    })
    .await;
    let times = world.fake.calls().iter().filter(|call| call.item["id"] == "entry-1").count();
    assert_eq!(times, 1, "what was done is not done again");
    world.vhost.wait_for_depth(rung, 0).await;
    world.vhost.wait_for_depth(UNBLOCK, 0).await;
    world.vhost.wait_for_depth(DEAD_LETTERS, 0).await;
}

#[tokio::test]
async fn refused_credentials_pause_the_lane_at_once_whatever_was_answered_before() {
    for kind in [
        FaultKind::Unauthorized,
        FaultKind::Expired,
        FaultKind::Forbidden,
        FaultKind::fail("err_developer_key"),
    ] {
        let world = World::hmac().await;
        world.unblock("e-1", "entry-1").await;
        world.daemon.wait_for_metric(ACKED, 1.0).await;
        world.fake.inject(Fault::always(kind));
        world.unblock("e-2", "entry-1").await;
        world.daemon.wait_for_metric(PAUSED, 1.0).await;
        world.fake.heal();
        world.daemon.wait_for_metric(ACKED, 2.0).await;
        assert_eq!(world.daemon.metric(RETRIED).await, 0.0);
        world.vhost.wait_for_depth(DEAD_LETTERS, 0).await;
    }
}

#[tokio::test]
async fn a_dead_letter_that_cannot_be_routed_keeps_its_message_and_pauses_the_lane_until_it_can() {
    let world = World::hmac().await;
    world.vhost.refuse_dead_letters().await;
    world.publish("url.unblock", "nonsense").await;
    world.daemon.wait_for_metric(PAUSED, 1.0).await;
    let (_, why) = world.daemon.get("/readyz").await;
    assert!(
        why.contains("did not take a copy for the exchange mimecast-eventd.dead-letter"),
        "{why}"
    );
    assert_eq!(world.daemon.logged("settled").len(), 0);
    world.vhost.accept_dead_letters().await;
    let found = world.vhost.take(DEAD_LETTERS).await;
    assert_eq!(found.header("x-eventd-reason"), "malformed");
    world.daemon.wait_until_ready().await;
    world.vhost.wait_for_depth(UNBLOCK, 0).await;
}

#[tokio::test]
async fn a_dead_letter_that_nobody_takes_keeps_nothing_else_from_going_back_to_the_queue() {
    let world = World::with(&[("EVENTS__URL_UNBLOCK__PREFETCH", "3")]).await;
    world.vhost.refuse_dead_letters().await;
    let entries = ["first", "entry-1", "entry-2"];
    entries.iter().for_each(|entry| world.fake.add_url(entry));
    world.unblock("e-0", "first").await;
    world.daemon.wait_for_metric(ACKED, 1.0).await;
    world.fake.inject(Fault::next(FaultKind::Hold).times(2));
    world.unblock("e-1", "entry-1").await;
    world.unblock("e-2", "entry-2").await;
    world.fake.wait_for_calls(3, DEADLINE).await;
    world.publish("url.unblock", "nonsense").await;
    world.daemon.wait_for_metric(PAUSED, 1.0).await;
    world.fake.refuse_credentials(true);
    world.fake.release();
    // Neither waits for a letter that is not its own.
    world.vhost.wait_for_depth(UNBLOCK, 2).await;
    assert_eq!(world.daemon.logged("lane resumed").len(), 0);

    world.fake.refuse_credentials(false);
    world.vhost.accept_dead_letters().await;
    world.vhost.wait_for_depth(DEAD_LETTERS, 1).await;
    world.daemon.wait_for_metric(ACKED, 3.0).await;
    assert!(entries.iter().all(|entry| !world.fake.has_url(entry)));
    world.vhost.wait_for_depth(UNBLOCK, 0).await;
}

#[tokio::test]
async fn a_stop_while_paused_leaves_every_message_queued() {
    let mut world =
        World::with(&[("BREAKER__INITIAL_PROBE_DELAY", "9m"), ("BREAKER__MAX_PROBE_DELAY", "9m")])
            .await;
    world.fake.inject(down());
    for number in 0..5 {
        world.unblock(&format!("e-{number}"), "entry-1").await;
    }
    world.daemon.wait_for_metric(PAUSED, 1.0).await;
    world.daemon.signal("TERM");
    assert_eq!(world.daemon.ended().await, Some(0));
    world.vhost.wait_for_depth(UNBLOCK, 5).await;
    world.vhost.wait_for_depth(OFFBOARDED, 0).await;
    world.vhost.wait_for_depth(DEAD_LETTERS, 0).await;
}

#[tokio::test]
async fn a_passing_fault_decides_before_a_refusal() {
    let world = World::hmac().await;
    world.fake.inject(Fault::next(FaultKind::fail("err_new")).for_item_containing("group-1"));
    world.fake.inject(Fault::next(FaultKind::status(503)).times(4).for_item_containing("group-2"));
    world.offboard("e-1", "ada@example.com", &["group-1", "group-2"]).await;
    let settled = world.daemon.settled(1).await;
    assert_eq!(settled[0]["disposition"], json!("ack"), "the refusal was not for good after all");
}
