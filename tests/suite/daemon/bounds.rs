//! Whoever answers in Mimecast's place cannot make the daemon grow: what it has in memory at most is measured in the
//! real program, and good messages beside it are applied.

use crate::support::broker::{DEAD_LETTERS, Vhost};
use crate::support::daemon::Daemon;
use crate::support::eventually;
use crate::support::malicious_api::MaliciousApi;
use crate::support::program::most_memory;
use crate::support::settings::{self, named};
use crate::support::world::World;
use fake_mimecast::{Credentials, FakeMimecast};
use lapin::BasicProperties;
use serde_json::json;

/// What the daemon has in memory at most, in KiB, whatever it is answered.
const MOST_MEMORY: usize = 64 << 10;

const ACKED: &str = r#"eventd_messages_settled_total{disposition="ack",event="url.unblock"}"#;
const REQUESTS: &str =
    r#"eventd_api_requests_total{operation="delete_managed_url",outcome="unavailable"}"#;

/// A daemon whose API is `api`.
async fn daemon_at(api: &MaliciousApi) -> (Vhost, Daemon) {
    let (vhost, fake) = (Vhost::new().await, FakeMimecast::start(Credentials::default()).await);
    let mut variables = settings::hmac(&fake);
    variables.extend([
        named("AMQP__URL", &vhost.url),
        named("MIMECAST__BASE_URL", &api.url),
        named("RETRY__ATTEMPTS", "2"),
        named("EVENTS__URL_UNBLOCK__PREFETCH", "64"),
        named("RETRY__LADDER", r#"["100ms"]"#),
        named("BREAKER__INITIAL_PROBE_DELAY", "100ms"),
        named("BREAKER__MAX_PROBE_DELAY", "100ms"),
    ]);
    let daemon = Daemon::start(&variables).await;
    daemon.wait_until_ready().await;
    (vhost, daemon)
}

async fn unblock(vhost: &Vhost, data: &serde_json::Value) {
    let body = data.to_string().into_bytes();
    vhost.publish("url.unblock", &body, BasicProperties::default()).await;
}

fn expect_small(daemon: &Daemon) {
    let peak = most_memory(daemon.process()).expect("the daemon runs");
    assert!(peak < MOST_MEMORY, "{} MiB", peak >> 10);
}

/// Bodies of up to a mebibyte that would be largest as a tree, or are long in some other way.
fn large_bodies() -> Vec<String> {
    let size = (1 << 20) - 64;
    let fill = |begin: &str, piece: &str, end: &str| {
        let pieces = (size - begin.len() - end.len()) / piece.len();
        begin.to_owned() + &piece.repeat(pieces) + end
    };
    vec![
        fill(r#"{"fail":[{"":0}"#, r#",{"":0}"#, "]}"),
        fill(r#"{"meta":[0"#, ",0", "]}"),
        fill(r#"{"fail":[[]"#, ",[]", "]}"),
        fill(r#"{"fail":[{"errors":[{"code":""#, "x", r#""}]}]}"#),
        fill(r#"{"fail":[{"errors":[{"code":"err_x","message":""#, "\\u0000", r#""}]}]}"#),
        fill(r#"{"meta":{"status":200},"#, r#""a":{"b":{}},"#, r#""fail":[]}"#),
        fill("", "[", ""),
        fill(r#"{"fail":1"#, "0", "}"),
    ]
}

#[tokio::test]
async fn no_reply_makes_the_daemon_grow_and_good_messages_are_applied_beside_it() {
    let bodies: Vec<Vec<u8>> = large_bodies().iter().map(|it| MaliciousApi::json(it)).collect();
    let api = MaliciousApi::start(move |_, body, number| {
        match body.contains("good") || body.contains("health") {
            true => MaliciousApi::success(),
            false => bodies[number % bodies.len()].clone(),
        }
    })
    .await;
    let (vhost, daemon) = daemon_at(&api).await;
    for number in 0..64 {
        unblock(&vhost, &json!({"id": format!("bad-{number}")})).await;
        unblock(&vhost, &json!({"id": format!("good-{number}")})).await;
    }
    daemon.wait_for_metric(ACKED, 64.0).await;
    daemon.wait_for_at_least(REQUESTS, 64.0).await;
    expect_small(&daemon);
}

/// The pages of lists that have no end, or whose tokens or ids are too long.
fn page(kind: usize, number: usize) -> Vec<u8> {
    let long = "x".repeat(900_000);
    let entry = |id: String| {
        let url = "https://bad.example/";
        json!({"id": id, "action": "block", "matchType": "explicit", "url": url})
    };
    let many = |zeros: usize| (0..500).map(|it| entry(format!("{number}-{it:0zeros$}"))).collect();
    let (next, entries): (String, Vec<_>) = match kind {
        0 => (number.to_string(), many(1)),
        1 => (number.to_string(), many(900)),
        2 => (format!("{long}{number}"), Vec::new()),
        _ => (number.to_string(), vec![entry(format!("{long}{number}"))]),
    };
    let meta = json!({"status": 200, "pagination": {"pageSize": 500, "next": next}});
    MaliciousApi::json(&json!({"meta": meta, "data": entries, "fail": []}).to_string())
}

#[tokio::test]
async fn no_list_makes_the_daemon_grow_and_good_messages_are_applied_beside_it() {
    for kind in 0..4 {
        let api = MaliciousApi::start(move |path, _, number| match path.contains("get-all") {
            true => page(kind, number),
            false => MaliciousApi::success(),
        })
        .await;
        let (vhost, daemon) = daemon_at(&api).await;
        for number in 0..16 {
            unblock(&vhost, &json!({"url": "https://bad.example/"})).await;
            unblock(&vhost, &json!({"id": format!("good-{number}")})).await;
        }
        daemon.wait_for_at_least(ACKED, 16.0).await;
        match kind {
            0 | 1 => {
                eventually("pages are read", async || (api.requests() > 300).then_some(())).await;
            }
            _ => vhost.wait_for_depth(DEAD_LETTERS, 16).await,
        }
        expect_small(&daemon);
    }
}

#[tokio::test]
async fn a_page_that_more_than_a_thousand_entries_block_is_rejected_and_none_of_them_is_deleted() {
    let world = World::with(&[]).await;
    let url = |number: usize| format!("https://example.com/{number}");
    for (page, count) in [(1, 1000), (2, 1001), (3, 1)] {
        for number in 0..count {
            let id = format!("{page}-{number}");
            world.fake.add_managed_url(&id, &url(page), "block", "explicit");
        }
    }
    for page in 1..=3 {
        let data = json!({"url": url(page)}).to_string();
        world.publish_bare("url.unblock", &data).await;
    }
    world.daemon.wait_for_metric(ACKED, 2.0).await;
    let letter = world.vhost.take(DEAD_LETTERS).await;
    let told = ["x-eventd-reason", "x-eventd-code"].map(|it| letter.header(it).to_owned());
    assert_eq!(told, ["rejected", "too_many_entries"]);
    assert!((0..1001).all(|it| world.fake.has_url(&format!("2-{it}"))));
    assert!((0..1000).all(|it| !world.fake.has_url(&format!("1-{it}"))));
}
