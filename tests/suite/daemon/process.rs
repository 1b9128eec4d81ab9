//! The real binary as an operator meets it: settings, endpoints, signals, exit codes and logs.

use crate::support::broker::{DEAD_LETTERS, OFFBOARDED, UNBLOCK};
use crate::support::settings::{self, Variables, named};
use crate::support::within::nobodys_address;
use crate::support::world::World;
use crate::support::{DEADLINE, eventually, install_crypto_provider};
use fake_mimecast::{Credentials, Fault, FaultKind};
use serde_json::json;
use std::process::{Command, Output, Stdio};

#[tokio::test]
async fn a_stop_in_mid_request_finishes_settles_and_ends_with_0() {
    for signal in ["TERM", "INT"] {
        // What is in flight has `drain_timeout`, and not the time for what comes after it.
        let mut world = World::with(&[("TIMINGS", "shutdown=1ms")]).await;
        world.fake.add_url("entry-1");
        world.fake.inject(Fault::next(FaultKind::Hold));
        world.unblock("e-1", "entry-1").await;
        world.fake.wait_for_calls(1, DEADLINE).await;
        world.daemon.signal(signal);
        eventually("the signal is heard", async || {
            world.daemon.logged("stopping, finishing what is in work").first().cloned()
        })
        .await;
        world.fake.release();
        assert_eq!(world.daemon.ended().await, Some(0));
        assert!(!world.fake.has_url("entry-1"));
        world.vhost.wait_for_depth(UNBLOCK, 0).await;
        assert_eq!(world.daemon.settled(1).await[0]["disposition"], "ack");
        assert_eq!(world.daemon.logged("stopped").len(), 1);
    }
}

#[tokio::test]
async fn a_stop_gives_back_what_waits_for_its_next_attempt_and_what_nobody_began() {
    let own = [
        ("EVENTS__URL_UNBLOCK__PREFETCH", "2"),
        ("RETRY__INITIAL_DELAY", "5m"),
        ("RETRY__MAX_DELAY", "5m"),
    ];
    let mut world = World::with(&own).await;
    world.fake.inject(Fault::always(FaultKind::status(503)));
    for number in 0..5 {
        world.unblock(&format!("e-{number}"), "entry-1").await;
    }
    world.fake.wait_for_calls(2, DEADLINE).await;
    world.daemon.signal("TERM");
    assert_eq!(world.daemon.ended().await, Some(0));
    world.vhost.wait_for_depth(UNBLOCK, 5).await;
    world.vhost.wait_for_depth(DEAD_LETTERS, 0).await;
}

#[tokio::test]
async fn a_stop_does_not_wait_longer_than_its_drain_timeout() {
    let mut world = World::with(&[("DRAIN_TIMEOUT", "1s")]).await;
    world.fake.inject(Fault::next(FaultKind::Hang));
    world.unblock("e-1", "entry-1").await;
    world.fake.wait_for_calls(1, DEADLINE).await;
    world.daemon.signal("TERM");
    assert_eq!(world.daemon.ended().await, Some(0));
    assert_eq!(
        world.daemon.logged("stopped before all was finished; the rest stays queued").len(),
        1
    );
    world.vhost.wait_for_depth(UNBLOCK, 1).await;
}

#[tokio::test]
async fn a_second_signal_ends_the_process_at_once() {
    let mut world = World::hmac().await;
    world.fake.inject(Fault::next(FaultKind::Hang));
    world.unblock("e-1", "entry-1").await;
    world.fake.wait_for_calls(1, DEADLINE).await;
    world.daemon.signal("TERM");
    eventually("the first signal is heard", async || {
        world.daemon.logged("stopping, finishing what is in work").first().cloned()
    })
    .await;
    eventually("the lane that has nothing to finish has stopped", async || {
        let (_, why) = world.daemon.get("/readyz").await;
        why.contains("user.offboarded disconnected: stopped").then_some(())
    })
    .await;
    world.daemon.signal("TERM");
    assert_eq!(world.daemon.ended().await, Some(1));
    world.vhost.wait_for_depth(UNBLOCK, 1).await;
}

#[tokio::test]
async fn a_lane_that_is_not_enabled_has_no_consumer_and_does_not_make_the_rest_unready() {
    let world = World::with(&[("EVENTS__URL_UNBLOCK__ENABLED", "false")]).await;
    assert_eq!(world.vhost.depth(UNBLOCK).await, None);
    assert_eq!(world.daemon.get("/readyz").await, (200, "user.offboarded consuming\n".into()));
    world.vhost.wait_for_consumer(OFFBOARDED).await;
}

#[tokio::test]
async fn no_secret_address_or_payload_reaches_the_log_the_metrics_or_a_dead_letter() {
    let keys = Credentials::default();
    let hmac = [&keys.access_key, &keys.secret_key, &keys.app_id, &keys.app_key];
    let oauth2 = [&keys.client_id, &keys.client_secret];
    for (credentials, secrets) in
        [(settings::hmac as fn(&_) -> _, &hmac[..]), (settings::oauth2, &oauth2[..])]
    {
        let mut world = World::new(credentials, &[]).await;
        // A vendor that echoes everything it was given is the worst case.
        let echo = format!(
            "{} ada@example.com",
            secrets.iter().map(|s| s.as_str()).collect::<Vec<_>>().join(" ")
        );
        let fail = |code: &str| FaultKind::Fail { code: code.into(), message: echo.clone() };
        world.fake.inject(Fault::next(fail("err_developer_key")));
        world.fake.inject(Fault::next(FaultKind::status(503)));
        world.fake.inject(Fault::always(fail("err_new")).for_item_containing("payload-group"));
        world.offboard("ada@example.com", "ada@example.com", &["payload-group"]).await;
        let refused = world.vhost.take(DEAD_LETTERS).await;
        world
            .publish("user.offboarded", r#"{"emailAddress": "ada@example.com", "payload-canary"#)
            .await;
        world.vhost.take(DEAD_LETTERS).await;
        world.daemon.settled(2).await;
        let (_, metrics) = world.daemon.get("/metrics").await;
        world.daemon.signal("TERM");
        assert_eq!(world.daemon.ended().await, Some(0));

        let mut shown = world.daemon.lines();
        assert!(
            shown.iter().any(|line| line.contains("who:")),
            "addresses have pseudonyms, and are not left out"
        );
        shown.push(metrics);
        shown.push(format!("{:?}", refused.headers));
        let url = &world.variables["EVENTD_AMQP__URL"];
        let always = ["ada@", "example.com", "payload", "guest:guest", url];
        for hidden in always.into_iter().chain(secrets.iter().map(|secret| secret.as_str())) {
            let found = shown.iter().find(|text| text.contains(hidden));
            assert!(found.is_none(), "{hidden} is shown in {found:?}");
        }
    }
}

#[test]
fn bad_settings_are_told_all_at_once_with_key_and_source_and_end_with_64() {
    let mut variables = Variables::from([
        named("AMQP__URL", "amqp://canary:canary@host:canary"),
        named("MIMECAST__AUTH", "hmac"),
        named("MIMECAST__SECRET_KEY", "canary that is not base64"),
        named("MIMECAST__REGION", "mars"),
        named("EVENTS__USER_OFFBOARDED__PREFETCH", "0"),
        named("RETRY__ATEMPTS", "3"),
    ]);
    let output = run(&["run", "--drain-timeout", "soon"], &variables);
    assert_eq!(output.status.code(), Some(64));
    let text = String::from_utf8(output.stderr).unwrap();
    for mistake in [
        "amqp.url (variable EVENTD_AMQP__URL): is not a URL",
        "mimecast.secret_key (variable EVENTD_MIMECAST__SECRET_KEY): must be base64",
        "mimecast.access_key (not set): is required",
        "mimecast.region (variable EVENTD_MIMECAST__REGION): must be one of eu, de,",
        r#"events."user.offboarded".prefetch (variable EVENTD_EVENTS__USER_OFFBOARDED__PREFETCH): must be between 1 and 1000"#,
        "EVENTD_RETRY__ATEMPTS): there is no such variable; did you mean EVENTD_RETRY__ATTEMPTS?",
        "drain_timeout (flag --drain-timeout): must be a duration",
    ] {
        assert!(text.contains(mistake), "{mistake} is missing in\n{text}");
    }
    assert!(!text.contains("canary"), "{text}");

    variables.clear();
    let output = run(&["run"], &variables);
    assert_eq!(output.status.code(), Some(64));
    assert!(
        String::from_utf8(output.stderr).unwrap().contains("mimecast.auth (not set): is required")
    );
}

#[test]
fn bad_usage_ends_with_64_and_help_and_version_with_0() {
    for arguments in [&["walk"][..], &[], &["run", "--amqp-password=canary"], &["run", "extra"]] {
        let output = run(arguments, &Variables::new());
        assert_eq!(output.status.code(), Some(64), "{arguments:?}");
        assert!(!String::from_utf8(output.stderr).unwrap().contains("canary"));
    }
    for arguments in [&["--help"][..], &["--version"], &["run", "--help"], &["codes"]] {
        let output = run(arguments, &Variables::new());
        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
        assert!(!output.stdout.is_empty());
    }
}

#[test]
fn the_version_says_what_was_built_from_what() {
    let output = run(&["--version"], &Variables::new());
    let expected = format!("mimecast-eventd {} (unknown)\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(String::from_utf8(output.stdout).unwrap(), expected);
}

#[tokio::test]
async fn an_address_that_is_taken_ends_the_start_with_1_and_a_reason() {
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let fake = fake_mimecast::FakeMimecast::start(Credentials::default()).await;
    let mut variables = settings::hmac(&fake);
    variables.extend([named("ADMIN__LISTEN", &taken.local_addr().unwrap().to_string())]);
    let output = run(&["run"], &variables);
    assert_eq!(output.status.code(), Some(1));
    let line: serde_json::Value = serde_json::from_slice(&output.stderr).unwrap();
    assert_eq!(line["level"], json!("ERROR"));
    assert!(
        line["error"].as_str().unwrap().starts_with("admin.listen: cannot listen on"),
        "{line}"
    );
}

/// Waits until the process has a handler for SIGHUP, which is the first signal and has the lowest bit.
async fn wait_for_signals(process: u32) {
    eventually("the process listens to signals", async || {
        let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
        let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"))?;
        (u64::from_str_radix(caught.trim(), 16).unwrap() & 1 == 1).then_some(())
    })
    .await;
}

fn signal(process: u32, name: &str) {
    let sent = Command::new("kill").args([&format!("-{name}"), &process.to_string()]).status();
    assert!(sent.unwrap().success());
}

#[tokio::test]
async fn signals_are_heard_before_the_settings_are_read() {
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("settings.toml");
    // Reading so many takes a while.
    let protected: String = (0..30_000).map(|it| format!("\"user-{it}@example.com\",\n")).collect();
    std::fs::write(&path, format!("[policy]\nprotected_addresses = [\n{protected}]\n")).unwrap();
    let fake = fake_mimecast::FakeMimecast::start(Credentials::default()).await;
    let mut variables = settings::hmac(&fake);
    let admin = nobodys_address();
    let own = [("AMQP__URL", "amqp://127.0.0.1:1"), ("ADMIN__LISTEN", &admin)];
    variables.extend(own.map(|(name, value)| named(name, value)));
    eventually("it is not done with the settings as signals come", async || {
        let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_mimecast-eventd"));
        command.args(["run", "--config"]).arg(&path).env_clear().envs(&variables);
        let mut child = command.kill_on_drop(true).stderr(Stdio::null()).spawn().unwrap();
        let process = child.id().unwrap();
        wait_for_signals(process).await;
        for _ in 0..10 {
            signal(process, "HUP");
        }
        let is_reading = std::net::TcpStream::connect(&admin).is_err();
        // It is still there, and a stop is in good order: there is nothing to finish.
        signal(process, "TERM");
        let ended = tokio::time::timeout(DEADLINE, child.wait()).await.expect("it ends in time");
        assert_eq!(ended.unwrap().code(), Some(0));
        is_reading.then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_hangup_right_after_the_start_is_a_reload() {
    install_crypto_provider();
    let fake = fake_mimecast::FakeMimecast::start(Credentials::default()).await;
    let mut variables = settings::hmac(&fake);
    variables.extend([
        named("AMQP__URL", "amqp://127.0.0.1:1"),
        named("ADMIN__LISTEN", &nobodys_address()),
    ]);
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_mimecast-eventd"));
    command.arg("run").env_clear().envs(&variables).kill_on_drop(true);
    let mut child = command.stderr(Stdio::null()).spawn().unwrap();
    let process = child.id().unwrap();
    wait_for_signals(process).await;
    signal(process, "HUP");
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let url = format!("http://{}/metrics", variables["EVENTD_ADMIN__LISTEN"]);
    eventually("the settings are read again", async || {
        let metrics = http.get(&url).send().await.ok()?.text().await.ok()?;
        let reloads = r#"eventd_settings_reloads_total{result="applied"} 1"#;
        metrics.lines().any(|line| line == reloads).then_some(())
    })
    .await;
    signal(process, "TERM");
    let ended = tokio::time::timeout(DEADLINE, child.wait()).await.expect("it ends in time");
    assert_eq!(ended.unwrap().code(), Some(0));
}

fn run(arguments: &[&str], variables: &Variables) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mimecast-eventd"));
    command.args(arguments).env_clear().envs(variables).output().unwrap()
}
