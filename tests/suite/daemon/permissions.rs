//! Innocents never pay for what is not permitted: by the broker, by the vendor, or by whoever stands in
//! front of it.

use crate::support::broker::{DEAD_LETTERS, OFFBOARDED, UNBLOCK, Vhost};
use crate::support::daemon::Daemon;
use crate::support::node::Node;
use crate::support::settings::{self, Variables, named};
use crate::support::wire::{Method, Said, Wire};
use crate::support::world::World;
use crate::support::{DEADLINE, eventually};
use fake_mimecast::{FakeMimecast, Fault, FaultKind};
use lapin::options::{
    BasicConsumeOptions, QueueBindOptions, QueueDeclareOptions, QueueDeleteOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use std::collections::BTreeMap;
use std::ops::Range;
use std::time::{Duration, Instant};
use tokio::process::Command;

const PAUSED: &str = r#"eventd_lane_state{event="url.unblock",state="paused"}"#;
const ACKED: &str = r#"eventd_messages_settled_total{disposition="ack",event="url.unblock"}"#;
const CONNECTIONS: &str = r#"eventd_amqp_connections_total{event="url.unblock"}"#;
const ALL: &str = ".*";
const NONE: &str = "^$";

const QUICK: [(&str, &str); 2] =
    [("BREAKER__INITIAL_PROBE_DELAY", "100ms"), ("BREAKER__MAX_PROBE_DELAY", "500ms")];

/// A virtual host in which a daemon with all rights has declared everything.
async fn declared() -> Vhost {
    let world = World::hmac().await;
    let World { vhost, mut daemon, .. } = world;
    daemon.signal("TERM");
    assert_eq!(daemon.ended().await, Some(0));
    vhost
}

/// A world whose daemon may do no more at the broker than these patterns say.
async fn world_of(vhost: Vhost, may: [&str; 3], own: &[(&str, &str)]) -> World {
    let url = vhost.url_of_user(may[0], may[1], may[2]).await;
    let own = [&[("AMQP__URL", url.as_str())], &QUICK[..], own].concat();
    World::start(vhost, settings::hmac, &own).await
}

async fn check(variables: &Variables) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mimecast-eventd"));
    let output = command.arg("check").env_clear().envs(variables).output().await.unwrap();
    (output.status.code(), String::from_utf8(output.stdout).unwrap())
}

/// Publishes so many good unblockings.
async fn publish(world: &World, count: usize) {
    publish_from(world, 0..count).await;
}

async fn publish_from(world: &World, numbers: Range<usize>) {
    for number in numbers {
        let entry = format!("innocent-{number}");
        world.fake.add_url(&entry);
        world.unblock(&entry, &entry).await;
    }
}

/// All of them are applied, none of them is dead or was delivered in vain.
async fn all_applied(world: &World, count: usize) {
    world.daemon.wait_for_metric(ACKED, count as f64).await;
    assert!((0..count).all(|number| !world.fake.has_url(&format!("innocent-{number}"))));
    world.vhost.wait_for_depth(UNBLOCK, 0).await;
    world.vhost.wait_for_depth(DEAD_LETTERS, 0).await;
    assert_eq!(world.daemon.metric(CONNECTIONS).await, 1.0, "one session was not enough");
    assert_eq!(world.daemon.logged("the session ended").len(), 0);
}

#[tokio::test]
async fn who_may_not_write_to_the_default_exchange_holds_messages_through_an_outage() {
    let may = ["^(mimecast-eventd|events).*", "^(mimecast-eventd|events).*", ALL];
    let prefetch = ("EVENTS__URL_UNBLOCK__PREFETCH", "4");
    let world = world_of(declared().await, may, &[prefetch]).await;
    let warned = eventually("the start names the permission", async || {
        let warned = world.daemon.logged("trouble ahead").into_iter();
        warned.map(|line| line["problem"].to_string()).find(|it| it.contains("amq.default"))
    })
    .await;
    assert!(warned.contains("grant write") && warned.contains("ACCESS_REFUSED"), "{warned}");
    let (code, lines) = check(&world.variables).await;
    assert_eq!(code, Some(1), "{lines}");
    assert!(
        lines.contains("failure  broker   permissions: ") && lines.contains("amq.default"),
        "{lines}"
    );

    // Several are in work when the outage begins.
    publish(&world, 1).await;
    world.daemon.wait_for_metric(ACKED, 1.0).await;
    world.fake.inject(Fault::next(FaultKind::Hold).times(4));
    world.fake.inject(Fault::always(FaultKind::status(503)));
    let calls = world.fake.changes_called();
    publish(&world, 12).await;
    world.fake.wait_for_calls(calls + 4, crate::support::DEADLINE).await;
    world.fake.refuse_credentials(true);
    world.fake.release();
    world.daemon.wait_for_metric(PAUSED, 1.0).await;
    let why = eventually("the lane says what is the matter", async || {
        let (_, why) = world.daemon.get("/readyz").await;
        why.contains("ACCESS_REFUSED").then_some(why)
    })
    .await;
    assert!(why.contains("did not take a copy"), "{why}");
    let in_flight = r#"eventd_messages_in_flight{event="url.unblock"}"#;
    world.daemon.wait_for_metric(in_flight, 4.0).await;
    world.fake.refuse_credentials(false);
    let calls = world.fake.changes_called();
    world.fake.wait_for_calls(calls + 4, crate::support::DEADLINE).await;
    assert_eq!(world.daemon.metric(in_flight).await, 4.0, "it holds what cannot be parked");
    world.fake.heal();
    all_applied(&world, 13).await;
    let requeued = r#"eventd_messages_settled_total{disposition="requeue",event="url.unblock"}"#;
    assert_eq!(world.daemon.metric(requeued).await, 0.0, "something was redelivered");
}

#[tokio::test]
async fn who_may_not_write_dead_letters_keeps_the_bad_message_and_applies_the_good_ones_after_it() {
    let may = [ALL, "^(amq.default|mimecast-eventd[.]u.*|events)$", ALL];
    let own = [("AMQP__TOPOLOGY", "verify"), ("EVENTS__URL_UNBLOCK__PREFETCH", "3")];
    let world = world_of(declared().await, may, &own).await;
    for _ in 0..6 {
        world.publish("url.unblock", "nonsense").await;
    }
    world.daemon.wait_for_metric(PAUSED, 1.0).await;
    let (_, why) = world.daemon.get("/readyz").await;
    assert!(why.contains("ACCESS_REFUSED") && why.contains(DEAD_LETTERS), "{why}");
    // The lane stays paused, and what is good in its queue is applied one by one all the same.
    publish(&world, 3).await;
    all_applied(&world, 3).await;
    assert_eq!(world.daemon.metric(PAUSED).await, 1.0, "the bad messages were let go");
    let in_flight = r#"eventd_messages_in_flight{event="url.unblock"}"#;
    world.daemon.wait_for_metric(in_flight, 6.0).await;
    // The other lane knows nothing of it.
    world.offboard("e-1", "ada@example.com", &["group-1"]).await;
    world.vhost.wait_for_depth(OFFBOARDED, 0).await;
}

#[tokio::test]
async fn a_dead_letter_that_is_refused_does_not_keep_others_from_being_parked() {
    let may = [ALL, "^(amq.default|mimecast-eventd[.]u.*|events)$", ALL];
    let world = world_of(declared().await, may, &[("AMQP__TOPOLOGY", "verify")]).await;
    publish(&world, 1).await;
    world.daemon.wait_for_metric(ACKED, 1.0).await;
    world.fake.inject(Fault::next(FaultKind::Hold).times(3));
    world.fake.inject(Fault::always(FaultKind::status(503)));
    let calls = world.fake.changes_called();
    publish(&world, 3).await;
    world.fake.wait_for_calls(calls + 3, crate::support::DEADLINE).await;
    world.publish("url.unblock", "nonsense").await;
    world.daemon.wait_for_metric(PAUSED, 1.0).await;
    world.fake.refuse_credentials(true);
    world.fake.release();
    // The bad one is held; copies of the others are in the queue.
    let in_flight = r#"eventd_messages_in_flight{event="url.unblock"}"#;
    let parked = r#"eventd_messages_settled_total{disposition="requeue",event="url.unblock"}"#;
    world.daemon.wait_for_metric(parked, 3.0).await;
    world.daemon.wait_for_metric(in_flight, 1.0).await;
}

#[tokio::test]
async fn what_the_user_may_not_see_is_a_warning_that_names_the_permission() {
    // Nothing more than the work needs: no permission on the exchange for events, nor on any rung.
    let may = [
        NONE,
        "^(amq.default|mimecast-eventd[.]dead-letter)$",
        "^mimecast-eventd[.](user[.]offboarded|url[.]unblock)$",
    ];
    let world = world_of(declared().await, may, &[("AMQP__TOPOLOGY", "verify")]).await;
    publish(&world, 3).await;
    all_applied(&world, 3).await;
    let warned = world.daemon.logged("trouble ahead").into_iter();
    let unseen: Vec<_> = warned
        .map(|line| line["problem"].to_string())
        .filter(|problem| problem.contains("whether"))
        .collect();
    // Earlier versions tell everybody what there is.
    if Node::shared().version() >= (4, 3) {
        for name in ["events", "mimecast-eventd.url.unblock.retry."] {
            let named =
                |problem: &&String| problem.contains(name) && problem.contains("grant the user");
            assert!(
                unseen.iter().any(|problem| named(&problem)),
                "{name} is not named: {unseen:?}"
            );
        }
    }
}

#[tokio::test]
async fn a_limit_of_connections_that_fits_the_lanes_is_enough() {
    let vhost = declared().await;
    vhost.limit_connections(5).await;
    let world = World::start(vhost, settings::hmac, &[]).await;
    publish(&world, 3).await;
    all_applied(&world, 3).await;
}

#[tokio::test]
async fn who_may_not_configure_verifies_in_one_session() {
    let may = [NONE, ALL, ALL];
    let world = world_of(declared().await, may, &[("AMQP__TOPOLOGY", "verify")]).await;
    publish(&world, 5).await;
    all_applied(&world, 5).await;
    let (code, lines) = check(&world.variables).await;
    assert_eq!(code, Some(0), "{lines}");
}

#[tokio::test]
async fn a_queue_with_a_single_active_consumer_costs_no_session_where_messages_are_tried() {
    let vhost = declared().await;
    let channel = vhost.channel().await;
    channel.queue_delete(UNBLOCK.into(), QueueDeleteOptions::default()).await.unwrap();
    let mut arguments = FieldTable::default();
    for (name, value) in [
        ("x-queue-type", AMQPValue::LongString("quorum".into())),
        ("x-single-active-consumer", AMQPValue::Boolean(true)),
    ] {
        arguments.insert(name.into(), value);
    }
    let durable = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
    channel.queue_declare(UNBLOCK.into(), durable, arguments).await.unwrap();
    let (options, none) = (QueueBindOptions::default(), FieldTable::default());
    let key = "url.unblock".into();
    channel.queue_bind(UNBLOCK.into(), "events".into(), key, options, none).await.unwrap();
    let world = world_of(vhost, [NONE, ALL, ALL], &[("AMQP__TOPOLOGY", "verify")]).await;
    // Health calls are answered, and the third message pauses the lane.
    let down = Fault::always(FaultKind::status(503)).for_item_containing("innocent-");
    world.fake.inject(down);
    publish(&world, 6).await;
    world.daemon.wait_for_metric(PAUSED, 1.0).await;
    let calls = world.fake.changes_called();
    world.fake.wait_for_calls(calls + 3, DEADLINE).await;
    world.fake.heal();
    all_applied(&world, 6).await;
}

#[tokio::test]
async fn a_lane_that_may_not_be_read_costs_the_other_one_nothing() {
    let vhost = declared().await;
    let read = "^(mimecast-eventd[.]url[.]unblock.*|mimecast-eventd[.]dead-letter|events)$";
    let url = vhost.url_of_user(ALL, ALL, read).await;
    let fake = FakeMimecast::start(fake_mimecast::Credentials::default()).await;
    let mut variables = settings::hmac(&fake);
    variables.extend([named("AMQP__URL", &url), named("AMQP__TOPOLOGY", "verify")]);
    let daemon = Daemon::start(&variables).await;
    let world = World { vhost, fake, daemon, variables };
    let refused = eventually("the lane says why it cannot be opened", async || {
        let ended = world.daemon.logged("the session ended").into_iter();
        ended.clone().nth(2).and(ended.last())
    })
    .await;
    assert_eq!(refused["event"], "user.offboarded", "{refused}");
    assert!(refused["error"].as_str().unwrap().contains("ACCESS_REFUSED"), "{refused}");
    publish(&world, 5).await;
    world.daemon.wait_for_metric(ACKED, 5.0).await;
    assert_eq!(world.daemon.metric(CONNECTIONS).await, 1.0);
    let (status, why) = world.daemon.get("/readyz").await;
    assert_eq!(status, 503);
    assert!(why.contains("url.unblock consuming"), "{why}");
    let (code, lines) = check(&world.variables).await;
    assert_eq!(code, Some(1), "{lines}");
    assert!(lines.contains("grant read") && lines.contains(OFFBOARDED), "{lines}");
}

#[tokio::test]
async fn a_queue_with_an_exclusive_consumer_costs_the_other_lane_nothing() {
    let vhost = declared().await;
    let channel = vhost.channel().await;
    let exclusive = BasicConsumeOptions { exclusive: true, ..BasicConsumeOptions::default() };
    let table = FieldTable::default();
    let _other =
        channel.basic_consume(OFFBOARDED.into(), "other".into(), exclusive, table).await.unwrap();
    let fake = FakeMimecast::start(fake_mimecast::Credentials::default()).await;
    let mut variables = settings::hmac(&fake);
    variables.extend([named("AMQP__URL", &vhost.url)]);
    let daemon = Daemon::start(&variables).await;
    let world = World { vhost, fake, daemon, variables };
    publish(&world, 5).await;
    world.daemon.wait_for_metric(ACKED, 5.0).await;
    assert_eq!(world.daemon.metric(CONNECTIONS).await, 1.0);
    let ended = world.daemon.logged("the session ended");
    assert!(ended.iter().all(|line| line["event"] == "user.offboarded"), "{ended:?}");
}

#[tokio::test]
async fn an_address_that_is_not_the_vendors_pauses_and_condemns_nothing() {
    for page in [
        FaultKind::Html { status: 404 },
        FaultKind::Html { status: 405 },
        FaultKind::Html { status: 403 },
        FaultKind::EmptyBody { status: 410 },
        FaultKind::EmptyBody { status: 400 },
        FaultKind::OAuthShape { status: 404, error: "not_found".into() },
    ] {
        let world = World::with(&QUICK).await;
        world.fake.inject(Fault::always(page.clone()));
        publish(&world, 5).await;
        world.daemon.wait_for_metric(PAUSED, 1.0).await;
        let (code, lines) = check(&world.variables).await;
        assert_eq!(code, Some(1), "{page:?}: {lines}");
        assert!(!lines.contains("credentials accepted"), "{page:?}: {lines}");
        world.fake.heal();
        all_applied(&world, 5).await;
    }
}

#[tokio::test]
async fn a_role_without_the_permission_pauses_and_condemns_nothing() {
    let world = World::with(&QUICK).await;
    let refusal = FaultKind::fail("err_xdk_operation_forbidden_for_address");
    world.fake.inject(Fault::always(refusal));
    publish(&world, 23).await;
    world.daemon.wait_for_metric(PAUSED, 1.0).await;
    let calls = world.fake.changes_called();
    world.fake.wait_for_calls(calls + 6, crate::support::DEADLINE).await;
    assert_eq!(world.daemon.metric(PAUSED).await, 1.0, "a refusal is no answer");
    let (_, why) = world.daemon.get("/readyz").await;
    assert!(why.contains("err_xdk_operation_forbidden_for_address"), "{why}");
    let (code, lines) = check(&world.variables).await;
    assert_eq!(code, Some(1), "{lines}");
    world.fake.heal();
    all_applied(&world, 23).await;
}

#[tokio::test]
async fn an_item_that_may_not_be_changed_is_refused_and_pauses_nothing() {
    let world = World::with(&QUICK).await;
    let refusal = FaultKind::fail("err_xdk_operation_forbidden_for_address");
    world.fake.inject(Fault::always(refusal).for_item_containing("guarded"));
    world.unblock("guarded", "guarded").await;
    publish(&world, 5).await;
    let found = world.vhost.take(DEAD_LETTERS).await;
    assert_eq!(found.header("x-eventd-reason"), "rejected");
    assert_eq!(found.header("x-eventd-code"), "err_xdk_operation_forbidden_for_address");
    all_applied(&world, 5).await;
    assert_eq!(world.daemon.logged("lane paused").len(), 0);
}

#[tokio::test]
async fn a_token_endpoint_that_hangs_is_asked_once_for_all_and_the_lane_holds_nothing() {
    let own = [
        ("EVENTS__URL_UNBLOCK__PREFETCH", "64"),
        ("MIMECAST__TIMEOUT", "1s"),
        ("BREAKER__INITIAL_PROBE_DELAY", "1s"),
        ("BREAKER__MAX_PROBE_DELAY", "1m"),
    ];
    let world = World::new(settings::oauth2, &own).await;
    publish(&world, 1).await;
    world.daemon.wait_for_metric(ACKED, 1.0).await;
    let token = fake_mimecast::Operation::Token;
    world.fake.revoke_tokens();
    world.fake.inject(Fault::always(FaultKind::Hang).for_operation(token));
    let began = Instant::now();
    publish(&world, 65).await;
    world.daemon.wait_for_metric(PAUSED, 1.0).await;
    let in_flight = r#"eventd_messages_in_flight{event="url.unblock"}"#;
    world.daemon.wait_for_metric(in_flight, 0.0).await;
    assert!(began.elapsed() < Duration::from_secs(40), "{:?}", began.elapsed());
    let fetches = world.fake.calls().iter().filter(|call| call.operation == token).count();
    assert!(fetches < 40, "{fetches} fetches for 65 messages of four attempts each");
}

#[tokio::test]
async fn a_delivery_that_ends_sessions_is_charged_alone_and_the_broker_ends_it() {
    let wire = Wire::to(Node::shared().authority()).await;
    let own = [("EVENTS__URL_UNBLOCK__DELIVERY_LIMIT", "4")];
    let world = World::by(&wire.authority(), &own).await;
    wire.cut_on("KILLER");
    // All are in the queue before the first is settled, so that those before the killer come again with it.
    world.fake.inject(Fault::next(FaultKind::Hold));
    publish_from(&world, 0..6).await;
    world.unblock("KILLER", "killer").await;
    publish_from(&world, 6..10).await;
    world.fake.release();
    eventually("all innocents are applied", async || {
        (0..10).all(|number| !world.fake.has_url(&format!("innocent-{number}"))).then_some(())
    })
    .await;
    let found = world.vhost.take(DEAD_LETTERS).await;
    assert!(String::from_utf8_lossy(&found.body).contains("KILLER"), "{found:?}");
    world.vhost.wait_for_depth(DEAD_LETTERS, 0).await;
    world.vhost.wait_for_depth(UNBLOCK, 0).await;
    // When it ended a session, it was the only one there; but for the first time, which nobody can foresee.
    let unsettled = unsettled_at_the_end(&wire);
    assert_eq!(unsettled[1..5], [1; 4], "{unsettled:?}");
}

/// How many deliveries of each connection the client has not acked, of those that had any.
fn unsettled_at_the_end(wire: &Wire) -> Vec<usize> {
    let mut unsettled = BTreeMap::<usize, usize>::new();
    for Said { connection, .. } in wire.broker_said(|method| *method == Method::Deliver) {
        *unsettled.entry(connection).or_default() += 1;
    }
    for Said { connection, .. } in wire.client_said(|method| *method == Method::Ack) {
        if let Some(left) = unsettled.get_mut(&connection) {
            *left -= 1;
        }
    }
    unsettled.into_values().collect()
}

#[tokio::test]
async fn a_node_that_is_away_is_passed_over_for_the_next_one() {
    let vhost = Vhost::new().await;
    let away = vhost.url_by("127.0.0.1:1");
    let urls = format!("{away},{},{away}", vhost.url);
    let world = World::start(vhost, settings::hmac, &[("AMQP__URL", &urls)]).await;
    publish(&world, 3).await;
    all_applied(&world, 3).await;
}
