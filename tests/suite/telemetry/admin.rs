//! The admin port under attack: clients that flood it, hold it open or read nothing, and the work beside them.

use crate::support::broker::UNBLOCK;
use crate::support::daemon::Daemon;
use crate::support::node::Node;
use crate::support::settings::{self, named};
use crate::support::within::Within;
use crate::support::world::World;
use crate::support::{DEADLINE, eventually};
use fake_mimecast::FakeMimecast;
use std::io::{Read, Write};
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// Connections of one attacker, beyond what the port has at a time.
const MANY: usize = 300;

/// Opens a connection and sends half of a head.
async fn half_a_head(authority: &str) -> TcpStream {
    let mut stream = TcpStream::connect(authority).await.unwrap();
    // It may have been closed already, for another one.
    let _closed = stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n").await;
    stream
}

/// Asks for `path` for ever.
async fn flood(authority: String, path: &'static str) {
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    loop {
        let _answer = http.get(format!("http://{authority}{path}")).send().await;
    }
}

/// The open descriptors of the daemon.
fn descriptors(daemon: &Daemon) -> usize {
    std::fs::read_dir(format!("/proc/{}/fd", daemon.process())).unwrap().count()
}

/// Publishes good events and waits until they are applied.
async fn expect_applied(world: &World, name: &str) {
    for number in 0..10 {
        world.fake.add_url(&format!("{name}-{number}"));
        world.unblock(&format!("e-{name}-{number}"), &format!("{name}-{number}")).await;
    }
    eventually("the good events are applied", async || {
        (0..10).all(|number| !world.fake.has_url(&format!("{name}-{number}"))).then_some(())
    })
    .await;
    world.vhost.wait_for_depth(UNBLOCK, 0).await;
}

#[tokio::test]
async fn livez_is_answered_while_the_work_has_its_thread_for_itself() {
    let within = Within::by(Node::shared().authority(), &[]).await;
    // The daemon runs in the thread of this test, which waits for the answer without giving it a turn.
    let mut stream = std::net::TcpStream::connect(within.authority()).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream.write_all(b"GET /livez HTTP/1.0\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.0 200 OK") && answer.ends_with("ok\n"), "{answer}");
    within.stop().await;
}

#[tokio::test]
async fn half_sent_heads_and_floods_keep_nobody_from_livez_and_no_event_from_its_effect() {
    let world = World::hmac().await;
    let authority = world.daemon.authority();
    let before = descriptors(&world.daemon);
    let mut attack = JoinSet::new();
    for path in ["/metrics", "/", "/status.json", "/readyz"] {
        for _ in 0..16 {
            attack.spawn(flood(authority.clone(), path));
        }
    }
    let mut held = Vec::new();
    for _ in 0..MANY {
        held.push(half_a_head(&authority).await);
        if held.len() % 30 == 0 {
            expect_alive(&authority).await;
        }
    }
    expect_applied(&world, "beside").await;
    let during = descriptors(&world.daemon);
    // As many as the port has, and some that the broker and the API have of their own.
    assert!(during <= before + 64 + 32, "{before} descriptors, then {during}");
    attack.shutdown().await;
    drop(held);
    assert_eq!(world.daemon.get("/readyz").await.0, 200);
    expect_applied(&world, "afterwards").await;
}

/// The process answers, on one of the connections that it takes.
async fn expect_alive(authority: &str) {
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    eventually("it says that it is alive", async || {
        let answer = http.get(format!("http://{authority}/livez")).send().await.ok()?;
        (answer.text().await.ok()? == "ok\n").then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_scrape_among_others_is_newer_than_its_request() {
    let world = World::hmac().await;
    let mut attack = JoinSet::new();
    // Fewer than the port takes at a time: all are answered.
    for _ in 0..48 {
        attack.spawn(flood(world.daemon.authority(), "/metrics"));
    }
    let received = r#"eventd_messages_received_total{event="url.unblock"}"#;
    for count in 1..=3 {
        world.unblock(&format!("e-{count}"), "entry-1").await;
        world.daemon.settled(count).await;
        assert_eq!(world.daemon.metric(received).await, count as f64);
    }
    attack.shutdown().await;
}

#[tokio::test]
async fn the_port_knows_its_paths_and_its_methods() {
    let world = World::hmac().await;
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let url = |path: &str| format!("http://{}{path}", world.daemon.authority());
    for path in ["/livez", "/readyz", "/metrics", "/status.json", "/"] {
        let answer = http.head(url(path)).send().await.unwrap();
        assert_eq!((answer.status().as_u16(), answer.content_length().is_some()), (200, true));
        assert_eq!(http.post(url(path)).body("x").send().await.unwrap().status(), 405);
    }
    assert_eq!(http.get(url("/livez?x=1")).send().await.unwrap().status(), 200);
    assert_eq!(http.get(url("/nothing")).send().await.unwrap().status(), 404);
}

#[tokio::test]
async fn the_soft_limit_of_open_files_is_raised_to_the_hard_one() {
    let fake = FakeMimecast::start(fake_mimecast::Credentials::default()).await;
    let mut variables = settings::hmac(&fake);
    variables.extend([named("AMQP__URL", "amqp://127.0.0.1:1")]);
    let daemon = Daemon::start_by(&["prlimit", "--nofile=200:2048"], &variables).await;
    assert_eq!(daemon.metric("process_max_fds").await, 2048.0);
}

#[tokio::test]
async fn where_descriptors_are_rare_the_port_leaves_those_of_the_work() {
    let mut world = World::hmac().await;
    world.daemon = Daemon::start_by(&["prlimit", "--nofile=150:150"], &world.variables).await;
    world.daemon.wait_until_ready().await;
    let authority = world.daemon.authority();
    let mut held = Vec::new();
    for _ in 0..MANY {
        held.push(half_a_head(&authority).await);
    }
    assert!(descriptors(&world.daemon) <= 100, "{}", descriptors(&world.daemon));
    expect_applied(&world, "beside").await;
}

#[tokio::test]
async fn the_start_of_the_process_and_its_processor_time_are_measured() {
    let now = || chrono::Utc::now().timestamp_micros() as f64 / 1e6;
    let before = now();
    let world = World::hmac().await;
    let started = world.daemon.metric("process_start_time_seconds").await;
    assert!((before..=now()).contains(&started), "{before} {started}");
    let spent = world.daemon.metric("process_cpu_seconds_total").await;
    assert!(spent > 0.0 && spent < now() - before + 1.0, "{spent}");
    // A later scrape says the same.
    tokio::time::sleep(Duration::from_millis(10)).await;
    assert_eq!(world.daemon.metric("process_start_time_seconds").await, started);
}
