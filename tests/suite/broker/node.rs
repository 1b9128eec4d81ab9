//! Faults of the broker itself, on a node that may be disturbed.

use crate::faults::report::{self, close};
use crate::support::broker::{DEAD_LETTERS, UNBLOCK, Vhost};
use crate::support::disturbed::Disturbed;
use crate::support::faults::scene::Scene;
use crate::support::settings::{self, named};
use crate::support::world::World;
use crate::support::{DEADLINE, eventually};
use fake_mimecast::{Credentials, FakeMimecast, Fault, FaultKind};
use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable};
use mimecast_eventd::broker::Broker;
use std::time::Duration;
use tokio::time::Instant;

#[tokio::test]
async fn a_broker_that_is_restarted_or_killed_in_mid_work_loses_nothing() {
    let mut node = Disturbed::node().await;
    report::broker(&node.running().full_version());
    let scene = working(Scene::on(node.running(), &[]).await).await;
    node.stop().await;
    let vhost = report::finish(back(&mut node, scene).await, "broker restarted").await;

    // Only now: RabbitMQ 3.10 may lose a quorum queue that is killed right after its birth.
    let scene = working(Scene::at(vhost, node.running(), &[]).await).await;
    node.kill().await;
    close(back(&mut node, scene).await, "broker killed").await;
}

#[tokio::test]
async fn a_broker_that_takes_no_messages_is_waited_for() {
    let node = Disturbed::node().await;
    let mut scene = Scene::on(node.running(), &[]).await;
    blocked(&node, &mut scene).await;
    // What needs no copy is applied meanwhile, and acked.
    eventually("all that is good is applied and acked", async || {
        let mut acked = 0.0;
        for event in ["user.offboarded", "url.unblock"] {
            let series =
                format!(r#"eventd_messages_settled_total{{disposition="ack",event="{event}"}}"#);
            acked += scene.daemon().metric(&series).await;
        }
        (acked == 32.0).then_some(())
    })
    .await;
    node.feed();
    scene.healed();
    takes_messages_again(&scene).await;
    close(scene, "broker short of memory").await;
}

#[tokio::test]
async fn the_copy_over_which_the_broker_says_that_it_takes_none_is_not_waited_for() {
    let node = Disturbed::node().await;
    let probes = [("BREAKER__INITIAL_PROBE_DELAY", "10s"), ("BREAKER__MAX_PROBE_DELAY", "10s")];
    let world = World::start(Vhost::on(node.running()).await, settings::hmac, &probes).await;
    world.fake.add_url("entry-1");
    world.fake.inject(Fault::next(FaultKind::Hold));
    world.unblock("e-1", "entry-1").await;
    world.fake.wait_for_calls(1, DEADLINE).await;
    world.publish("url.unblock", "nonsense").await;
    node.starve();
    // Now the second comes, and the daemon finds out by its copy.
    world.fake.release();
    world.daemon.wait_for_logged("a message waits for its copy", 1).await;
    // And not because no confirm came in time.
    let waits = world.daemon.logged("a message waits for its copy").remove(0);
    let why = waits["error"].as_str().unwrap();
    assert!(why.contains("the broker takes no messages"), "{why}");
    node.feed();
    assert_eq!(world.vhost.take(DEAD_LETTERS).await.body, b"nonsense");
    world.vhost.wait_for_depth(UNBLOCK, 0).await;
    assert!(!world.fake.has_url("entry-1"));
}

#[tokio::test]
async fn a_broker_that_comes_back_in_health_is_not_said_to_take_no_messages() {
    let node = Disturbed::node().await;
    let mut scene = Scene::on(node.running(), &[]).await;
    blocked(&node, &mut scene).await;
    scene.broker_link.refuse();
    scene.disconnected().await;
    node.feed();
    scene.broker_link.open();
    scene.healed();
    scene.daemon().wait_until_ready().await;
    takes_messages_again(&scene).await;
    close(scene, "broker short of memory, then away").await;
}

#[tokio::test]
async fn a_daemon_that_is_stopped_while_the_broker_takes_no_messages_leaves_all_queued() {
    let node = Disturbed::node().await;
    let mut scene = Scene::on(node.running(), &[("DRAIN_TIMEOUT", "2s")]).await;
    blocked(&node, &mut scene).await;
    scene.stop_daemon().await;
    node.feed();
    scene.healed();
    scene.start_daemon().await;
    close(scene, "daemon stopped, broker blocked").await;
}

#[tokio::test]
async fn a_channel_that_the_broker_closes_because_acks_take_too_long_loses_nothing() {
    let node = Disturbed::node().await;
    node.running().evaluate(&patience(2_000, 500));
    let mut scene = Scene::on(node.running(), &[("MIMECAST__TIMEOUT", "4s")]).await;
    scene.api(FaultKind::Hang);
    let (before_any, before) = (Instant::now(), scene.ended_sessions());
    scene.publish(20).await;
    scene.calls(2).await;
    scene.api_well();
    scene.session_ended(before).await;
    assert!(before_any.elapsed() > Duration::from_secs(2), "not because of the broker's patience");
    // RabbitMQ 4.3 cancels the consumer instead, and says no more.
    let told = scene.daemon().logged("the session ended");
    let is_told = |why: &str| told.iter().any(|line| line["error"].as_str().unwrap().contains(why));
    let why = "delivery acknowledgement on channel";
    assert!(is_told(why) || is_told("cancelled the consumer"), "{told:?}");
    scene.healed();
    close(scene, "broker gives up waiting").await;
    node.running().evaluate(&patience(1_800_000, 60_000));
}

#[tokio::test]
async fn headers_near_the_largest_frame_of_the_broker_cost_no_session_and_are_left_out_of_the_copy()
{
    let node = Disturbed::node().await;
    node.running().evaluate("application:set_env(rabbit, frame_max, 8192).");
    let ladder = [("RETRY__LADDER", r#"["1s"]"#)];
    let world = World::start(Vhost::on(node.running()).await, settings::hmac, &ladder).await;
    world.fake.add_url("entry-1");
    world.fake.inject(Fault::next(FaultKind::status(503)).for_item_containing("entry-1"));
    for large in [5_000, 7_000, 7_900, 8_080] {
        let mut headers = FieldTable::default();
        headers.insert("large".into(), AMQPValue::LongString("x".repeat(large).into()));
        headers.insert("team".into(), AMQPValue::LongString("hr".into()));
        let properties = BasicProperties::default().with_headers(headers);
        world.vhost.publish("url.unblock", b"nonsense", properties.clone()).await;
        let good = format!("e-{large}");
        world.offboard(&good, "ada@example.com", &["staff"]).await;
        let letter = world.vhost.take(DEAD_LETTERS).await;
        assert_eq!((letter.body.as_slice(), letter.header("team")), (&b"nonsense"[..], "hr"));
        let is_altered = letter.header("x-eventd-altered").contains("were left out");
        assert_ne!(letter.headers.contains_key("large"), is_altered, "{large} bytes");
        assert_eq!(is_altered, large > 7_000, "{large} bytes");
    }
    world.unblock("e-1", "entry-1").await;
    world.daemon.settled(9).await;
    let connections = r#"eventd_amqp_connections_total{event="url.unblock"}"#;
    assert_eq!(world.daemon.metric(connections).await, 1.0);
    node.running().evaluate("application:set_env(rabbit, frame_max, 131072).");
}

#[tokio::test]
async fn a_broker_with_frames_that_are_too_small_is_told_apart_in_words() {
    let node = Disturbed::node().await;
    let vhost = Vhost::on(node.running()).await;
    let fake = FakeMimecast::start(Credentials::default()).await;
    let mut variables = settings::hmac(&fake);
    variables.extend([named("AMQP__URL", &vhost.url)]);
    let amqp = settings::read(&variables).unwrap().amqp;
    node.running().evaluate("application:set_env(rabbit, frame_max, 2048).");
    let refused = Broker::connect(&amqp, |_| {}).await.unwrap_err().to_string();
    node.running().evaluate("application:set_env(rabbit, frame_max, 131072).");
    assert!(refused.contains("frame_max") && refused.contains("131072"), "{refused}");
    Broker::connect(&amqp, |_| {}).await.unwrap();
}

#[tokio::test]
async fn a_copy_that_is_refused_for_its_properties_is_made_without_them_and_says_so() {
    let node = Disturbed::node().await;
    node.running().evaluate(REFUSING);
    let ladder = [("RETRY__LADDER", r#"["1s"]"#)];
    let world = World::start(Vhost::on(node.running()).await, settings::hmac, &ladder).await;
    let with = |headers: &[(&str, &str)]| {
        let mut table = FieldTable::default();
        for (name, value) in headers {
            table.insert((*name).into(), AMQPValue::LongString((*value).into()));
        }
        let properties = BasicProperties::default().with_message_id("m-1".into());
        properties.with_correlation_id("c-1".into()).with_headers(table)
    };
    for (headers, is_altered) in
        [([("team", "hr")], false), ([("refused", "1")], true), ([("site", "eu")], false)]
    {
        world.vhost.publish("url.unblock", b"nonsense", with(&headers)).await;
        let good = format!("entry-{}", headers[0].0);
        world.fake.add_url(&good);
        world.unblock(&good, &good).await;
        let letter = world.vhost.take(DEAD_LETTERS).await;
        assert_eq!(letter.body, b"nonsense");
        assert_eq!(letter.header("x-eventd-reason"), "malformed");
        assert_eq!(letter.properties.message_id().as_ref().unwrap().as_str(), "m-1");
        assert_eq!(letter.properties.correlation_id().is_none(), is_altered);
        assert_ne!(letter.headers.contains_key(headers[0].0), is_altered);
        let is_said = letter.header("x-eventd-altered").contains("the broker refused");
        assert_eq!(is_said, is_altered, "{letter:?}");
    }
    // A copy that comes back is the same event, also one that is nothing but headers and data.
    world.fake.add_url("entry-1");
    let fails = Fault::next(FaultKind::status(503)).times(5);
    world.fake.inject(fails.for_item_containing("entry-1"));
    let attributes = [
        ("ce-specversion", "1.0"),
        ("ce-id", "e-1"),
        ("ce-source", "/soc"),
        ("ce-type", "url.unblock"),
        ("refused", "1"),
    ];
    let event = with(&attributes).with_content_type("application/json".into());
    world.vhost.publish("url.unblock", br#"{"id":"entry-1"}"#, event).await;
    let settled = world.daemon.settled(8).await;
    let last: Vec<_> =
        settled[6..].iter().map(|line| (&line["disposition"], &line["event_id"])).collect();
    assert_eq!(
        last,
        [(&"retry".into(), &"e-1".into()), (&"ack".into(), &"e-1".into())],
        "{settled:?}"
    );
    assert!(
        ["team", "refused", "site", "1"]
            .iter()
            .all(|it| !world.fake.has_url(&format!("entry-{it}")))
    );
    let connections = r#"eventd_amqp_connections_total{event="url.unblock"}"#;
    assert_eq!(world.daemon.metric(connections).await, 1.0);
    node.running().evaluate("rabbit_registry:unregister(channel_interceptor, <<\"refusing\">>).");
}

/// A plugin of the broker that refuses copies with one of the headers that the originals may have. RabbitMQ itself
/// checks nothing of a copy but what copies do not have.
const REFUSING: &str = r#"
    Form = fun(Text) ->
        {ok, Tokens, _} = erl_scan:string(Text),
        {ok, Form} = erl_parse:parse_form(Tokens),
        Form
    end,
    {ok, Module, Binary} = compile:forms(lists:map(Form, [
        "-module(refusing).",
        "-behaviour(rabbit_channel_interceptor).",
        "-export([description/0, init/1, intercept/3, applies_to/0]).",
        "description() -> [].",
        "init(_) -> none.",
        "applies_to() -> ['basic.publish'].",
        "intercept(Method, none, _) -> {Method, none};
         intercept(Method, Content, _) ->
             Decoded = rabbit_binary_parser:ensure_content_decoded(Content),
             Headers = case element(4, element(3, Decoded)) of undefined -> []; Given -> Given end,
             case [Name || {Name, _, _} <- Headers, Name =:= <<\"refused\">> orelse Name =:= <<\"x-eventd-code\">>] of
                 [_, _] -> rabbit_misc:amqp_error(precondition_failed, \"this header is refused\", [], none);
                 _ -> {Method, Content}
             end."
    ])),
    {module, _} = code:load_binary(Module, "refusing.erl", Binary),
    rabbit_registry:register(channel_interceptor, <<"refusing">>, refusing)."#;

/// How long the broker waits for an ack, and how often it looks, on channels from now on.
fn patience(milliseconds: u32, look_every: u32) -> String {
    format!(
        "application:set_env(rabbit, consumer_timeout, {milliseconds}), \
         application:set_env(rabbit, channel_tick_interval, {look_every})."
    )
}

/// With calls under way.
async fn working(mut scene: Scene) -> Scene {
    scene.api(FaultKind::Delay { milliseconds: 100 });
    scene.publish(40).await;
    scene.calls(2).await;
    scene
}

/// With the node running again.
async fn back(node: &mut Disturbed, mut scene: Scene) -> Scene {
    scene.disconnected().await;
    node.start().await;
    scene.healed();
    scene.vhost.reconnect().await;
    scene
}

/// Comes when the broker has told the daemon that it takes no messages for now.
async fn blocked(node: &Disturbed, scene: &mut Scene) {
    scene.stop_daemon().await;
    scene.publish(40).await;
    node.starve();
    scene.start_daemon().await;
    eventually("the daemon knows that the broker takes no messages", async || {
        let (_, why) = scene.daemon().get("/readyz").await;
        why.contains("the broker takes no messages").then_some(())
    })
    .await;
    let said = "the broker takes no messages for now";
    scene.daemon().wait_for_logged(said, 1).await;
    let line = scene.daemon().logged(said).remove(0);
    assert!(line["level"] == "WARN" && line["reason"] != "", "{line}");
}

async fn takes_messages_again(scene: &Scene) {
    eventually("the daemon knows that the broker takes messages again", async || {
        let (_, why) = scene.daemon().get("/readyz").await;
        (!why.contains("the broker takes no messages")).then_some(())
    })
    .await;
}
