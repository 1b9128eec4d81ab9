//! What looks at dead letters, and leaves them where they are.

use super::world_of_dead_letters;
use crate::support::broker::{DEAD_LETTERS, OFFBOARDED, UNBLOCK, Vhost};
use crate::support::eventually;
use crate::support::program::{command, run, run_measured};
use crate::support::settings::{self, named};
use crate::support::world::World;
use fake_mimecast::{Credentials, FakeMimecast};
use lapin::BasicProperties;
use lapin::options::{BasicPublishOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};
use mimecast_eventd::event::MAX_BODY;
use serde_json::{Value, json};

/// The SHA-1 of the body, as OpenSSL has it: printf 'not JSON' | openssl dgst -sha1
const NOT_JSON: &str = "sha1:3b1ee92e7367";

#[tokio::test]
async fn a_list_says_of_each_what_it_is_and_why_it_is_there() {
    let world = world_of_dead_letters().await;
    let listed = run(&world.variables, &["dlq", "list", "--json"]).await;
    assert_eq!(listed.code, Some(0), "{listed:?}");
    let letters = listed.objects();
    assert_eq!(listed.field("id"), ["refused", NOT_JSON, "m-2"]);
    assert_eq!(listed.field("reason"), ["rejected", "malformed", "malformed"]);
    assert_eq!(listed.field("type"), ["user.offboarded", "user.offboarded", "url.unblock"]);
    assert_eq!(listed.field("code"), ["err_validation_blocked", "malformed", "malformed"]);
    assert_eq!(listed.field("attempts"), [1, 0, 0]);
    assert_eq!(listed.field("replays"), [0, 0, 0]);
    assert_eq!(listed.field("queue")[0], OFFBOARDED);
    assert!(letters[0]["first_failed_at"].is_string() && letters[1]["first_failed_at"].is_null());
    assert!(letters.iter().all(|it| it["age_seconds"].as_u64().unwrap() < 600), "{letters:?}");
    assert!(letters[1]["detail"].as_str().unwrap().contains("not JSON"), "{letters:?}");

    let shown = run(&world.variables, &["dlq", "list"]).await;
    let lines = shown.lines();
    assert_eq!(lines.len(), 4, "{shown:?}");
    let place =
        |line: &str, word: &str| line.find(word).unwrap_or_else(|| panic!("{word} in {line}"));
    assert_eq!(place(lines[0], "REASON"), place(lines[1], "rejected"), "columns are aligned");
    assert_eq!(place(lines[0], "REASON"), place(lines[3], "malformed"));
    assert!(shown.err.contains("3 dead letters") && !shown.out.contains("3 dead letters"));

    let kinds = run(&world.variables, &["dlq", "stats", "--json"]).await;
    let total: u64 = kinds.field("count").iter().map(|count| count.as_u64().unwrap()).sum();
    assert_eq!((kinds.objects().len(), total), (3, 3), "{kinds:?}");
    let shown = run(&world.variables, &["dlq", "stats", "--reason", "rejected"]).await;
    assert_eq!(shown.lines().len(), 2, "{shown:?}");
    assert!(
        shown.lines()[1].starts_with("1") && shown.lines()[1].contains("err_validation_blocked")
    );

    // And they are where they were, in their order.
    for body in ["refused", "not JSON", "7"] {
        let found = world.vhost.take(DEAD_LETTERS).await;
        assert!(String::from_utf8_lossy(&found.body).contains(body), "{found:?}");
    }
}

#[tokio::test]
async fn one_is_explained_with_what_its_reason_and_code_mean_and_what_to_do() {
    let world = world_of_dead_letters().await;
    let shown = run(&world.variables, &["dlq", "show", "refused"]).await;
    assert_eq!(shown.code, Some(0), "{shown:?}");
    for said in [
        "rejected: the vendor refuses the item for good",
        "what to do   correct what it names",
        "err_validation_blocked: a field of the item is not valid",
        "what to do   compare the item with the tenant",
        "attempts     1, the first failed at 20",
        "to the exchange \"events\" with the routing key \"user.offboarded\"",
        "    \"emailAddress\": \"ada@example.com\",",
    ] {
        assert!(shown.out.contains(said), "{said} is not in: {}", shown.out);
    }
    let shown = run(&world.variables, &["dlq", "show", NOT_JSON]).await;
    assert!(shown.out.ends_with("no content type, 8 bytes\nnot JSON\n"), "{}", shown.out);
    // What was meant is named.
    let shown = run(&world.variables, &["dlq", "show", "refusd"]).await;
    assert_eq!(shown.code, Some(2));
    assert!(
        shown.err.contains("no dead letter is called refusd; did you mean refused?"),
        "{shown:?}"
    );
    world.vhost.wait_for_depth(DEAD_LETTERS, 3).await;
}

#[tokio::test]
async fn every_filter_leaves_out_what_it_does_not_mean() {
    let world = world_of_dead_letters().await;
    for (filter, ids) in [
        (&["--reason", "malformed"][..], &[NOT_JSON, "m-2"][..]),
        (&["--reason", "malformed", "--reason", "rejected"], &["refused", NOT_JSON, "m-2"]),
        (&["--reason", "denied"], &[]),
        (&["--code", "err_validation_blocked"], &["refused"]),
        (&["--code", "err_validation"], &[]),
        (&["--type", "url.unblock"], &["m-2"]),
        (&["--reason", "malformed", "--type", "user.offboarded"], &[NOT_JSON]),
        (&["--id", "m-2", "--id", "refused"], &["refused", "m-2"]),
        (&["--text", "ADA@example"], &["refused"]),
        (&["--text", "NOT json"], &[NOT_JSON]),
        (&["--newer-than", "1h"], &["refused", NOT_JSON, "m-2"]),
        (&["--older-than", "1h"], &[]),
        (&["--older-than", "0s"], &["refused", NOT_JSON, "m-2"]),
        (&["--newer-than", "0s"], &[]),
    ] {
        let listed = run(&world.variables, &[&["dlq", "list", "--json"], filter].concat()).await;
        assert_eq!(listed.field("id"), ids, "{filter:?}: {listed:?}");
    }
    let mistyped = run(&world.variables, &["dlq", "list", "--reason", "malformd"]).await;
    assert_eq!(mistyped.code, Some(64));
    assert!(mistyped.err.contains("'malformed'"), "{}", mistyped.err);
}

#[tokio::test]
async fn what_the_broker_dead_lettered_is_listed_with_that_as_its_reason() {
    let world = World::with(&[("EVENTS__URL_UNBLOCK__DELIVERY_LIMIT", "1")]).await;
    world
        .vhost
        .publish("user.offboarded", &vec![b'x'; 300 * 1024], BasicProperties::default())
        .await;
    world.vhost.wait_for_depth(DEAD_LETTERS, 1).await;
    // Somebody who returns what he gets, until the broker has enough of it.
    drop(world.daemon);
    let channel = world.vhost.channel().await;
    let named = BasicProperties::default().with_message_id("looped".into());
    world.vhost.publish("url.unblock", br#"{"id":"entry-1"}"#, named).await;
    eventually("the broker dead-letters it", async || {
        let got = channel.basic_get("mimecast-eventd.url.unblock".into(), Default::default()).await;
        if let Some(got) = got.unwrap() {
            let options = lapin::options::BasicRejectOptions { requeue: true };
            assert!(got.acker.reject(options).await.unwrap());
        }
        world.vhost.depth(DEAD_LETTERS).await.filter(|(letters, _)| *letters == 2)
    })
    .await;
    let listed = run(&world.variables, &["dlq", "list", "--json"]).await;
    assert_eq!(listed.field("reason"), ["too_large", "delivery_limit"], "{listed:?}");
    assert_eq!(listed.field("queue"), [OFFBOARDED, "mimecast-eventd.url.unblock"]);
    assert_eq!(listed.field("id")[1], "looped");
    assert!(listed.field("age_seconds").iter().all(|age| age.as_u64().unwrap() < 600));
    let shown = run(&world.variables, &["dlq", "show", "looped"]).await;
    assert!(shown.out.contains("delivered as often as the queue allows"), "{shown:?}");
    assert!(shown.out.contains("the routing key \"url.unblock\""), "{shown:?}");
    // Both go back, the large one whole, and it is too large as before.
    let sent = run(&world.variables, &["dlq", "replay"]).await;
    assert_eq!((sent.code, sent.lines().len()), (Some(0), 2), "{sent:?}");
    let daemon = crate::support::daemon::Daemon::start(&world.variables).await;
    world.vhost.wait_for_depth(DEAD_LETTERS, 1).await;
    daemon.settled(2).await;
    let found = world.vhost.take(DEAD_LETTERS).await;
    assert_eq!((found.body.len(), &found.headers["x-eventd-replays"]), (300 * 1024, &json!(1)));
}

#[tokio::test]
async fn reading_costs_no_message_however_often_it_is_done() {
    let world = world_of_dead_letters().await;
    // RabbitMQ 4 without a limit of its own would drop a message at the 21st return.
    for _ in 0..23 {
        let listed = run(&world.variables, &["dlq", "list", "--json"]).await;
        assert_eq!(listed.field("id"), ["refused", NOT_JSON, "m-2"], "{listed:?}");
        assert_eq!(listed.err, "");
    }
}

#[tokio::test]
async fn a_queue_that_would_drop_what_is_looked_at_is_warned_of() {
    let vhost = Vhost::new().await;
    let fake = FakeMimecast::start(Credentials::default()).await;
    let mut variables = settings::hmac(&fake);
    variables.extend([named("AMQP__URL", &vhost.url)]);
    let channel = vhost.channel().await;
    let durable = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
    let mut quorum = FieldTable::default();
    quorum.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
    channel.queue_declare(DEAD_LETTERS.into(), durable, quorum).await.unwrap();
    let warned = |text: &str| {
        let how = r#"'{"delivery-limit":1000000,"overflow":"reject-publish"}' --priority 1000"#;
        let missing = ["x-delivery-limit", "x-overflow"].iter().all(|it| text.contains(it));
        missing && text.contains(how)
    };
    // A daemon lives with it, whether it declares or verifies.
    for topology in ["declare", "verify"] {
        variables.extend([named("AMQP__TOPOLOGY", topology)]);
        let daemon = crate::support::daemon::Daemon::start(&variables).await;
        daemon.wait_until_ready().await;
        let said = daemon.logged("trouble ahead");
        assert!(said.iter().any(|line| warned(line["problem"].as_str().unwrap())), "{said:?}");
    }
    let checked = run(&variables, &["check"]).await;
    assert_eq!(checked.code, Some(0), "{checked:?}");
    let line = checked.lines().into_iter().find(|line| warned(line)).expect("it is said");
    assert!(line.starts_with("warning "), "{line}");
    let listed = run(&variables, &["dlq", "list"]).await;
    assert!(listed.code == Some(0) && warned(&listed.err), "{listed:?}");
}

#[tokio::test]
async fn a_long_list_takes_no_memory_and_leaves_the_order_as_it_was() {
    let world = World::hmac().await;
    let channel = world.vhost.channel().await;
    let (letters, size) = (1500, 100 * 1024);
    for number in 0..letters {
        let named = BasicProperties::default().with_message_id(format!("m-{number}").into());
        let body = vec![b'x'; size];
        let options = BasicPublishOptions::default();
        let (exchange, key) = ("".into(), DEAD_LETTERS.into());
        channel.basic_publish(exchange, key, options, &body, named).await.unwrap();
    }
    world.vhost.wait_for_depth(DEAD_LETTERS, letters).await;
    let ids: Vec<String> = (0..letters).map(|number| format!("m-{number}")).collect();
    let bodies = letters as usize * size / 1024;
    for _ in 0..2 {
        let most = expect_told_in_order(&world, &ids, &["dlq", "list", "--json"]).await;
        assert!(most > 0 && most < bodies / 2, "{most} KiB at most, of {bodies} KiB of bodies");
    }
}

/// Tells of all dead letters, in their order; returns the most memory that it took, in KiB.
async fn expect_told_in_order(world: &World, ids: &[String], arguments: &[&str]) -> usize {
    let (out, most) = run_measured(&world.variables, arguments).await;
    let told: Vec<Value> = out
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["id"].clone())
        .collect();
    let wrong = told.iter().zip(ids).position(|(one, other)| one != other);
    assert_eq!((wrong, told.len()), (None, ids.len()), "each is there, in its order");
    most
}

#[tokio::test]
async fn what_somebody_else_takes_meanwhile_is_said_and_comes_back() {
    let world = World::hmac().await;
    let ids: Vec<String> = (0..40).map(|number| format!("m-{number}")).collect();
    for id in &ids {
        let named = BasicProperties::default().with_message_id(id.as_str().into());
        world.vhost.publish_to("", DEAD_LETTERS, &vec![b'x'; 100 * 1024], named).await;
    }
    world.vhost.wait_for_depth(DEAD_LETTERS, 40).await;
    // It has its first round and waits until somebody reads what it says, which is more than a pipe takes. Somebody
    // else gets what is left meanwhile.
    let child = command(&world.variables, &["dlq", "export"]).spawn().unwrap();
    let other = world.vhost.channel().await;
    let ready = async || world.vhost.depth(DEAD_LETTERS).await.filter(|(ready, _)| *ready == 8);
    let (left, _) = eventually("the first round is taken", ready).await;
    for _ in 0..left {
        let got = other.basic_get(DEAD_LETTERS.into(), Default::default()).await.unwrap();
        assert!(got.is_some());
    }
    let output = child.wait_with_output().await.unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.contains(&format!("warning: {left} that were there at first were not seen")),
        "{said}"
    );
    other.close(200, "".into()).await.unwrap();
    world.vhost.wait_for_depth(DEAD_LETTERS, 40).await;
}

#[tokio::test]
async fn a_look_that_is_killed_gives_everything_back() {
    let world = World::hmac().await;
    for name in ["m-1", "m-2", "m-3"] {
        let named = BasicProperties::default().with_message_id(name.into());
        world.vhost.publish_to("", DEAD_LETTERS, &vec![b'x'; 200 * 1024], named).await;
    }
    world.vhost.wait_for_depth(DEAD_LETTERS, 3).await;
    // Nobody reads what it says, which is more than a pipe takes.
    let mut child = command(&world.variables, &["dlq", "export"]).spawn().unwrap();
    world.vhost.wait_for_depth(DEAD_LETTERS, 0).await;
    child.kill().await.unwrap();
    world.vhost.wait_for_depth(DEAD_LETTERS, 3).await;
    let listed = run(&world.variables, &["dlq", "list", "--json"]).await;
    assert_eq!(listed.field("id"), ["m-1", "m-2", "m-3"], "{listed:?}");
}

/// What a command may take at most, in KiB, whatever lies in the queue.
const MOST_MEMORY: usize = 64 << 10;

/// Runs a command, expects that it stays small, and returns what it printed.
async fn small(world: &World, arguments: &[&str]) -> String {
    let (out, most) = run_measured(&world.variables, arguments).await;
    assert!(most > 0 && most < MOST_MEMORY, "{arguments:?}: {most} KiB");
    out
}

#[tokio::test]
async fn no_letter_makes_any_command_grow_and_one_that_is_too_large_stays_with_its_body() {
    let world = World::hmac().await;
    let publish = async |id: &str, body: &[u8]| {
        let named = BasicProperties::default().with_message_id(id.into());
        world.vhost.publish_to("", DEAD_LETTERS, body, named).await;
    };
    let fill = |piece: &str, size| format!("[{}0]", piece.repeat(size / piece.len())).into_bytes();
    let (huge, largest) = (fill("[],", 8 << 20), fill("{},", 2 * MAX_BODY - 8));
    publish("huge-1", &huge).await;
    for number in 0..100 {
        publish(&format!("m-{number}"), &largest).await;
    }
    publish("huge-2", &vec![0xff; 2 * MAX_BODY + 1]).await;
    publish("good", br#"{"id":"entry-1"}"#).await;
    world.vhost.wait_for_depth(DEAD_LETTERS, 103).await;

    for arguments in [
        &["dlq", "list"][..],
        &["dlq", "list", "--json", "--text", "nothing"],
        &["dlq", "stats"],
        &["dlq", "show", "m-99"],
        &["dlq", "export"],
        &["dlq", "replay", "--dry-run", "--to", UNBLOCK],
        &["dlq", "discard", "--dry-run", "--yes"],
    ] {
        small(&world, arguments).await;
    }
    let shown = small(&world, &["dlq", "show", "huge-1"]).await;
    assert!(shown.contains(&format!("{} bytes: too large to be read here", huge.len())), "{shown}");
    let exported = small(&world, &["dlq", "show", "huge-2", "--json"]).await;
    let exported: Value = serde_json::from_str(&exported).unwrap();
    assert_eq!(exported["message"]["body_bytes"], 2 * MAX_BODY + 1);

    // Neither is sent back, and the others are, with their bodies.
    let channel = world.vhost.channel().await;
    let durable = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
    channel.queue_declare("aside".into(), durable, FieldTable::default()).await.unwrap();
    small(&world, &["dlq", "replay", "--to", "aside"]).await;
    world.vhost.wait_for_depth("aside", 101).await;
    let mut whole = 0;
    for _ in 0..101 {
        let body = world.vhost.take("aside").await.body;
        whole += usize::from(body == largest);
        assert!(body == largest || body == br#"{"id":"entry-1"}"#, "{} bytes", body.len());
    }
    assert_eq!(whole, 100);
    world.vhost.wait_for_depth(DEAD_LETTERS, 2).await;
    small(&world, &["dlq", "discard", "--yes", "--id", "huge-2"]).await;
    world.vhost.wait_for_depth(DEAD_LETTERS, 1).await;
    assert!(world.vhost.take(DEAD_LETTERS).await.body == huge, "it is there, and whole");
}

#[tokio::test]
async fn any_number_of_codes_is_counted_and_a_thousand_kinds_are_told_apart() {
    let world = World::hmac().await;
    let channel = world.vhost.channel().await;
    for number in 0..1_002 {
        let mut headers = FieldTable::default();
        headers.insert("x-eventd-reason".into(), AMQPValue::LongString("rejected".into()));
        let code = format!("{number}{}", "c".repeat(8_000));
        headers.insert("x-eventd-code".into(), AMQPValue::LongString(code.into()));
        let properties = BasicProperties::default().with_headers(headers);
        let options = BasicPublishOptions::default();
        let (exchange, key) = ("".into(), DEAD_LETTERS.into());
        channel.basic_publish(exchange, key, options, b"{}", properties).await.unwrap();
    }
    world.vhost.wait_for_depth(DEAD_LETTERS, 1_002).await;
    let out = small(&world, &["dlq", "stats", "--json"]).await;
    let kinds: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let total: u64 = kinds.iter().map(|kind| kind["count"].as_u64().unwrap()).sum();
    assert_eq!((kinds.len(), total), (1_001, 1_002));
    assert_eq!((&kinds[0]["code"], &kinds[0]["count"]), (&json!("other codes"), &json!(2)));
}
