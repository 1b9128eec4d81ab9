//! Policies of operators: what they do to our queues, and what is said of it before.

use crate::support::broker::{DEAD_LETTERS, Vhost};
use crate::support::settings;
use crate::support::world::World;
use lapin::BasicProperties;
use lapin::options::QueueDeclareOptions;
use lapin::types::{AMQPValue, FieldTable};
use serde_json::json;
use std::collections::BTreeSet;

#[tokio::test]
async fn no_dead_letter_is_lost_to_a_policy_that_limits_the_length() {
    let world = World::hmac().await;
    world.vhost.set_policy("everything", ".*", 0, &json!({"max-length": 3})).await;
    expect_all_dead_letters(&world).await;
}

#[tokio::test]
async fn a_dead_letter_queue_of_before_is_mended_by_the_one_policy_that_is_named() {
    for (arguments, missing) in [
        (vec![("x-delivery-limit", AMQPValue::LongInt(1_000_000))], vec!["x-overflow"]),
        (vec![], vec!["x-delivery-limit", "x-overflow"]),
    ] {
        let vhost = Vhost::new().await;
        vhost.set_policy("everything", ".*", 0, &json!({"max-length": 3})).await;
        let mut table = FieldTable::default();
        table.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
        for (name, value) in arguments {
            table.insert(name.into(), value);
        }
        let durable = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
        let channel = vhost.channel().await;
        channel.queue_declare(DEAD_LETTERS.into(), durable, table).await.unwrap();
        let world = World::start(vhost, settings::hmac, &[]).await;
        let problems = world.daemon.logged("trouble ahead");
        let problem = problems.first().expect("it is told of")["problem"].as_str().unwrap();
        for argument in ["x-delivery-limit", "x-overflow"] {
            let is_named = problem.contains(&format!("arg '{argument}'"));
            assert_eq!(is_named, missing.contains(&argument), "{argument}: {problem}");
        }
        // As a shell and the command line take it apart.
        let (_, command) = problem.split_once("rabbitmqctl set_policy ").expect("a command");
        let quoted: Vec<&str> = command.split('\'').collect();
        let definition = serde_json::from_str(quoted[3]).unwrap();
        let (_, priority) = command.split_once("--priority ").unwrap();
        let priority = priority.split(' ').next().unwrap().parse().unwrap();
        world.vhost.set_policy("mends", quoted[1], priority, &definition).await;
        expect_all_dead_letters(&world).await;
    }
}

/// Publishes more malformed messages than the length, with good ones between them, and expects all of the
/// first among the dead letters, all of the others applied.
async fn expect_all_dead_letters(world: &World) {
    let malformed: BTreeSet<String> = (0..8).map(|number| format!("malformed-{number}")).collect();
    for (number, id) in malformed.iter().enumerate() {
        let properties = BasicProperties::default().with_message_id(id.as_str().into());
        world.vhost.publish("url.unblock", b"nonsense", properties).await;
        let entry = format!("entry-{number}");
        world.fake.add_url(&entry);
        world.unblock(&format!("good-{number}"), &entry).await;
    }
    let mut found = BTreeSet::new();
    for _ in &malformed {
        let letter = world.vhost.take(DEAD_LETTERS).await;
        found.insert(letter.properties.message_id().clone().unwrap().to_string());
    }
    assert_eq!(found, malformed);
    world.daemon.settled(16).await;
    assert!((0..8).all(|number| !world.fake.has_url(&format!("entry-{number}"))));
}
