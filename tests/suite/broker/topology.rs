//! What the broker has to have before anything is consumed, declared or only checked.

use crate::support::broker::{DEAD_LETTERS, OFFBOARDED, UNBLOCK, Vhost};
use crate::support::daemon::Daemon;
use crate::support::settings::{self, Variables, named};
use crate::support::world::World;
use crate::support::{DEADLINE, eventually};
use fake_mimecast::{Credentials, FakeMimecast, Fault, FaultKind};
use futures_util::StreamExt;
use lapin::BasicProperties;
use lapin::options::{BasicConsumeOptions, QueueDeclareOptions, QueueDeleteOptions};
use lapin::types::{AMQPValue, FieldTable};
use serde_json::{Value, json};
use std::collections::BTreeMap;

#[tokio::test]
async fn a_queue_with_other_arguments_is_named_and_nothing_is_consumed() {
    let vhost = Vhost::new().await;
    let channel = vhost.channel().await;
    let durable = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
    channel.queue_declare(UNBLOCK.into(), durable, FieldTable::default()).await.unwrap();
    let fake = FakeMimecast::start(Credentials::default()).await;
    let mut variables = settings::hmac(&fake);
    variables.extend([named("AMQP__URL", &vhost.url)]);
    let daemon = Daemon::start(&variables).await;
    let error = refusal_of(&daemon, "url.unblock").await;
    assert!(error.contains("inequivalent arg 'x-"), "{error}");
    assert!(error.contains(UNBLOCK) && error.contains("delete it"), "{error}");
    assert_eq!(daemon.get("/readyz").await.0, 503);
}

#[tokio::test]
async fn verify_declares_nothing_and_names_everything_that_is_missing() {
    let vhost = Vhost::new().await;
    let fake = FakeMimecast::start(Credentials::default()).await;
    let mut variables = settings::hmac(&fake);
    variables.extend([named("AMQP__URL", &vhost.url), named("AMQP__TOPOLOGY", "verify")]);
    let daemon = Daemon::start(&variables).await;
    for (event, queue) in [("url.unblock", UNBLOCK), ("user.offboarded", OFFBOARDED)] {
        let error = refusal_of(&daemon, event).await;
        for missing in ["'events'", "'mimecast-eventd.dead-letter'", queue] {
            assert!(error.contains(missing), "{missing} is not named in: {error}");
        }
    }
    assert_eq!(vhost.depth(UNBLOCK).await, None);
    assert_eq!(vhost.depth(DEAD_LETTERS).await, None);

    variables.extend([named("AMQP__TOPOLOGY", "declare")]);
    Daemon::start(&variables).await.wait_until_ready().await;
    daemon.wait_until_ready().await;
}

/// A virtual host that the daemon has declared everything in, and the settings to verify it.
async fn declared() -> (Vhost, FakeMimecast, Variables) {
    let vhost = Vhost::new().await;
    let fake = FakeMimecast::start(Credentials::default()).await;
    let mut variables = settings::hmac(&fake);
    variables.extend([named("AMQP__URL", &vhost.url)]);
    Daemon::start(&variables).await.wait_until_ready().await;
    variables.extend([named("AMQP__TOPOLOGY", "verify")]);
    (vhost, fake, variables)
}

/// Why the daemon does not consume unblockings.
async fn refusal(variables: &Variables) -> String {
    let daemon = Daemon::start(variables).await;
    let error = refusal_of(&daemon, "url.unblock").await;
    assert_eq!(daemon.get("/readyz").await.0, 503);
    error
}

async fn refusal_of(daemon: &Daemon, event: &str) -> String {
    let ended = eventually("the daemon tells of it", async || {
        let ended = daemon.logged("the session ended");
        ended.into_iter().find(|line| line["event"] == event)
    })
    .await;
    ended["error"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn verify_accepts_what_declare_has_made_and_leaves_no_trace() {
    let (vhost, _fake, variables) = declared().await;
    let daemon = Daemon::start(&variables).await;
    daemon.wait_until_ready().await;
    vhost.wait_for_depth(DEAD_LETTERS, 0).await;
    assert!(vhost.take_now(DEAD_LETTERS).await.is_none());
}

#[tokio::test]
async fn verify_names_an_argument_that_differs_and_a_delivery_limit_that_is_missing() {
    let (_vhost, _fake, mut variables) = declared().await;
    variables.extend([named("EVENTS__URL_UNBLOCK__DELIVERY_LIMIT", "7")]);
    let error = refusal(&variables).await;
    assert!(error.contains("inequivalent arg 'x-delivery-limit'"), "{error}");
    assert!(error.contains(UNBLOCK) && error.contains("'7'") && error.contains("'20'"), "{error}");

    let (vhost, _fake, variables) = declared().await;
    let channel = vhost.channel().await;
    channel.queue_delete(UNBLOCK.into(), QueueDeleteOptions::default()).await.unwrap();
    let durable = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
    let mut quorum = FieldTable::default();
    quorum.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
    channel.queue_declare(UNBLOCK.into(), durable, quorum).await.unwrap();
    let error = refusal(&variables).await;
    assert!(error.contains("inequivalent arg 'x-") && error.contains("current is none"), "{error}");
}

#[tokio::test]
async fn verify_finds_a_dead_letter_exchange_that_leads_nowhere() {
    let (vhost, _fake, variables) = declared().await;
    vhost.unbind_dead_letters().await;
    let error = refusal(&variables).await;
    assert!(error.contains("dead letters of url.unblock would be lost"), "{error}");
}

/// Everything that is declared, written down here once more: the code that declares is the code that
/// verifies, so that only the broker can say what it made of it.
#[tokio::test]
async fn what_is_declared_is_what_the_broker_says_there_is() {
    let vhost = Vhost::new().await;
    let fake = FakeMimecast::start(Credentials::default()).await;
    let mut variables = settings::hmac(&fake);
    variables.extend([
        named("AMQP__URL", &vhost.url),
        named("RETRY__LADDER", r#"["10s","1m30s"]"#),
        named("EVENTS__URL_UNBLOCK__DELIVERY_LIMIT", "7"),
    ]);
    Daemon::start(&variables).await.wait_until_ready().await;

    let lane = |limit: u32| {
        json!({
            "x-queue-type": "quorum", "x-delivery-limit": limit,
            "x-dead-letter-exchange": "mimecast-eventd.dead-letter",
            "x-dead-letter-strategy": "at-least-once", "x-overflow": "reject-publish",
        })
    };
    let rung = |lane: &str, milliseconds: u32| {
        json!({
            "x-queue-type": "quorum", "x-message-ttl": milliseconds,
            "x-dead-letter-exchange": "", "x-dead-letter-routing-key": lane,
            "x-dead-letter-strategy": "at-least-once", "x-overflow": "reject-publish",
        })
    };
    let mut expected: BTreeMap<String, Value> = [
        (
            DEAD_LETTERS.to_owned(),
            json!({
                "x-queue-type": "quorum", "x-delivery-limit": 1_000_000, "x-overflow": "reject-publish",
            }),
        ),
        (OFFBOARDED.to_owned(), lane(20)),
        (UNBLOCK.to_owned(), lane(7)),
        (format!("{OFFBOARDED}.retry.10s"), rung(OFFBOARDED, 10_000)),
        (format!("{OFFBOARDED}.retry.1m30s"), rung(OFFBOARDED, 90_000)),
        (format!("{UNBLOCK}.retry.10s"), rung(UNBLOCK, 10_000)),
        (format!("{UNBLOCK}.retry.1m30s"), rung(UNBLOCK, 90_000)),
    ]
    .into();
    for (delay, milliseconds) in [("10s", 10_000), ("10m", 600_000), ("1day", 86_400_000)] {
        for queue in [OFFBOARDED, UNBLOCK] {
            expected.insert(format!("{queue}.due.{delay}"), rung(queue, milliseconds));
        }
    }
    let queues = vhost.described("queues").await;
    let name = |thing: &Value| thing["name"].as_str().unwrap().to_owned();
    let found: BTreeMap<String, Value> =
        queues.iter().map(|queue| (name(queue), queue["arguments"].clone())).collect();
    assert_eq!(found, expected);
    let lasting = |thing: &Value| thing["durable"] == true && thing["auto_delete"] == false;
    assert!(queues.iter().all(lasting), "{queues:?}");

    let exchanges = vhost.described("exchanges").await;
    for exchange in ["events", "mimecast-eventd.dead-letter"] {
        let found = exchanges.iter().find(|found| found["name"] == exchange).unwrap();
        assert!(found["type"] == "topic" && lasting(found), "{found}");
    }
    let bindings = vhost.described("bindings").await;
    let mut bound: Vec<[&str; 3]> = bindings
        .iter()
        .map(|bound| {
            ["source", "routing_key", "destination"].map(|part| bound[part].as_str().unwrap())
        })
        .filter(|[source, ..]| !source.is_empty())
        .collect();
    bound.sort_unstable();
    let expected = [
        ["events", "url.unblock", UNBLOCK],
        ["events", "user.offboarded", OFFBOARDED],
        ["mimecast-eventd.dead-letter", "#", DEAD_LETTERS],
    ];
    assert_eq!(bound, expected);
}

/// Puts `queue` there with `arguments`, in place of the one that the daemon declared.
async fn declare_instead(vhost: &Vhost, queue: &str, arguments: Value) {
    let channel = vhost.channel().await;
    channel.queue_delete(queue.into(), QueueDeleteOptions::default()).await.unwrap();
    let mut table = FieldTable::default();
    for (name, value) in arguments.as_object().unwrap() {
        let value = match value.as_i64() {
            Some(number) => AMQPValue::LongLongInt(number),
            None => AMQPValue::LongString(value.as_str().unwrap().into()),
        };
        table.insert(name.as_str().into(), value);
    }
    let durable = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
    channel.queue_declare(queue.into(), durable, table).await.unwrap();
}

#[tokio::test]
async fn verify_names_whatever_would_lose_a_message() {
    let lane = json!({
        "x-queue-type": "quorum", "x-delivery-limit": 20,
        "x-dead-letter-exchange": "mimecast-eventd.dead-letter",
        "x-dead-letter-strategy": "at-least-once", "x-overflow": "reject-publish",
    });
    let rung = json!({
        "x-queue-type": "quorum", "x-message-ttl": 60_000,
        "x-dead-letter-exchange": "", "x-dead-letter-routing-key": UNBLOCK,
        "x-dead-letter-strategy": "at-least-once", "x-overflow": "reject-publish",
    });
    let other_rung = format!("{UNBLOCK}.retry.1m");
    let (vhost, _fake, variables) = declared().await;
    for (queue, right, name, wrong) in [
        (UNBLOCK, &lane, "x-dead-letter-strategy", json!("at-most-once")),
        (UNBLOCK, &lane, "x-overflow", json!("drop-head")),
        (UNBLOCK, &lane, "x-dead-letter-exchange", json!("elsewhere")),
        (&*other_rung, &rung, "x-message-ttl", json!(61_000)),
        (&*other_rung, &rung, "x-dead-letter-routing-key", json!(OFFBOARDED)),
        (&*other_rung, &rung, "x-overflow", json!("drop-head")),
    ] {
        let mut arguments = right.clone();
        arguments[name] = wrong;
        declare_instead(&vhost, queue, arguments).await;
        let error = refusal(&variables).await;
        let named = format!("inequivalent arg '{name}' for queue '{queue}'");
        assert!(error.contains(&named), "{named} is not in: {error}");
        declare_instead(&vhost, queue, right.clone()).await;
    }
    // With all of them right again, there is nothing to find but that the lane is not bound.
    Daemon::start(&variables).await.wait_until_ready().await;
}

#[tokio::test]
async fn verify_shows_nothing_to_whoever_watches_the_dead_letters() {
    let (vhost, _fake, variables) = declared().await;
    let channel = vhost.channel().await;
    let (queue, tag) = (DEAD_LETTERS.into(), "watcher".into());
    let mut watcher = channel
        .basic_consume(queue, tag, BasicConsumeOptions::default(), FieldTable::default())
        .await
        .unwrap();
    let daemon = Daemon::start(&variables).await;
    daemon.wait_until_ready().await;
    let nonsense = BasicProperties::default();
    vhost.publish("url.unblock", b"nonsense", nonsense).await;
    let first = tokio::time::timeout(DEADLINE, watcher.next()).await.unwrap().unwrap().unwrap();
    assert_eq!(first.data, b"nonsense", "the first that the watcher sees");
}

#[tokio::test]
async fn every_name_is_the_one_that_was_chosen() {
    let own = [
        ("AMQP__EXCHANGE", "hr"),
        ("AMQP__DEAD_LETTER_EXCHANGE", "dead"),
        ("AMQP__DEAD_LETTER_QUEUE", "buried"),
        ("EVENTS__USER_OFFBOARDED__QUEUE", "leavers"),
        ("EVENTS__URL_UNBLOCK__QUEUE", "links"),
        ("RETRY__LADDER", r#"["1h"]"#),
    ];
    let world = World::with(&own).await;
    let queues = world.vhost.described("queues").await;
    let mut names: Vec<&str> = queues.iter().map(|queue| queue["name"].as_str().unwrap()).collect();
    names.sort_unstable();
    names.retain(|name| !name.contains(".due."));
    assert_eq!(names, ["buried", "leavers", "leavers.retry.1h", "links", "links.retry.1h"]);
    for lane in ["leavers", "links"] {
        world.vhost.wait_for_depth(&format!("{lane}.due.10s"), 0).await;
    }
    let exchanges = world.vhost.described("exchanges").await;
    let is_there = |name: &str| exchanges.iter().any(|exchange| exchange["name"] == name);
    assert!(is_there("hr") && is_there("dead") && !is_there("events"), "{exchanges:?}");

    world.fake.inject(Fault::always(FaultKind::status(503)).for_item_containing("poison"));
    let properties = BasicProperties::default();
    let both = br#"{"ids":["poison","entry-1"]}"#;
    world.vhost.publish_to("hr", "url.unblock", both, properties.clone()).await;
    world.vhost.wait_for_depth("links.retry.1h", 1).await;
    world.vhost.publish_to("hr", "user.offboarded", b"nonsense", properties).await;
    let found = world.vhost.take("buried").await;
    assert_eq!(found.header("x-eventd-queue"), "leavers");
    assert_eq!(found.header("x-eventd-exchange"), "hr");
    world.vhost.wait_for_depth("links", 0).await;
    world.vhost.wait_for_depth("leavers", 0).await;
}
