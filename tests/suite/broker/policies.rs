//! Policies of operators: what they do to our queues, and what is said of it before.

use crate::support::broker::{DEAD_LETTERS, OFFBOARDED, UNBLOCK, Vhost};
use crate::support::eventually;
use crate::support::node::Node;
use crate::support::program::run;
use crate::support::settings::{self, Variables, named};
use crate::support::world::World;
use lapin::BasicProperties;
use lapin::options::{BasicGetOptions, BasicRejectOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

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
    eventually("all good ones are applied", async || {
        (0..8).all(|number| !world.fake.has_url(&format!("entry-{number}"))).then_some(())
    })
    .await;
}

/// What a policy makes of the queues, which `check` says beforehand: the key, its value, the version from which it is
/// known, and the queues that are named.
#[tokio::test]
async fn check_fails_on_each_policy_that_loses_messages_and_names_queue_policy_and_key() {
    let world = World::hmac().await;
    let variables = with_management(&world);
    let lane_and_dead_letters = [UNBLOCK, OFFBOARDED, DEAD_LETTERS];
    let all = [UNBLOCK, OFFBOARDED, "mimecast-eventd.url.unblock.retry.10s", DEAD_LETTERS];
    let rows = [
        ("expires", json!({"expires": 3_600_000}), (3, 10), all.as_slice()),
        ("message-ttl", json!({"message-ttl": 5_000}), (3, 10), all.as_slice()),
        (
            "message-ttl",
            json!({"message-ttl": 86_400_000}),
            (3, 10),
            lane_and_dead_letters.as_slice(),
        ),
        ("delivery-limit", json!({"delivery-limit": 5}), (3, 10), lane_and_dead_letters.as_slice()),
        ("delivery-limit", json!({"delivery-limit": 20}), (3, 10), &[DEAD_LETTERS]),
        ("delayed-retry-type", delayed_retry(), (4, 3), lane_and_dead_letters.as_slice()),
        // What can be lived with.
        ("max-length", json!({"max-length": 100_000, "overflow": "drop-head"}), (3, 10), &[]),
    ];
    for (key, definition, since, named) in rows {
        if Node::shared().version() < since {
            continue;
        }
        world.vhost.set_policy("everything", ".*", 0, &definition).await;
        policies_are_seen(&world.vhost, &definition).await;
        let (code, lines) = check(&variables).await;
        let failures: Vec<_> = lines
            .iter()
            .filter_map(|line| line.strip_prefix("failure  broker   policies: "))
            .filter_map(|line| line.split_once(&format!(": {key} is ")))
            .filter(|(_, rest)| rest.contains("policy \"everything\""))
            .collect();
        let failed = |queue: &str| {
            let is_named = |names: &str| names.split(", ").any(|name| name == queue);
            failures.iter().filter(|(names, _)| is_named(names)).count()
        };
        for queue in all {
            let expected = usize::from(named.contains(&queue));
            assert_eq!(failed(queue), expected, "{queue} {definition}: {lines:#?}");
        }
        // Lanes, delays and dead letters may suffer in different ways.
        assert!(failures.len() <= 2, "{definition}: {lines:#?}");
        assert_eq!(code, Some(i32::from(!named.is_empty())), "{definition}: {lines:#?}");
        let warned = lines.iter().any(|line| line.starts_with("warning  broker   policies: "));
        assert_eq!(warned, named.is_empty(), "{definition}: {lines:#?}");
    }
    // The policy of the reference wins over it.
    let harmless = json!({"delivery-limit": 1_000_000, "overflow": "reject-publish"});
    world.vhost.set_policy("mimecast-eventd", r"^mimecast-eventd\.", 1000, &harmless).await;
    policies_are_seen(&world.vhost, &harmless).await;
    let (code, lines) = check(&variables).await;
    assert_eq!(code, Some(0), "{lines:#?}");
    let fine = "ok       broker   policies: as they should be".to_owned();
    assert!(lines.contains(&fine), "{lines:#?}");
}

fn delayed_retry() -> Value {
    json!({"delayed-retry-type": "all", "delayed-retry-min": 60_000, "delayed-retry-max": 60_000})
}

/// The settings of `world` with the management API of its node, which the user of AMQP asks.
fn with_management(world: &World) -> Variables {
    let mut variables = world.variables.clone();
    variables.extend([named("AMQP__MANAGEMENT_URL", Node::shared().management())]);
    variables
}

/// Waits until RabbitMQ says that all queues have this policy. A node of the tests looks at its queues once a minute,
/// unless it is told to.
async fn policies_are_seen(vhost: &Vhost, definition: &Value) {
    eventually("the policy is seen", async || {
        tick(vhost);
        let queues = vhost.described("queues").await;
        let has_it = |queue: &Value| queue["effective_policy_definition"] == *definition;
        queues.iter().all(has_it).then_some(())
    })
    .await;
}

/// Makes the queues do what they do every five seconds outside the tests.
fn tick(vhost: &Vhost) {
    let name = &vhost.name;
    Node::shared().evaluate(&format!(
        "[catch (Name ! tick_timeout) || Name <- registered(), lists:prefix(\"{name}_\", atom_to_list(Name))]."
    ));
}

async fn check(variables: &Variables) -> (Option<i32>, Vec<String>) {
    let ran = run(variables, &["check"]).await;
    (ran.code, ran.lines().into_iter().map(str::to_owned).collect())
}

/// What `check` fails on is lost indeed, as on every version that there is a test of.
#[tokio::test]
async fn messages_are_lost_to_each_policy_that_check_fails_on() {
    let mut world = World::hmac().await;
    world.daemon.signal("TERM");
    assert_eq!(world.daemon.ended().await, Some(0));
    let vhost = &world.vhost;
    vhost.set_policy("everything", ".*", 0, &json!({"delivery-limit": 5})).await;
    vhost.publish_to("", DEAD_LETTERS, b"read too often", BasicProperties::default()).await;
    let channel = vhost.channel().await;
    eventually("the dead letter is gone", async || {
        let got = channel.basic_get(DEAD_LETTERS.into(), BasicGetOptions::default()).await;
        match got.unwrap() {
            Some(letter) => {
                let again = BasicRejectOptions { requeue: true };
                letter.delivery.acker.reject(again).await.unwrap();
                None
            }
            None => (vhost.depth(DEAD_LETTERS).await == Some((0, 0))).then_some(()),
        }
    })
    .await;

    vhost.set_policy("everything", ".*", 0, &json!({"message-ttl": 500})).await;
    vhost.publish("url.unblock", b"waits too long", BasicProperties::default()).await;
    vhost.wait_for_depth(UNBLOCK, 0).await;
    vhost.wait_for_depth(DEAD_LETTERS, 0).await;

    vhost.clear_policy("everything").await;
    vhost.publish("url.unblock", b"goes with its queue", BasicProperties::default()).await;
    vhost.set_policy("everything", ".*", 0, &json!({"expires": 500})).await;
    // To look at a queue is to use it.
    eventually("the queues are gone", async || {
        tick(vhost);
        vhost.described("queues").await.is_empty().then_some(())
    })
    .await;

    vhost.clear_policy("everything").await;
    world.restart_daemon().await;
    world.fake.add_url("entry-1");
    world.unblock("good", "entry-1").await;
    world.daemon.settled(1).await;
    assert!(!world.fake.has_url("entry-1"));
    world.vhost.wait_for_depth(DEAD_LETTERS, 0).await;
}

#[tokio::test]
async fn a_binding_that_is_not_in_the_settings_is_named_by_check_and_once_in_the_log() {
    let vhost = Vhost::new().await;
    let url = Node::shared().management().replace("http://", "http://guest:guest@");
    let own = [
        ("AMQP__MANAGEMENT_URL", url.as_str()),
        ("TIMINGS", "queue_depths=500ms"),
        ("EVENTS__URL_UNBLOCK__BINDING_KEYS", r#"["soc.*.released"]"#),
    ];
    let world = World::start(vhost, settings::hmac, &own).await;
    let channel = world.vhost.channel().await;
    let (queue, key) = (UNBLOCK.into(), "soc.*.old".into());
    let (options, none) = (QueueBindOptions::default(), FieldTable::default());
    channel.queue_bind(queue, "events".into(), key, options, none).await.unwrap();
    let named = |text: &str| text.contains(UNBLOCK) && text.contains("\"soc.*.old\"");
    let of_bindings = |world: &World| -> Vec<String> {
        let lines = world.daemon.logged("trouble ahead").into_iter();
        let problems = lines.filter_map(|line| Some(line["problem"].as_str()?.to_owned()));
        problems.filter(|problem| problem.contains("is bound to")).collect()
    };
    let mut world = world;
    world.restart_daemon().await;
    policies_are_seen(&world.vhost, &json!({})).await;
    let logged = eventually("it is logged", async || {
        Some(of_bindings(&world)).filter(|problems| !problems.is_empty())
    })
    .await;
    assert!(logged.len() == 1 && named(&logged[0]), "{logged:?}");
    let (code, lines) = check(&world.variables).await;
    assert_eq!(code, Some(0), "{lines:#?}");
    let bound: Vec<_> = lines.iter().filter(|line| line.contains("is bound to")).collect();
    assert!(bound.len() == 1 && named(bound[0]), "{lines:#?}");
    assert!(bound[0].starts_with("warning  broker   policies: "), "{lines:#?}");
    assert_eq!(of_bindings(&world).len(), 1);
}

#[tokio::test]
async fn a_dry_run_calls_no_policies_right_that_it_has_not_seen() {
    let world =
        World::start(Vhost::new().await, settings::hmac, &[("POLICY__DRY_RUN", "true")]).await;
    for variables in [world.variables.clone(), with_management(&world)] {
        let (code, lines) = check(&variables).await;
        let of_policies: Vec<_> = lines.iter().filter(|line| line.contains("policies: ")).collect();
        let expected =
            "ok       broker   policies: not inspected, since a dry run has nothing to lose";
        assert_eq!(of_policies, [expected], "{lines:#?}");
        assert_eq!(code, Some(0), "{lines:#?}");
    }
}

#[tokio::test]
async fn what_the_management_api_does_not_show_is_never_called_right() {
    let world = World::hmac().await;
    let page = "<html>".repeat(300_000);
    let other = r#"{"name":"x","vhost":"y","arguments":{},"effective_policy_definition":{}}"#;
    for (reply, expected) in [
        ("401 Unauthorized\r\n\r\n".to_owned(), "HTTP 401"),
        ("404 Not Found\r\n\r\n".to_owned(), "policies of 13 queues were not seen"),
        ("302 Found\r\nlocation: http://127.0.0.1:1/\r\n\r\n".to_owned(), "HTTP 302"),
        ("200 OK\r\n\r\n<html>".to_owned(), "not JSON"),
        (format!("200 OK\r\n\r\n{page}"), "larger than 1 MiB"),
        ("200 OK\r\ncontent-length: 9\r\n\r\n{".to_owned(), "not all policies"),
        (format!("200 OK\r\n\r\n{other}"), "policies of 13 queues were not seen"),
        (String::new(), "not all policies"),
        ("silence".to_owned(), "no reply in time"),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let shown = reply.chars().take(40).collect::<String>();
        let server = tokio::spawn(async move {
            let mut silent = Vec::new();
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut request = [0; 4096];
                let _read = stream.read(&mut request).await;
                if reply == "silence" {
                    silent.push(stream);
                } else if !reply.is_empty() {
                    let _closed_by_the_other = stream.write_all(b"HTTP/1.1 ").await;
                    let _closed_by_the_other = stream.write_all(reply.as_bytes()).await;
                }
            }
        });
        let mut variables = world.variables.clone();
        variables.extend([named("AMQP__MANAGEMENT_URL", &url)]);
        let (code, lines) = check(&variables).await;
        server.abort();
        assert_eq!(code, Some(0), "{shown}: {lines:#?}");
        let of_policies: Vec<_> =
            lines.iter().filter(|line| line.contains("broker   policies: ")).collect();
        let warn = of_policies.iter().all(|line| line.starts_with("warning "));
        let is_named = of_policies.iter().any(|line| line.contains(expected));
        assert!(warn && is_named, "{shown}: {of_policies:#?}");
    }
}
