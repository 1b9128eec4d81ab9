//! A stop ends each wait at once. The waits here would take far longer than the time that a stop may take, so that
//! one that is not ended shows in how the stop ends, and not in how long it takes.

use super::reload::Mounted;
use crate::support::broker::{UNBLOCK, Vhost};
use crate::support::daemon::Daemon;
use crate::support::eventually;
use crate::support::node::Node;
use crate::support::program::run;
use crate::support::relay::Relay;
use crate::support::settings::{self, named};
use crate::support::wire::{Hold, Method, Wire};
use crate::support::within::{Within, fresh};
use crate::support::world::World;
use fake_mimecast::{FakeMimecast, Fault, FaultKind};
use mimecast_eventd::vendor::Stamp;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::time::Instant;

/// Longer than a machine under load takes for a stop without waits, and shorter than each of the waits.
const DRAIN: (&str, &str) = ("DRAIN_TIMEOUT", "15s");

const LONG: [(&str, &str); 2] =
    [("BREAKER__INITIAL_PROBE_DELAY", "9m"), ("BREAKER__MAX_PROBE_DELAY", "9m")];

/// Stops the daemon, and expects that it has waited for nothing.
async fn expect_at_once(daemon: &mut Daemon) {
    daemon.signal("TERM");
    assert_eq!(daemon.ended().await, Some(0));
    assert_eq!(daemon.logged("stopped").len(), 1, "it waited as long as it may");
}

/// Settings of a daemon that finds its broker at `authority`.
async fn daemon_by(authority: &str) -> (FakeMimecast, Daemon) {
    let fake = FakeMimecast::start(fake_mimecast::Credentials::default()).await;
    let mut variables = settings::hmac(&fake);
    variables.extend([named("AMQP__URL", &format!("amqp://{authority}")), named(DRAIN.0, DRAIN.1)]);
    let daemon = Daemon::start(&variables).await;
    (fake, daemon)
}

#[tokio::test]
async fn a_stop_does_not_wait_for_a_broker_that_takes_a_connection_and_says_nothing() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (_fake, mut daemon) = daemon_by(&silent.local_addr().unwrap().to_string()).await;
    // Both lanes wait for the first word, which may take half a minute.
    let _one = silent.accept().await.unwrap();
    let _other = silent.accept().await.unwrap();
    expect_at_once(&mut daemon).await;
}

#[tokio::test]
async fn a_stop_does_not_wait_for_a_broker_that_falls_silent_while_queues_are_set_up() {
    let wire = Wire::to(Node::shared().authority()).await;
    wire.hold(Hold::Declarations);
    let vhost = Vhost::new().await;
    let address = format!("guest:guest@{}/{}", wire.authority(), vhost.name);
    let (_fake, mut daemon) = daemon_by(&address).await;
    let is_declared = |method: &Method| *method == Method::Other(50, 11);
    wire.wait_for_broker("the broker declares a queue", is_declared).await;
    expect_at_once(&mut daemon).await;
}

#[tokio::test]
async fn a_stop_does_not_wait_for_the_next_session() {
    // By the clock of this test: the wait between two sessions is half a second at first.
    let within = Within::unready("127.0.0.1:1", &[], fresh).await;
    eventually("both lanes wait", async || {
        let (_, why) = within.get("/readyz").await?;
        (why.matches("cannot connect").count() == 2).then_some(())
    })
    .await;
    tokio::time::pause();
    let begun = Instant::now();
    within.stop().await;
    let took = begun.elapsed();
    tokio::time::resume();
    assert!(took < Duration::from_millis(20), "{took:?}");
}

#[tokio::test]
async fn a_stop_does_not_wait_for_the_next_probe_of_a_lane_that_has_paused() {
    let mut world = World::with(&[&LONG[..], &[DRAIN]].concat()).await;
    world.fake.inject(Fault::always(FaultKind::status(503)));
    world.unblock("e-1", "entry-1").await;
    let paused = r#"eventd_lane_state{event="url.unblock",state="paused"}"#;
    world.daemon.wait_for_metric(paused, 1.0).await;
    expect_at_once(&mut world.daemon).await;
    world.vhost.wait_for_depth(UNBLOCK, 1).await;
}

#[tokio::test]
async fn a_stop_does_not_wait_for_a_lane_that_is_paused_by_hand() {
    let mut world = World::with(&[DRAIN]).await;
    for arguments in [&["pause", "url.unblock"][..], &["pause", "user.offboarded", "--for", "1h"]] {
        assert_eq!(run(&world.variables, arguments).await.code, Some(0));
    }
    for lane in ["url.unblock", "user.offboarded"] {
        let paused = format!(r#"eventd_lane_state{{event="{lane}",state="paused"}}"#);
        world.daemon.wait_for_metric(&paused, 1.0).await;
    }
    expect_at_once(&mut world.daemon).await;
}

#[tokio::test]
async fn a_stop_does_not_wait_for_the_quota() {
    let mut world = World::with(&[DRAIN]).await;
    world.fake.add_url("entry-1");
    let throttle = FaultKind::Throttle { reset_milliseconds: Some(200_000), retry_after: None };
    world.fake.inject(Fault::next(throttle));
    world.unblock("e-1", "entry-1").await;
    let throttled =
        r#"eventd_api_requests_total{operation="delete_managed_url",outcome="throttled"}"#;
    world.daemon.wait_for_metric(throttled, 1.0).await;
    expect_at_once(&mut world.daemon).await;
    world.vhost.wait_for_depth(UNBLOCK, 1).await;
    assert!(world.fake.has_url("entry-1"));
}

/// The first stamp asked for in this process makes its caller panic.
fn panics_once() -> Stamp {
    static WILL_PANIC: AtomicBool = AtomicBool::new(true);
    assert!(!WILL_PANIC.swap(false, Ordering::Relaxed), "as if a handler had a bug");
    fresh()
}

#[tokio::test]
async fn a_stop_does_not_wait_until_a_message_that_we_failed_over_was_held_long_enough() {
    let within =
        Within::stamped(Node::shared().authority(), &[&LONG[..], &[DRAIN]].concat(), panics_once)
            .await;
    let event = br#"{"id":"entry-1"}"#;
    within.vhost.publish("url.unblock", event, lapin::BasicProperties::default()).await;
    within.wait_for_metric(r#"eventd_messages_in_flight{event="url.unblock"}"#, 1.0).await;
    // Another one is done, so that the first is held by then, if ever.
    within.vhost.publish("url.unblock", event, lapin::BasicProperties::default()).await;
    let acked = r#"eventd_messages_settled_total{disposition="ack",event="url.unblock"}"#;
    within.wait_for_metric(acked, 1.0).await;
    let begun = std::time::Instant::now();
    let (vhost, _) = within.stop().await;
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
    vhost.wait_for_depth(UNBLOCK, 1).await;
}

#[tokio::test]
async fn a_stop_waits_as_long_as_the_settings_say_that_were_reloaded_last() {
    let mut mounted = Mounted::new("drain_timeout = \"5m\"\n", None).await;
    let (mut daemon, key) = (mounted.start().await, mounted.right_key());
    mounted.fake.inject(Fault::always(FaultKind::Hang));
    mounted.unblock("e-1", "entry-1").await;
    mounted.fake.wait_for_calls(1, crate::support::DEADLINE).await;
    mounted.write("drain_timeout = \"1s\"\n", &key);
    daemon.signal("HUP");
    daemon.wait_for_at_least(r#"eventd_settings_reloads_total{result="applied"}"#, 1.0).await;
    daemon.signal("TERM");
    assert_eq!(daemon.ended().await, Some(0));
    let given_up = "stopped before all was finished; the rest stays queued";
    assert_eq!(daemon.logged(given_up).len(), 1, "it waited for its work");
    mounted.vhost.wait_for_depth(UNBLOCK, 1).await;
}

#[tokio::test]
async fn the_second_signal_ends_the_process_whichever_the_two_are() {
    for (first, second) in [("TERM", "INT"), ("INT", "TERM")] {
        let relay = Relay::to(Node::shared().authority()).await;
        let mut world = World::by(&relay.authority(), &[("DRAIN_TIMEOUT", "5m")]).await;
        world.fake.inject(Fault::next(FaultKind::Hang));
        world.unblock("e-1", "entry-1").await;
        world.fake.wait_for_calls(1, crate::support::DEADLINE).await;
        world.daemon.signal(first);
        world.daemon.wait_for_logged("stopping, finishing what is in work", 1).await;
        world.daemon.signal(second);
        assert_eq!(world.daemon.ended().await, Some(1), "{first}, {second}");
        assert_eq!(world.daemon.logged("second signal, ending at once").len(), 1);
    }
}
