//! What sends dead letters back, or throws them away.

use super::world_of_dead_letters;
use crate::support::broker::{DEAD_LETTERS, OFFBOARDED, UNBLOCK};
use crate::support::eventually;
use crate::support::program::{command, run, run_with};
use crate::support::world::World;
use lapin::BasicProperties;
use lapin::options::{QueueBindOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};
use serde_json::json;
use std::collections::BTreeSet;
use tokio::io::{AsyncBufReadExt, BufReader};

#[tokio::test]
async fn a_replay_goes_to_the_queue_of_its_lane_and_to_nobody_else_and_begins_anew() {
    let world = world_of_dead_letters().await;
    // Another subscriber, who has had it once.
    let channel = world.vhost.channel().await;
    let (options, none) = (QueueDeclareOptions::default(), FieldTable::default());
    channel.queue_declare("audit".into(), options, none.clone()).await.unwrap();
    let bound = QueueBindOptions::default();
    channel.queue_bind("audit".into(), "events".into(), "#".into(), bound, none).await.unwrap();
    world.fake.heal();
    world.fake.add_member("closed", "ada@example.com");

    let dry =
        run(&world.variables, &["dlq", "replay", "--id", "refused", "--dry-run", "--json"]).await;
    assert_eq!((dry.code, dry.field("to")), (Some(0), vec![json!(OFFBOARDED)]), "{dry:?}");
    world.vhost.wait_for_depth(DEAD_LETTERS, 3).await;
    assert!(world.fake.is_member("closed", "ada@example.com"));

    let sent = run(&world.variables, &["dlq", "replay", "--id", "refused"]).await;
    assert_eq!(sent.code, Some(0), "{sent:?}");
    assert_eq!(sent.out, format!("refused  to {OFFBOARDED}\n"));
    assert!(sent.err.contains("1 dead letter sent back"), "{sent:?}");
    let settled = world.daemon.settled(4).await;
    let again = settled.last().unwrap();
    assert_eq!((&again["event_id"], &again["disposition"]), (&json!("refused"), &json!("ack")));
    assert_eq!(again["attempts"], 1, "it begins anew: {again}");
    assert!(!world.fake.is_member("closed", "ada@example.com"));
    world.vhost.wait_for_depth(DEAD_LETTERS, 2).await;
    world.vhost.wait_for_depth("audit", 0).await;
}

#[tokio::test]
async fn what_comes_back_a_fourth_time_stays_unless_it_is_forced() {
    let world = World::hmac().await;
    let named = BasicProperties::default().with_message_id("m-1".into());
    world.vhost.publish("url.unblock", b"{}", named).await;
    for replays in 0..3 {
        world.vhost.wait_for_depth(DEAD_LETTERS, 1).await;
        let listed = run(&world.variables, &["dlq", "list", "--json"]).await;
        assert_eq!(
            (listed.field("id"), listed.field("replays")),
            (vec![json!("m-1")], vec![json!(replays)])
        );
        assert_eq!(run(&world.variables, &["dlq", "replay"]).await.code, Some(0));
        world.daemon.settled(2 + replays).await;
    }
    world.vhost.wait_for_depth(DEAD_LETTERS, 1).await;
    let refused = run(&world.variables, &["dlq", "replay"]).await;
    assert_eq!((refused.code, refused.out.as_str()), (Some(2), ""), "{refused:?}");
    assert!(refused.err.contains("m-1: it was sent back 3 times already"), "{refused:?}");
    assert!(refused.err.contains("1 left where they are"), "{refused:?}");
    world.vhost.wait_for_depth(DEAD_LETTERS, 1).await;
    assert_eq!(run(&world.variables, &["dlq", "replay", "--force"]).await.code, Some(0));
    world.daemon.settled(5).await;
    let found = world.vhost.take(DEAD_LETTERS).await;
    assert_eq!(found.headers["x-eventd-replays"], 4);
}

#[tokio::test]
async fn a_forged_header_leads_nowhere_and_a_person_may_say_where_to() {
    let world = World::hmac().await;
    let mut forged = FieldTable::default();
    for (name, value) in [
        ("x-eventd-reason", "rejected"),
        ("x-eventd-queue", "payroll"),
        ("x-eventd-routing-key", "url.unblock"),
    ] {
        forged.insert(name.into(), AMQPValue::LongString(value.into()));
    }
    let (options, none) = (QueueDeclareOptions::default(), FieldTable::default());
    world.vhost.channel().await.queue_declare("payroll".into(), options, none).await.unwrap();
    let properties =
        BasicProperties::default().with_message_id("forged".into()).with_headers(forged);
    world.vhost.publish_to(DEAD_LETTERS, "x", br#"{"id":"entry-1"}"#, properties).await;
    // A good one beside it.
    world.fake.add_url("entry-2");
    let good = BasicProperties::default().with_message_id("good".into());
    world.vhost.publish_to(DEAD_LETTERS, "url.unblock", br#"{"id":"entry-2"}"#, good).await;
    world.vhost.wait_for_depth(DEAD_LETTERS, 2).await;
    let sent = run(&world.variables, &["dlq", "replay"]).await;
    assert_eq!((sent.code, sent.out), (Some(2), format!("good  to {UNBLOCK}\n")));
    let why = "forged: it came from payroll, which is no lane of these settings";
    assert!(sent.err.contains(why), "{}", sent.err);
    eventually("the good one is applied", async || (!world.fake.has_url("entry-2")).then_some(()))
        .await;
    world.vhost.wait_for_depth("payroll", 0).await;
    world.vhost.wait_for_depth(DEAD_LETTERS, 1).await;
    // Where nothing takes it, it stays.
    let nowhere = run(&world.variables, &["dlq", "replay", "--to", "nowhere"]).await;
    assert_eq!(nowhere.code, Some(1), "{nowhere:?}");
    assert!(
        nowhere.err.contains("the default exchange: the queue nowhere is not there"),
        "{nowhere:?}"
    );
    world.vhost.wait_for_depth(DEAD_LETTERS, 1).await;
    assert_eq!(run(&world.variables, &["dlq", "replay", "--to", "payroll"]).await.code, Some(0));
    world.vhost.wait_for_depth("payroll", 1).await;
    world.vhost.wait_for_depth(DEAD_LETTERS, 0).await;
}

#[tokio::test]
async fn what_the_broker_dead_lettered_is_sent_back_as_it_was_published_and_believes_no_stranger() {
    let allowed = r#"["guest"]"#;
    let own = [("EVENTS__URL_UNBLOCK__DELIVERY_LIMIT", "1"), ("POLICY__ALLOWED_USERS", allowed)];
    let mut world = World::with(&own).await;
    for entry in ["entry-1", "entry-2"] {
        world.fake.add_url(entry);
    }
    let variables = world.variables.clone();
    drop(world.daemon);
    let mut forged = FieldTable::default();
    forged.insert("x-eventd-user-id".into(), AMQPValue::LongString("guest".into()));
    let stranger = BasicProperties::default().with_message_id("forged".into()).with_headers(forged);
    let known =
        BasicProperties::default().with_message_id("known".into()).with_user_id("guest".into());
    world.vhost.publish("url.unblock", br#"{"id":"entry-1"}"#, stranger).await;
    world.vhost.publish("url.unblock", br#"{"id":"entry-2"}"#, known).await;
    let channel = world.vhost.channel().await;
    eventually("the broker dead-letters both", async || {
        while let Some(got) = channel.basic_get(UNBLOCK.into(), Default::default()).await.unwrap() {
            let options = lapin::options::BasicRejectOptions { requeue: true };
            assert!(got.acker.reject(options).await.unwrap());
        }
        world.vhost.depth(DEAD_LETTERS).await.filter(|(letters, _)| *letters == 2)
    })
    .await;
    world.daemon = crate::support::daemon::Daemon::start(&variables).await;
    let sent = run(&variables, &["dlq", "replay"]).await;
    assert_eq!((sent.code, sent.lines().len()), (Some(0), 2), "{sent:?}");
    world.daemon.settled(2).await;
    assert!(world.fake.has_url("entry-1") && !world.fake.has_url("entry-2"));
    let found = world.vhost.take(DEAD_LETTERS).await;
    assert_eq!(found.header("x-eventd-reason"), "denied");
    assert_eq!(found.properties.message_id().as_ref().unwrap().as_str(), "forged");
}

#[tokio::test]
async fn a_replay_that_is_killed_at_any_moment_loses_nothing() {
    let world = World::hmac().await;
    let all = 600;
    for number in 0..all {
        world.fake.add_url(&format!("entry-{number}"));
        let mut headers = FieldTable::default();
        let detail = AMQPValue::LongString("x".repeat(2000).into());
        headers.insert("x-eventd-detail".into(), detail);
        let named = BasicProperties::default()
            .with_message_id(format!("m-{number}").into())
            .with_headers(headers);
        let body = json!({"id": format!("entry-{number}")}).to_string();
        world.vhost.publish_to(DEAD_LETTERS, "url.unblock", body.as_bytes(), named).await;
    }
    world.vhost.wait_for_depth(DEAD_LETTERS, all).await;
    // Each time it is killed after it has said so many lines, and at once after: it may be anywhere
    // between a copy and its ack. However late the kill comes it has not come to its end: each line is long, and when
    // the pipe is full it waits for its reader.
    let mut kills = 0;
    for lines in [0, 1, 3, 7, 11, 2, 19, 5].into_iter().cycle() {
        let mut child = command(&world.variables, &["dlq", "replay", "--json"]).spawn().unwrap();
        let mut said = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut count = 0;
        while count < lines && said.next_line().await.unwrap().is_some() {
            count += 1;
        }
        if child.try_wait().unwrap().is_some_and(|status| status.success()) {
            break;
        }
        child.kill().await.unwrap();
        kills += 1;
        assert!(kills < 200, "it never comes to its end");
        if kills == 15 {
            break;
        }
    }
    assert!(kills >= 8, "only {kills} were killed");
    // A copy that was sent before its letter was taken out is sent twice, and applied once. What the last one that was
    // killed had in hand comes back when the broker has noticed.
    eventually("every one is applied", async || {
        assert_eq!(run(&world.variables, &["dlq", "replay"]).await.code, Some(0));
        let left = (0..all).filter(|number| world.fake.has_url(&format!("entry-{number}"))).count();
        (left == 0).then_some(())
    })
    .await;
    world.vhost.wait_for_depth(DEAD_LETTERS, 0).await;
    world.vhost.wait_for_depth(UNBLOCK, 0).await;
    let applied: BTreeSet<String> = world
        .daemon
        .logged("settled")
        .iter()
        .filter(|line| line["disposition"] == "ack")
        .map(|line| line["event_id"].to_string())
        .collect();
    assert_eq!(applied.len(), all as usize);
}

#[tokio::test]
async fn what_is_discarded_was_confirmed_and_the_others_stay_where_they_were() {
    let world = world_of_dead_letters().await;
    let discard = ["dlq", "discard", "--reason", "malformed"];
    let dry = run(&world.variables, &[&discard[..], &["--dry-run"]].concat()).await;
    assert_eq!((dry.code, dry.lines().len()), (Some(0), 2), "{dry:?}");
    assert!(dry.err.contains("2 dead letters would be discarded"), "{dry:?}");
    for answer in ["", "yes\n", "mimecast-eventd\n"] {
        let refused = run_with(&world.variables, &discard, answer.as_bytes()).await;
        assert_eq!((refused.code, refused.out.as_str()), (Some(2), ""), "{refused:?}");
        assert!(refused.err.contains("Type the queue's name (mimecast-eventd.dead-letter)"));
        assert!(refused.err.contains("nothing was discarded"), "{refused:?}");
    }
    world.vhost.wait_for_depth(DEAD_LETTERS, 3).await;
    let answer = format!("{DEAD_LETTERS}\n");
    let gone =
        run_with(&world.variables, &[&discard[..], &["--limit", "1"]].concat(), answer.as_bytes())
            .await;
    assert_eq!((gone.code, gone.lines().len()), (Some(0), 1), "{gone:?}");
    let gone = run(&world.variables, &["dlq", "discard", "--id", "m-2", "--yes"]).await;
    assert_eq!((gone.code, gone.out.as_str()), (Some(0), "m-2\n"), "{gone:?}");
    let left = run(&world.variables, &["dlq", "list", "--json"]).await;
    assert_eq!(left.field("id"), ["refused"]);
}

#[tokio::test]
async fn a_limit_and_a_rate_are_kept_and_what_is_left_keeps_its_order() {
    let world = World::hmac().await;
    for number in 0..6 {
        let named = BasicProperties::default().with_message_id(format!("m-{number}").into());
        let body = json!({"id": format!("entry-{number}")}).to_string();
        world.vhost.publish_to(DEAD_LETTERS, "url.unblock", body.as_bytes(), named).await;
    }
    world.vhost.wait_for_depth(DEAD_LETTERS, 6).await;
    let started = tokio::time::Instant::now();
    let replay = ["dlq", "replay", "--limit", "3", "--rate", "5", "--json"];
    let sent = run(&world.variables, &replay).await;
    assert_eq!(sent.field("id"), ["m-0", "m-1", "m-2"], "{sent:?}");
    assert!(started.elapsed() >= std::time::Duration::from_millis(400), "two waits of 200 ms");
    let left = run(&world.variables, &["dlq", "list", "--json"]).await;
    assert_eq!(left.field("id"), ["m-3", "m-4", "m-5"], "{left:?}");
    // Fewer than are sent at once when nothing limits it.
    let sent = run(&world.variables, &["dlq", "replay", "--limit", "2", "--json"]).await;
    assert_eq!(sent.field("id"), ["m-3", "m-4"], "{sent:?}");
    let left = run(&world.variables, &["dlq", "list", "--json"]).await;
    assert_eq!(left.field("id"), ["m-5"], "{left:?}");
}

#[tokio::test]
async fn of_letters_that_are_sent_at_once_those_that_are_not_taken_stay_in_their_order() {
    let world = World::hmac().await;
    for number in 0..40 {
        let named = BasicProperties::default().with_message_id(format!("m-{number}").into());
        world.vhost.publish_to(DEAD_LETTERS, "url.unblock", b"{}", named).await;
    }
    world.vhost.wait_for_depth(DEAD_LETTERS, 40).await;
    // A queue that has room for some of them, and refuses the others.
    let mut bounds = FieldTable::default();
    bounds.insert("x-max-length".into(), AMQPValue::LongInt(20));
    bounds.insert("x-overflow".into(), AMQPValue::LongString("reject-publish".into()));
    let options = QueueDeclareOptions::default();
    world.vhost.channel().await.queue_declare("small".into(), options, bounds).await.unwrap();

    let sent = run(&world.variables, &["dlq", "replay", "--to", "small", "--json"]).await;
    assert_eq!(sent.code, Some(1), "{sent:?}");
    assert!(sent.err.contains("a queue refused it"), "{sent:?}");
    let left = run(&world.variables, &["dlq", "list", "--json"]).await.field("id");
    let sent = sent.field("id");
    assert_eq!((sent.len(), left.len()), (20, 20), "each is in one place: {sent:?}, {left:?}");
    let mut taken = Vec::new();
    for _ in &sent {
        let found = world.vhost.take("small").await;
        taken.push(json!(found.properties.message_id().as_ref().unwrap().as_str()));
    }
    let ids =
        |ids: &[serde_json::Value]| ids.iter().map(ToString::to_string).collect::<BTreeSet<_>>();
    assert_eq!(ids(&taken), ids(&sent), "what is said to be sent is there");
    let in_order: Vec<_> = (0..40)
        .map(|number| json!(format!("m-{number}")))
        .filter(|id| !sent.contains(id))
        .collect();
    assert_eq!(left, in_order);
}

#[tokio::test]
async fn however_many_there_are_each_is_settled_and_what_is_left_keeps_its_order() {
    let world = World::hmac().await;
    let name = |number: u32| format!("entry-{number}");
    for number in 0..1000 {
        world.fake.add_url(&name(number));
        let named = BasicProperties::default()
            .with_message_id(name(number).into())
            .with_type("url.unblock".into());
        let (goes, first) = (number % 2 == 1, number % 6 == 0);
        let body = json!({"id": name(number), "goes": goes, "first": first}).to_string();
        world.vhost.publish_to("", DEAD_LETTERS, body.as_bytes(), named).await;
    }
    world.vhost.wait_for_depth(DEAD_LETTERS, 1000).await;
    let discard = ["dlq", "discard", "--yes", "--text", "\"goes\":true"];
    let gone = run(&world.variables, &discard).await;
    assert_eq!((gone.code, gone.lines().len()), (Some(0), 500), "{}", gone.err);
    let left = run(&world.variables, &["dlq", "list", "--json"]).await;
    let even: Vec<_> = (0..1000).step_by(2).map(|number| json!(name(number))).collect();
    assert_eq!(left.field("id"), even);
    // Some from between the others, so that what is looked at together is parted.
    let first = ["dlq", "replay", "--text", "\"first\":true", "--json"];
    let sent = run(&world.variables, &first).await;
    let (sixth, even): (Vec<_>, _) = (0..1000).step_by(2).partition(|number| number % 6 == 0);
    let names = |numbers: &[u32]| numbers.iter().map(|it| json!(name(*it))).collect::<Vec<_>>();
    assert_eq!((sent.code, sent.field("id")), (Some(0), names(&sixth)), "{}", sent.err);
    let left = run(&world.variables, &["dlq", "list", "--json"]).await;
    assert_eq!(left.field("id"), names(&even));
    let sent = run(&world.variables, &["dlq", "replay"]).await;
    assert_eq!((sent.code, sent.lines().len()), (Some(0), even.len()), "{}", sent.err);
    world.vhost.wait_for_depth(DEAD_LETTERS, 0).await;
    let acked = r#"eventd_messages_settled_total{disposition="ack",event="url.unblock"}"#;
    world.daemon.wait_for_metric(acked, 500.0).await;
    assert!((0..1000).all(|number| world.fake.has_url(&name(number)) == (number % 2 == 1)));
}

#[tokio::test]
async fn a_limit_in_the_middle_of_what_is_fetched_ahead_leaves_the_rest_in_its_order() {
    let world = World::hmac().await;
    for number in 0..300 {
        let named = BasicProperties::default().with_message_id(format!("m-{number}").into());
        world.vhost.publish_to("", DEAD_LETTERS, b"{}", named).await;
    }
    world.vhost.wait_for_depth(DEAD_LETTERS, 300).await;
    let mut gone = 0;
    for limit in [70, 1, 25, 3] {
        let limited = ["dlq", "discard", "--yes", "--limit", &limit.to_string()];
        let ran = run(&world.variables, &limited).await;
        assert_eq!((ran.code, ran.lines().len()), (Some(0), limit), "{ran:?}");
        gone += limit;
        let left = run(&world.variables, &["dlq", "list", "--json"]).await;
        let expected: Vec<_> = (gone..300).map(|number| json!(format!("m-{number}"))).collect();
        assert_eq!(left.field("id"), expected, "after {gone}");
    }
}
