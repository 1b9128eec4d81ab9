//! A daemon whose standard error nobody reads, as under a log driver that has stalled.

use crate::support::broker::{UNBLOCK, Vhost};
use crate::support::daemon::bound_to_us;
use crate::support::settings::{self, named};
use crate::support::within::nobodys_address;
use crate::support::{DEADLINE, eventually};
use fake_mimecast::{Credentials, FakeMimecast, Fault, FaultKind};
use lapin::BasicProperties;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, PipeReader, Write, pipe};
use tokio::process::{Child, Command};

/// Bytes that a pipe holds.
const PIPE: usize = 65_536;

/// A daemon that cannot write a single line to its log.
struct Unread {
    vhost: Vhost,
    fake: FakeMimecast,
    child: Child,
    reader: PipeReader,
    admin: String,
}

impl Unread {
    async fn start() -> Unread {
        let vhost = Vhost::new().await;
        let fake = FakeMimecast::start(Credentials::default()).await;
        let admin = nobodys_address();
        let mut variables = settings::hmac(&fake);
        variables.extend([named("AMQP__URL", &vhost.url), named("ADMIN__LISTEN", &admin)]);
        let (reader, mut writer) = pipe().unwrap();
        writer.write_all(&[b'\n'; PIPE]).unwrap();
        let mut command = bound_to_us(env!("CARGO_BIN_EXE_mimecast-eventd"));
        let command = command.arg("run").env_clear().envs(&variables).stderr(writer);
        let child = command.kill_on_drop(true).spawn().unwrap();
        vhost.wait_for_consumer(UNBLOCK).await;
        Unread { vhost, fake, child, reader, admin }
    }

    async fn get(&self, path: &str) -> String {
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let answer = http.get(format!("http://{}{path}", self.admin)).send().await.unwrap();
        answer.text().await.unwrap()
    }

    async fn dropped(&self) -> u64 {
        let text = self.get("/metrics").await;
        let name = "eventd_log_lines_dropped_total ";
        text.lines().find_map(|line| line.strip_prefix(name)?.parse().ok()).unwrap()
    }

    async fn unblock(&self, id: &str) {
        let body = json!({
            "specversion": "1.0", "id": id, "source": "/soc", "type": "url.unblock",
            "data": {"id": "entry-1"},
        });
        let properties =
            BasicProperties::default().with_content_type("application/cloudevents+json".into());
        self.vhost.publish("url.unblock", body.to_string().as_bytes(), properties).await;
    }

    async fn terminate(&self) {
        let id = self.child.id().expect("it runs").to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().await.unwrap().success());
    }

    async fn ended(&mut self) -> Option<i32> {
        let ended = tokio::time::timeout(DEADLINE, self.child.wait()).await;
        ended.expect("it ends in time").unwrap().code()
    }
}

/// The lines that come by the pipe until it is closed.
fn read(reader: PipeReader) -> Vec<Value> {
    let lines = BufReader::new(reader).lines().map_while(Result::ok);
    lines.filter(|line| !line.is_empty()).map(|it| serde_json::from_str(&it).unwrap()).collect()
}

#[tokio::test]
async fn events_are_applied_and_a_stop_ends_the_process_as_ever() {
    let mut daemon = Unread::start().await;
    daemon.fake.add_url("entry-1");
    daemon.unblock("e-1").await;
    eventually("the event is applied", async || (!daemon.fake.has_url("entry-1")).then_some(()))
        .await;
    daemon.terminate().await;
    assert_eq!(daemon.ended().await, Some(0));
    daemon.vhost.wait_for_depth(UNBLOCK, 0).await;
}

#[tokio::test]
async fn a_second_signal_ends_the_process_although_nobody_reads_its_log() {
    let mut daemon = Unread::start().await;
    daemon.fake.inject(Fault::next(FaultKind::Hang));
    daemon.unblock("e-1").await;
    daemon.fake.wait_for_calls(1, DEADLINE).await;
    daemon.terminate().await;
    eventually("the first signal is heard", async || {
        let why = daemon.get("/readyz").await;
        why.contains("user.offboarded disconnected: stopped").then_some(())
    })
    .await;
    daemon.terminate().await;
    assert_eq!(daemon.ended().await, Some(1));
}

#[tokio::test]
async fn what_is_dropped_is_counted_and_the_log_says_so_once_it_is_read_again() {
    let mut daemon = Unread::start().await;
    assert_eq!(daemon.dropped().await, 0);
    let (long, mut sent) = ("x".repeat(900), 0);
    while daemon.dropped().await == 0 {
        for _ in 0..100 {
            daemon.unblock(&format!("e-{sent}-{long}")).await;
            sent += 1;
        }
        daemon.vhost.wait_for_depth(UNBLOCK, 0).await;
        assert!(sent < 5000, "nothing is dropped");
    }
    let reader = std::mem::replace(&mut daemon.reader, pipe().unwrap().0);
    let reading = tokio::task::spawn_blocking(move || read(reader));
    // Once it is read again, a line gets through.
    let last = "e-last";
    daemon.unblock(last).await;
    daemon.vhost.wait_for_depth(UNBLOCK, 0).await;
    let dropped = daemon.dropped().await;
    daemon.terminate().await;
    assert_eq!(daemon.ended().await, Some(0));
    let lines = reading.await.unwrap();
    assert_eq!(lines[0]["message"], "started");
    assert_eq!(lines.last().unwrap()["message"], "stopped");
    let said = lines.iter().filter(|line| {
        line["message"]
            .as_str()
            .unwrap()
            .ends_with("log lines were dropped: nobody read standard error")
    });
    let counts: Vec<u64> = said.map(|line| line["lines"].as_u64().unwrap()).collect();
    assert_eq!(counts.iter().sum::<u64>(), dropped, "{counts:?}");
    assert!(!counts.is_empty());
}
