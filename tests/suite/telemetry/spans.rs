//! Spans, as a collector gets them.

use crate::support::program::run;
use crate::support::settings::named;
use crate::support::world::World;

#[cfg(not(feature = "otel"))]
#[tokio::test]
async fn a_build_that_cannot_send_spans_says_so() {
    let mut world = World::hmac().await;
    world.variables.extend([named("TRACES__ENDPOINT", "http://127.0.0.1:4318")]);
    let refused = run(&world.variables, &["check", "--offline"]).await;
    assert_eq!(refused.code, Some(64), "{refused:?}");
    assert!(
        refused.err.contains("traces.endpoint") && refused.err.contains("the cargo feature otel")
    );
}

#[cfg(feature = "otel")]
mod sent {
    use super::*;
    use crate::support::broker::DEAD_LETTERS;
    use axum::Router;
    use axum::extract::State;
    use axum::routing::post;
    use fake_mimecast::{Fault, FaultKind, Operation};
    use lapin::BasicProperties;
    use lapin::types::{AMQPValue, FieldTable};
    use serde_json::{Value, json};
    use std::sync::{Arc, Mutex};
    use tokio::net::TcpListener;

    const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
    const PARENT: &str = "b7ad6b7169203331";
    const ACKED: &str =
        r#"eventd_messages_settled_total{disposition="ack",event="user.offboarded"}"#;

    /// What a collector got.
    type Got = Arc<Mutex<Vec<Value>>>;

    /// A collector, and its address.
    async fn collector() -> (Got, String) {
        let got = Got::default();
        let take = async |State(got): State<Got>, body: String| {
            got.lock().unwrap().push(serde_json::from_str(&body).unwrap());
            "{}"
        };
        let router = Router::new().route("/v1/traces", post(take)).with_state(Arc::clone(&got));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async { axum::serve(listener, router).await });
        (got, address)
    }

    /// Every span, with its attributes as an object.
    fn spans(got: &Got) -> Vec<Value> {
        let list = |value: &Value, name: &str| value[name].as_array().cloned().unwrap_or_default();
        let mut spans = Vec::new();
        for resource in got.lock().unwrap().iter().flat_map(|it| list(it, "resourceSpans")) {
            let service = list(&resource["resource"], "attributes");
            assert!(
                service.iter().any(|it| it["value"]["stringValue"] == "mimecast-eventd"),
                "{service:?}"
            );
            for mut span in list(&resource, "scopeSpans").iter().flat_map(|it| list(it, "spans")) {
                let attributes = list(&span, "attributes").into_iter().map(|it| {
                    let value = it["value"].as_object().unwrap().values().next().unwrap().clone();
                    (it["key"].as_str().unwrap().to_owned(), value)
                });
                span["attributes"] = Value::Object(attributes.collect());
                spans.push(span);
            }
        }
        spans
    }

    fn named_so<'a>(spans: &'a [Value], name: &str) -> Vec<&'a Value> {
        let mut found: Vec<_> = spans.iter().filter(|it| it["name"] == name).collect();
        found.sort_by_key(|it| it["startTimeUnixNano"].as_str().unwrap().to_owned());
        found
    }

    #[tokio::test]
    async fn a_collector_gets_what_was_done_in_the_trace_that_the_message_belongs_to() {
        let (got, address) = collector().await;
        let mut world = World::with(&[("TRACES__ENDPOINT", &address)]).await;
        world.fake.add_member("group-1", "ada@example.com");
        world.fake.inject(
            Fault::next(FaultKind::status(503)).for_operation(Operation::RemoveGroupMember),
        );
        let mut headers = FieldTable::default();
        let parent = format!("00-{TRACE}-{PARENT}-01");
        headers.insert("traceparent".into(), AMQPValue::LongString(parent.into()));
        let properties =
            BasicProperties::default().with_message_id("m-1".into()).with_headers(headers);
        let body = json!({"emailAddress": "ada@example.com", "groupIds": ["group-1"]}).to_string();
        world.vhost.publish("user.offboarded", body.as_bytes(), properties).await;
        world.daemon.wait_for_metric(ACKED, 1.0).await;
        world.vhost.publish("user.offboarded", b"not JSON", BasicProperties::default()).await;
        world.vhost.wait_for_depth(DEAD_LETTERS, 1).await;
        world.daemon.settled(2).await;
        world.daemon.signal("TERM");
        assert_eq!(world.daemon.ended().await, Some(0));
        let spans = spans(&got);
        let place = "events:user.offboarded:mimecast-eventd.user.offboarded";
        let [process, refused] = named_so(&spans, &format!("process {place}"))[..] else {
            panic!("{spans:?}")
        };
        assert_eq!(
            (&process["traceId"], &process["parentSpanId"]),
            (&json!(TRACE), &json!(PARENT))
        );
        assert_eq!(process["kind"], 5, "a consumer");
        for (name, expected) in [
            ("messaging.system", "rabbitmq"),
            ("messaging.operation.name", "process"),
            ("messaging.operation.type", "process"),
            ("messaging.destination.name", place),
            ("messaging.message.id", "m-1"),
        ] {
            assert_eq!(process["attributes"][name], expected, "{process}");
        }
        let ours = |name: &str| {
            let all = named_so(&spans, name).into_iter();
            all.filter(|it| it["parentSpanId"] == process["spanId"]).collect::<Vec<_>>()
        };
        let [first, second] = ours("POST /api/directory/remove-group-member")[..] else {
            panic!("{spans:?}")
        };
        for attempt in [first, second] {
            assert_eq!(
                (&attempt["traceId"], &attempt["kind"]),
                (&json!(TRACE), &json!(3)),
                "{attempt}"
            );
            assert_eq!(attempt["attributes"]["http.request.method"], "POST");
        }
        let told = |span: &Value, name: &str| {
            span["attributes"][name]
                .as_str()
                .map(str::to_owned)
                .or_else(|| span["attributes"][name].as_i64().map(|it| it.to_string()))
        };
        assert_eq!(told(first, "http.response.status_code").as_deref(), Some("503"));
        assert_eq!(
            (told(first, "error.type").as_deref(), &first["status"]["code"]),
            (Some("http_503"), &json!(2))
        );
        assert_eq!(told(first, "http.request.resend_count"), None);
        assert_eq!(told(second, "http.response.status_code").as_deref(), Some("200"));
        assert_eq!(told(second, "http.request.resend_count").as_deref(), Some("1"));
        let [settle] = ours(&format!("ack {place}"))[..] else { panic!("{spans:?}") };
        assert_eq!(told(settle, "messaging.operation.type").as_deref(), Some("settle"));
        assert_eq!(ours(&format!("receive {place}")).len(), 1);
        // One that came without a trace begins one, and went wrong.
        assert_ne!(refused["traceId"], TRACE);
        assert_eq!(
            (told(refused, "error.type").as_deref(), &refused["status"]["code"]),
            (Some("malformed"), &json!(2))
        );
        // Nothing of people, and no secret.
        let all = Value::Array(got.lock().unwrap().clone()).to_string();
        assert!(!all.contains("ada@") && !all.contains("canary"), "{all}");
    }

    #[tokio::test]
    async fn a_collector_that_is_away_or_hangs_holds_nothing_up() {
        // It takes connections and says nothing.
        let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let silent_at = format!("http://{}", silent.local_addr().unwrap());
        for address in ["http://127.0.0.1:1", &silent_at] {
            let mut world = World::with(&[("TRACES__ENDPOINT", address)]).await;
            for number in 0..20 {
                let member = format!("user-{number}@example.com");
                world.fake.add_member("group-1", &member);
                world.offboard(&format!("e-{number}"), &member, &["group-1"]).await;
            }
            world.daemon.wait_for_metric(ACKED, 20.0).await;
            world.vhost.wait_for_depth(DEAD_LETTERS, 0).await;
            world.daemon.signal("TERM");
            assert_eq!(world.daemon.ended().await, Some(0));
        }
        let mut world = World::hmac().await;
        for wrong in ["localhost:4318", "ftp://127.0.0.1", "http://canary:secret@127.0.0.1:4318"] {
            world.variables.extend([named("TRACES__ENDPOINT", wrong)]);
            let refused = run(&world.variables, &["check", "--offline"]).await;
            assert_eq!(refused.code, Some(64), "{refused:?}");
            assert!(!refused.err.contains("canary"), "{refused:?}");
        }
    }
}
