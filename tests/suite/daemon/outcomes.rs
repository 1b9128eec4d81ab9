//! What is told to those who want to know what became of an event.

use crate::support::DEADLINE;
use crate::support::broker::{DEAD_LETTERS, Found, OFFBOARDED, UNBLOCK, Vhost};
use crate::support::daemon::Daemon;
use crate::support::node::Node;
use crate::support::program::run;
use crate::support::settings::{self, named};
use crate::support::wire::{Hold, Method, Wire};
use crate::support::world::World;
use fake_mimecast::{Credentials, FakeMimecast, Fault, FaultKind};
use lapin::BasicProperties;
use lapin::options::{
    ExchangeDeleteOptions, QueueBindOptions, QueueDeclareOptions, QueueDeleteOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use mimecast_eventd::secrecy::Seal;
use serde_json::{Value, json};

const SCHEMA: &str = include_str!("../../../docs/schemas/outcome.schema.json");
const TOLD: &[(&str, &str)] = &[("AMQP__OUTCOME_EXCHANGE", "outcomes")];
const ACKED: &str = r#"eventd_messages_settled_total{disposition="ack",event="url.unblock"}"#;

/// A queue of somebody who wants to know.
async fn queue(vhost: &Vhost, name: &str) {
    let (options, none) = (QueueDeclareOptions::default(), FieldTable::default());
    vhost.channel().await.queue_declare(name.into(), options, none).await.unwrap();
}

async fn listener(world: &World) {
    world.vhost.listen("outcomes", "listener").await;
}

/// What was told, held to its schema, and its properties.
fn told(found: &Found) -> Value {
    let schema: Value = serde_json::from_str(SCHEMA).unwrap();
    let told: Value = serde_json::from_slice(&found.body).unwrap();
    jsonschema::draft202012::new(&schema).unwrap().validate(&told).unwrap();
    let property = |text: &Option<lapin::types::ShortString>| text.as_ref().unwrap().to_string();
    assert_eq!(property(found.properties.message_id()), told["id"].as_str().unwrap());
    assert_eq!(property(found.properties.kind()), told["type"].as_str().unwrap());
    assert_eq!(property(found.properties.content_type()), "application/cloudevents+json");
    assert_eq!(*found.properties.delivery_mode(), Some(2));
    told
}

fn correlation(found: &Found) -> String {
    found.properties.correlation_id().as_ref().unwrap().to_string()
}

#[tokio::test]
async fn whoever_listens_is_told_what_was_applied_and_what_failed_and_nothing_of_people() {
    let world = World::with(TOLD).await;
    listener(&world).await;
    world.fake.add_member("group-1", "ada@example.com");
    world.offboard("e-1", "ada@example.com", &["group-1"]).await;
    let found = world.vhost.take("listener").await;
    let applied = told(&found);
    assert_eq!(
        (&applied["type"], correlation(&found)),
        (&json!("user.offboarded.applied"), "e-1".into())
    );
    assert_eq!(
        (&applied["data"]["eventId"], &applied["data"]["eventSource"]),
        (&json!("e-1"), &json!("/hr"))
    );
    let command =
        json!({"operation": "remove_group_member", "groupId": "group-1", "result": "applied"});
    assert_eq!(applied["data"]["commands"], json!([command]));
    assert!(!String::from_utf8_lossy(&found.body).contains("ada@"), "{applied}");

    world.fake.inject(
        Fault::always(FaultKind::fail("err_validation_null")).for_item_containing("refused"),
    );
    let asked = BasicProperties::default()
        .with_message_id("m-2".into())
        .with_correlation_id("case-7".into())
        .with_headers({
            let mut headers = FieldTable::default();
            let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
            headers.insert("traceparent".into(), AMQPValue::LongString(trace.into()));
            headers
        });
    world.vhost.publish("url.unblock", br#"{"id":"refused"}"#, asked).await;
    let found = world.vhost.take("listener").await;
    let failed = told(&found);
    assert_eq!(
        (&failed["type"], correlation(&found)),
        (&json!("url.unblock.failed"), "case-7".into())
    );
    assert_eq!(
        (&failed["data"]["reason"], &failed["data"]["code"]),
        (&json!("rejected"), &json!("err_validation_null"))
    );
    assert_eq!(failed["data"]["messageId"], "m-2");
    assert_eq!(found.header("traceparent"), failed["traceparent"].as_str().unwrap());
    world.vhost.wait_for_depth(DEAD_LETTERS, 1).await;

    // A trace that is none is not told of.
    let mut headers = FieldTable::default();
    headers.insert("traceparent".into(), AMQPValue::LongString("00-<nonsense>".into()));
    let named = BasicProperties::default().with_message_id("m-3".into()).with_headers(headers);
    world.vhost.publish("url.unblock", br#"{"id":"entry-3"}"#, named).await;
    let found = world.vhost.take("listener").await;
    assert_eq!(told(&found).get("traceparent"), None);
    assert_eq!(found.headers.get("traceparent"), None);
    // What could not be read is a dead letter, and nothing is told of it.
    world.vhost.publish("url.unblock", b"not JSON", BasicProperties::default()).await;
    world.vhost.wait_for_depth(DEAD_LETTERS, 2).await;
    world.vhost.wait_for_depth("listener", 0).await;
    // A replay is another outcome, be it the same once more.
    let replay = ["dlq", "replay", "--id", "m-2"];
    assert_eq!(run(&world.variables, &replay).await.code, Some(0));
    let again = told(&world.vhost.take("listener").await);
    assert_eq!(again["type"], failed["type"]);
    assert_ne!(again["id"], failed["id"]);
    world.vhost.wait_for_depth(DEAD_LETTERS, 2).await;
    world.fake.heal();
    world.fake.add_url("refused");
    assert_eq!(run(&world.variables, &replay).await.code, Some(0));
    let again = told(&world.vhost.take("listener").await);
    assert_eq!(
        (&again["type"], &again["data"]["replays"]),
        (&json!("url.unblock.applied"), &json!(2))
    );
}

#[tokio::test]
async fn that_nobody_listens_is_no_fault_and_an_exchange_that_goes_comes_back() {
    let world = World::with(TOLD).await;
    for number in 0..10 {
        world.fake.add_url(&format!("entry-{number}"));
        world.unblock(&format!("e-{number}"), &format!("entry-{number}")).await;
    }
    world.daemon.wait_for_metric(ACKED, 10.0).await;
    let channel = world.vhost.channel().await;
    channel.exchange_delete("outcomes".into(), ExchangeDeleteOptions::default()).await.unwrap();
    for number in 10..20 {
        world.fake.add_url(&format!("entry-{number}"));
        world.unblock(&format!("e-{number}"), &format!("entry-{number}")).await;
    }
    world.daemon.wait_for_metric(ACKED, 20.0).await;
    world.vhost.wait_for_depth(UNBLOCK, 0).await;
    world.vhost.wait_for_depth(DEAD_LETTERS, 0).await;
    assert!((0..20).all(|number| !world.fake.has_url(&format!("entry-{number}"))));
}

#[tokio::test]
async fn two_events_with_one_id_are_told_apart() {
    let world = World::with(TOLD).await;
    listener(&world).await;
    let event = |entry: &str| {
        let data = json!({"id": entry});
        json!({"specversion": "1.0", "id": "e-1", "source": "/soc", "type": "url.unblock", "data": data})
            .to_string()
    };
    let by_guest = BasicProperties::default().with_user_id("guest".into());
    let mut ids = Vec::new();
    for (body, properties, user) in [
        (event("entry-1"), BasicProperties::default(), Value::Null),
        (event("entry-2"), BasicProperties::default(), Value::Null),
        (event("entry-2"), by_guest, json!("guest")),
    ] {
        world.vhost.publish("url.unblock", body.as_bytes(), properties).await;
        let found = told(&world.vhost.take("listener").await);
        let digest = Seal::default().of(body.as_bytes());
        assert_eq!(
            (&found["data"]["userId"], &found["data"]["bodySha256"]),
            (&user, &json!(digest))
        );
        ids.push(found["id"].clone());
    }
    ids.dedup();
    assert_eq!(ids.len(), 3);
}

#[tokio::test]
async fn a_failure_is_told_once_its_dead_letter_is_safe() {
    let world = World::with(TOLD).await;
    listener(&world).await;
    world.vhost.refuse_dead_letters().await;
    let nothing = r#"{"specversion":"1.0","id":"bad","source":"/soc","type":"url.unblock","data":{"id":"refused"}}"#;
    let refused = FaultKind::fail("err_validation_null");
    world.fake.inject(Fault::always(refused).for_item_containing("refused"));
    world.publish("url.unblock", nothing).await;
    world.daemon.wait_for_logged("lane paused", 1).await;
    assert!(world.vhost.take_now("listener").await.is_none(), "it is no dead letter yet");
    world.fake.add_url("entry-1");
    world.unblock("good", "entry-1").await;
    world.vhost.accept_dead_letters().await;
    let mut types =
        [told(&world.vhost.take("listener").await), told(&world.vhost.take("listener").await)]
            .map(|told| told["type"].as_str().unwrap().to_owned());
    types.sort();
    assert_eq!(types, ["url.unblock.applied", "url.unblock.failed"]);
    assert_eq!(world.vhost.take(DEAD_LETTERS).await.header("x-eventd-reason"), "rejected");
}

#[tokio::test]
async fn an_outcome_is_confirmed_before_its_message_is_acked() {
    let vhost = Vhost::new().await;
    let wire = Wire::to(Node::shared().authority()).await;
    let url = vhost.url_by(&wire.authority());
    let world = World::start(vhost, settings::hmac, &[TOLD, &[("AMQP__URL", &url)]].concat()).await;
    listener(&world).await;
    let is_told = |method: &Method| matches!(method, Method::Publish { routing_key, mandatory: false, .. } if routing_key == "url.unblock.applied");
    wire.hold(Hold::Confirms);
    world.fake.add_url("entry-1");
    world.unblock("e-1", "entry-1").await;
    wire.wait_for("what became of it", 1, is_told).await;
    world.vhost.wait_for_depth("listener", 1).await;
    let acked = |method: &Method| matches!(method, Method::Ack);
    assert_eq!(wire.client_said(acked).len(), 0, "it is not known to be safe");
    wire.hold(Hold::Nothing);
    world.daemon.wait_for_metric(ACKED, 1.0).await;
    assert_eq!((wire.client_said(acked).len(), wire.client_said(is_told).len()), (1, 1));
}

#[tokio::test]
async fn what_is_told_twice_after_a_crash_has_one_id() {
    let vhost = Vhost::new().await;
    let wire = Wire::to(Node::shared().authority()).await;
    let url = vhost.url_by(&wire.authority());
    let mut world =
        World::start(vhost, settings::hmac, &[TOLD, &[("AMQP__URL", &url)]].concat()).await;
    listener(&world).await;
    wire.hold(Hold::Confirms);
    world.fake.add_url("entry-1");
    world.unblock("e-1", "entry-1").await;
    world.vhost.wait_for_depth("listener", 1).await;
    world.daemon.signal("KILL");
    assert_eq!(world.daemon.ended().await, None);
    wire.hold(Hold::Nothing);
    world.restart_daemon().await;
    world.daemon.wait_for_metric(ACKED, 1.0).await;
    let [one, other] = [world.vhost.take("listener").await, world.vhost.take("listener").await];
    let (one, other) = (told(&one), told(&other));
    assert_eq!(one["id"], other["id"]);
    let types = [&one["type"], &other["type"]];
    assert_eq!(types, ["url.unblock.applied", "url.unblock.already_gone"]);
    let result = |told: &Value| told["data"]["commands"][0]["result"].clone();
    assert_eq!((result(&one), result(&other)), (json!("applied"), json!("already_gone")));
}

#[tokio::test]
async fn a_listener_whose_queue_refuses_pauses_the_lane_and_costs_no_message() {
    let world = World::with(&[TOLD, &[("BREAKER__INITIAL_PROBE_DELAY", "100ms")]].concat()).await;
    let mut full = FieldTable::default();
    full.insert("x-max-length".into(), AMQPValue::LongInt(1));
    full.insert("x-overflow".into(), AMQPValue::LongString("reject-publish".into()));
    let channel = world.vhost.channel().await;
    let options = QueueDeclareOptions::default();
    channel.queue_declare("full".into(), options, full).await.unwrap();
    let (options, none) = (QueueBindOptions::default(), FieldTable::default());
    channel
        .queue_bind("full".into(), "outcomes".into(), "url.#".into(), options, none)
        .await
        .unwrap();
    for number in 0..10 {
        world.fake.add_url(&format!("entry-{number}"));
        world.unblock(&format!("e-{number}"), &format!("entry-{number}")).await;
    }
    let paused = r#"eventd_lane_state{event="url.unblock",state="paused"}"#;
    world.daemon.wait_for_metric(paused, 1.0).await;
    let (_, why) = world.daemon.get("/readyz").await;
    assert!(why.contains("outcomes") && why.contains("user.offboarded consuming"), "{why}");
    channel.queue_delete("full".into(), QueueDeleteOptions::default()).await.unwrap();
    world.daemon.wait_for_metric(ACKED, 10.0).await;
    world.vhost.wait_for_depth(UNBLOCK, 0).await;
    world.vhost.wait_for_depth(DEAD_LETTERS, 0).await;
}

#[tokio::test]
async fn what_becomes_of_a_message_is_told_once_however_often_its_copy_is_tried() {
    let world = World::with(TOLD).await;
    listener(&world).await;
    world.vhost.refuse_dead_letters().await;
    world.fake.inject(Fault::always(FaultKind::fail("err_new")).for_item_containing("entry-1"));
    world.unblock("e-1", "entry-1").await;
    world.daemon.wait_for_logged("lane paused", 1).await;
    // Its copy is tried again and again meanwhile.
    let calls = world.fake.changes_called();
    world.fake.add_url("entry-2");
    world.unblock("e-2", "entry-2").await;
    world.fake.wait_for_calls(calls + 1, DEADLINE).await;
    world.vhost.accept_dead_letters().await;
    world.vhost.wait_for_depth(DEAD_LETTERS, 1).await;
    world.daemon.settled(2).await;
    let mut types = Vec::new();
    for _ in 0..2 {
        types.push(told(&world.vhost.take("listener").await)["type"].to_string());
    }
    types.sort();
    assert_eq!(types, [r#""url.unblock.applied""#, r#""url.unblock.failed""#]);
    world.vhost.wait_for_depth("listener", 0).await;
}

#[tokio::test]
async fn who_may_not_tell_pauses_and_loses_nothing() {
    let vhost = Vhost::new().await;
    let ours = "^(mimecast-eventd|events|outcomes|amq.default).*";
    let url = vhost.url_of_user(".*", "^(mimecast-eventd|events|amq.default).*", ".*").await;
    let own =
        [TOLD, &[("AMQP__URL", url.as_str()), ("BREAKER__INITIAL_PROBE_DELAY", "100ms")]].concat();
    let mut world = World::start(vhost, settings::hmac, &own).await;
    let warned = world.daemon.logged("trouble ahead");
    assert!(
        warned
            .iter()
            .any(|it| it["problem"].to_string().contains("outcome events cannot be published")),
        "{warned:?}"
    );
    for number in 0..5 {
        world.fake.add_url(&format!("entry-{number}"));
        world.unblock(&format!("e-{number}"), &format!("entry-{number}")).await;
    }
    let paused = r#"eventd_lane_state{event="url.unblock",state="paused"}"#;
    world.daemon.wait_for_metric(paused, 1.0).await;
    let (_, why) = world.daemon.get("/readyz").await;
    assert!(why.contains("outcomes"), "{why}");
    assert_eq!(world.daemon.metric(ACKED).await, 0.0);
    let url = world.vhost.url_of_user(".*", ours, ".*").await;
    world.variables.extend([named("AMQP__URL", &url)]);
    world.restart_daemon().await;
    world.daemon.wait_for_metric(ACKED, 5.0).await;
    world.vhost.wait_for_depth(DEAD_LETTERS, 0).await;
}

#[tokio::test]
async fn who_asks_for_an_answer_gets_one_and_no_stranger_puts_one_into_a_queue_of_ours() {
    let world = World::with(&[("AMQP__REPLY", "true")]).await;
    queue(&world.vhost, "answers").await;
    let asking = |to: &str, id: &str| {
        BasicProperties::default()
            .with_reply_to(to.into())
            .with_correlation_id(id.into())
            .with_message_id(id.into())
    };
    let hostile = [
        UNBLOCK,
        OFFBOARDED,
        DEAD_LETTERS,
        "mimecast-eventd.url.unblock.10000",
        "",
        "no such queue",
        // Names that mean something to the broker, and nonsense (RabbitMQ, "Direct Reply-to").
        "amq.rabbitmq.reply-to.nonsense",
        "amq.rabbitmq.reply-to.nonsense.nonsense",
        "amq.rabbitmq.reply-to.g2gCYQE=.x",
        "amq.rabbitmq.reply-to.",
    ];
    for (place, to) in hostile.into_iter().chain(["answers"]).enumerate() {
        let entry = format!("entry-{place}");
        world.fake.add_url(&entry);
        let body = json!({"id": entry}).to_string();
        world.vhost.publish("url.unblock", body.as_bytes(), asking(to, &entry)).await;
    }
    world.daemon.wait_for_metric(ACKED, 11.0).await;
    let found = world.vhost.take("answers").await;
    let answer = told(&found);
    assert_eq!(
        (&answer["type"], correlation(&found)),
        (&json!("url.unblock.applied"), "entry-10".into())
    );
    for queue in [UNBLOCK, OFFBOARDED, DEAD_LETTERS, "answers"] {
        world.vhost.wait_for_depth(queue, 0).await;
    }
    let warned =
        world.daemon.logged("an answer was asked for in a queue of ours, and is not given");
    assert_eq!(warned.len(), 5);
    assert_eq!(world.daemon.logged("the session ended").len(), 0);
    let received = r#"eventd_messages_received_total{event="url.unblock"}"#;
    assert_eq!(world.daemon.metric(received).await, 11.0, "no answer came back as a message");
}

/// Sees that nobody is answered there who has asked already: one that asks later, of a daemon that answers, has
/// the answer first.
async fn nobody_is_answered(vhost: &Vhost) {
    let other = World::with(&[("AMQP__REPLY", "true")]).await;
    queue(&other.vhost, "answers").await;
    let asking = BasicProperties::default().with_reply_to("answers".into());
    other.vhost.publish("url.unblock", br#"{"id":"entry-1"}"#, asking).await;
    other.vhost.take("answers").await;
    assert_eq!(vhost.depth("answers").await.map(|(messages, _)| messages), Some(0));
}

#[tokio::test]
async fn without_the_setting_nobody_is_answered_and_an_exchange_of_ours_is_refused() {
    let world = World::hmac().await;
    queue(&world.vhost, "answers").await;
    for number in 0..5 {
        let entry = format!("entry-{number}");
        world.fake.add_url(&entry);
        let asking = BasicProperties::default().with_reply_to("answers".into());
        let body = json!({"id": entry}).to_string();
        world.vhost.publish("url.unblock", body.as_bytes(), asking).await;
    }
    world.daemon.wait_for_metric(ACKED, 5.0).await;
    nobody_is_answered(&world.vhost).await;
    for (key, exchange) in
        [("amqp.exchange", "events"), ("amqp.dead_letter_exchange", DEAD_LETTERS)]
    {
        let mut variables = world.variables.clone();
        variables.extend([named("AMQP__OUTCOME_EXCHANGE", exchange)]);
        let refused = run(&variables, &["check", "--offline"]).await;
        assert_eq!(refused.code, Some(64), "{refused:?}");
        assert!(refused.err.contains(&format!("must be another one than {key}")), "{refused:?}");
    }
    // A dry run tells nobody, and writes nothing down.
    let fake = FakeMimecast::start(Credentials::default()).await;
    let vhost = Vhost::new().await;
    let mut variables = settings::hmac(&fake);
    let folder = tempfile::tempdir().unwrap();
    let trail = folder.path().join("audit.jsonl");
    variables.extend([
        named("AMQP__URL", &vhost.url),
        named("AMQP__OUTCOME_EXCHANGE", "outcomes"),
        named("AMQP__REPLY", "true"),
        named("AUDIT__PATH", trail.to_str().unwrap()),
        named("POLICY__DRY_RUN", "true"),
    ]);
    queue(&vhost, "answers").await;
    let daemon = Daemon::start(&variables).await;
    daemon.wait_until_ready().await;
    let asking = BasicProperties::default().with_reply_to("answers".into());
    vhost.publish("url.unblock", br#"{"id":"entry-1"}"#, asking).await;
    daemon.wait_for_metric(ACKED, 1.0).await;
    nobody_is_answered(&vhost).await;
    assert!(!trail.exists(), "nothing was done that could be proved");
    let exchanges = vhost.described("exchanges").await;
    assert!(exchanges.iter().all(|it| it["name"] != "outcomes"), "{exchanges:?}");
    assert_eq!(daemon.logged("the session ended").len(), 0);
}
