//! The log as it is asked for: its form, its level, and that a panic tells nothing it should not.

use crate::support::broker::{DEAD_LETTERS, Vhost};
use crate::support::daemon::bound_to_us;
use crate::support::settings::{self, Variables, named};
use crate::support::{DEADLINE, eventually};
use fake_mimecast::{Credentials, FakeMimecast, Fault, FaultKind};
use mimecast_eventd::settings::Log;
use serde_json::Value;
use std::collections::BTreeSet;
use std::process::Stdio;
use tokio::process::Command;

/// What a daemon writes that meets a passing fault and a dead letter, and is stopped then.
async fn written(own: &[(&str, &str)]) -> String {
    let vhost = Vhost::new().await;
    let fake = FakeMimecast::start(Credentials::default()).await;
    let mut variables: Variables = settings::hmac(&fake);
    variables.remove("EVENTD_LOG__LEVEL");
    variables.extend([named("AMQP__URL", &vhost.url)]);
    variables.extend(own.iter().map(|(name, value)| named(name, value)));
    let mut command = bound_to_us(env!("CARGO_BIN_EXE_mimecast-eventd"));
    let command = command.arg("run").env_clear().envs(&variables).stderr(Stdio::piped());
    let child = command.kill_on_drop(true).spawn().unwrap();
    vhost.wait_for_consumer("mimecast-eventd.url.unblock").await;
    fake.inject(Fault::next(FaultKind::status(503)));
    fake.inject(Fault::always(FaultKind::fail("err_new")).for_item_containing("entry-1"));
    let properties = lapin::BasicProperties::default();
    vhost.publish("url.unblock", br#"{"id":"entry-1"}"#, properties).await;
    vhost.take(DEAD_LETTERS).await;
    let id = child.id().expect("it runs").to_string();
    assert!(Command::new("kill").args(["-TERM", &id]).status().await.unwrap().success());
    let output = tokio::time::timeout(DEADLINE, child.wait_with_output()).await;
    let output = output.expect("it ends in time").unwrap();
    assert_eq!(output.status.code(), Some(0));
    String::from_utf8(output.stderr).unwrap()
}

/// The levels of the lines of a log in JSON.
fn levels(log: &str) -> BTreeSet<String> {
    let lines = log.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.map(|line| line["level"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn only_what_is_as_grave_as_asked_for_is_written_and_info_is_the_default() {
    for (own, expected) in [
        (&[][..], &["INFO", "WARN"][..]),
        (&[("LOG__LEVEL", "debug")], &["DEBUG", "INFO", "WARN"]),
        (&[("LOG__LEVEL", "info")], &["INFO", "WARN"]),
        (&[("LOG__LEVEL", "warn")], &["WARN"]),
        (&[("LOG__LEVEL", "error")], &[]),
    ] {
        let log = written(own).await;
        assert_eq!(levels(&log), expected.iter().map(|&level| level.to_owned()).collect(), "{log}");
        // Libraries trace what they send and receive, passwords too: none of theirs is written.
        let known = [
            "started",
            "connected to the broker",
            "consuming",
            "trying again",
            "settled",
            "stopping, finishing what is in work",
            "the connection could not be closed cleanly",
            "stopped",
        ];
        let of_others = log.lines().find(|line| {
            let line: Value = serde_json::from_str(line).unwrap();
            !known.iter().any(|known| line["message"] == *known)
        });
        assert_eq!(of_others, None);
    }
}

#[tokio::test]
async fn a_log_is_json_where_it_is_asked_for_or_nobody_looks_and_else_text() {
    for own in [&[][..], &[("LOG__FORMAT", "json")]] {
        let log = written(own).await;
        assert!(log.lines().all(|line| serde_json::from_str::<Value>(line).is_ok()), "{log}");
    }
    let log = written(&[("LOG__FORMAT", "text")]).await;
    assert!(log.lines().all(|line| serde_json::from_str::<Value>(line).is_err()), "{log}");
    assert!(log.contains("settled") && log.contains("code=\"err_new\""), "{log}");
    assert!(!log.contains('\u{1b}'), "colours are for people: {log}");
}

/// Tells the child of the test below that it is the child.
const CHILD: &str = "EVENTD_TEST_PANICS";

#[tokio::test]
async fn a_panic_is_one_line_of_the_log_and_tells_no_address() {
    if std::env::var_os(CHILD).is_some() {
        mimecast_eventd::telemetry::log::start(
            Log { json: Some(true), level: tracing::Level::INFO },
            None,
        )
        .unwrap();
        panic!("over ada@example.com\nand a second line");
    }
    // A process of its own, because it has one log and one hook for panics.
    let mut command = Command::new(std::env::current_exe().unwrap());
    let name = "telemetry::log::a_panic_is_one_line_of_the_log_and_tells_no_address";
    let command = command.args(["--exact", name, "--nocapture"]).env(CHILD, "1");
    let output = command.output().await.unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    let line = eventually("the panic is logged", async || {
        let mut lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines.find(|line| line["message"] == "panic")
    })
    .await;
    let message = line["message_of_panic"].as_str().unwrap();
    assert!(
        message.starts_with("over [address]") && message.ends_with(" and a second line"),
        "{line}"
    );
    assert_eq!(line["level"], "ERROR");
    assert!(line["place"].as_str().unwrap().contains("log.rs:"), "{line}");
    assert!(!text.contains("ada@"), "{text}");
}
