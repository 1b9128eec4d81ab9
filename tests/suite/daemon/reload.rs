//! Settings that change under a running daemon.

use crate::support::broker::{OFFBOARDED, UNBLOCK, Vhost};
use crate::support::certificates::Authority;
use crate::support::daemon::Daemon;
use crate::support::settings::{self, Variables, named};
use crate::support::{DEADLINE, eventually};
use fake_mimecast::{FakeMimecast, Fault, FaultKind};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;
use tokio::time::Instant;

const REFUSED: &str = r#"eventd_settings_reloads_total{result="refused"}"#;
const APPLIED: &str = r#"eventd_settings_reloads_total{result="applied"}"#;
const SUCCESSFUL: &str = "eventd_settings_last_reload_successful";

/// A daemon with its settings in files, as an orchestrator mounts them: the names are links into a folder
/// that is exchanged as a whole.
pub(super) struct Mounted {
    folder: TempDir,
    versions: u32,
    pub(super) vhost: Vhost,
    pub(super) fake: FakeMimecast,
    pub(super) variables: Variables,
}

/// Files of the settings are read four times as often as for users.
pub(super) const OFTEN: &str = "settings_files=250ms";

impl Mounted {
    /// With the secret key as a file, and this settings file.
    pub(super) async fn new(toml: &str, secret_key: Option<&str>) -> Mounted {
        let vhost = Vhost::new().await;
        let fake = FakeMimecast::start(fake_mimecast::Credentials::default()).await;
        let mut variables = settings::hmac(&fake);
        let right = variables.remove("EVENTD_MIMECAST__SECRET_KEY").unwrap();
        variables.remove("EVENTD_LOG__LEVEL");
        variables.remove("EVENTD_RETRY__LADDER");
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        variables.extend([
            named("AMQP__URL", &vhost.url),
            named("CONFIG", &path("settings.toml")),
            named("MIMECAST__SECRET_KEY_FILE", &path("secret-key")),
            named("TIMINGS", OFTEN),
        ]);
        for name in ["settings.toml", "secret-key"] {
            std::os::unix::fs::symlink(Path::new("..data").join(name), folder.path().join(name))
                .unwrap();
        }
        let mut mounted = Mounted { folder, versions: 0, vhost, fake, variables };
        mounted.write(toml, secret_key.unwrap_or(&right));
        mounted
    }

    /// The secret key that the vendor accepts.
    pub(super) fn right_key(&self) -> String {
        fake_mimecast::Credentials::default().secret_key
    }

    /// Exchanges the folder at one stroke, as kubelet does.
    pub(super) fn write(&mut self, toml: &str, secret_key: &str) {
        self.versions += 1;
        let version = format!("..version-{}", self.versions);
        let folder: PathBuf = self.folder.path().join(&version);
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("settings.toml"), toml).unwrap();
        fs::write(folder.join("secret-key"), secret_key).unwrap();
        let link = self.folder.path().join("..next");
        std::os::unix::fs::symlink(&version, &link).unwrap();
        fs::rename(&link, self.folder.path().join("..data")).unwrap();
    }

    pub(super) async fn start(&self) -> Daemon {
        let daemon = Daemon::start(&self.variables).await;
        daemon.wait_until_ready().await;
        daemon
    }

    pub(super) async fn unblock(&self, id: &str, entry: &str) {
        self.fake.add_url(entry);
        let event = json!({
            "specversion": "1.0", "id": id, "source": "/soc", "type": "url.unblock", "data": {"id": entry},
        });
        let properties = lapin::BasicProperties::default();
        self.vhost.publish("url.unblock", event.to_string().as_bytes(), properties).await;
    }
}

/// The keys in the last line of the log with this message.
fn keys(daemon: &Daemon, message: &str, field: &str) -> Vec<String> {
    let line =
        daemon.logged(message).pop().unwrap_or_else(|| panic!("{message}: {:?}", daemon.lines()));
    line[field].as_str().unwrap().split(", ").map(str::to_owned).collect()
}

#[tokio::test]
async fn a_rotated_secret_takes_effect_within_five_seconds_and_sets_a_paused_lane_going() {
    let slow = "[breaker]\ninitial_probe_delay = \"5m\"\nmax_probe_delay = \"5m\"\n";
    let mut mounted = Mounted::new(slow, Some("d3Jvbmc=")).await;
    // With the waits of users.
    mounted.variables.remove("TIMINGS");
    for name in ["INITIAL", "MAX"] {
        mounted.variables.remove(&format!("EVENTD_BREAKER__{name}_PROBE_DELAY"));
    }
    let daemon = mounted.start().await;
    mounted.unblock("e-1", "entry-1").await;
    daemon.wait_for_metric(r#"eventd_lane_state{event="url.unblock",state="paused"}"#, 1.0).await;
    // Its next probe would be in five minutes.
    let (rotated, key) = (Instant::now(), mounted.right_key());
    mounted.write(slow, &key);
    daemon.wait_until_ready().await;
    assert!(rotated.elapsed().as_secs() < 5, "{:?}", rotated.elapsed());
    daemon.settled(1).await;
    assert!(!mounted.fake.has_url("entry-1"));
    assert_eq!(keys(&daemon, "the settings were reloaded", "changed"), ["mimecast.secret_key"]);
    assert!(daemon.lines().iter().all(|line| !line.contains(&key)), "no secret is logged");
    assert_eq!(daemon.metric(APPLIED).await, 1.0);
}

#[tokio::test]
async fn other_probe_delays_count_for_a_pause_that_has_begun() {
    let delays = |initial: &str, most: &str| {
        format!("[breaker]\ninitial_probe_delay = \"{initial}\"\nmax_probe_delay = \"{most}\"\n")
    };
    let mut mounted = Mounted::new(&delays("5m", "5m"), None).await;
    for name in ["INITIAL", "MAX"] {
        mounted.variables.remove(&format!("EVENTD_BREAKER__{name}_PROBE_DELAY"));
    }
    let daemon = mounted.start().await;
    mounted.fake.inject(Fault::always(FaultKind::status(503)));
    mounted.unblock("e-1", "entry-1").await;
    daemon.wait_for_metric(r#"eventd_lane_state{event="url.unblock",state="paused"}"#, 1.0).await;
    let calls = mounted.fake.changes_called();
    mounted.write(&delays("10ms", "50ms"), &mounted.right_key());
    mounted.fake.wait_for_calls(calls + 5, DEADLINE).await;
    mounted.fake.heal();
    crate::support::eventually("it is applied", async || {
        (!mounted.fake.has_url("entry-1")).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_reload_counts_at_once_also_during_a_wait_for_the_quota_or_for_a_health_call() {
    let timeout = |seconds: u32| format!("[mimecast]\ntimeout = \"{seconds}s\"\n");
    let hour = FaultKind::Throttle { reset_milliseconds: Some(3_600_000), retry_after: None };
    let attempts = Fault::next(FaultKind::status(503)).times(4);
    for faults in [
        vec![Fault::next(hour)],
        vec![
            attempts,
            Fault::always(FaultKind::Hang).for_item_containing("mimecast-eventd-health"),
        ],
    ] {
        let mut mounted = Mounted::new(&timeout(200), None).await;
        let daemon = mounted.start().await;
        let calls = if faults.len() == 1 { 1 } else { 5 };
        mounted.fake.inject_instead(faults);
        mounted.unblock("e-1", "entry-1").await;
        mounted.fake.wait_for_calls(calls, DEADLINE).await;
        mounted.fake.heal();
        mounted.write(&timeout(20), &mounted.right_key());
        eventually("it is applied", async || (!mounted.fake.has_url("entry-1")).then_some(()))
            .await;
        assert_eq!(daemon.settled(1).await[0]["disposition"], "ack");
    }
}

#[tokio::test]
async fn a_bad_file_keeps_the_old_settings_whole_until_there_is_a_good_one() {
    let protect =
        |who: &str| format!("[policy]\nprotected_groups = []\nprotected_addresses = [\"{who}\"]\n");
    let mut mounted = Mounted::new(&protect("nobody@example.com"), None).await;
    let (daemon, key) = (mounted.start().await, mounted.right_key());
    // What is right in it does not count either.
    mounted.write(&format!("{}max_command = 1\n", protect("*@example.com")), &key);
    daemon.wait_for_metric(REFUSED, 1.0).await;
    assert_eq!(daemon.metric(SUCCESSFUL).await, 0.0);
    let said = daemon.logged("the settings were not reloaded, the old ones are in force");
    let mistakes = said[0]["mistakes"].as_str().unwrap();
    assert!(
        mistakes.contains("policy.max_command")
            && mistakes.contains("did you mean policy.max_commands?")
    );
    let leave = |id: &str| {
        let event = json!({
            "specversion": "1.0", "id": id, "source": "/hr", "type": "user.offboarded",
            "data": {"emailAddress": "ada@example.com", "groupIds": ["staff"]},
        });
        event.to_string()
    };
    mounted.fake.add_member("staff", "ada@example.com");
    mounted.vhost.publish("user.offboarded", leave("e-1").as_bytes(), Default::default()).await;
    assert_eq!(daemon.settled(1).await[0]["disposition"], "ack");

    mounted.write(&protect("*@example.com"), &key);
    daemon.wait_for_metric(SUCCESSFUL, 1.0).await;
    mounted.fake.add_member("staff", "ada@example.com");
    mounted.vhost.publish("user.offboarded", leave("e-2").as_bytes(), Default::default()).await;
    let settled = daemon.settled(2).await;
    assert_eq!((&settled[1]["event_id"], &settled[1]["reason"]), (&json!("e-2"), &json!("denied")));
    assert!(mounted.fake.is_member("staff", "ada@example.com"));
    assert_eq!(
        keys(&daemon, "the settings were reloaded", "changed"),
        ["policy.protected_addresses"]
    );
    // A file that is gone is a bad one, too, and so is one that is cut in the middle.
    fs::remove_file(mounted.folder.path().join("..data/settings.toml")).unwrap();
    daemon.wait_for_metric(REFUSED, 2.0).await;
    mounted.write("[policy]\nprotected_addr", &key);
    daemon.wait_for_metric(REFUSED, 3.0).await;
    // Neither does what is wrong in something that would wait for a restart, and would end it.
    mounted.write("[retry]\nladder = [\"1h\", \"1m\"]\n", &key);
    daemon.wait_for_metric(REFUSED, 4.0).await;
    daemon.wait_until_ready().await;
}

#[tokio::test]
async fn a_pipe_in_the_place_of_a_file_is_a_mistake_and_ends_no_reload() {
    let settings = |attempts: u32| format!("[retry]\nattempts = {attempts}\n");
    let mounted = Mounted::new(&settings(3), None).await;
    let daemon = mounted.start().await;
    let folder = mounted.folder.path().join("..version-1");
    for (number, name) in ["settings.toml", "secret-key"].into_iter().enumerate() {
        let (path, aside) = (folder.join(name), folder.join("aside"));
        fs::rename(&path, &aside).unwrap();
        assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
        let refused = daemon.metric(REFUSED).await;
        daemon.signal("HUP");
        daemon.wait_for_at_least(REFUSED, refused + 1.0).await;
        fs::rename(&aside, &path).unwrap();
        fs::write(folder.join("settings.toml"), settings(4 + number as u32)).unwrap();
        daemon.signal("HUP");
        daemon.wait_for_metric(SUCCESSFUL, 1.0).await;
        daemon.wait_for_at_least(APPLIED, 1.0 + number as f64).await;
    }
    mounted.unblock("e-1", "entry-1").await;
    crate::support::eventually("it is applied", async || {
        (!mounted.fake.has_url("entry-1")).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_file_that_was_emptied_or_cut_or_is_gone_takes_no_rule_out_of_force() {
    let whole = "[policy]\nwindow = \"1h\"\nverify_effect = false\nprotected_addresses = [\"ada@*\"]\n\n\
                 [retry]\nattempts = 12\n\n[log]\nlevel = \"info\"\n";
    let mounted = Mounted::new(whole, None).await;
    let daemon = mounted.start().await;
    let folder = mounted.folder.path().join("..version-1");
    let path = folder.join("settings.toml");
    let newer = format!("# Version 2.\n{whole}");
    let before_the_table = newer.find("[policy]").unwrap();
    let after_the_rule = newer.find("\n[retry]").unwrap();
    let mut refused = 0.0;
    for (number, part) in [
        "",
        "# Managed.\n",
        &whole[..whole.find("protected").unwrap()],
        &whole[..whole.find("2\n").unwrap()],
        whole.trim_end(),
        &newer[..before_the_table],
        &newer[..after_the_rule],
        newer.trim_end(),
    ]
    .into_iter()
    .enumerate()
    {
        // In place, as an editor and a redirection of a shell do it; and found by itself, or on a signal as well.
        fs::write(&path, part).unwrap();
        if number % 2 == 1 {
            daemon.signal("HUP");
        }
        daemon.wait_for_at_least(REFUSED, refused + 1.0).await;
        let said = daemon.logged("the settings were not reloaded, the old ones are in force");
        let mistake = said.last().unwrap()["mistakes"].as_str().unwrap().to_owned();
        assert!(mistake.starts_with("--config (file ") && mistake.contains("cut"), "{mistake}");
        // It comes back whole before anything else does, so that each of them is compared with it.
        fs::write(&path, whole).unwrap();
        daemon.wait_for_metric(SUCCESSFUL, 1.0).await;
        refused = daemon.metric(REFUSED).await;
    }
    let away = mounted.folder.path().join("away");
    for gone in [&path, &folder] {
        fs::rename(gone, &away).unwrap();
        daemon.wait_for_metric(SUCCESSFUL, 0.0).await;
        fs::rename(&away, gone).unwrap();
        daemon.wait_for_metric(SUCCESSFUL, 1.0).await;
    }
    fs::write(folder.join("secret-key"), "").unwrap();
    daemon.wait_for_metric(SUCCESSFUL, 0.0).await;
    fs::write(folder.join("secret-key"), mounted.right_key()).unwrap();
    daemon.wait_for_metric(SUCCESSFUL, 1.0).await;
    fs::rename(&path, &away).unwrap();
    fs::create_dir(&path).unwrap();
    daemon.wait_for_metric(SUCCESSFUL, 0.0).await;
    let event = json!({
        "specversion": "1.0", "id": "e-1", "source": "/hr", "type": "user.offboarded",
        "data": {"emailAddress": "ada@example.com", "groupIds": ["staff"]},
    });
    mounted.fake.add_member("staff", "ada@example.com");
    let event = event.to_string();
    mounted.vhost.publish("user.offboarded", event.as_bytes(), Default::default()).await;
    mounted.unblock("e-2", "entry-2").await;
    daemon.settled(2).await;
    assert!(mounted.fake.is_member("staff", "ada@example.com") && !mounted.fake.has_url("entry-2"));
    assert!(daemon.logged("the settings were reloaded").iter().all(|it| it["changed"] == ""));
    // What is meant is taken: keys go from the middle, and a table keeps its header.
    fs::remove_dir(&path).unwrap();
    fs::write(&path, "[policy]\n[retry]\n[log]\nlevel = \"info\"\n").unwrap();
    daemon.wait_for_metric(SUCCESSFUL, 1.0).await;
    let changed = keys(&daemon, "the settings were reloaded", "changed");
    assert_eq!(changed, ["policy.protected_addresses", "retry.attempts"]);
}

#[tokio::test]
async fn what_needs_a_restart_is_told_and_stays_and_the_rest_takes_effect_on_a_signal() {
    let first = "[retry]\nattempts = 2\n[log]\nlevel = \"info\"\n";
    let mut mounted = Mounted::new(first, None).await;
    mounted.variables.remove("EVENTD_RETRY__MAX_DELAY");
    let (daemon, key) = (mounted.start().await, mounted.right_key());
    assert!(daemon.logged("trying again").is_empty());
    let second = "[retry]\nattempts = 3\nladder = [\"1h\"]\nmax_delay = \"7ms\"\n[log]\nlevel = \"debug\"\n\
                  [amqp]\nexchange = \"other\"\n[policy]\ndry_run = true\n";
    mounted.write(second, &key);
    daemon.signal("HUP");
    daemon.wait_for_metric(APPLIED, 1.0).await;
    let changed = keys(&daemon, "the settings were reloaded", "changed");
    assert_eq!(changed, ["retry.attempts", "retry.max_delay", "log.level"]);
    let waiting = keys(&daemon, "what has changed here takes effect with a restart only", "keys");
    assert_eq!(waiting, ["amqp.exchange", "policy.dry_run", "retry.ladder"]);
    // Three attempts and one after the health call, on the old ladder, of an event from the old exchange that is not dry.
    mounted.fake.inject(Fault::always(FaultKind::status(503)).for_item_containing("poison"));
    mounted.fake.add_url("poison");
    let both = br#"{"ids":["poison","entry-1"]}"#;
    mounted.fake.add_url("entry-1");
    mounted.vhost.publish("url.unblock", both, Default::default()).await;
    mounted.vhost.wait_for_depth(&format!("{UNBLOCK}.retry.10s"), 1).await;
    let settled = daemon.settled(1).await;
    assert_eq!((&settled[0]["disposition"], &settled[0]["attempts"]), (&json!("retry"), &json!(5)));
    assert!(!mounted.fake.has_url("entry-1"));
    assert_eq!(daemon.logged("trying again").len(), 2, "what is less grave is logged now");
    // Every reload tells of it again, also one over nothing.
    daemon.signal("HUP");
    daemon.wait_for_metric(APPLIED, 2.0).await;
    assert_eq!(daemon.logged("what has changed here takes effect with a restart only").len(), 2);
}

#[tokio::test]
async fn nothing_in_flight_fails_because_of_reloads_however_often_they_come() {
    let toml = |delay: u32| {
        format!(
            "[retry]\ninitial_delay = \"{delay}ms\"\n[mimecast]\ntimeout = \"{}s\"\n",
            20 + delay
        )
    };
    let mut mounted = Mounted::new(&toml(1), None).await;
    mounted.variables.remove("EVENTD_RETRY__INITIAL_DELAY");
    let (daemon, key) = (mounted.start().await, mounted.right_key());
    let messages = 300;
    let publishing = async {
        for number in 0..messages {
            mounted.unblock(&format!("e-{number}"), &format!("entry-{number}")).await;
        }
    };
    let folder = mounted.folder.path().to_owned();
    let reloading = async {
        for round in 0..60 {
            // In place, so that it may be read half written, too.
            let path = folder.join("..data/settings.toml");
            fs::write(&path, toml(1 + round % 4)).unwrap();
            daemon.signal("HUP");
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::join!(publishing, reloading);
    let settled = daemon.settled(messages).await;
    for line in &settled {
        assert_eq!((&line["disposition"], &line["attempts"]), (&json!("ack"), &json!(1)), "{line}");
    }
    assert!((0..messages).all(|number| !mounted.fake.has_url(&format!("entry-{number}"))));
    daemon.wait_for_at_least(APPLIED, 10.0).await;
    assert_eq!(mounted.fake.violations(), Vec::<String>::new());
    assert_eq!(daemon.metric(r#"eventd_amqp_connections_total{event="url.unblock"}"#).await, 1.0);
    mounted.write(&toml(1), &key);
}

#[tokio::test]
async fn a_password_that_was_rotated_is_that_of_the_next_connection() {
    let vhost = Vhost::new().await;
    let fake = FakeMimecast::start(fake_mimecast::Credentials::default()).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("url");
    let mut variables = settings::hmac(&fake);
    fs::write(&path, vhost.url.replace("guest:guest", "guest:old")).unwrap();
    variables.extend([named("AMQP__URL_FILE", path.to_str().unwrap())]);
    let daemon = Daemon::start(&variables).await;
    eventually("it is refused", async || daemon.logged("the session ended").pop()).await;
    fs::write(&path, &vhost.url).unwrap();
    daemon.wait_until_ready().await;
    vhost.wait_for_consumer(OFFBOARDED).await;
    let lines: Vec<Value> = daemon.logged("the settings were reloaded");
    assert_eq!(lines[0]["changed"], "amqp.url");
}

#[tokio::test]
async fn what_is_right_but_cannot_be_used_changes_nothing_either() {
    let mut mounted = Mounted::new("[log]\nlevel = \"info\"\n", None).await;
    let roots = tempfile::tempdir().unwrap();
    let _server = Authority::new().serve(roots.path(), &["localhost"], time::Duration::days(1));
    let (roots, key) = (roots.path().join("ca.pem"), mounted.right_key());
    mounted.variables.insert("SSL_CERT_FILE".into(), roots.to_str().unwrap().into());
    mounted.variables.remove("EVENTD_MIMECAST__TIMEOUT");
    let daemon = mounted.start().await;
    // A client with another timeout has to load the roots anew, and there are none any more.
    let certificates = fs::read(&roots).unwrap();
    fs::write(&roots, "no certificates").unwrap();
    let changed = "[log]\nlevel = \"debug\"\n[mimecast]\ntimeout = \"7s\"\n";
    mounted.write(changed, &key);
    daemon.wait_for_metric(REFUSED, 1.0).await;
    assert_eq!(daemon.metric(SUCCESSFUL).await, 0.0);
    let said = daemon.logged("the settings were not reloaded, the old ones are in force");
    let why = said[0]["mistakes"].as_str().unwrap();
    assert!(why.starts_with("the HTTP client cannot be set up"), "{why}");
    mounted.unblock("e-1", "entry-1").await;
    assert_eq!(daemon.settled(1).await[0]["disposition"], "ack");
    assert!(daemon.lines().iter().all(|line| !line.contains("DEBUG")), "the level stays, too");

    fs::write(&roots, certificates).unwrap();
    daemon.signal("HUP");
    daemon.wait_for_metric(APPLIED, 1.0).await;
    assert_eq!(
        keys(&daemon, "the settings were reloaded", "changed"),
        ["mimecast.timeout", "log.level"]
    );
}
