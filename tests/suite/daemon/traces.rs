//! The trace that a message belongs to, through the log, copies, dead letters and people's hands.

use crate::support::broker::DEAD_LETTERS;
use crate::support::program::{run, run_with};
use crate::support::world::World;
use fake_mimecast::{Fault, FaultKind};
use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable};
use serde_json::{Value, json};

/// Headers of text.
fn headers(pairs: &[(&str, &str)]) -> BasicProperties {
    let mut headers = FieldTable::default();
    for (name, value) in pairs {
        headers.insert((*name).into(), AMQPValue::LongString((*value).into()));
    }
    BasicProperties::default().with_headers(headers)
}

fn traceparent(trace: &str) -> String {
    format!("00-{trace}-7169203331000001-01")
}

/// The trace of each message in the log, by its event id.
fn traces(settled: &[Value]) -> Vec<(String, Value)> {
    let id = |line: &Value| line["event_id"].as_str().unwrap_or("-").to_owned();
    let mut traces: Vec<_> =
        settled.iter().map(|line| (id(line), line["trace_id"].clone())).collect();
    traces.sort_by(|one, other| one.0.cmp(&other.0));
    traces
}

#[tokio::test]
async fn the_log_has_the_trace_of_whoever_published_or_else_of_the_event() {
    let world = World::hmac().await;
    let (published, began) = ("a".repeat(32), "b".repeat(32));
    let structured = |id: &str, extension: &Value| {
        world.fake.add_url(id);
        json!({
            "specversion": "1.0", "id": id, "source": "/soc", "type": "url.unblock",
            "traceparent": extension, "data": {"id": id},
        })
        .to_string()
    };
    let publish = async |body: &str, properties| {
        world.vhost.publish("url.unblock", body.as_bytes(), properties).await;
    };
    let (by_header, by_event) = (traceparent(&published), json!(traceparent(&began)));
    publish(&structured("1-both", &by_event), headers(&[("traceparent", &by_header)])).await;
    publish(&structured("2-event", &by_event), headers(&[])).await;
    // What is no trace harms nothing, whatever it is.
    publish(&structured("3-neither", &json!({"a": 1})), headers(&[("traceparent", "00-\n-x")]))
        .await;
    publish(&structured("4-event", &by_event), headers(&[("traceparent", &"9".repeat(3000))]))
        .await;
    let mut table = FieldTable::default();
    table.insert("traceparent".into(), AMQPValue::FieldTable(FieldTable::default()));
    publish(&structured("5-event", &by_event), BasicProperties::default().with_headers(table))
        .await;
    world.fake.add_url("6-binary");
    let binary = [
        ("ce-specversion", "1.0"),
        ("ce-id", "6-binary"),
        ("ce-source", "/soc"),
        ("ce-type", "url.unblock"),
        ("ce-traceparent", &traceparent(&began)),
    ];
    publish(r#"{"id":"6-binary"}"#, headers(&binary)).await;

    let settled = world.daemon.settled(6).await;
    assert!(settled.iter().all(|line| line["disposition"] == "ack"), "{settled:?}");
    let (published, began) = (json!(published), json!(began));
    let expected = [
        ("1-both", published),
        ("2-event", began.clone()),
        ("3-neither", Value::Null),
        ("4-event", began.clone()),
        ("5-event", began.clone()),
        ("6-binary", began),
    ];
    assert_eq!(traces(&settled), expected.map(|(id, trace)| (id.to_owned(), trace)));
}

#[tokio::test]
async fn a_trace_goes_on_in_copies_and_dead_letters_and_in_what_people_send_again() {
    let world = World::hmac().await;
    let trace = "c".repeat(32);
    let properties = || {
        headers(&[("traceparent", &traceparent(&trace)), ("tracestate", "vendor=1")])
            .with_message_id("m-1".into())
    };
    // No event at all has a trace, too.
    world.vhost.publish("url.unblock", b"{", properties()).await;
    let settled = world.daemon.settled(1).await;
    let told = (&settled[0]["disposition"], &settled[0]["trace_id"]);
    assert_eq!(told, (&json!("dead_letter"), &json!(trace)));
    let letter = world.vhost.take(DEAD_LETTERS).await;
    assert_eq!(letter.header("traceparent"), traceparent(&trace));
    assert_eq!(letter.header("tracestate"), "vendor=1");

    // Those that stand behind the suspect of an outage go round as copies.
    world.fake.inject(Fault::always(FaultKind::status(503)));
    for number in 1..=3 {
        let entry = format!("entry-{number}");
        world.fake.add_url(&entry);
        let body = json!({"id": entry}).to_string();
        world.vhost.publish("url.unblock", body.as_bytes(), properties()).await;
    }
    let parked = r#"eventd_messages_settled_total{disposition="requeue",event="url.unblock"}"#;
    world.daemon.wait_for_at_least(parked, 2.0).await;
    world.fake.heal();
    let acked = r#"eventd_messages_settled_total{disposition="ack",event="url.unblock"}"#;
    world.daemon.wait_for_metric(acked, 3.0).await;
    let settled = world.daemon.logged("settled");
    assert!(settled.iter().all(|line| line["trace_id"] == json!(trace)), "{settled:?}");

    world.fake.inject(Fault::next(FaultKind::fail("err_validation_null")));
    world.fake.add_url("entry-4");
    world.vhost.publish("url.unblock", br#"{"id":"entry-4"}"#, properties()).await;
    world.vhost.wait_for_depth(DEAD_LETTERS, 1).await;
    let exported = run(&world.variables, &["dlq", "export"]).await;
    assert_eq!(exported.objects()[0]["message"]["traceparent"], traceparent(&trace));
    let before = world.daemon.logged("settled").len();
    let sent = run_with(&world.variables, &["send"], exported.out.as_bytes()).await;
    assert_eq!(sent.code, Some(0), "{sent:?}");
    let replayed = run(&world.variables, &["dlq", "replay"]).await;
    assert_eq!(replayed.code, Some(0), "{replayed:?}");
    let settled = world.daemon.settled(before + 2).await;
    for line in &settled[before..] {
        assert_eq!((&line["disposition"], &line["trace_id"]), (&json!("ack"), &json!(trace)));
    }
}
