//! Messages whose headers say that the daemon has made them, by somebody who may write to its queues or exchanges, and
//! copies that the daemon has made.

use crate::support::broker::{DEAD_LETTERS, OFFBOARDED, Vhost};
use crate::support::daemon::Daemon;
use crate::support::eventually;
use crate::support::program::run;
use crate::support::settings;
use crate::support::world::World;
use fake_mimecast::{Fault, FaultKind, Operation};
use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable};
use serde_json::{Value, json};
use std::collections::BTreeMap;

const ACKED: &str = r#"eventd_messages_settled_total{disposition="ack",event="user.offboarded"}"#;

/// The producer that alone may ask for anything.
struct Hr {
    vhost: Vhost,
    name: String,
}

impl Hr {
    /// Publishes good events, as a producer does.
    async fn publish(&self, world: &World, prefix: &str) {
        for number in 0..3 {
            let good = event(world, &format!("{prefix}-{number}"));
            self.vhost.publish("user.offboarded", good.as_bytes(), self.properties()).await;
        }
    }

    fn properties(&self) -> BasicProperties {
        BasicProperties::default().with_user_id(self.name.as_str().into())
    }
}

/// The name of a user that nobody else has: each test's broker is that of others too.
fn fresh(name: &str) -> String {
    format!("{name}-{}", uuid::Uuid::new_v4())
}

/// A daemon with a user of its own, and the only producer that it listens to. The tests' own user is somebody else.
async fn for_hr(own: &[(&str, &str)]) -> (World, Hr) {
    let vhost = Vhost::new().await;
    let (ours, name) = (fresh("mimecast-eventd"), fresh("hr"));
    vhost.url_of_user_called(&ours).await;
    let hr = Hr { vhost: vhost.of_user(&name).await, name };
    let allowed = format!(r#"["{}"]"#, hr.name);
    let with = [
        ("AMQP__USERNAME", ours.as_str()),
        ("AMQP__PASSWORD", "secret"),
        ("POLICY__ALLOWED_USERS", &allowed),
    ];
    (World::start(vhost, settings::hmac, &[&with[..], own].concat()).await, hr)
}

fn event(world: &World, who: &str) -> String {
    let address = format!("{who}@example.com");
    world.fake.add_member("group-1", &address);
    let data = json!({"emailAddress": address, "groupIds": ["group-1"]});
    let (source, event_type) = ("/hr", "user.offboarded");
    json!({"specversion": "1.0", "id": who, "source": source, "type": event_type, "data": data})
        .to_string()
}

fn is_member(world: &World, who: &str) -> bool {
    world.fake.is_member("group-1", &format!("{who}@example.com"))
}

fn text(text: &str) -> AMQPValue {
    AMQPValue::LongString(text.into())
}

fn with_headers(headers: &[(&str, AMQPValue)]) -> BasicProperties {
    let headers: BTreeMap<_, _> =
        headers.iter().map(|(name, value)| ((*name).into(), value.clone())).collect();
    BasicProperties::default().with_headers(headers.into())
}

/// What a copy of an event by `hr` says.
fn as_a_copy(hr: &Hr) -> Vec<(&'static str, AMQPValue)> {
    vec![
        ("x-eventd-exchange", text("events")),
        ("x-eventd-routing-key", text("user.offboarded")),
        ("x-eventd-user-id", text(&hr.name)),
        ("x-eventd-attempts", AMQPValue::LongLongInt(1)),
        ("x-eventd-mac", text("cIpyfSR1NX6qzE+IyA1+7DIYzgyrzyaU9v7NCAVFzG8=")),
    ]
}

/// What RabbitMQ says of a copy that has waited.
fn death() -> AMQPValue {
    let mut death = FieldTable::default();
    for (name, value) in [("queue", OFFBOARDED), ("reason", "expired"), ("exchange", "")] {
        death.insert(name.into(), text(value));
    }
    death.insert("count".into(), AMQPValue::LongLongInt(1));
    let keys = AMQPValue::FieldArray(vec![text(OFFBOARDED)].into());
    death.insert("routing-keys".into(), keys);
    AMQPValue::FieldArray(vec![AMQPValue::FieldTable(death)].into())
}

#[tokio::test]
async fn whoever_writes_to_the_queue_is_taken_for_nobody_else() {
    let (world, hr) = for_hr(&[]).await;
    let mut forged = Vec::new();
    let moved = [as_a_copy(&hr), vec![("x-death", death())]].concat();
    for (headers, exchange, key) in [
        (as_a_copy(&hr), "", OFFBOARDED),
        (moved.clone(), "", OFFBOARDED),
        (as_a_copy(&hr), "events", "user.offboarded"),
        (moved, "events", "user.offboarded"),
    ] {
        for user in [None, Some("guest")] {
            let who = format!("forged-{}", forged.len());
            let properties = match user {
                Some(user) => with_headers(&headers).with_user_id(user.into()),
                None => with_headers(&headers),
            };
            let body = event(&world, &who);
            world.vhost.publish_to(exchange, key, body.as_bytes(), properties).await;
            hr.publish(&world, &format!("beside-{who}")).await;
            let letter = world.vhost.take(DEAD_LETTERS).await;
            assert_eq!(letter.body, body.as_bytes());
            let said = ["x-eventd-reason", "x-eventd-code", "x-eventd-user-id"];
            let said = said.map(|name| letter.header(name));
            assert_eq!(said, ["denied", "allowed_users", user.unwrap_or_default()]);
            assert_eq!(letter.headers["x-eventd-attempts"], 0);
            forged.push(who);
        }
    }
    world.daemon.wait_for_metric(ACKED, 24.0).await;
    assert!(forged.iter().all(|who| is_member(&world, who)), "something forged was applied");
}

#[tokio::test]
async fn nobody_says_that_something_was_done_which_was_not() {
    let (world, _) = for_hr(&[("POLICY__ALLOWED_USERS", "[]")]).await;
    let fails = FaultKind::FlatFail { status: 503, code: "down".into() };
    // The second group alone, so that the first one is done and a copy says so.
    world.fake.inject(Fault::always(fails).for_item_containing("group-2"));
    world.fake.add_member("group-2", "ada@example.com");
    let data = json!({"emailAddress": "ada@example.com", "groupIds": ["group-1", "group-2"]});
    let ada = json!({"specversion": "1.0", "id": "ada", "source": "/hr", "type": "user.offboarded", "data": data});
    world.fake.add_member("group-1", "ada@example.com");
    world
        .vhost
        .publish("user.offboarded", ada.to_string().as_bytes(), BasicProperties::default())
        .await;
    let copy = world.vhost.take(&format!("{OFFBOARDED}.retry.10s")).await;
    assert!(!copy.header("x-eventd-done").is_empty() && !is_member(&world, "ada"));
    world.fake.heal();
    world.fake.add_member("group-1", "ada@example.com");
    let headers = copy.properties.headers().clone().unwrap();
    let forged = BasicProperties::default().with_headers(headers);
    world.vhost.publish_to("", OFFBOARDED, &copy.body, forged).await;
    world.daemon.wait_for_metric(ACKED, 1.0).await;
    assert!(!is_member(&world, "ada"), "what the headers said was done was not");
}

#[tokio::test]
async fn a_dead_letter_that_somebody_made_up_is_not_proven_and_has_nothing_done_when_it_is_replayed()
 {
    let (mut world, hr) = for_hr(&[]).await;
    let variables = world.variables.clone();
    world.daemon.signal("KILL");
    world.daemon.ended().await;
    let as_a_letter = [
        as_a_copy(&hr),
        vec![("x-eventd-reason", text("retries_exhausted")), ("x-eventd-queue", text(OFFBOARDED))],
    ]
    .concat();
    // Straight to the exchange for dead letters, and to that of the events with a death made up, to expire there.
    let written = event(&world, "written");
    let to_letters = with_headers(&as_a_letter);
    let exchange = "mimecast-eventd.dead-letter";
    world.vhost.publish_to(exchange, "user.offboarded", written.as_bytes(), to_letters).await;
    let expired = event(&world, "expired");
    let to_expire = with_headers(&[as_a_letter, vec![("x-death", death())]].concat());
    let to_expire = to_expire.with_expiration("1".into());
    world.vhost.publish("user.offboarded", expired.as_bytes(), to_expire).await;
    // What `hr` has published and RabbitMQ dead-lettered is still of `hr`.
    let good = event(&world, "good");
    let by_hr = hr.properties().with_expiration("1".into());
    hr.vhost.publish("user.offboarded", good.as_bytes(), by_hr).await;
    world.vhost.wait_for_depth(DEAD_LETTERS, 3).await;

    for _ in 0..2 {
        let listed = run(&variables, &["dlq", "list", "--json"]).await;
        assert_eq!(listed.field("proven"), vec![Value::Bool(false); 3], "{listed:?}");
    }
    let rows = run(&variables, &["dlq", "list"]).await;
    assert!(rows.lines()[1..].iter().all(|row| row.ends_with("  no")), "{rows:?}");
    let shown = run(&variables, &["dlq", "show", "written"]).await.out;
    assert!(shown.contains("not proven") && !shown.contains(" by hr"), "{shown}");
    assert!(run(&variables, &["dlq", "show", "good"]).await.out.contains(" by hr"));
    let replayed = run(&variables, &["dlq", "replay"]).await;
    assert_eq!((replayed.code, replayed.lines().len()), (Some(2), 1), "{replayed:?}");
    assert!(replayed.err.contains("it was signed with another amqp.copy_key"), "{replayed:?}");
    let replayed = run(&variables, &["dlq", "replay", "--force"]).await;
    assert_eq!((replayed.code, replayed.lines().len()), (Some(0), 2), "{replayed:?}");
    world.daemon = Daemon::start(&variables).await;
    world.daemon.wait_for_metric(ACKED, 1.0).await;
    eventually("both are denied", async || {
        world.vhost.depth(DEAD_LETTERS).await.filter(|(letters, _)| *letters == 2)
    })
    .await;
    assert!(
        !is_member(&world, "good") && is_member(&world, "written") && is_member(&world, "expired")
    );
    let listed = run(&variables, &["dlq", "list", "--json"]).await;
    assert_eq!(listed.field("proven"), [true, true], "{listed:?}");
    assert_eq!(listed.field("reason"), ["denied", "denied"]);
}

#[tokio::test]
async fn whoever_looks_at_dead_letters_without_the_key_is_not_taken_for_who_has_published_them() {
    let (world, hr) = for_hr(&[]).await;
    let alice = fresh("alice");
    let allowed = format!(r#"["{}", "{alice}"]"#, hr.name);
    let mut variables = world.variables.clone();
    variables.extend([settings::named("POLICY__ALLOWED_USERS", &allowed)]);
    let refusal = FaultKind::fail("err_validation_blocked");
    world.fake.inject(Fault::always(refusal).for_item_containing("good"));
    let evil = BasicProperties::default().with_user_id("guest".into());
    world.vhost.publish("user.offboarded", event(&world, "evil").as_bytes(), evil).await;
    let good = event(&world, "good");
    hr.vhost.publish("user.offboarded", good.as_bytes(), hr.properties()).await;
    world.vhost.wait_for_depth(DEAD_LETTERS, 2).await;
    // Alice may publish events, and looks at the dead letters with settings of her own.
    let url = world.vhost.url_of_user_called(&alice).await;
    let mut hers = settings::Variables::from([settings::named("AMQP__URL", &url)]);
    for act in ["list", "stats", "export", "replay", "discard"] {
        let refused = run(&hers, &["dlq", act]).await;
        assert_eq!((refused.code, &*refused.out), (Some(1), ""), "{refused:?}");
        assert!(refused.err.contains("without the key of the daemon"), "{refused:?}");
    }
    hers.extend([settings::named("AMQP__COPY_KEY", "a key of hers that is none of ours")]);
    for _ in 0..2 {
        let listed = run(&hers, &["dlq", "list", "--json"]).await;
        assert_eq!(listed.field("proven"), [false, false], "{listed:?}");
    }
    let replayed = run(&hers, &["dlq", "replay"]).await;
    assert_eq!((replayed.code, &*replayed.out), (Some(2), ""), "{replayed:?}");

    world.fake.heal();
    let listed = run(&variables, &["dlq", "list", "--json"]).await;
    assert_eq!(listed.field("proven"), [true, true], "{listed:?}");
    let replayed = run(&variables, &["dlq", "replay"]).await;
    assert_eq!(replayed.code, Some(0), "{replayed:?}");
    world.daemon.wait_for_metric(ACKED, 1.0).await;
    world.vhost.wait_for_depth(DEAD_LETTERS, 1).await;
    assert!(!is_member(&world, "good") && is_member(&world, "evil"));
}

#[tokio::test]
async fn a_copy_that_waits_is_believed_after_a_change_of_the_key_or_of_the_user() {
    let other_key = ("AMQP__COPY_KEY", "another key of 16 bytes");
    let another = fresh("another");
    let other_user = ("AMQP__USERNAME", another.as_str());
    for (changes, applied) in
        [(&[][..], 3.0), (&[other_key], 3.0), (&[other_user], 3.0), (&[other_key, other_user], 0.0)]
    {
        let (mut world, hr) = for_hr(&[("BREAKER__INITIAL_PROBE_DELAY", "100ms")]).await;
        world.vhost.url_of_user_called(&another).await;
        let down = FaultKind::FlatFail { status: 503, code: "down".into() };
        world.fake.inject(Fault::always(down).for_operation(Operation::RemoveGroupMember));
        hr.publish(&world, "waits").await;
        // All of them are copies: the lane has paused, and parked what it had begun.
        world.daemon.wait_for_logged("lane paused", 1).await;
        let parked =
            r#"eventd_messages_settled_total{disposition="requeue",event="user.offboarded"}"#;
        world.daemon.wait_for_at_least(parked, 1.0).await;
        world.vhost.wait_for_depth(OFFBOARDED, 3).await;
        for (name, value) in changes {
            let (name, value) = settings::named(name, value);
            world.variables.insert(name, value);
        }
        world.daemon.signal("TERM");
        world.daemon.ended().await;
        world.fake.heal();
        world.daemon = Daemon::start(&world.variables).await;
        if applied > 0.0 {
            world.daemon.wait_for_metric(ACKED, applied).await;
        } else {
            // Nothing is lost: what was a copy is denied.
            let letter = world.vhost.take(DEAD_LETTERS).await;
            assert_eq!(letter.header("x-eventd-code"), "allowed_users");
        }
    }
}
