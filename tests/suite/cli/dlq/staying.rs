//! What stays in the queue after somebody has read it, whatever policies and alarms there are.

use crate::support::broker::{DEAD_LETTERS, OFFBOARDED, UNBLOCK, Vhost};
use crate::support::disturbed::Disturbed;
use crate::support::eventually;
use crate::support::node::{Node, folder_of_this_run};
use crate::support::program::{command, run};
use crate::support::settings::{Variables, hmac_without_url, named};
use lapin::BasicProperties;
use lapin::options::QueueDeclareOptions;
use lapin::types::{AMQPValue, FieldTable};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};
use tokio::io::{AsyncBufReadExt, BufReader};

/// A queue of `letters` with the names `m-0` and so on, and the settings of a command that reads it.
async fn letters_on(vhost: &Vhost, letters: u32, arguments: FieldTable) -> Variables {
    let durable = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
    let channel = vhost.channel().await;
    channel.queue_declare(DEAD_LETTERS.into(), durable, arguments).await.unwrap();
    for number in 0..letters {
        let named = BasicProperties::default().with_message_id(format!("m-{number}").into());
        vhost.publish_to("", DEAD_LETTERS, b"{}", named).await;
    }
    vhost.wait_for_depth(DEAD_LETTERS, letters).await;
    let mut variables = hmac_without_url();
    variables.extend([named("AMQP__URL", &vhost.url)]);
    variables
}

fn quorum() -> FieldTable {
    let mut quorum = FieldTable::default();
    quorum.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
    quorum.insert("x-delivery-limit".into(), AMQPValue::LongInt(1_000_000));
    quorum
}

/// All that is said of each letter but for its age, and what stands in its way back.
async fn exported(variables: &Variables) -> Vec<Value> {
    let exported = run(variables, &["dlq", "export"]).await;
    assert_eq!(exported.code, Some(0), "{exported:?}");
    let mut letters = exported.objects();
    for letter in &mut letters {
        letter.as_object_mut().unwrap().remove("age_seconds");
    }
    letters
}

fn ids(letters: impl IntoIterator<Item = u32>) -> Vec<Value> {
    letters.into_iter().map(|number| json!(format!("m-{number}"))).collect()
}

#[tokio::test]
async fn no_delivery_limit_of_a_policy_costs_a_letter_and_each_stays_as_it_was() {
    let world = super::world_of_dead_letters().await;
    // The broker dead-letters this one: it is too large to be read.
    let mut headers = FieldTable::default();
    for (name, value) in [("cloudEvents:source", "/soc"), ("x-eventd-reason", "denied")] {
        headers.insert(name.into(), AMQPValue::LongString(value.into()));
    }
    let properties = BasicProperties::default()
        .with_message_id("large".into())
        .with_correlation_id("c-1".into())
        .with_user_id("guest".into())
        .with_headers(headers);
    world.vhost.publish("url.unblock", &vec![b'x'; 300 * 1024], properties).await;
    world.vhost.wait_for_depth(DEAD_LETTERS, 4).await;
    // Nobody knows where this one comes from but by its key. RabbitMQ 4 hands it out before others.
    let urgent = BasicProperties::default().with_message_id("urgent".into()).with_priority(9);
    world.vhost.publish_to(DEAD_LETTERS, "url.unblock", b"{}", urgent).await;
    world.vhost.wait_for_depth(DEAD_LETTERS, 5).await;
    world.vhost.set_policy("everything", ".*", 0, &json!({"delivery-limit": 0})).await;

    let first = exported(&world.variables).await;
    assert_eq!(first.len(), 5, "{first:?}");
    let large = first.iter().find(|letter| letter["id"] == "large").unwrap();
    assert_eq!((&large["reason"], &large["queue"]), (&json!("too_large"), &json!(UNBLOCK)));
    assert_eq!(large["message"]["user_id"], "guest");
    assert_eq!(large["message"]["exchange"], "events");
    for arguments in [
        &["dlq", "list"][..],
        &["dlq", "stats"],
        &["dlq", "show", "refused"],
        &["dlq", "replay", "--dry-run"],
        &["dlq", "discard", "--dry-run"],
        &["dlq", "replay", "--id", "nobody"],
    ] {
        run(&world.variables, arguments).await;
        assert_eq!(exported(&world.variables).await, first, "after {arguments:?}");
    }
    // What goes takes nothing with it.
    let gone = run(&world.variables, &["dlq", "discard", "--id", "m-2", "--yes"]).await;
    assert_eq!((gone.code, gone.out.as_str()), (Some(0), "m-2\n"), "{gone:?}");
    let sent = run(&world.variables, &["dlq", "replay", "--id", "large", "--to", OFFBOARDED]).await;
    assert_eq!(sent.code, Some(0), "{sent:?}");
    world.vhost.wait_for_depth(DEAD_LETTERS, 4).await;
    let stayed: Vec<_> = first
        .into_iter()
        .filter(|letter| !["m-2", "large"].contains(&letter["id"].as_str().unwrap()))
        .collect();
    let mut left = exported(&world.variables).await;
    // It was too large again, and has come back.
    left.retain(|letter| letter["id"] != "large");
    assert_eq!(left, stayed);
    eventually("the urgent one is there with its properties", async || {
        let found = world.vhost.take(DEAD_LETTERS).await;
        let id = found.properties.message_id().as_ref().map(ToString::to_string);
        (id.as_deref() == Some("urgent")).then(|| assert_eq!(found.headers["x-eventd-priority"], 9))
    })
    .await;
}

#[tokio::test]
async fn what_was_read_is_there_for_the_next_one_although_retries_are_delayed() {
    if Node::shared().version() < (4, 3) {
        return;
    }
    let vhost = Vhost::new().await;
    let variables = letters_on(&vhost, 20, quorum()).await;
    let delayed = json!({"delayed-retry-type": "all", "delayed-retry-min": 3_600_000});
    vhost.set_policy("everything", ".*", 0, &delayed).await;
    for _ in 0..3 {
        let listed = run(&variables, &["dlq", "list", "--json"]).await;
        assert_eq!((listed.code, listed.field("id")), (Some(0), ids(0..20)), "{listed:?}");
    }
}

#[tokio::test]
async fn what_cannot_be_put_back_is_not_read() {
    let vhost = Vhost::new().await;
    let mut variables = letters_on(&vhost, 3, quorum()).await;
    let reader = vhost.url_of_user("", "", ".*").await;
    variables.extend([named("AMQP__URL", &reader)]);
    vhost.set_policy("everything", ".*", 0, &json!({"delivery-limit": 0})).await;
    for _ in 0..2 {
        let refused = run(&variables, &["dlq", "list", "--json"]).await;
        assert_eq!((refused.code, refused.out.as_str()), (Some(1), ""), "{refused:?}");
        assert!(refused.err.contains("grant write on amq.default"), "{refused:?}");
    }
    variables.extend([named("AMQP__URL", &vhost.url)]);
    let listed = run(&variables, &["dlq", "list", "--json"]).await;
    assert_eq!(listed.field("id"), ids(0..3), "{listed:?}");
}

#[tokio::test]
async fn in_an_alarm_nothing_is_lost_or_doubled_and_what_is_discarded_goes() {
    let node = Disturbed::node().await;
    let vhost = Vhost::on(node.running()).await;
    let variables = letters_on(&vhost, 40, quorum()).await;
    let alarms = async || node.running().evaluate("rabbit_alarm:get_alarms().");
    node.starve();
    eventually("it has an alarm", async || (alarms().await != "[]").then_some(())).await;
    let refused = run(&variables, &["dlq", "list"]).await;
    assert_eq!((refused.code, refused.out.as_str()), (Some(1), ""), "{refused:?}");
    assert!(refused.err.contains("the broker takes no messages: low on memory"), "{refused:?}");
    let gone = run(&variables, &["dlq", "discard", "--yes", "--id", "m-0", "--id", "m-3"]).await;
    assert_eq!((gone.code, gone.out.as_str()), (Some(1), "m-0\nm-3\n"), "{gone:?}");
    assert!(gone.err.contains("the broker takes no messages: low on memory"), "{gone:?}");
    // Thirty of the first round are there still.
    assert!(gone.err.contains("warning: 30 were returned to the queue"), "{gone:?}");
    node.feed();
    eventually("it has none", async || (alarms().await == "[]").then_some(())).await;
    let left = [1, 2].into_iter().chain(4..40);
    let listed = run(&variables, &["dlq", "list", "--json"]).await;
    assert_eq!(listed.field("id"), ids(left), "{listed:?}");
}

#[tokio::test]
async fn a_full_queue_keeps_what_it_has() {
    let vhost = Vhost::new().await;
    let mut full = quorum();
    full.insert("x-max-length".into(), AMQPValue::LongInt(40));
    full.insert("x-overflow".into(), AMQPValue::LongString("reject-publish".into()));
    let variables = letters_on(&vhost, 40, full).await;
    for _ in 0..3 {
        let listed = run(&variables, &["dlq", "list", "--json"]).await;
        assert_eq!(listed.field("id"), ids(0..40), "{listed:?}");
    }
    vhost.wait_for_depth(DEAD_LETTERS, 40).await;
}

#[tokio::test]
async fn urgent_letters_come_first_once_and_keep_their_place() {
    let vhost = Vhost::new().await;
    let variables = letters_on(&vhost, 20, quorum()).await;
    for number in 20..30 {
        let id = format!("m-{number}");
        let urgent = BasicProperties::default().with_message_id(id.into()).with_priority(9);
        vhost.publish_to("", DEAD_LETTERS, b"{}", urgent).await;
    }
    vhost.wait_for_depth(DEAD_LETTERS, 30).await;
    let first = exported(&variables).await;
    assert_eq!(first.len(), 30, "{first:?}");
    for _ in 0..2 {
        assert_eq!(exported(&variables).await, first);
    }
}

#[tokio::test]
async fn two_looks_at_once_lose_and_double_nothing() {
    let vhost = Vhost::new().await;
    let variables = letters_on(&vhost, 1000, quorum()).await;
    for _ in 0..3 {
        let list = ["dlq", "list", "--json"];
        let (one, other) = tokio::join!(run(&variables, &list), run(&variables, &list));
        assert_eq!((one.code, other.code), (Some(0), Some(0)), "{} {}", one.err, other.err);
    }
    vhost.wait_for_depth(DEAD_LETTERS, 1000).await;
    let listed = run(&variables, &["dlq", "list", "--json"]).await;
    let found: BTreeSet<_> = listed.field("id").iter().map(ToString::to_string).collect();
    assert_eq!((listed.field("id").len(), found.len()), (1000, 1000));
}

#[tokio::test]
async fn a_look_that_is_killed_at_any_moment_loses_nothing() {
    let vhost = Vhost::new().await;
    let variables = letters_on(&vhost, 300, quorum()).await;
    for lines in [0, 1, 8, 9, 30, 100, 250] {
        eventually("what was held is back", async || {
            vhost.depth(DEAD_LETTERS).await.filter(|(letters, _)| *letters >= 300)
        })
        .await;
        let mut child = command(&variables, &["dlq", "export"]).spawn().unwrap();
        let mut said = BufReader::new(child.stdout.take().unwrap()).lines();
        for _ in 0..lines {
            said.next_line().await.unwrap().unwrap();
        }
        child.kill().await.unwrap();
    }
    let all: BTreeSet<String> = ids(0..300).iter().map(ToString::to_string).collect();
    eventually("each is there", async || {
        let listed = run(&variables, &["dlq", "list", "--json"]).await;
        let found: BTreeSet<_> = listed.field("id").iter().map(ToString::to_string).collect();
        (found == all).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_slow_replay_holds_nothing_until_the_broker_has_enough_of_it() {
    let node = Node::start(&folder_of_this_run("impatient-node"));
    for (name, milliseconds) in [("consumer_timeout", 12_000), ("channel_tick_interval", 1000)] {
        node.evaluate(&format!("application:set_env(rabbit, {name}, {milliseconds})."));
    }
    let vhost = Vhost::on(&node).await;
    let variables = letters_on(&vhost, 25, quorum()).await;
    vhost.listen("amq.fanout", "elsewhere").await;
    let started = Instant::now();
    let others = (1..25).flat_map(|number| ["--id".to_owned(), format!("m-{number}")]);
    let replay = ["dlq", "replay", "--rate", "1", "--to", "elsewhere"].map(str::to_owned);
    let replay: Vec<String> = replay.into_iter().chain(others).collect();
    let replay: Vec<&str> = replay.iter().map(String::as_str).collect();
    let sent = run(&variables, &replay).await;
    assert_eq!((sent.code, sent.lines().len()), (Some(0), 24), "{sent:?}");
    assert!(started.elapsed() > Duration::from_secs(20), "longer than the broker waits");
    vhost.wait_for_depth("elsewhere", 24).await;
    let left = run(&variables, &["dlq", "list", "--json"]).await;
    assert_eq!(left.field("id"), ids([0]), "{left:?}");
}
