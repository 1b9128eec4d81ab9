//! A paused lane from outside: it stays paused, and what it asks the vendor meanwhile is little,
//! ever rarer and taken in turn.

use crate::support::broker::{DEAD_LETTERS, UNBLOCK};
use crate::support::node::Node;
use crate::support::program::run;
use crate::support::relay::Relay;
use crate::support::world::World;
use crate::support::{DEADLINE, eventually};
use fake_mimecast::{Call, Fault, FaultKind};
use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable};
use std::time::Duration;

const ACKED: &str = r#"eventd_messages_settled_total{disposition="ack",event="url.unblock"}"#;
const RETRIED: &str = r#"eventd_messages_settled_total{disposition="retry",event="url.unblock"}"#;
const PARKED: &str = r#"eventd_messages_settled_total{disposition="requeue",event="url.unblock"}"#;
const PAUSED: &str = r#"eventd_lane_state{event="url.unblock",state="paused"}"#;

/// The attempts of a message before the evidence is asked (`retry.attempts`).
const ATTEMPTS: usize = 4;

fn down() -> Fault {
    Fault::always(FaultKind::status(503))
}

/// The item that each call was about.
fn items(calls: &[Call]) -> Vec<&str> {
    calls.iter().map(|call| call.item["id"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_lane_stays_paused_and_probes_once_each_time_in_turn_at_growing_intervals() {
    let waits = [100, 200, 400, 400, 400, 400].map(Duration::from_millis);
    let own = [("BREAKER__INITIAL_PROBE_DELAY", "100ms"), ("BREAKER__MAX_PROBE_DELAY", "400ms")];
    let world = World::with(&own).await;
    // An answer from before the outage, which must not end it.
    world.unblock("e-0", "entry-0").await;
    world.daemon.wait_for_metric(ACKED, 1.0).await;
    world.fake.inject(down());
    world.unblock("e-1", "suspect").await;
    world.daemon.wait_for_metric(PAUSED, 1.0).await;
    for number in 0..3 {
        world.unblock(&format!("e-2-{number}"), "queued").await;
    }
    let before = 1 + ATTEMPTS;
    world.fake.wait_for_calls(before + waits.len(), DEADLINE).await;

    let calls = world.fake.calls();
    let mut last = &calls[before - 1];
    for (probe, wait) in calls[before..].iter().zip(waits) {
        let waited = probe.at.duration_since(last.at).unwrap();
        // The wait begins when the call before it has come to its end, a moment after its arrival.
        assert!(waited >= wait, "a probe came after {waited:?}, not after {wait:?}");
        last = probe;
    }
    let probes = items(&calls[before..before + waits.len()]);
    // The first probe may come before anything else is in the queue, and so may the second.
    let turns = ["suspect", "queued"];
    assert!(probes.chunks(2).skip(1).all(|pair| pair == turns), "{probes:?}");
    assert_eq!(probes[0], "suspect");
    assert_eq!(world.daemon.logged("the lane goes on").len(), 0);
    assert_eq!(world.daemon.metric(PAUSED).await, 1.0);
    assert_eq!(world.daemon.metric(RETRIED).await, 0.0);

    world.fake.heal();
    world.daemon.wait_for_metric(ACKED, 5.0).await;
    world.daemon.wait_until_ready().await;
    let goes_on = world.daemon.logged("the lane goes on");
    let waited: Duration = waits.iter().sum();
    let paused = Duration::from_millis(goes_on[0]["paused_ms"].as_u64().unwrap());
    assert!(goes_on.len() == 1 && paused >= waited, "{goes_on:?}");
    world.vhost.wait_for_depth(UNBLOCK, 0).await;
    world.vhost.wait_for_depth(DEAD_LETTERS, 0).await;
}

#[tokio::test]
async fn an_outage_costs_each_message_its_attempts_and_the_lane_its_probes_and_no_more() {
    let own = [("BREAKER__INITIAL_PROBE_DELAY", "1s"), ("BREAKER__MAX_PROBE_DELAY", "9m")];
    let mut world = World::with(&own).await;
    world.unblock("e-0", "entry-0").await;
    world.daemon.wait_for_metric(ACKED, 1.0).await;
    world.fake.inject(down());
    for number in 0..40 {
        world.unblock(&format!("e-{number}"), &format!("entry-{number}")).await;
    }
    world.daemon.wait_for_metric(PAUSED, 1.0).await;
    // All that was in work but the suspect is parked before the first probe.
    world.daemon.wait_for_metric(r#"eventd_messages_in_flight{event="url.unblock"}"#, 1.0).await;
    // The end of the daemon is the end of its calls.
    world.daemon.signal("TERM");
    assert_eq!(world.daemon.ended().await, Some(0));
    // After 1, 2, 4, 8 and 16 s the patience of this test is over.
    let (prefetch, probes) = (16, 5);
    let calls = world.fake.calls().len() - 1;
    assert!(calls <= prefetch * ATTEMPTS + probes, "{calls} calls in an outage");
    world.vhost.wait_for_depth(UNBLOCK, 40).await;
}

#[tokio::test]
async fn a_suspect_that_fails_again_alone_is_judged_by_the_answer_to_another() {
    let world = World::with(&[("RETRY__LADDER", r#"["1h"]"#)]).await;
    world.fake.inject(down().for_item_containing("poison"));
    world.unblock("poison", "poison").await;
    world.daemon.wait_for_metric(PAUSED, 1.0).await;
    world.unblock("e-1", "entry-1").await;
    world.daemon.wait_for_metric(RETRIED, 1.0).await;
    let calls = world.fake.calls();
    let answered = items(&calls).iter().position(|item| *item == "entry-1").unwrap();
    // Its own further tries are no sign of the next outage.
    assert_eq!(items(&calls[answered + 1..]), ["poison"; ATTEMPTS]);
    assert_eq!(world.daemon.metric(ACKED).await, 1.0);
}

/// One rung, from which nothing comes back, and a vendor that is not waited for long.
const ONE_RUNG: [(&str, &str); 2] = [("RETRY__LADDER", r#"["1h"]"#), ("MIMECAST__TIMEOUT", "1s")];

/// A suspect meets the next outage together with another message: the lane pauses once more, and has parked
/// the other.
async fn let_off_once(world: &World) {
    world.fake.inject(down());
    world.unblock("e-1", "suspect").await;
    world.daemon.wait_for_metric(PAUSED, 1.0).await;
    answer_once(world).await;
    world.daemon.wait_for_metric(PAUSED, 0.0).await;
    world.daemon.wait_for_metric(PAUSED, 1.0).await;
    world.daemon.wait_for_at_least(PARKED, 1.0).await;
}

/// The vendor answers once more, and then never again: neither the suspect, which goes on first, nor the
/// message beside it, which takes longer to find that out.
async fn answer_once(world: &World) {
    let silent = |item| Fault::always(FaultKind::Hang).for_item_containing(item);
    world.fake.inject_instead([silent("suspect"), silent("silent")]);
    world.unblock("e-2", "entry-2").await;
    world.publish_bare("url.unblock", r#"{"ids":["silent-1","silent-2"]}"#).await;
    world.daemon.wait_for_metric(ACKED, 1.0).await;
}

#[tokio::test]
async fn a_suspect_that_meets_the_next_outage_spends_no_rung_in_it() {
    let world = World::with(&ONE_RUNG).await;
    let_off_once(&world).await;
    // Alone again, it is not judged by the answer of the time before.
    let suspected = || items(&world.fake.calls()).iter().filter(|&&it| it == "suspect").count();
    let before = suspected();
    eventually("the suspect is the probe", async || (suspected() > before + 2).then_some(())).await;
    assert_eq!(world.daemon.metric(RETRIED).await, 0.0);
    assert_eq!(world.daemon.metric(PAUSED).await, 1.0);
    assert_eq!(world.daemon.logged("the lane goes on").len(), 1);
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
        assert_eq!(world.daemon.logged("the lane goes on").len(), 0, "{kind:?}");
        world.fake.heal();
        world.daemon.wait_for_metric(ACKED, 1.0).await;
        world.daemon.wait_until_ready().await;
        eventually("the lane goes on once", async || {
            (world.daemon.logged("the lane goes on").len() == 1).then_some(())
        })
        .await;
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
    let other = r#"eventd_lane_state{event="user.offboarded",state="paused"}"#;
    world.daemon.wait_for_metric(other, 1.0).await;
    world.fake.heal();
    relay.cut();
    world
        .daemon
        .wait_for_metric(r#"eventd_amqp_connections_total{event="url.unblock"}"#, 2.0)
        .await;
    // The next session starts with nothing of the last one, the pause neither.
    world.daemon.wait_for_metric(ACKED, 1.0).await;
}

#[tokio::test]
async fn two_poisonous_messages_cannot_excuse_each_other_for_ever() {
    let world = World::with(&[("RETRY__LADDER", r#"["1h"]"#)]).await;
    world.fake.inject(down().for_item_containing("poison"));
    world.unblock("e-1", "poison-1").await;
    world.unblock("e-2", "poison-2").await;
    // Each good message ends a pause, and the two fail together again.
    for good in 1..=6 {
        let on_the_ladder = eventually("it pauses, or both are on the ladder", async || {
            let retried = world.daemon.metric(RETRIED).await;
            let paused = world.daemon.metric(PAUSED).await;
            (paused == 1.0 || retried == 2.0).then_some(retried)
        });
        if on_the_ladder.await == 2.0 {
            return;
        }
        world.unblock(&format!("e-good-{good}"), "entry").await;
        world.daemon.wait_for_metric(ACKED, f64::from(good)).await;
    }
    world.daemon.wait_for_metric(RETRIED, 2.0).await;
}

#[tokio::test]
async fn that_a_suspect_was_let_off_travels_with_its_copy() {
    let world = World::with(&ONE_RUNG).await;
    let_off_once(&world).await;
    // Whoever pauses the lane lets go of everything that it holds.
    assert_eq!(run(&world.variables, &["pause", "url.unblock"]).await.code, Some(0));
    let mut relapses = Vec::new();
    for _ in 0..2 {
        let found = world.vhost.take(UNBLOCK).await;
        let is_suspect = found.body.windows(7).any(|part| part == b"suspect");
        relapses.push((is_suspect, found.headers.get("x-eventd-relapses").cloned()));
    }
    relapses.sort_by_key(|(is_suspect, _)| *is_suspect);
    assert_eq!(relapses, [(false, None), (true, Some(1.into()))]);
}

#[tokio::test]
async fn a_copy_of_a_suspect_that_was_let_off_is_let_off_no_more() {
    let world = World::with(&ONE_RUNG).await;
    world.fake.inject(down());
    let mut headers = FieldTable::default();
    headers.insert("x-eventd-routing-key".into(), AMQPValue::LongString("url.unblock".into()));
    headers.insert("x-eventd-relapses".into(), AMQPValue::LongLongInt(1));
    let properties = BasicProperties::default().with_headers(headers);
    world.vhost.publish_to("", UNBLOCK, br#"{"id":"suspect"}"#, properties).await;
    world.daemon.wait_for_metric(PAUSED, 1.0).await;
    answer_once(&world).await;
    world.daemon.wait_for_metric(RETRIED, 1.0).await;
    let rung = format!("{UNBLOCK}.retry.1h");
    let found = world.vhost.take(&rung).await;
    assert_eq!(found.body, br#"{"id":"suspect"}"#);
    assert!(!found.headers.contains_key("x-eventd-relapses"), "it begins anew: {found:?}");
}
