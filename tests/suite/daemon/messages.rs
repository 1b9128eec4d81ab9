//! What becomes of a message: the rows of the table, on a real broker and over real HTTP.

use crate::support::DEADLINE;
use crate::support::broker::{DEAD_LETTERS, OFFBOARDED, UNBLOCK};
use crate::support::settings;
use crate::support::world::World;
use fake_mimecast::{Fault, FaultKind};
use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable};
use serde_json::{Value, json};

#[tokio::test]
async fn a_message_whose_commands_are_applied_is_acked_and_its_lag_is_measured() {
    let world = World::hmac().await;
    world.fake.add_member("group-1", "ada@example.com");
    world.fake.add_member("group-2", "ada@example.com");
    world.offboard("e-1", "ada@example.com", &["group-1", "group-2"]).await;

    let settled = world.daemon.settled(1).await;
    assert_eq!(settled[0]["disposition"], "ack");
    assert_eq!((&settled[0]["event_id"], &settled[0]["attempts"]), (&json!("e-1"), &json!(2)));
    assert!(!world.fake.is_member("group-1", "ada@example.com"));
    assert!(!world.fake.is_member("group-2", "ada@example.com"));
    let lag = r#"eventd_event_to_effect_seconds_count{event="user.offboarded"}"#;
    assert_eq!(world.daemon.metric(lag).await, 1.0);
    let last = r#"eventd_last_success_timestamp_seconds{event="user.offboarded"}"#;
    let age = chrono::Utc::now().timestamp() as f64 - world.daemon.metric(last).await;
    assert!((-1.0..60.0).contains(&age), "the last success is {age} s old");
    world.vhost.wait_for_depth(OFFBOARDED, 0).await;
    world.vhost.wait_for_depth(DEAD_LETTERS, 0).await;
}

#[tokio::test]
async fn a_time_that_no_clock_has_shown_is_left_out_of_the_latency() {
    let world = World::hmac().await;
    let now = chrono::Utc::now();
    let ahead = (now + chrono::TimeDelta::hours(1)).to_rfc3339();
    let times = ["0001-01-01T00:00:00Z", "1999-12-31T23:59:59Z", "9999-12-31T23:59:59Z", &ahead];
    for (number, time) in times.into_iter().chain([&*now.to_rfc3339()]).enumerate() {
        let address = format!("ada-{number}@example.com");
        world.fake.add_member("group-1", &address);
        let event = json!({"specversion": "1.0", "id": format!("e-{number}"), "source": "/hr", "type": "user.offboarded",
            "time": time, "data": {"emailAddress": address, "groupIds": ["group-1"]}});
        world.publish("user.offboarded", &event.to_string()).await;
    }
    let settled = world.daemon.settled(times.len() + 1).await;
    assert!(settled.iter().all(|line| line["disposition"] == "ack"), "{settled:?}");
    let latency =
        |part: &str| format!(r#"eventd_event_to_effect_seconds_{part}{{event="user.offboarded"}}"#);
    assert_eq!(world.daemon.metric(&latency("count")).await, 1.0);
    assert!(world.daemon.metric(&latency("sum")).await < 60.0);
}

#[tokio::test]
async fn what_mimecast_does_not_know_is_acked_and_recorded_as_not_found() {
    let world = World::hmac().await;
    world.offboard("e-1", "nobody@example.com", &["group-1"]).await;
    world.unblock("e-2", "entry-1").await;
    let settled = world.daemon.settled(2).await;
    let is_told = |line: &Value| line["disposition"] == "ack" && line["result"] == "not_found";
    assert!(settled.iter().all(is_told), "{settled:?}");
    for operation in ["remove_group_member", "delete_managed_url"] {
        let series =
            format!(r#"eventd_commands_total{{operation="{operation}",result="not_found"}}"#);
        assert_eq!(world.daemon.metric(&series).await, 1.0);
    }
    for event in ["user.offboarded", "url.unblock"] {
        let last = format!(r#"eventd_last_success_timestamp_seconds{{event="{event}"}}"#);
        assert_eq!(world.daemon.metric(&last).await, 0.0, "nothing has taken effect");
    }
}

#[tokio::test]
async fn a_cloud_event_in_binary_mode_is_understood_by_any_of_its_prefixes_and_as_a_copy() {
    let world = World::hmac().await;
    let parked = r#"eventd_messages_settled_total{disposition="requeue",event="url.unblock"}"#;
    let acked = r#"eventd_messages_settled_total{disposition="ack",event="url.unblock"}"#;
    let now = u64::try_from(chrono::Utc::now().timestamp()).unwrap();
    for (count, prefix) in (1..).zip(["ce-", "cloudEvents:", "cloudEvents_"]) {
        world.fake.inject(Fault::always(FaultKind::status(503)));
        let entry = format!("entry-{prefix}");
        world.fake.add_url(&entry);
        let mut headers = FieldTable::default();
        for (name, value) in
            [("specversion", "1.0"), ("id", &entry), ("source", "/soc"), ("type", "url.unblock")]
        {
            headers.insert(format!("{prefix}{name}").into(), AMQPValue::LongString(value.into()));
        }
        headers.insert(format!("{prefix}time").into(), AMQPValue::Timestamp(now));
        let properties = BasicProperties::default()
            .with_content_type("application/json".into())
            .with_content_encoding("UTF-8".into())
            .with_headers(headers);
        let body = json!({"id": entry}).to_string();
        world.vhost.publish("url.unblock", body.as_bytes(), properties).await;
        // It goes through its queue again as a copy.
        world.daemon.wait_for_at_least(parked, f64::from(count)).await;
        world.fake.heal();
        world.daemon.wait_for_metric(acked, f64::from(count)).await;
    }
    let lag = r#"eventd_event_to_effect_seconds_count{event="url.unblock"}"#;
    assert_eq!(world.daemon.metric(lag).await, 3.0, "its time was not read");
    for prefix in ["ce-", "cloudEvents:", "cloudEvents_"] {
        assert!(!world.fake.has_url(&format!("entry-{prefix}")), "{prefix}");
    }
    let settled = world.daemon.logged("settled").into_iter();
    let acked: Vec<_> = settled.filter(|line| line["disposition"] == "ack").collect();
    assert!(acked.iter().all(|line| line["event_id"].to_string().contains("entry-")), "{acked:?}");
}

#[tokio::test]
async fn a_further_name_of_a_type_is_bound_and_means_the_same() {
    const NAME: &str = "com.example.identity.user.offboarded.v1";
    let own = [("EVENTS__USER_OFFBOARDED__TYPES", &*format!("[{NAME:?}]"))];
    let world = World::with(&own).await;
    for number in 1..=3 {
        world.fake.add_member("group-1", &format!("ada-{number}@example.com"));
    }
    let data = |number: usize| json!({"emailAddress": format!("ada-{number}@example.com"), "groupIds": ["group-1"]});
    // In the event and as its routing key, as a routing key alone, and in the event alone.
    let named = |number, data| json!({"specversion": "1.0", "id": format!("e-{number}"), "source": "/hr", "type": NAME, "data": data});
    world.publish(NAME, &named(1, data(1)).to_string()).await;
    world.publish_bare(NAME, &data(2).to_string()).await;
    world.publish("user.offboarded", &named(3, data(3)).to_string()).await;
    let settled = world.daemon.settled(3).await;
    assert!(settled.iter().all(|line| line["disposition"] == "ack"), "{settled:?}");
    for number in 1..=3 {
        assert!(!world.fake.is_member("group-1", &format!("ada-{number}@example.com")));
    }
}

#[tokio::test]
async fn a_new_version_of_a_dotnet_type_is_the_same_type() {
    const USER: &str = "Company.Identity.UserOffboarded, Company.Identity";
    let types = format!(r#"["{USER}, Version=*", "urn:message:Company.*:UserOffboarded"]"#);
    let world = World::with(&[
        ("EVENTS__USER_OFFBOARDED__TYPES", &types),
        ("EVENTS__USER_OFFBOARDED__BINDING_KEYS", r#"["dotnet.#"]"#),
    ])
    .await;
    let version =
        |version: &str| format!("{USER}, Version={version}, Culture=neutral, PublicKeyToken=null");
    let data = |number: usize| json!({"emailAddress": format!("ada-{number}@example.com"), "groupIds": ["group-1"]});
    let names =
        [version("1.2.3.0"), version("10.0.0.1"), "urn:message:Company.Hr:UserOffboarded".into()];
    for number in 0..=names.len() {
        world.fake.add_member("group-1", &format!("ada-{number}@example.com"));
    }
    let publish = |name: &str, number| {
        let properties = BasicProperties::default().with_type(name.into());
        let body = data(number).to_string().into_bytes();
        let vhost = &world.vhost;
        async move { vhost.publish("dotnet.events", &body, properties).await }
    };
    for (number, name) in names.iter().enumerate() {
        publish(name, number).await;
    }
    let hired = version("1.2.3.0").replace("UserOffboarded", "UserHired");
    publish(&hired, names.len()).await;
    let settled = world.daemon.settled(4).await;
    let acked = settled.iter().filter(|line| line["disposition"] == "ack").count();
    assert_eq!(acked, names.len(), "{settled:?}");
    for number in 0..names.len() {
        assert!(!world.fake.is_member("group-1", &format!("ada-{number}@example.com")), "{number}");
    }
    assert!(world.fake.is_member("group-1", "ada-3@example.com"), "who was hired stays");
    let letter = world.vhost.take(DEAD_LETTERS).await;
    assert_eq!(letter.header("x-eventd-reason"), "unsupported");
}

#[tokio::test]
async fn events_of_a_shape_of_their_own_are_bound_by_its_keys_and_read_where_the_map_points() {
    let world = World::with(&[
        ("EVENTS__USER_OFFBOARDED__BINDING_KEYS", r#"["hr.*.left"]"#),
        (
            "EVENTS__USER_OFFBOARDED__MAP",
            r#"{ emailAddress = "/user/profile/email", groupIds = "/user/groups", event_id = "/no" }"#,
        ),
    ])
    .await;
    let body = |who: &str| json!({"no": who, "user": {"profile": {"email": format!("{who}@example.com")}, "groups": ["group-1"]}});
    for who in ["ada", "bob"] {
        world.fake.add_member("group-1", &format!("{who}@example.com"));
    }
    world.publish_bare("hr.de.left", &body("ada").to_string()).await;
    world.publish_bare("hr.de.left", &json!({"no": "x", "user": {}}).to_string()).await;
    world.publish_bare("hr.fr.left", &body("bob").to_string()).await;
    let settled = world.daemon.settled(3).await;
    let told = |id: &str| settled.iter().find(|line| line["event_id"] == id).unwrap().clone();
    assert_eq!(
        (&told("ada")["disposition"], &told("bob")["disposition"]),
        (&json!("ack"), &json!("ack"))
    );
    for who in ["ada", "bob"] {
        assert!(!world.fake.is_member("group-1", &format!("{who}@example.com")));
    }
    let letter = world.vhost.take(DEAD_LETTERS).await;
    assert_eq!(letter.header("x-eventd-reason"), "malformed");
    let detail = "there is no emailAddress where it should be (at /user/profile/email)";
    assert_eq!(letter.header("x-eventd-detail"), detail);
    assert_eq!(letter.header("x-eventd-routing-key"), "hr.de.left");
}

#[tokio::test]
async fn a_bare_body_by_its_type_and_a_domain_are_understood() {
    let world = World::with(&[("EVENTS__USER_OFFBOARDED__DEFAULT_GROUPS", r#"["group-d"]"#)]).await;
    world.fake.add_member("group-d", "example.org");
    let properties = BasicProperties::default().with_message_id("m-1".into());
    world.vhost.publish("user.offboarded", br#"{"domain":"example.org"}"#, properties).await;
    let settled = world.daemon.settled(1).await;
    assert_eq!(
        (&settled[0]["disposition"], &settled[0]["event_id"]),
        (&json!("ack"), &json!("m-1"))
    );
    assert!(!world.fake.is_member("group-d", "example.org"));
}

#[tokio::test]
async fn a_malformed_message_is_dead_lettered_untouched_with_its_reason() {
    let world = World::hmac().await;
    let mut headers = FieldTable::default();
    headers.insert("team".into(), AMQPValue::LongString("hr".into()));
    let brokers = ["x-death", "x-first-death-queue", "x-last-death-queue"];
    for name in brokers {
        headers.insert(name.into(), AMQPValue::LongString("forged".into()));
    }
    let elsewhere = vec![AMQPValue::LongString("elsewhere".into())];
    headers.insert("CC".into(), AMQPValue::FieldArray(elsewhere.into()));
    let properties = BasicProperties::default()
        .with_content_type("text/plain".into())
        .with_message_id("m-1".into())
        .with_expiration("3600000".into())
        .with_headers(headers);
    world.vhost.publish("user.offboarded", b"{\"emailAddress\": 7", properties).await;

    let found = world.vhost.take(DEAD_LETTERS).await;
    assert_eq!(found.body, b"{\"emailAddress\": 7");
    assert_eq!(found.header("x-eventd-reason"), "malformed");
    assert_eq!(found.header("x-eventd-code"), "malformed");
    assert_eq!(found.header("x-eventd-detail"), "the body is not JSON (line 1, column 18)");
    assert_eq!(found.header("x-eventd-queue"), OFFBOARDED);
    assert_eq!(found.header("x-eventd-exchange"), "events");
    assert_eq!(found.header("x-eventd-routing-key"), "user.offboarded");
    assert_eq!(found.header("x-eventd-version"), env!("CARGO_PKG_VERSION"));
    assert_eq!(found.headers["x-eventd-attempts"], 0);
    assert_eq!(found.header("team"), "hr");
    for name in brokers.iter().chain(&["CC"]) {
        assert!(!found.headers.contains_key(*name), "{name}: {found:?}");
    }
    assert_eq!(found.properties.message_id().as_ref().unwrap().as_str(), "m-1");
    assert_eq!(found.properties.content_type().as_ref().unwrap().as_str(), "text/plain");
    assert!(found.properties.expiration().is_none(), "a dead letter must not vanish");
    assert_eq!(*found.properties.delivery_mode(), Some(2));
    let series =
        r#"eventd_messages_dead_lettered_total{event="user.offboarded",reason="malformed"}"#;
    world.daemon.wait_for_metric(series, 1.0).await;
    assert!(world.fake.calls().is_empty());

    world.publish_bare("user.offboarded", r#"{"domain":"example.org","groupIds":["a",7]}"#).await;
    let found = world.vhost.take(DEAD_LETTERS).await;
    let detail = "groupIds[1] must be a string (at /groupIds/1)";
    assert_eq!(found.header("x-eventd-detail"), detail);
}

#[tokio::test]
async fn an_unknown_type_is_dead_lettered_as_unsupported() {
    let world = World::hmac().await;
    let event =
        json!({"specversion": "1.0", "id": "e-1", "source": "/", "type": "user.hired", "data": {}});
    world.publish("url.unblock", &event.to_string()).await;
    let found = world.vhost.take(DEAD_LETTERS).await;
    assert_eq!(found.header("x-eventd-reason"), "unsupported");
    assert_eq!(found.header("x-eventd-queue"), UNBLOCK);
}

#[tokio::test]
async fn headers_that_leave_no_room_are_left_out_rather_than_the_message() {
    let world = World::hmac().await;
    let mut headers = FieldTable::default();
    headers.insert("a-small".into(), AMQPValue::LongString("kept".into()));
    headers.insert("b-huge".into(), AMQPValue::LongString("x".repeat(100_000).into()));
    let properties = BasicProperties::default().with_headers(headers);
    world.vhost.publish("user.offboarded", b"nonsense", properties).await;
    let found = world.vhost.take(DEAD_LETTERS).await;
    assert_eq!(found.header("x-eventd-reason"), "malformed");
    assert_eq!(found.header("a-small"), "kept");
    assert!(!found.headers.contains_key("b-huge"));
}

#[tokio::test]
async fn what_the_vendor_refuses_for_good_is_dead_lettered_at_once_with_its_code() {
    let world = World::hmac().await;
    world.offboard("e-1", "ada@nowhere", &["group-1"]).await;
    let found = world.vhost.take(DEAD_LETTERS).await;
    assert_eq!(found.header("x-eventd-reason"), "rejected");
    assert_eq!(found.header("x-eventd-code"), "err_validation_invalid_email_address");
    assert_eq!(found.headers["x-eventd-attempts"], 1);
    let calls = world.fake.calls();
    assert_eq!(found.header("x-eventd-request-id"), calls[0].request_id.as_ref().unwrap());
    assert!(!found.header("x-eventd-first-failed-at").is_empty());

    for (kind, code) in [
        (FaultKind::fail("err_folder_not_found"), "err_folder_not_found"),
        (FaultKind::status(400), "http_400"),
        (FaultKind::MixedFail { code: "err_new".into() }, "err_new"),
    ] {
        world.fake.inject(Fault::always(kind).for_item_containing("entry-1"));
        world.unblock("e-2", "entry-1").await;
        let found = world.vhost.take(DEAD_LETTERS).await;
        world.fake.heal();
        assert_eq!(
            (found.header("x-eventd-reason"), found.header("x-eventd-code")),
            ("rejected", code)
        );
    }
}

#[tokio::test]
async fn a_fault_that_passes_is_tried_again_in_process_with_a_fresh_signature() {
    let world = World::hmac().await;
    world.fake.add_url("entry-1");
    world.fake.inject(Fault::next(FaultKind::status(503)));
    world.fake.inject(Fault::next(FaultKind::Reset));
    world.fake.inject(Fault::next(FaultKind::NotJson));
    world.unblock("e-1", "entry-1").await;
    let settled = world.daemon.settled(1).await;
    assert_eq!((&settled[0]["disposition"], &settled[0]["attempts"]), (&json!("ack"), &json!(4)));
    assert!(!world.fake.has_url("entry-1"));
    assert_eq!(world.fake.violations(), Vec::<String>::new());
    let series =
        r#"eventd_api_retries_total{operation="delete_managed_url",outcome="unavailable"}"#;
    assert_eq!(world.daemon.metric(series).await, 3.0);
}

#[tokio::test]
async fn a_reply_that_is_lost_after_the_effect_ends_in_success() {
    let world = World::hmac().await;
    world.fake.add_url("entry-1");
    world.fake.inject(Fault::next(FaultKind::LoseReply));
    world.unblock("e-1", "entry-1").await;
    let settled = world.daemon.settled(1).await;
    assert_eq!((&settled[0]["disposition"], &settled[0]["attempts"]), (&json!("ack"), &json!(2)));
    assert!(!world.fake.has_url("entry-1"));
}

#[tokio::test]
async fn a_429_is_waited_out_and_never_counts_as_a_failure() {
    let world = World::with(&[("RETRY__ATTEMPTS", "1")]).await;
    world.fake.add_url("entry-1");
    let throttle = FaultKind::Throttle { reset_milliseconds: Some(500), retry_after: None };
    world.fake.inject(Fault::next(throttle).times(5));
    world.unblock("e-1", "entry-1").await;
    let settled = world.daemon.settled(1).await;
    assert_eq!((&settled[0]["disposition"], &settled[0]["attempts"]), (&json!("ack"), &json!(6)));
    let duration = settled[0]["duration_ms"].as_u64().unwrap();
    assert!(duration >= 5 * 500);
    // The time from a reply until its wait begins is not waited, and is far less than the wait.
    let waited = world.daemon.metric("eventd_api_throttled_seconds_total").await;
    assert!(waited > 1.0 && waited * 1000.0 <= duration as f64, "{waited}");
    assert!(!world.fake.has_url("entry-1"));
}

#[tokio::test]
async fn each_command_is_carried_out_whatever_became_of_the_others() {
    let world = World::hmac().await;
    for group in ["group-1", "group-2", "group-3"] {
        world.fake.add_member(group, "ada@example.com");
    }
    let refusal = FaultKind::fail("err_xdk_operation_forbidden_for_address");
    world.fake.inject(Fault::always(refusal).for_item_containing("group-2"));
    world.offboard("e-1", "ada@example.com", &["group-1", "group-2", "group-3"]).await;
    let found = world.vhost.take(DEAD_LETTERS).await;
    assert_eq!(found.header("x-eventd-code"), "err_xdk_operation_forbidden_for_address");
    let left =
        ["group-1", "group-2", "group-3"].map(|g| world.fake.is_member(g, "ada@example.com"));
    assert_eq!(left, [false, true, false]);
}

#[tokio::test]
async fn a_mixed_batch_is_accounted_for_to_the_last_message_over_either_api() {
    for credentials in [settings::hmac, settings::oauth2] {
        let world = World::new(credentials, &[]).await;
        world
            .fake
            .inject(Fault::next(FaultKind::status(502)).for_item_containing("flaky").times(3));
        for number in 0..10 {
            let address = format!("user-{number}@example.com");
            world.fake.add_member("group-1", &address);
            world.offboard(&format!("good-{number}"), &address, &["group-1"]).await;
            world.unblock(&format!("gone-{number}"), "entry-0").await;
            world.publish("user.offboarded", "nonsense").await;
            world.offboard(&format!("refused-{number}"), "nobody@nowhere", &["group-1"]).await;
        }
        world.fake.add_url("flaky");
        world.unblock("flaky", "flaky").await;

        let settled = world.daemon.settled(41).await;
        let count = |disposition: &str| {
            settled.iter().filter(|line| line["disposition"] == disposition).count()
        };
        assert_eq!((count("ack"), count("dead_letter"), settled.len()), (21, 20, 41));
        world.vhost.wait_for_depth(DEAD_LETTERS, 20).await;
        world.vhost.wait_for_depth(OFFBOARDED, 0).await;
        world.vhost.wait_for_depth(UNBLOCK, 0).await;
        assert!(
            (0..10).all(|n| !world.fake.is_member("group-1", &format!("user-{n}@example.com")))
        );
        assert!(!world.fake.has_url("flaky"));
        assert_eq!(world.fake.violations(), Vec::<String>::new());
        world.fake.wait_for_calls(34, DEADLINE).await;
        for event in ["user.offboarded", "url.unblock"] {
            let in_flight = format!(r#"eventd_messages_in_flight{{event="{event}"}}"#);
            world.daemon.wait_for_metric(&in_flight, 0.0).await;
        }
    }
}
