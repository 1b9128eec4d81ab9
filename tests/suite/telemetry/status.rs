//! Whether it is working right now: the page, its JSON, and the command.

use crate::support::broker::DEAD_LETTERS;
use crate::support::program::run;
use crate::support::settings::{Variables, named};
use crate::support::world::World;
use fake_mimecast::{Fault, FaultKind};
use lapin::BasicProperties;
use mimecast_eventd::event::EventType;
use mimecast_eventd::telemetry::audit::{AuditShown, Head};
use mimecast_eventd::telemetry::{Board, Metrics, Readiness, Settled, Status};
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

fn lane<'a>(status: &'a Value, event: &str) -> &'a Value {
    status["lanes"].as_array().unwrap().iter().find(|lane| lane["event"] == event).unwrap()
}

#[tokio::test]
async fn what_is_told_agrees_with_the_metrics() {
    let world = World::with(&[("TIMINGS", "queue_depths=500ms")]).await;
    world.fake.add_member("staff", "ada@example.com");
    for number in 0..3 {
        world.offboard(&format!("e-{number}"), "ada@example.com", &["staff"]).await;
    }
    world.vhost.publish("url.unblock", b"nonsense", BasicProperties::default()).await;
    world.daemon.settled(4).await;
    world
        .daemon
        .wait_for_metric(r#"eventd_queue_messages{queue="mimecast-eventd.dead-letter"}"#, 1.0)
        .await;
    let status = world.daemon.status().await;
    assert_eq!((&status["ready"], &status["settings_current"]), (&json!(true), &json!(true)));
    assert_eq!(status["version"], env!("CARGO_PKG_VERSION"));
    let left = lane(&status, "user.offboarded");
    assert_eq!((&left["state"], &left["in_flight"]), (&json!("consuming"), &json!(0)));
    assert_eq!(left["settled"], json!([{"of": "ack", "count": 3}]));
    let hour = left["throughput"].as_array().unwrap();
    assert_eq!((hour.len(), hour.iter().filter_map(Value::as_u64).sum::<u64>()), (60, 3));
    let (half, most) = (&left["event_to_effect_p50_seconds"], &left["event_to_effect_p95_seconds"]);
    assert!(half.as_f64().unwrap() > 0.0 && most.as_f64() >= half.as_f64(), "{left}");
    let success = r#"eventd_last_success_timestamp_seconds{event="user.offboarded"}"#;
    let told =
        chrono::DateTime::parse_from_rfc3339(left["last_success"].as_str().unwrap()).unwrap();
    assert!(
        (told.timestamp_micros() as f64 / 1e6 - world.daemon.metric(success).await).abs() < 0.001
    );
    assert_eq!(status["dead_letters"], json!([{"of": "url.unblock malformed", "count": 1}]));
    let queues = status["queues"].as_array().unwrap();
    let dead = queues.iter().find(|queue| queue["purpose"] == "dead_letter").unwrap();
    assert_eq!((&dead["queue"], &dead["messages"]), (&json!(DEAD_LETTERS), &json!(1)));
    for count in status["outcomes"].as_array().unwrap() {
        let (operation, outcome) = count["of"].as_str().unwrap().split_once(' ').unwrap();
        let series =
            format!("eventd_api_requests_total{{operation=\"{operation}\",outcome=\"{outcome}\"}}");
        assert_eq!(count["count"].as_f64().unwrap(), world.daemon.metric(&series).await);
    }
    // The last ones, the newest first, as the log has them.
    let recent = status["recent"].as_array().unwrap();
    let logged = world.daemon.settled(4).await;
    let find = |id: &str| recent.iter().find(|it| it["event_id"] == id).unwrap();
    for line in logged.iter().filter(|line| line["event"] == "user.offboarded") {
        let shown = find(line["event_id"].as_str().unwrap());
        for field in ["event", "subject", "disposition", "attempts", "duration_ms"] {
            assert_eq!(shown[field], line[field], "{field}");
        }
    }
    let malformed = recent.iter().find(|it| it["event"] == "url.unblock").unwrap();
    assert_eq!(
        (&malformed["reason"], &malformed["code"]),
        (&json!("malformed"), &json!("malformed"))
    );
    assert!(!status.to_string().contains("ada@"));
}

#[tokio::test]
async fn a_hostile_id_and_a_hostile_vendor_are_text_and_nothing_else_is_allowed() {
    let world = World::hmac().await;
    let hostile = r#"<script>alert("x")</script><img src=x onerror=alert(1)>'&"#;
    world.unblock(hostile, "entry-1").await;
    world.daemon.settled(1).await;
    let message = format!("{hostile} </main>");
    world.fake.inject(Fault::always(FaultKind::Fail {
        code: "err_xdk_invalid_signature".into(),
        message,
    }));
    world.unblock("e-2", "entry-2").await;
    world
        .daemon
        .wait_for_metric(r#"eventd_lane_state{event="url.unblock",state="paused"}"#, 1.0)
        .await;
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let get =
        async || http.get(format!("http://{}/", world.daemon.authority())).send().await.unwrap();
    let answer = get().await;
    let header = |name: &str| answer.headers()[name].to_str().unwrap().to_owned();
    assert_eq!(header("content-type"), "text/html; charset=utf-8");
    assert_eq!(header("cache-control"), "no-store");
    let policy = header("content-security-policy");
    assert!(policy.starts_with("default-src 'none'; ") && !policy.contains("unsafe"), "{policy}");
    let page = answer.text().await.unwrap();
    assert!(!page.contains("<img") && !page.contains("alert(\"x\")</script>"), "{page}");
    assert!(page.contains("&lt;script&gt;alert(&quot;x&quot;)&lt;/script&gt;"), "{page}");
    // One script and one style, both with the nonce of this answer, and nothing from anywhere else.
    let nonce = policy.split("'nonce-").nth(1).unwrap().split('\'').next().unwrap().to_owned();
    assert_eq!(page.matches("<script").count(), 1);
    assert_eq!(page.matches(&format!("nonce=\"{nonce}\"")).count(), 2);
    assert!(
        !page.contains("http://") && !page.contains("https://") && !page.contains(" style="),
        "{page}"
    );
    assert!(!get().await.text().await.unwrap().contains(&nonce), "each answer has its own");
    assert!(
        page.contains("url.unblock: paused") && page.contains("err_xdk_invalid_signature"),
        "{page}"
    );
}

#[tokio::test]
async fn the_command_shows_it_on_a_terminal_and_its_code_says_whether_it_is_ready() {
    let world = World::hmac().await;
    world.offboard("e-1", "ada@example.com", &["staff"]).await;
    world.daemon.settled(1).await;
    let mut variables = world.variables.clone();
    variables.extend([named("ADMIN__LISTEN", &world.daemon.authority())]);
    let shown = run(&variables, &["status"]).await;
    assert_eq!(shown.code, Some(0), "{shown:?}");
    assert!(shown.lines()[0].ends_with(": ready"), "{shown:?}");
    let lane = shown.lines().into_iter().find(|line| line.starts_with("user.offboarded ")).unwrap();
    assert!(lane.contains("consuming  0        1 "), "{lane}");
    let requests =
        shown.lines().into_iter().find(|line| line.starts_with("remove_group_member ")).unwrap();
    assert!(requests.ends_with("  1"), "{requests}");
    let told = run(&variables, &["status", "--json"]).await;
    assert_eq!(told.objects()[0]["ready"], true);
    run(&variables, &["pause", "url.unblock", "--why", "it is moved"]).await;
    world
        .daemon
        .wait_for_metric(r#"eventd_lane_state{event="url.unblock",state="paused"}"#, 1.0)
        .await;
    let paused = run(&variables, &["status"]).await;
    assert_eq!(paused.code, Some(2), "{paused:?}");
    assert!(
        paused.out.contains("not ready") && paused.out.contains("by hand: it is moved"),
        "{paused:?}"
    );
    assert_eq!(run(&variables, &["status", "--json"]).await.code, Some(2));
    drop(world.daemon);
    assert_eq!(run(&variables, &["status"]).await.code, Some(1));
}

#[tokio::test]
async fn the_command_reads_the_longest_status_and_shows_that_nothing_can_be_written_down() {
    let (metrics, board) = (Arc::new(Metrics::new("test")), Board::new());
    for _ in 0..50 {
        let message = Settled {
            event: "url.unblock",
            event_id: Some("e".repeat(128)),
            subject: Some("s".repeat(64)),
            disposition: "dead_letter",
            reason: Some("rejected"),
            code: Some("c".repeat(64)),
            result: None,
            attempts: 1,
            duration_ms: 5,
        };
        board.settled(EventType::UrlUnblock, message, None);
    }
    let head = Head { chain: "1".into(), lines: 7, seal: "0".into() };
    let failure = Some("audit.path: No space left on device".into());
    let audit = Some(AuditShown { head, failure, owed: 0 });
    let readiness = Readiness::new(EventType::ALL, Arc::clone(&metrics));
    let status = Status::of(&metrics, &readiness, &board, audit, chrono::Utc::now());
    let answer = format!("HTTP/1.1 200 OK\r\n\r\n{}\n", status.json());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let admin = named("ADMIN__LISTEN", &listener.local_addr().unwrap().to_string());
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(answer.as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        // What was asked is read, or the answer would be lost with it. Whoever asked may have enough before.
        let _ended = stream.read_to_end(&mut Vec::new()).await;
    });
    let shown = run(&Variables::from([admin]), &["status"]).await;
    assert_eq!(shown.code, Some(2), "{shown:?}");
    let said =
        "nothing is done, since it cannot be written down: audit.path: No space left on device";
    assert!(shown.lines().contains(&said), "{shown:?}");
}
