//! What the daemon shows is what happened: every number and every log line, by a day's work whose
//! end is known.

use crate::support::DEADLINE;
use crate::support::broker::DEAD_LETTERS;
use crate::support::program::run;
use crate::support::world::World;
use fake_mimecast::{Fault, FaultKind, Operation};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

const EVENTS: [&str; 2] = ["user.offboarded", "url.unblock"];
const COMMANDS: [&str; 2] = ["remove_group_member", "delete_managed_url"];
const OPERATIONS: [&str; 5] = [
    "remove_group_member",
    "delete_managed_url",
    "find_groups",
    "get_group_members",
    "get_all_managed_urls",
];
const DISPOSITIONS: [&str; 5] = ["ack", "retry", "wait", "dead_letter", "requeue"];
const REASONS: [&str; 7] =
    ["malformed", "unsupported", "denied", "expired", "ambiguous", "rejected", "retries_exhausted"];
const RULES: [&str; 10] = [
    "allowed_sources",
    "allowed_users",
    "allowed_groups",
    "protected_groups",
    "protected_addresses",
    "max_event_age",
    "only_blocked",
    "verify_effect",
    "max_commands",
    "dry_run",
];
const OUTCOMES: [&str; 6] =
    ["applied", "not_found", "rejected", "unauthorized", "throttled", "unavailable"];
const RESULTS: [&str; 7] = [
    "applied",
    "already_gone",
    "not_found",
    "rejected",
    "unauthorized",
    "throttled",
    "unavailable",
];
const STATES: [&str; 3] = ["consuming", "paused", "disconnected"];

/// Every series of ours that there has to be from the start. Of a histogram it is the count.
fn series() -> BTreeSet<String> {
    let one = |name: &str, label: &str, values: &[&str]| -> Vec<String> {
        values.iter().map(|value| format!("eventd_{name}{{{label}=\"{value}\"}}")).collect()
    };
    let two = |name: &str, (first, ones): (&str, &[&str]), (second, others): (&str, &[&str])| {
        let pairs = ones.iter().flat_map(|one| others.iter().map(move |other| (one, other)));
        pairs
            .map(|(one, other)| format!("eventd_{name}{{{first}=\"{one}\",{second}=\"{other}\"}}"))
            .collect::<Vec<_>>()
    };
    let (by_operation, by_outcome) = (("operation", &OPERATIONS[..]), ("outcome", &OUTCOMES[..]));
    let (disposition, event) = (("disposition", &DISPOSITIONS[..]), ("event", &EVENTS[..]));
    [
        one("messages_received_total", "event", &EVENTS),
        two("messages_settled_total", disposition, event),
        two("messages_dead_lettered_total", event, ("reason", &REASONS)),
        one("policy_decisions_total", "rule", &RULES),
        one("guard_active", "event", &EVENTS),
        one("messages_in_flight", "event", &EVENTS),
        two("message_processing_seconds_count", disposition, event),
        one("event_to_effect_seconds_count", "event", &EVENTS),
        two("commands_total", ("operation", &COMMANDS), ("result", &RESULTS)),
        one("commands_not_found_streak", "operation", &COMMANDS),
        one("commands_not_found_streak_seconds", "operation", &COMMANDS),
        two("api_requests_total", by_operation, by_outcome),
        two("api_request_seconds_count", by_operation, by_outcome),
        two("api_retries_total", by_operation, by_outcome),
        two("lane_state", event, ("state", &STATES)),
        one("last_success_timestamp_seconds", "event", &EVENTS),
        one("amqp_connected", "event", &EVENTS),
        one("amqp_connections_total", "event", &EVENTS),
        one("settle_lost_total", "event", &EVENTS),
        one("lane_paused_by_hand", "event", &EVENTS),
        one("api_quota_remaining", "operation", &OPERATIONS),
        one("settings_reloads_total", "result", &["applied", "refused"]),
        [
            "eventd_api_throttled_seconds_total",
            "eventd_audit_failures_total",
            "eventd_audit_lines",
            "eventd_log_lines_dropped_total",
            "eventd_settings_last_reload_successful",
        ]
        .map(str::to_owned)
        .to_vec(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// The series of ours in an exposition, and their values; those of queues have a page of their own.
fn shown(text: &str) -> BTreeMap<String, f64> {
    let lines = text.lines().filter(|line| line.starts_with("eventd_"));
    let lines = lines.filter(|line| !line.starts_with("eventd_queue_"));
    let series = lines.filter_map(|line| {
        let (series, value) = line.rsplit_once(' ')?;
        Some((series.to_owned(), value.parse().unwrap()))
    });
    series.filter(|(series, _)| !series.contains("_bucket{")).collect()
}

#[tokio::test]
async fn every_series_is_there_from_the_start() {
    let world = World::hmac().await;
    let (_, text) = world.daemon.get("/metrics").await;
    let counts = |name: &&String| !name.contains("_seconds_sum") && !name.contains("build_info");
    let found: BTreeSet<String> = shown(&text).keys().filter(counts).cloned().collect();
    assert_eq!(found, series());
    let not_zero: BTreeMap<String, f64> =
        shown(&text).into_iter().filter(|(_, value)| *value != 0.0 && !value.is_nan()).collect();
    let version = env!("CARGO_PKG_VERSION");
    let expected = [
        r#"eventd_lane_state{event="user.offboarded",state="consuming"}"#.to_owned(),
        r#"eventd_lane_state{event="url.unblock",state="consuming"}"#.to_owned(),
        r#"eventd_amqp_connected{event="user.offboarded"}"#.to_owned(),
        r#"eventd_amqp_connected{event="url.unblock"}"#.to_owned(),
        r#"eventd_amqp_connections_total{event="user.offboarded"}"#.to_owned(),
        r#"eventd_amqp_connections_total{event="url.unblock"}"#.to_owned(),
        format!(r#"eventd_build_info{{revision="unknown",version="{version}"}}"#),
        "eventd_settings_last_reload_successful".to_owned(),
    ];
    assert_eq!(not_zero, expected.map(|series| (series, 1.0)).into());
    assert!(text.contains("\nprocess_resident_memory_bytes "), "{text}");
    assert_eq!(
        world.daemon.get("/readyz").await,
        (200, "user.offboarded consuming\nurl.unblock consuming\n".into())
    );
}

#[tokio::test]
async fn metrics_say_what_format_they_are_in() {
    let world = World::hmac().await;
    let url = format!("http://{}/metrics", world.daemon.authority());
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let response = http.get(url).send().await.unwrap();
    let format = response.headers()["content-type"].to_str().unwrap();
    assert_eq!(format, "text/plain; version=0.0.4; charset=utf-8");
}

#[tokio::test]
async fn every_number_is_what_happened_and_nothing_else_is_counted() {
    let world = World::hmac().await;
    world.fake.add_member("group-1", "ada@example.com");
    let slow = FaultKind::Delay { milliseconds: 300 };
    world.fake.inject(Fault::next(slow).for_operation(Operation::RemoveGroupMember));
    let began = chrono::Utc::now();
    let then = began - chrono::TimeDelta::seconds(100);
    let event = |id: &str, kind: &str, data: Value| {
        json!({"specversion": "1.0", "id": id, "source": "/", "type": kind,
               "time": then.to_rfc3339(), "data": data})
        .to_string()
    };
    let ada = json!({"emailAddress": "ada@example.com", "groupIds": ["group-1"]});
    world.publish("user.offboarded", &event("applied", "user.offboarded", ada)).await;
    world.fake.wait_for_calls(1, DEADLINE).await;
    let in_flight = r#"eventd_messages_in_flight{event="user.offboarded"}"#;
    assert_eq!(world.daemon.metric(in_flight).await, 1.0);
    world.daemon.settled(1).await;
    let nobody = json!({"emailAddress": "nobody@nowhere", "groupIds": ["group-1"]});
    world.publish("user.offboarded", &event("refused", "user.offboarded", nobody)).await;
    world.daemon.settled(2).await;
    world.publish("url.unblock", "nonsense").await;
    world.daemon.settled(3).await;
    world.publish("url.unblock", &event("hired", "user.hired", json!({}))).await;
    world.daemon.settled(4).await;

    let (_, text) = world.daemon.get("/metrics").await;
    let found = shown(&text);
    let counted = [
        (r#"messages_received_total{event="user.offboarded"}"#, 2.0),
        (r#"messages_received_total{event="url.unblock"}"#, 2.0),
        (r#"messages_settled_total{disposition="ack",event="user.offboarded"}"#, 1.0),
        (r#"messages_settled_total{disposition="dead_letter",event="user.offboarded"}"#, 1.0),
        (r#"messages_settled_total{disposition="dead_letter",event="url.unblock"}"#, 2.0),
        (r#"messages_dead_lettered_total{event="user.offboarded",reason="rejected"}"#, 1.0),
        (r#"messages_dead_lettered_total{event="url.unblock",reason="malformed"}"#, 1.0),
        (r#"messages_dead_lettered_total{event="url.unblock",reason="unsupported"}"#, 1.0),
        (r#"message_processing_seconds_count{disposition="ack",event="user.offboarded"}"#, 1.0),
        (
            r#"message_processing_seconds_count{disposition="dead_letter",event="user.offboarded"}"#,
            1.0,
        ),
        (r#"message_processing_seconds_count{disposition="dead_letter",event="url.unblock"}"#, 2.0),
        (r#"event_to_effect_seconds_count{event="user.offboarded"}"#, 1.0),
        (r#"commands_total{operation="remove_group_member",result="applied"}"#, 1.0),
        (r#"commands_total{operation="remove_group_member",result="rejected"}"#, 1.0),
        (r#"api_requests_total{operation="remove_group_member",outcome="applied"}"#, 1.0),
        (r#"api_requests_total{operation="remove_group_member",outcome="rejected"}"#, 1.0),
        (r#"api_request_seconds_count{operation="remove_group_member",outcome="applied"}"#, 1.0),
        (r#"api_request_seconds_count{operation="remove_group_member",outcome="rejected"}"#, 1.0),
        (r#"lane_state{event="user.offboarded",state="consuming"}"#, 1.0),
        (r#"lane_state{event="url.unblock",state="consuming"}"#, 1.0),
        (r#"amqp_connected{event="user.offboarded"}"#, 1.0),
        (r#"amqp_connected{event="url.unblock"}"#, 1.0),
        (r#"amqp_connections_total{event="user.offboarded"}"#, 1.0),
        (r#"amqp_connections_total{event="url.unblock"}"#, 1.0),
        ("settings_last_reload_successful", 1.0),
    ];
    let expected: BTreeMap<String, f64> =
        counted.map(|(series, value)| (format!("eventd_{series}"), value)).into();
    // Times and what is left of the quota are no counts.
    let times = ["_seconds_sum", "build_info", "quota_remaining", "last_success_timestamp"];
    let counts: BTreeMap<String, f64> = found
        .iter()
        .filter(|(name, value)| **value != 0.0 && !times.iter().any(|time| name.contains(time)))
        .map(|(name, value)| (name.clone(), *value))
        .collect();
    assert_eq!(counts, expected);

    let of = |series: &str| found[&format!("eventd_{series}")];
    let now = chrono::Utc::now();
    let lag = of(r#"event_to_effect_seconds_sum{event="user.offboarded"}"#);
    let at_most = (now - then).as_seconds_f64();
    assert!((100.3..=at_most).contains(&lag), "the effect came after {lag} s");
    let worked = of(r#"message_processing_seconds_sum{disposition="ack",event="user.offboarded"}"#);
    assert!((0.3..30.0).contains(&worked), "it was in work for {worked} s");
    let asked = of(r#"api_request_seconds_sum{operation="remove_group_member",outcome="applied"}"#);
    assert!((0.3..=worked).contains(&asked), "the request took {asked} s");
    let last = of(r#"last_success_timestamp_seconds{event="user.offboarded"}"#);
    let seconds = |at: chrono::DateTime<chrono::Utc>| at.timestamp_micros() as f64 / 1e6;
    assert!((seconds(began)..=seconds(now)).contains(&last), "{last}");
    assert_eq!(of(r#"last_success_timestamp_seconds{event="url.unblock"}"#), 0.0);
    let left = of(r#"api_quota_remaining{operation="remove_group_member"}"#);
    assert_eq!(left, 798.0, "800 in a window as recorded, of which two are used");
}

#[tokio::test]
async fn a_settled_message_has_one_line_that_says_all_about_it() {
    let world = World::hmac().await;
    world.fake.add_member("group-1", "ada@example.com");
    world.offboard("e-1", "Ada@example.com", &["group-1"]).await;
    let applied = world.daemon.settled(1).await.remove(0);
    let fault = FaultKind::Fail { code: "err_new".into(), message: "no such thing".into() };
    world.fake.inject(Fault::always(fault).for_item_containing("entry-1"));
    world.unblock("e-2", "entry-1").await;
    let refused = world.daemon.settled(2).await.remove(1);
    world.vhost.take(DEAD_LETTERS).await;

    let calls = world.fake.calls();
    let of = |line: &Value, names: &[&str]| -> Vec<Value> {
        names.iter().map(|name| line[*name].clone()).collect()
    };
    let keys = |line: &Value| -> Vec<String> {
        let keys = line.as_object().unwrap().keys().cloned();
        keys.filter(|key| key != "timestamp" && key != "duration_ms").collect()
    };
    let names = ["attempts", "disposition", "event", "event_id", "level", "message"];
    let searched = run(&world.variables, &["pseudonym", "Ada@Example.com"]).await;
    let pseudonym = searched.out.trim().to_owned();
    assert!(pseudonym.starts_with("who:"), "{searched:?}");
    assert_eq!(keys(&applied), [&names[..], &["request_id", "result", "subject"]].concat());
    assert_eq!(
        of(&applied, &["event", "event_id", "subject", "disposition", "attempts", "request_id"]),
        [
            json!("user.offboarded"),
            json!("e-1"),
            json!(pseudonym),
            json!("ack"),
            json!(1),
            json!(calls[0].request_id)
        ]
    );
    assert_eq!(applied["level"], "INFO");
    assert_eq!(
        keys(&refused),
        [
            "attempts",
            "code",
            "detail",
            "disposition",
            "event",
            "event_id",
            "level",
            "message",
            "reason",
            "request_id"
        ]
    );
    assert_eq!(
        of(&refused, &["event", "event_id", "disposition", "reason", "code", "detail", "attempts"]),
        [
            json!("url.unblock"),
            json!("e-2"),
            json!("dead_letter"),
            json!("rejected"),
            json!("err_new"),
            json!("no such thing"),
            json!(3)
        ]
    );
    assert_eq!(refused["request_id"], json!(calls.last().unwrap().request_id));
    assert_eq!(refused["level"], "WARN");
    assert!(applied["duration_ms"].is_u64() && refused["duration_ms"].is_u64());
}

#[tokio::test]
async fn an_id_is_cut_short_and_a_domain_is_named_in_full() {
    let world = World::with(&[("EVENTS__USER_OFFBOARDED__DEFAULT_GROUPS", r#"["group-1"]"#)]).await;
    world.fake.add_group("group-1");
    let event = json!({"specversion": "1.0", "id": "e".repeat(5_000), "source": "/",
        "type": "user.offboarded", "data": {"domain": "example.org"}});
    world.publish("user.offboarded", &event.to_string()).await;
    let settled = world.daemon.settled(1).await;
    assert_eq!(
        (&settled[0]["subject"], &settled[0]["disposition"]),
        (&json!("example.org"), &json!("ack"))
    );
    assert_eq!(settled[0]["event_id"], "e".repeat(128));
}

#[tokio::test]
async fn a_detail_is_one_short_line_however_much_the_vendor_says() {
    let world = World::hmac().await;
    let message = format!("line one\nline two ada@example.com {}", "x".repeat(7_000));
    let kind = FaultKind::Fail { code: "c".repeat(5_000), message };
    world.fake.inject(Fault::always(kind).for_item_containing("entry-1"));
    world.unblock("e-1", "entry-1").await;
    let found = world.vhost.take(DEAD_LETTERS).await;
    let detail = found.header("x-eventd-detail");
    assert!(detail.starts_with("line one line two [address]"), "{detail}");
    assert_eq!((detail.len(), found.header("x-eventd-code").len()), (1024, 128));
    let lines = world.daemon.lines();
    assert!(lines.iter().all(|line| line.len() < 2048), "{lines:?}");
}
