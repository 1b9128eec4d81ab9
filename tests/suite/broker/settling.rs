//! How a message is settled, read off the wire: which word the broker is told, and that a copy is
//! safe before the original is given up.

use crate::support::broker::{DEAD_LETTERS, OFFBOARDED, UNBLOCK};
use crate::support::node::Node;
use crate::support::program::run;
use crate::support::wire::{Hold, Method, Said, Wire};
use crate::support::within::Within;
use crate::support::world::World;
use crate::support::{DEADLINE, eventually};
use fake_mimecast::{Fault, FaultKind};
use lapin::BasicProperties;
use mimecast_eventd::vendor::Stamp;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const PAUSED: &str = r#"eventd_lane_state{event="url.unblock",state="paused"}"#;

const CLOSE_THE_CONNECTION: Method = Method::Other(10, 50);
const OPEN_A_CHANNEL: Method = Method::Other(20, 10);

fn is_ack(method: &Method) -> bool {
    *method == Method::Ack
}

fn is_reject(method: &Method) -> bool {
    matches!(method, Method::Reject { .. })
}

fn is_nack(method: &Method) -> bool {
    matches!(method, Method::Nack { .. })
}

fn is_publish(method: &Method) -> bool {
    // What only asks for a permission is for nobody.
    matches!(method, Method::Publish { mandatory: true, .. })
}

/// Publishes one unblocking and waits until it is settled, so that the session takes as many at a time
/// as its lane is allowed.
async fn wake(world: &World) {
    world.unblock("first", "first").await;
    let acked = r#"eventd_messages_settled_total{disposition="ack",event="url.unblock"}"#;
    world.daemon.wait_for_metric(acked, 1.0).await;
}

/// The same, until the broker has said yes to the lane's other consumer.
async fn wake_by(world: &World, wire: &Wire) {
    wake(world).await;
    let is_consumer = |method: &Method| *method == Method::Other(60, 21);
    eventually("the lane consumes anew", async || wire.broker_said(is_consumer).get(2).cloned())
        .await;
}

#[tokio::test]
async fn a_session_takes_one_message_at_a_time_until_one_is_settled_and_then_its_lanes_prefetch() {
    let wire = Wire::to(Node::shared().authority()).await;
    let own = [("EVENTS__USER_OFFBOARDED__PREFETCH", "3"), ("EVENTS__URL_UNBLOCK__PREFETCH", "7")];
    let world = World::by(&wire.authority(), &own).await;
    let qos = |prefetch| move |method: &Method| *method == Method::Qos { prefetch };
    assert_eq!(wire.client_said(qos(1)).len(), 2);
    wake(&world).await;
    let settled = Instant::now();
    // The first consumer stays, and another one takes what is more.
    let widened = wire.wait_for("qos", 1, qos(6)).await[0].connection;
    // At once, and not because the message did no harm for five seconds.
    assert!(settled.elapsed() < Duration::from_secs(4), "{:?}", settled.elapsed());
    assert_eq!(wire.client_said(qos(2)).len(), 0, "the other lane has its own session");
    world.offboard("e-1", "ada@example.com", &["group-1"]).await;
    let other = wire.wait_for("qos", 1, qos(2)).await[0].connection;
    assert_ne!(widened, other);
    wire.wait_for("consume", 4, |method| *method == Method::Consume).await;
    // A consumer has the prefetch that was asked for before it.
    for connection in [widened, other] {
        let is_said = |method: &Method| matches!(method, Method::Qos { .. } | Method::Consume);
        let said = wire.client_said(is_said).into_iter();
        let said: Vec<Method> =
            said.filter(|said| said.connection == connection).map(|said| said.method).collect();
        let (Method::Qos { prefetch: 1 }, Method::Consume, Method::Qos { .. }, Method::Consume) =
            (&said[0], &said[1], &said[2], &said[3])
        else {
            panic!("{said:?}");
        };
    }
    // After a pause one consumer takes all of it.
    assert_eq!(run(&world.variables, &["pause", "url.unblock"]).await.code, Some(0));
    wire.wait_for("cancel", 2, |method| *method == Method::Cancel).await;
    assert_eq!(run(&world.variables, &["resume", "url.unblock"]).await.code, Some(0));
    wire.wait_for("qos", 1, qos(7)).await;
}

#[tokio::test]
async fn a_lane_that_has_paused_itself_takes_one_message_at_a_time_until_one_is_settled() {
    let wire = Wire::to(Node::shared().authority()).await;
    let world = World::by(&wire.authority(), &[("EVENTS__URL_UNBLOCK__PREFETCH", "7")]).await;
    let qos = |prefetch| move |method: &Method| *method == Method::Qos { prefetch };
    wake(&world).await;
    wire.wait_for("qos", 1, qos(6)).await;
    let before = wire.client_said(qos(1)).len();
    world.fake.inject(Fault::always(FaultKind::status(503)));
    world.unblock("e-1", "entry-1").await;
    world.daemon.wait_for_metric(PAUSED, 1.0).await;
    world.fake.heal();
    wire.wait_for("qos", before + 1, qos(1)).await;
    wire.wait_for("qos", 2, qos(6)).await;
}

#[tokio::test]
async fn no_more_messages_are_in_work_than_the_prefetch() {
    let world = World::with(&[("EVENTS__URL_UNBLOCK__PREFETCH", "2")]).await;
    wake(&world).await;
    world.fake.inject(Fault::always(FaultKind::Hang));
    for number in 0..6 {
        world.unblock(&format!("e-{number}"), "entry-1").await;
    }
    world.vhost.wait_for_depth(UNBLOCK, 4).await;
    world.fake.wait_for_calls(3, DEADLINE).await;
    let in_flight = r#"eventd_messages_in_flight{event="url.unblock"}"#;
    assert_eq!(world.daemon.metric(in_flight).await, 2.0);
    let received = r#"eventd_messages_received_total{event="url.unblock"}"#;
    assert_eq!(world.daemon.metric(received).await, 3.0);
    assert_eq!(world.fake.calls().len(), 3);
}

#[tokio::test]
async fn what_is_applied_is_acked_and_a_dead_letter_only_after_its_confirm() {
    let wire = Wire::to(Node::shared().authority()).await;
    let world = World::by(&wire.authority(), &[]).await;
    world.unblock("e-1", "entry-1").await;
    wire.wait_for("ack", 1, is_ack).await;
    wire.hold(Hold::Confirms);
    world.publish("url.unblock", "nonsense").await;
    let published = wire.wait_for("publish", 1, is_publish).await;
    let (exchange, routing_key) = (DEAD_LETTERS.to_owned(), "url.unblock".to_owned());
    let expected = Method::Publish { exchange, routing_key, mandatory: true };
    assert_eq!(published[0].method, expected);
    // The broker has the copy and has said so, and the daemon has not been told.
    world.vhost.wait_for_depth(DEAD_LETTERS, 1).await;
    wire.wait_for_broker("the broker confirms the copy", is_ack).await;
    assert_eq!(wire.client_said(is_ack).len(), 1, "the original is acked before its copy is safe");
    wire.hold(Hold::Nothing);
    wire.wait_for("ack", 2, is_ack).await;
    assert_eq!(wire.client_said(|method| is_nack(method) || is_reject(method)).len(), 0);
}

#[tokio::test]
async fn an_ack_is_for_one_message_and_not_for_those_before_it() {
    let mut world = World::hmac().await;
    world.fake.inject(Fault::next(FaultKind::Hang).for_item_containing("slow"));
    world.unblock("e-1", "slow").await;
    world.fake.wait_for_calls(1, DEADLINE).await;
    world.unblock("e-2", "entry-1").await;
    world.daemon.settled(1).await;
    world.daemon.signal("KILL");
    assert_eq!(world.daemon.ended().await, None);
    // Only the second one was acked.
    let found = world.vhost.take(UNBLOCK).await;
    assert!(String::from_utf8_lossy(&found.body).contains("slow"), "{found:?}");
    world.vhost.wait_for_depth(UNBLOCK, 0).await;
}

#[tokio::test]
async fn a_copy_whose_confirm_does_not_come_in_time_is_not_safe_and_its_message_is_kept() {
    let wire = Wire::to(Node::shared().authority()).await;
    let within = Within::by(&wire.authority(), &[]).await;
    wire.hold(Hold::Confirms);
    let nonsense = lapin::BasicProperties::default();
    within.vhost.publish("url.unblock", b"nonsense", nonsense).await;
    wire.wait_for_broker("the broker confirms the copy", is_ack).await;
    within.pass(Duration::from_secs(31)).await;
    within.wait_for_metric(PAUSED, 1.0).await;
    let (_, why) = within.get("/readyz").await.unwrap();
    assert!(why.contains("no confirm in time"), "{why}");
    assert_eq!(wire.client_said(is_ack).len(), 0, "the message was given up without its copy");
    wire.hold(Hold::Nothing);
    within.wait_for_metric(PAUSED, 0.0).await;
    wire.wait_for("ack", 1, is_ack).await;
    // What is late is waited for once more, and not sent once more.
    assert_eq!(wire.client_said(is_publish).len(), 1);
    let (vhost, _fake) = within.stop().await;
    vhost.wait_for_depth(DEAD_LETTERS, 1).await;
}

#[tokio::test]
async fn a_message_that_only_waits_for_the_quota_shows_that_the_session_lives() {
    let world = World::hmac().await;
    let throttle = FaultKind::Throttle { reset_milliseconds: Some(60_000), retry_after: None };
    world.fake.inject(Fault::always(throttle));
    for number in 0..4 {
        world.unblock(&format!("e-{number}"), "entry-1").await;
    }
    world.fake.wait_for_calls(1, DEADLINE).await;
    // After some seconds the lane takes the others too.
    let in_flight = r#"eventd_messages_in_flight{event="url.unblock"}"#;
    assert_eq!(world.daemon.metric(in_flight).await, 1.0);
    world.daemon.wait_for_metric(in_flight, 4.0).await;
    assert_eq!(world.daemon.logged("settled").len(), 0);
}

fn is_dead_letter(method: &Method) -> bool {
    matches!(method, Method::Publish { exchange, mandatory: true, .. } if exchange == DEAD_LETTERS)
}

#[tokio::test]
async fn a_copy_that_a_full_queue_refuses_is_not_safe_and_its_message_is_kept() {
    let wire = Wire::to(Node::shared().authority()).await;
    let world = World::by(&wire.authority(), &[]).await;
    world.vhost.refuse_dead_letters().await;
    world.publish("url.unblock", "nonsense").await;
    world.daemon.wait_for_metric(PAUSED, 1.0).await;
    let (_, why) = world.daemon.get("/readyz").await;
    assert!(why.contains("a queue refused it"), "{why}");
    assert!(!wire.broker_said(is_nack).is_empty(), "the broker itself refused it");
    wire.wait_for("another try", 3, is_dead_letter).await;
    let said = wire.client_said(|method| is_dead_letter(method) || *method == OPEN_A_CHANNEL);
    let twice = |pair: &[Said]| pair.iter().all(|said| is_dead_letter(&said.method));
    assert!(!said.windows(2).any(twice), "it was tried again over the channel that refused it");
    assert_eq!(world.daemon.logged("settled").len(), 0);
    assert_eq!(wire.client_said(is_ack).len(), 0, "the message was given up without its copy");

    world.vhost.accept_dead_letters().await;
    world.daemon.wait_until_ready().await;
    assert_eq!(world.vhost.take(DEAD_LETTERS).await.body, b"nonsense");
    wire.wait_for("ack", 1, is_ack).await;
    world.vhost.wait_for_depth(UNBLOCK, 0).await;
}

#[tokio::test]
async fn a_broker_that_opens_no_channel_is_not_waited_for_for_ever() {
    let wire = Wire::to(Node::shared().authority()).await;
    let within = Within::by(&wire.authority(), &[]).await;
    within.vhost.refuse_dead_letters().await;
    wire.hold(Hold::Channels);
    let opened = wire.client_said(|method| *method == OPEN_A_CHANNEL).len();
    within.vhost.publish("url.unblock", b"nonsense", BasicProperties::default()).await;
    // The first copy goes over the channel that is there, and the next one needs another.
    wire.wait_for("a channel", opened + 1, |method| *method == OPEN_A_CHANNEL).await;
    // In small steps, so that whatever is answered is not too late by that clock.
    let mut why = String::new();
    for _ in 0..200 {
        within.pass(Duration::from_secs(1)).await;
        why = within.get("/readyz").await.map(|(_, why)| why).unwrap_or_default();
        if why.contains("no channel in time") {
            break;
        }
    }
    assert!(why.contains("no channel in time"), "{why}");
    wire.hold(Hold::Nothing);
    within.vhost.accept_dead_letters().await;
    assert_eq!(within.vhost.take(DEAD_LETTERS).await.body, b"nonsense");
    within.stop().await;
}

#[tokio::test]
async fn a_stop_parks_what_it_interrupts_so_that_it_spends_no_delivery() {
    let wire = Wire::to(Node::shared().authority()).await;
    let own = [("RETRY__INITIAL_DELAY", "5m"), ("RETRY__MAX_DELAY", "5m")];
    let mut world = World::by(&wire.authority(), &own).await;
    world.fake.inject(Fault::always(FaultKind::status(503)));
    for number in 0..3 {
        world.unblock(&format!("e-{number}"), "entry-1").await;
    }
    world.fake.wait_for_calls(3, DEADLINE).await;
    let closed = wire.client_said(|method| *method == CLOSE_THE_CONNECTION).len();
    world.daemon.signal("TERM");
    assert_eq!(world.daemon.ended().await, Some(0));
    // Or the broker could miss what it was told last.
    wire.wait_for("the end", closed + 2, |method| *method == CLOSE_THE_CONNECTION).await;
    world.vhost.wait_for_depth(UNBLOCK, 3).await;
    assert!(!wire.client_said(is_publish).is_empty());
    assert_eq!(wire.client_said(|method| is_reject(method) || is_nack(method)).len(), 0);
}

#[tokio::test]
async fn a_stop_nacks_what_nobody_takes_a_copy_of() {
    let wire = Wire::to(Node::shared().authority()).await;
    let own = [("BREAKER__INITIAL_PROBE_DELAY", "9m"), ("BREAKER__MAX_PROBE_DELAY", "9m")];
    let mut world = World::by(&wire.authority(), &own).await;
    world.vhost.refuse_dead_letters().await;
    world.publish("url.unblock", "nonsense").await;
    world.daemon.wait_for_metric(PAUSED, 1.0).await;
    world.fake.refuse_credentials(true);
    world.offboard("e-1", "ada@example.com", &["group-1"]).await;
    let other = r#"eventd_lane_state{event="user.offboarded",state="paused"}"#;
    world.daemon.wait_for_metric(other, 1.0).await;
    world.daemon.signal("TERM");
    assert_eq!(world.daemon.ended().await, Some(0));
    let nacks = wire.wait_for("nack", 1, is_nack).await;
    assert!(nacks.iter().all(|nack| nack.method == Method::Nack { requeue: true }));
    assert_eq!((nacks.len(), wire.client_said(is_reject).len()), (1, 0));
    world.vhost.wait_for_depth(UNBLOCK, 1).await;
    world.vhost.wait_for_depth(OFFBOARDED, 1).await;
}

/// Holds back what the broker says until it has handed out `deliveries` in all and the client has
/// cancelled `consumers`: so deliveries come to a consumer that wants no more.
async fn deliver_too_late(
    world: &World,
    wire: &Wire,
    deliveries: usize,
    act: impl FnOnce(),
    consumers: usize,
) {
    wire.hold(Hold::Everything);
    for number in 1..3 {
        world.unblock(&format!("e-{number}"), "entry-1").await;
    }
    eventually("the broker hands out all of them", async || {
        (wire.broker_said(|method| *method == Method::Deliver).len() >= deliveries).then_some(())
    })
    .await;
    act();
    wire.wait_for("cancel", consumers, |method| *method == Method::Cancel).await;
    wire.hold(Hold::Nothing);
}

#[tokio::test]
async fn what_is_handed_out_while_a_stop_begins_is_parked_and_not_left_to_the_connections_end() {
    let wire = Wire::to(Node::shared().authority()).await;
    let mut world = World::by(&wire.authority(), &[]).await;
    wake_by(&world, &wire).await;
    deliver_too_late(&world, &wire, 3, || world.daemon.signal("TERM"), 3).await;
    assert_eq!(world.daemon.ended().await, Some(0));
    assert_eq!(wire.client_said(|method| is_reject(method) || is_nack(method)).len(), 0);
    assert_eq!(wire.client_said(is_publish).len(), 2);
    assert_eq!(world.fake.calls().len(), 1, "nothing begins after a stop");
    world.vhost.wait_for_depth(UNBLOCK, 2).await;
}

#[tokio::test]
async fn what_finds_no_place_as_a_stop_begins_is_returned_and_not_left_to_the_connections_end() {
    let wire = Wire::to(Node::shared().authority()).await;
    let mut world = World::by(&wire.authority(), &[]).await;
    world.vhost.refuse_dead_letters().await;
    wire.hold(Hold::Confirms);
    world.publish("url.unblock", "nonsense").await;
    wire.wait_for("publish", 1, is_publish).await;
    world.daemon.signal("TERM");
    wire.wait_for("cancel", 2, |method| *method == Method::Cancel).await;
    // Only now does it hear that nobody takes the copy.
    wire.hold(Hold::Nothing);
    assert_eq!(world.daemon.ended().await, Some(0));
    assert_eq!(wire.client_said(is_nack).len(), 1);
    assert_eq!(wire.client_said(|method| is_reject(method) || is_ack(method)).len(), 0);
    world.vhost.wait_for_depth(UNBLOCK, 1).await;
}

#[tokio::test]
async fn what_is_handed_out_while_a_lane_pauses_is_parked_and_asked_of_nobody() {
    let wire = Wire::to(Node::shared().authority()).await;
    let own = [("BREAKER__INITIAL_PROBE_DELAY", "9m"), ("BREAKER__MAX_PROBE_DELAY", "9m")];
    let world = World::by(&wire.authority(), &own).await;
    wake_by(&world, &wire).await;
    world.fake.inject(Fault::next(FaultKind::Hold));
    world.fake.refuse_credentials(true);
    world.unblock("e-0", "trigger").await;
    world.fake.wait_for_calls(2, DEADLINE).await;
    deliver_too_late(&world, &wire, 4, || world.fake.release(), 2).await;
    let parked = r#"eventd_messages_settled_total{disposition="requeue",event="url.unblock"}"#;
    world.daemon.wait_for_metric(parked, 3.0).await;
    // A copy at the end of the queue and an ack each, which spend no delivery limit.
    assert_eq!(wire.client_said(is_publish).len(), 3, "{:?}", wire.client_said(is_publish));
    assert_eq!(wire.client_said(|method| is_nack(method) || is_reject(method)).len(), 0);
    let is_of_another = |call: &fake_mimecast::Call| call.item["id"] == "entry-1";
    assert!(!world.fake.calls().iter().any(is_of_another), "only the first two were asked for");
    world.vhost.wait_for_depth(UNBLOCK, 3).await;
}

/// The first stamp asked for in this process makes its caller panic.
fn panics_once() -> Stamp {
    static WILL_PANIC: AtomicBool = AtomicBool::new(true);
    stamp_unless(&WILL_PANIC)
}

/// Whether the next stamp asked for in the test of two panics makes its caller panic.
static WILL_PANIC: AtomicBool = AtomicBool::new(false);

fn panics_when_told() -> Stamp {
    stamp_unless(&WILL_PANIC)
}

fn stamp_unless(will_panic: &AtomicBool) -> Stamp {
    assert!(!will_panic.swap(false, Ordering::Relaxed), "as if a handler had a bug");
    Stamp { at: chrono::Utc::now(), request_id: uuid::Uuid::new_v4() }
}

#[tokio::test]
async fn a_message_that_we_fail_over_is_held_for_a_while_and_rejected_so_that_it_counts() {
    let wire = Wire::to(Node::shared().authority()).await;
    let own = [("BREAKER__INITIAL_PROBE_DELAY", "9m"), ("BREAKER__MAX_PROBE_DELAY", "9m")];
    let within = Within::stamped(&wire.authority(), &own, panics_once).await;
    within.fake.add_url("entry-1");
    let event = br#"{"id":"entry-1"}"#;
    within.vhost.publish("url.unblock", event, lapin::BasicProperties::default()).await;
    within.wait_for_metric(r#"eventd_messages_in_flight{event="url.unblock"}"#, 1.0).await;
    // Another message goes its way meanwhile, and by its end the first one is held, if ever.
    within.vhost.publish("url.unblock", event, lapin::BasicProperties::default()).await;
    wire.wait_for("ack", 1, is_ack).await;
    assert_eq!(wire.client_said(is_reject).len(), 0, "it is not held at all");
    within.pass(Duration::from_secs(8 * 60)).await;
    within.vhost.publish("url.unblock", event, lapin::BasicProperties::default()).await;
    wire.wait_for("ack", 2, is_ack).await;
    assert_eq!(wire.client_said(is_reject).len(), 0, "it is not held long enough");
    within.pass(Duration::from_secs(61)).await;
    let rejects = wire.wait_for("reject", 1, is_reject).await;
    assert_eq!(rejects[0].method, Method::Reject { requeue: true });
    wire.wait_for("ack", 3, is_ack).await;
    assert_eq!(wire.client_said(is_nack).len(), 0);
    let requeued = r#"eventd_messages_settled_total{disposition="requeue",event="url.unblock"}"#;
    within.wait_for_metric(requeued, 1.0).await;
    let (vhost, fake) = within.stop().await;
    assert!(!fake.has_url("entry-1"));
    vhost.wait_for_depth(DEAD_LETTERS, 0).await;
    vhost.wait_for_depth(UNBLOCK, 0).await;
}

#[tokio::test]
async fn a_message_that_we_fail_over_again_is_held_for_longer() {
    let wire = Wire::to(Node::shared().authority()).await;
    let own = [("BREAKER__INITIAL_PROBE_DELAY", "1m"), ("BREAKER__MAX_PROBE_DELAY", "9m")];
    let within = Within::stamped(&wire.authority(), &own, panics_when_told).await;
    let publish = async || {
        let properties = lapin::BasicProperties::default();
        within.vhost.publish("url.unblock", br#"{"id":"entry-1"}"#, properties).await;
    };
    let panicked = async || {
        eventually("a handler panics", async || {
            (!WILL_PANIC.load(Ordering::Relaxed)).then_some(())
        })
        .await;
    };
    WILL_PANIC.store(true, Ordering::Relaxed);
    publish().await;
    panicked().await;
    // When another one is through, the one that we failed over is being held.
    publish().await;
    wire.wait_for("ack", 1, is_ack).await;
    WILL_PANIC.store(true, Ordering::Relaxed);
    within.pass(Duration::from_secs(61)).await;
    wire.wait_for("reject", 1, is_reject).await;
    panicked().await;
    publish().await;
    wire.wait_for("ack", 2, is_ack).await;
    within.pass(Duration::from_secs(61)).await;
    publish().await;
    wire.wait_for("ack", 3, is_ack).await;
    assert_eq!(wire.client_said(is_reject).len(), 1, "it is held no longer than the first time");
    within.pass(Duration::from_secs(61)).await;
    wire.wait_for("reject", 2, is_reject).await;
    wire.wait_for("ack", 4, is_ack).await;
    within.stop().await;
}
