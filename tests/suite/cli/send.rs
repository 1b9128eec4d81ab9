//! `send`, on a real broker.

use crate::support::broker::{DEAD_LETTERS, OFFBOARDED, UNBLOCK};
use crate::support::node::Node;
use crate::support::program::{Ran, run, run_with};
use crate::support::settings::{Variables, named};
use crate::support::world::World;
use lapin::BasicProperties;
use lapin::options::{QueueBindOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};
use serde_json::json;

#[tokio::test]
async fn an_event_of_flags_is_sent_and_carried_out() {
    let world = World::hmac().await;
    world.fake.name_group("id-of-staff", "Staff");
    world.fake.add_member("id-of-staff", "ada@example.com");
    let leave =
        ["send", "--type", "user.offboarded", "--email", "ada@example.com", "--group", "Staff"];
    let dry = run(&world.variables, &[&leave[..], &["--dry-run"]].concat()).await;
    assert_eq!(dry.code, Some(0), "{dry:?}");
    assert!(dry.out.contains("POST /api/directory/find-groups"), "{dry:?}");
    let sent = run(&world.variables, &[&leave[..], &["--id", "e-1"]].concat()).await;
    assert_eq!((sent.code, sent.out.as_str()), (Some(0), "user.offboarded e-1\n"), "{sent:?}");
    let settled = world.daemon.settled(1).await;
    assert_eq!(
        (&settled[0]["event_id"], &settled[0]["disposition"]),
        (&json!("e-1"), &json!("ack"))
    );
    assert!(!world.fake.is_member("id-of-staff", "ada@example.com"));
    // The dry run has sent nothing.
    assert_eq!(
        world.daemon.metric(r#"eventd_messages_received_total{event="user.offboarded"}"#).await,
        1.0
    );
}

#[tokio::test]
async fn a_mistake_in_the_flags_is_named_and_nothing_is_sent() {
    let nobody = Variables::new();
    for (flags, said) in [
        (&["--type", "user.offboardd", "--email", "a@b"][..], "'user.offboarded'"),
        (&["--email", "a@b"], "--type"),
        (
            &["--type", "user.offboarded", "--url", "x"],
            "--url is a field of url.unblock, not of user.offboarded",
        ),
        (&["--type", "user.offboarded", "--email", "a@b", "events.json"], "it goes with no FILE"),
        (&["--e-mail", "a@b"], "--email"),
    ] {
        let refused = run(&nobody, &[&["send"], flags].concat()).await;
        assert_eq!(refused.code, Some(64), "{refused:?}");
        assert!(refused.err.contains(said), "{said} is not in: {}", refused.err);
    }
    // What the contract does not allow is told as the daemon would.
    let refused =
        run(&nobody, &["send", "--type", "user.offboarded", "--email", "ada@example.com"]).await;
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(
        refused.err.contains("groupIds is missing") && refused.err.contains("nothing was sent"),
        "{refused:?}"
    );
}

#[tokio::test]
async fn none_of_a_file_is_sent_when_one_is_wrong_and_all_when_none_is() {
    let world = World::hmac().await;
    let event = |id: &str, entry: &str| {
        world.fake.add_url(entry);
        json!({
            "specversion": "1.0", "id": id, "source": "/soc", "type": "url.unblock",
            "data": {"id": entry},
        })
        .to_string()
    };
    let good: Vec<String> =
        (0..50).map(|n| event(&format!("e-{n}"), &format!("entry-{n}"))).collect();
    let mut lines = good.clone();
    lines.insert(
        7,
        r#"{"specversion":"1.0","id":"wrong","source":"/soc","type":"url.unblock","data":{}}"#
            .into(),
    );
    let refused = run_with(&world.variables, &["send"], lines.join("\n").as_bytes()).await;
    assert_eq!((refused.code, refused.out.as_str()), (Some(2), ""), "{refused:?}");
    assert!(
        refused.err.contains("8: url.unblock wrong") || refused.err.contains("8: an event wrong"),
        "{}",
        refused.err
    );
    let sent = run_with(&world.variables, &["send"], good.join("\n").as_bytes()).await;
    assert_eq!((sent.code, sent.lines().len()), (Some(0), 50), "{}", sent.err);
    world.daemon.settled(50).await;
    assert!((0..50).all(|n| !world.fake.has_url(&format!("entry-{n}"))));
    assert_eq!(
        world.daemon.metric(r#"eventd_messages_received_total{event="url.unblock"}"#).await,
        50.0
    );
}

#[tokio::test]
async fn what_was_exported_is_sent_as_it_was_published() {
    let world = World::hmac().await;
    // A bare body, one in binary mode, and one that is no text.
    let mut headers = FieldTable::default();
    for (name, value) in [
        ("cloudEvents:specversion", "1.0"),
        ("cloudEvents:id", "b-1"),
        ("cloudEvents:source", "/soc"),
        ("cloudEvents:type", "url.unblock"),
    ] {
        headers.insert(name.into(), AMQPValue::LongString(value.into()));
    }
    let binary = BasicProperties::default()
        .with_content_type("application/json".into())
        .with_headers(headers);
    let bare = BasicProperties::default().with_message_id("m-1".into());
    world.vhost.publish_to(DEAD_LETTERS, "url.unblock", br#"{"id":"entry-1"}"#, bare).await;
    world.vhost.publish_to(DEAD_LETTERS, "url.unblock", br#"{"id":"entry-2"}"#, binary).await;
    let bytes = BasicProperties::default().with_message_id("bytes".into());
    world.vhost.publish_to(DEAD_LETTERS, "url.unblock", b"\xff\xfe", bytes).await;
    world.vhost.wait_for_depth(DEAD_LETTERS, 3).await;
    world.fake.add_url("entry-1");
    world.fake.add_url("entry-2");
    let exported = run(&world.variables, &["dlq", "export"]).await;
    assert_eq!(exported.field("id"), ["m-1", "b-1", "bytes"]);
    assert_eq!(exported.objects()[2]["message"]["body_base64"], "//4=");
    // The one that is wrong keeps all of them back; without it they go.
    let refused = run_with(&world.variables, &["send"], exported.out.as_bytes()).await;
    assert_eq!(refused.code, Some(2), "{refused:?}");
    let good: Vec<&str> = exported.lines().into_iter().take(2).collect();
    let sent = run_with(&world.variables, &["send"], good.join("\n").as_bytes()).await;
    assert_eq!(sent.out, "url.unblock m-1\nurl.unblock b-1\n", "{sent:?}");
    let settled = world.daemon.settled(2).await;
    assert!(settled.iter().all(|line| line["disposition"] == "ack"), "{settled:?}");
    assert!(!world.fake.has_url("entry-1") && !world.fake.has_url("entry-2"));
}

#[tokio::test]
async fn what_was_exported_is_as_old_as_it_was_published_and_sent_again() {
    let world = World::with(&[("POLICY__MAX_EVENT_AGE", "1day")]).await;
    world.fake.add_url("entry-1");
    // Only the property tells how old the event is; and a field of its own is called as one of an export.
    let now = u64::try_from(chrono::Utc::now().timestamp()).unwrap();
    let young = BasicProperties::default().with_message_id("m-1".into()).with_timestamp(now);
    let body = br#"{"id":"entry-1","message":{"body":"{}","routing_key":"user.offboarded"}}"#;
    world.vhost.publish_to(DEAD_LETTERS, "url.unblock", body, young).await;
    world.vhost.wait_for_depth(DEAD_LETTERS, 1).await;
    let exported = run(&world.variables, &["dlq", "export"]).await;
    for command in [&["plan"][..], &["send", "--dry-run"], &["send"]] {
        let done = run_with(&world.variables, command, exported.out.as_bytes()).await;
        assert_eq!(done.code, Some(0), "{command:?}: {done:?}");
    }
    let settled = world.daemon.settled(1).await;
    assert_eq!(settled[0]["disposition"], "ack", "{settled:?}");
    assert!(!world.fake.has_url("entry-1"));
    // The event alone is read as an event by both, with a byte order mark or without.
    for begin in ["", "\u{feff}"] {
        let event = [begin.as_bytes(), body].concat();
        for command in ["plan", "send"] {
            let arguments = [command, "--routing-key", "url.unblock"];
            let refused = run_with(&world.variables, &arguments, &event).await;
            let told = format!("{}{}", refused.out, refused.err);
            assert_eq!(refused.code, Some(2), "{refused:?}");
            assert!(told.contains("does not say when it happened"), "{command}: {told}");
        }
    }
}

#[tokio::test]
async fn what_no_queue_takes_is_said_and_how_many_were_sent() {
    let world = World::hmac().await;
    let mut variables = world.variables.clone();
    let unblock = ["send", "--type", "url.unblock", "--entry-id", "entry-1"];
    variables.extend([named("AMQP__EXCHANGE", "amq.topic")]);
    let lost = run(&variables, &unblock).await;
    assert_eq!(lost.code, Some(1), "{lost:?}");
    assert!(lost.err.contains("0 of 1 events were sent: "), "{lost:?}");
    assert!(lost.err.contains("no queue is bound for it"), "{lost:?}");
    // Of two events a queue takes the first alone.
    let (channel, none) = (world.vhost.channel().await, FieldTable::default());
    let options = QueueDeclareOptions::default();
    channel.queue_declare("aside".into(), options, none.clone()).await.unwrap();
    let (aside, exchange, key) = ("aside".into(), "amq.topic".into(), "url.unblock".into());
    channel.queue_bind(aside, exchange, key, QueueBindOptions::default(), none).await.unwrap();
    let events = [
        json!({"specversion": "1.0", "id": "e-1", "source": "/soc", "type": "url.unblock",
            "data": {"id": "entry-1"}}),
        json!({"specversion": "1.0", "id": "e-2", "source": "/hr", "type": "user.offboarded",
            "data": {"emailAddress": "ada@example.com", "groupIds": ["group-1"]}}),
    ];
    let lines = events.map(|it| it.to_string()).join("\n");
    let half = run_with(&variables, &["send"], lines.as_bytes()).await;
    assert_eq!((half.code, half.out.as_str()), (Some(1), "url.unblock e-1\n"), "{half:?}");
    assert!(half.err.contains("1 of 2 events were sent: "), "{half:?}");
    variables.extend([named("AMQP__URL", "amqp://guest:canary@127.0.0.1:1")]);
    let away = run(&variables, &unblock).await;
    assert!(away.code == Some(1) && away.err.contains("127.0.0.1:1"), "{away:?}");
    assert!(!away.err.contains("canary"), "{away:?}");
    for queue in [OFFBOARDED, UNBLOCK] {
        world.vhost.wait_for_depth(queue, 0).await;
    }
}

/// What `send` with a policy that allows this user alone comes to.
async fn send_to(url: &str, user: &str) -> (Ran, World) {
    let allowed = format!("[{user:?}]");
    let world = World::with(&[("POLICY__ALLOWED_USERS", &allowed)]).await;
    world.fake.add_url("entry-1");
    let mut variables = world.variables.clone();
    let url = url.replace("VHOST", &world.vhost.name);
    variables.extend([named("AMQP__URL", &url)]);
    let sent = run(&variables, &["send", "--type", "url.unblock", "--entry-id", "entry-1"]).await;
    (sent, world)
}

#[tokio::test]
async fn an_event_is_sent_by_the_user_that_connects_so_that_the_policy_can_allow_it() {
    let node = Node::shared().authority();
    let (sent, world) = send_to(&format!("amqp://guest:guest@{node}/VHOST"), "guest").await;
    assert_eq!(sent.code, Some(0), "{sent:?}");
    assert_eq!(world.daemon.settled(1).await[0]["disposition"], "ack");
    assert!(!world.fake.has_url("entry-1"));
    // The policy is known before anything is sent.
    let (refused, world) = send_to(&format!("amqp://guest:guest@{node}/VHOST"), "payroll").await;
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(refused.err.contains("nothing was sent"), "{refused:?}");
    assert!(world.fake.has_url("entry-1"));
    // By way of several nodes, of which the first is away.
    let url = format!("amqp://guest:guest@127.0.0.1:1/VHOST,amqp://guest:guest@{node}/VHOST");
    let (sent, world) = send_to(&url, "guest").await;
    assert_eq!(sent.code, Some(0), "{sent:?}");
    assert_eq!(world.daemon.settled(1).await[0]["disposition"], "ack");
}

#[tokio::test]
async fn a_user_whose_name_has_to_be_encoded_in_the_url_sends_under_the_name_itself() {
    for name in ["hr@example.com", "a b/c", "müller:x"] {
        let allowed = format!("[{name:?}]");
        let world = World::with(&[("POLICY__ALLOWED_USERS", &allowed)]).await;
        world.fake.add_url("entry-1");
        let mut variables = world.variables.clone();
        let url = world.vhost.url_of_user_called(name).await;
        variables.extend([named("AMQP__URL", &url)]);
        let send = ["send", "--type", "url.unblock", "--entry-id", "entry-1"];
        let sent = run(&variables, &send).await;
        assert_eq!(sent.code, Some(0), "{name}: {sent:?}");
        let settled = world.daemon.settled(1).await;
        assert_eq!(settled[0]["disposition"], "ack", "{name}: {settled:?}");
        // And the same where user and password are settings of their own.
        world.fake.add_url("entry-1");
        variables.extend([
            named("AMQP__URL", &world.vhost.url),
            named("AMQP__USERNAME", name),
            named("AMQP__PASSWORD", "secret"),
        ]);
        let sent = run(&variables, &send).await;
        assert_eq!(sent.code, Some(0), "{name}: {sent:?}");
        assert_eq!(world.daemon.settled(2).await[1]["disposition"], "ack", "{name}");
    }
}
