//! What was switched on is switched off by a reload, and on again: each state is in force, and not only the first.

use super::reload::{Mounted, OFTEN};
use crate::support::DEADLINE;
use crate::support::broker::DEAD_LETTERS;
use crate::support::certificates::Authority;
use crate::support::daemon::Daemon;
use crate::support::eventually;
use crate::support::program::run;
use crate::support::settings::{self, Variables, named};
use crate::support::world::World;
use fake_mimecast::FakeMimecast;
use serde_json::{Value, json};
use std::fs;
use std::path::Path;

const REFUSED: &str = r#"eventd_settings_reloads_total{result="refused"}"#;
const APPLIED: &str = r#"eventd_settings_reloads_total{result="applied"}"#;
const WAITING: &str = "what has changed here takes effect with a restart only";

/// Publishes an offboarding.
async fn publish(mounted: &Mounted, id: &str, source: &str) {
    mounted.fake.add_member("id-of-staff", "ada@example.com");
    let event = json!({
        "specversion": "1.0", "id": id, "source": source, "type": "user.offboarded",
        "data": {"emailAddress": "ada@example.com", "groupIds": ["id-of-staff"]},
    });
    let properties = lapin::BasicProperties::default();
    mounted.vhost.publish("user.offboarded", event.to_string().as_bytes(), properties).await;
}

/// Publishes an offboarding; gives the line of its settlement.
async fn offboard(mounted: &Mounted, daemon: &Daemon, id: &str, source: &str) -> Value {
    publish(mounted, id, source).await;
    let id = json!(id);
    eventually("it is settled", async || {
        daemon.logged("settled").into_iter().find(|line| line["event_id"] == id)
    })
    .await
}

#[tokio::test]
async fn a_rule_counts_as_long_as_it_is_in_the_settings_and_no_longer() {
    let without = "[policy]\nwindow = \"1h\"\n";
    for (rule, code) in [
        (r#"allowed_sources = ["/other"]"#, "allowed_sources"),
        (r#"protected_groups = ["id-of-staff"]"#, "protected_groups"),
        (r#"allowed_groups = ["id-of-other"]"#, "allowed_groups"),
        (r#"protected_addresses = ["ada@*"]"#, "protected_addresses"),
        (r#"allowed_users = ["payroll"]"#, "allowed_users"),
    ] {
        let mut mounted = Mounted::new(without, None).await;
        mounted.fake.name_group("id-of-staff", "Staff");
        mounted.fake.name_group("id-of-other", "Other");
        let (daemon, key) = (mounted.start().await, mounted.right_key());
        for (round, is_ruled) in [false, true, false, true].into_iter().enumerate() {
            if round > 0 {
                let rule = if is_ruled { rule } else { "" };
                let rules = without.replace("window", &format!("{rule}\nwindow"));
                mounted.write(&rules, &key);
                daemon.signal("HUP");
                daemon.wait_for_at_least(APPLIED, round as f64).await;
            }
            let settled = offboard(&mounted, &daemon, &format!("e-{round}"), "/hr").await;
            let is_in = mounted.fake.is_member("id-of-staff", "ada@example.com");
            let expected = if is_ruled { json!(code) } else { Value::Null };
            assert_eq!((is_in, &settled["code"]), (is_ruled, &expected), "{rule}: {settled}");
        }
    }
}

#[tokio::test]
async fn a_lane_is_not_slowed_down_any_longer_than_the_rule_is_there() {
    let slow = "[policy]\nmax_commands = 1\nwindow = \"1h\"\n";
    let mut mounted = Mounted::new(slow, None).await;
    let (daemon, key) = (mounted.start().await, mounted.right_key());
    let active = r#"eventd_guard_active{event="user.offboarded"}"#;
    assert_eq!(offboard(&mounted, &daemon, "e-1", "/hr").await["disposition"], "ack");
    publish(&mounted, "e-2", "/hr").await;
    daemon.wait_for_metric(active, 1.0).await;
    mounted.write(&slow.replace("max_commands = 1\n", ""), &key);
    daemon.signal("HUP");
    daemon.wait_for_metric(APPLIED, 1.0).await;
    assert_eq!(offboard(&mounted, &daemon, "e-3", "/hr").await["disposition"], "ack");
    daemon.wait_for_metric(active, 0.0).await;
    mounted.write(slow, &key);
    daemon.signal("HUP");
    daemon.wait_for_metric(APPLIED, 2.0).await;
    publish(&mounted, "e-4", "/hr").await;
    daemon.wait_for_metric(active, 1.0).await;
    mounted.vhost.wait_for_depth(DEAD_LETTERS, 0).await;
}

#[tokio::test]
async fn a_trail_that_is_switched_on_or_off_waits_for_a_restart_and_that_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let (one, other) = (folder.path().join("one.jsonl"), folder.path().join("other.jsonl"));
    let off = "[audit]\nfsync = \"always\"\n";
    let trail = |path: &Path| off.replace("fsync", &format!("path = {path:?}\nfsync"));
    let lines = |path: &Path| {
        let text = fs::read_to_string(path).unwrap_or_default();
        text.lines().filter(|line| line.contains(r#""kind":"settled""#)).count()
    };
    for (first, written) in [(off.to_owned(), [0, 0, 0, 0]), (trail(&one), [1, 2, 3, 4])] {
        let _not_there_at_first = fs::remove_file(&one);
        let mut mounted = Mounted::new(&first, None).await;
        let (daemon, key) = (mounted.start().await, mounted.right_key());
        let others = [first.clone(), trail(&other), off.to_owned(), trail(&one)];
        for (round, (toml, written)) in others.iter().zip(written).enumerate() {
            if round > 0 {
                mounted.write(toml, &key);
                daemon.signal("HUP");
                daemon.wait_for_at_least(APPLIED, round as f64).await;
            }
            let id = format!("e-{round}");
            assert_eq!(offboard(&mounted, &daemon, &id, "/hr").await["disposition"], "ack");
            assert_eq!((lines(&one), other.exists()), (written, false), "{first:?}, {toml:?}");
        }
        let said = daemon.logged(WAITING);
        assert!(said.len() >= 2 && said.iter().all(|it| it["keys"] == "audit.path"), "{said:?}");
    }
}

#[tokio::test]
async fn a_reload_with_wrong_settings_still_follows_a_trail_that_was_moved() {
    let folder = tempfile::tempdir().unwrap();
    let trail = folder.path().join("audit.jsonl");
    let toml = format!("[audit]\npath = {:?}\n", trail.to_str().unwrap());
    let mut mounted = Mounted::new(&toml, None).await;
    let (daemon, key) = (mounted.start().await, mounted.right_key());
    for number in 1..=2 {
        mounted.write(&format!("{toml}[retry]\nattempts = 0\n"), &key);
        fs::rename(&trail, folder.path().join(format!("audit.jsonl.{number}"))).unwrap();
        daemon.signal("HUP");
        daemon.wait_for_logged("the audit trail goes on in another file", number).await;
    }
    daemon.wait_for_at_least(REFUSED, 2.0).await;
    offboard(&mounted, &daemon, "e-1", "/hr").await;
    assert!(fs::read_to_string(&trail).unwrap().contains("e-1"));
}

#[tokio::test]
async fn people_are_called_as_before_once_the_key_of_their_pseudonyms_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let (credentials, key) = (folder.path().join("one"), "eventd_log.pseudonym_key");
    fs::create_dir(&credentials).unwrap();
    let world = World::with(&[]).await;
    let mut variables = world.variables.clone();
    variables.insert("CREDENTIALS_DIRECTORY".into(), credentials.to_str().unwrap().into());
    drop(world.daemon);
    let daemon = Daemon::start(&variables).await;
    let called = async || {
        let asked = run(&variables, &["pseudonym", "ada@example.com"]).await;
        assert_eq!(asked.code, Some(0), "{asked:?}");
        asked.out.trim_end().to_owned()
    };
    let mut names = Vec::new();
    for (round, has_key) in [false, true, false, true].into_iter().enumerate() {
        if has_key {
            fs::write(credentials.join(key), "a key of sixteen bytes or more").unwrap();
        } else if round > 0 {
            fs::remove_file(credentials.join(key)).unwrap();
        }
        if round > 0 {
            daemon.signal("HUP");
            daemon.wait_for_at_least(APPLIED, round as f64).await;
        }
        let event = json!({
            "specversion": "1.0", "id": format!("e-{round}"), "source": "/hr",
            "type": "user.offboarded",
            "data": {"emailAddress": "ada@example.com", "groupIds": ["staff"]},
        });
        let properties = lapin::BasicProperties::default();
        world.vhost.publish("user.offboarded", event.to_string().as_bytes(), properties).await;
        let settled = daemon.settled(round + 1).await;
        names.push(settled[round]["subject"].as_str().unwrap().to_owned());
        assert_eq!(names[round], called().await);
    }
    assert_ne!(names[0], names[1]);
    assert_eq!((&names[0], &names[1]), (&names[2], &names[3]));
}

/// Settings of a daemon whose broker is away, with a file that can be changed.
async fn with_file(folder: &Path) -> (FakeMimecast, Variables) {
    let fake = FakeMimecast::start(fake_mimecast::Credentials::default()).await;
    let mut variables = settings::hmac(&fake);
    let file = folder.join("settings.toml");
    fs::write(&file, "").unwrap();
    variables.extend([
        named("AMQP__URL", "amqps://127.0.0.1:1"),
        named("CONFIG", file.to_str().unwrap()),
        named("TIMINGS", OFTEN),
    ]);
    (fake, variables)
}

/// The keys that the last reload has changed.
fn changed(daemon: &Daemon) -> String {
    let line = daemon.logged("the settings were reloaded").pop().expect("there was a reload");
    line["changed"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_file_that_a_reload_has_named_is_looked_at_from_then_on() {
    let folder = tempfile::tempdir().unwrap();
    let (_fake, variables) = with_file(folder.path()).await;
    let daemon = Daemon::start(&variables).await;
    let ca = folder.path().join("ca.pem");
    let write_ca = || {
        let elsewhere = tempfile::tempdir().unwrap();
        Authority::new().write_server(elsewhere.path(), time::Duration::days(1));
        fs::copy(elsewhere.path().join("ca.pem"), &ca).unwrap();
    };
    write_ca();
    let named = format!("[amqp.tls]\nca_file = {:?}\n", ca.to_str().unwrap());
    fs::write(folder.path().join("settings.toml"), named).unwrap();
    daemon.wait_for_metric(APPLIED, 1.0).await;
    // Another one under the same name, twice.
    for reloads in [2.0, 3.0] {
        write_ca();
        daemon.wait_for_metric(APPLIED, reloads).await;
        assert_eq!(changed(&daemon), "amqp.tls.ca_file");
    }
    for (round, text) in (1..).zip(["nothing", "", "-----BEGIN CERTIFICATE-----\n"]) {
        fs::write(&ca, text).unwrap();
        daemon.wait_for_metric(REFUSED, f64::from(round)).await;
        let said = daemon.logged("the settings were not reloaded, the old ones are in force");
        let why = said.last().unwrap()["mistakes"].as_str().unwrap();
        assert!(why.starts_with("amqp.tls.ca_file ") && why.contains("certificate"), "{why}");
        write_ca();
        daemon.wait_for_metric(APPLIED, 3.0 + f64::from(round)).await;
    }
}

#[tokio::test]
async fn half_of_a_renewed_pair_of_certificate_and_key_is_not_taken_and_the_whole_one_is() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    let (_fake, mut variables) = with_file(folder.path()).await;
    let (certificate, key) = authority.write_client(folder.path(), "guest");
    variables.extend([
        named("AMQP__TLS__CERT_FILE", certificate.to_str().unwrap()),
        named("AMQP__TLS__KEY_FILE", key.to_str().unwrap()),
    ]);
    let daemon = Daemon::start(&variables).await;
    for round in 1..=2 {
        let elsewhere = tempfile::tempdir().unwrap();
        let (renewed, its_key) = authority.write_client(elsewhere.path(), "guest");
        fs::copy(&renewed, &certificate).unwrap();
        daemon.wait_for_metric(REFUSED, f64::from(round)).await;
        let said = daemon.logged("the settings were not reloaded, the old ones are in force");
        let why = said.last().unwrap()["mistakes"].as_str().unwrap();
        assert!(why.contains("is not the key of the certificate in amqp.tls.cert_file"), "{why}");
        assert_eq!(daemon.metric("eventd_settings_last_reload_successful").await, 0.0);
        fs::copy(&its_key, &key).unwrap();
        daemon.wait_for_metric(APPLIED, f64::from(round)).await;
        assert_eq!(daemon.metric("eventd_settings_last_reload_successful").await, 1.0);
        assert!(changed(&daemon).contains("amqp.tls.key_file"), "{}", changed(&daemon));
    }
}

#[tokio::test]
async fn a_second_pause_replaces_the_first_and_one_resume_ends_both() {
    let world = World::hmac().await;
    let mut variables = world.variables.clone();
    variables.extend([named("ADMIN__LISTEN", &world.daemon.authority())]);
    let status = async || run(&variables, &["status"]).await;
    for why in ["the first reason", "the second reason"] {
        let paused = run(&variables, &["pause", "url.unblock", "--why", why, "--json"]).await;
        assert_eq!((paused.code, paused.field("changed")), (Some(0), vec![json!(true)]));
        eventually("the status says why", async || {
            let status = status().await;
            (status.code == Some(2) && status.out.contains(why)).then_some(())
        })
        .await;
    }
    assert!(!status().await.out.contains("the first reason"));
    world.fake.add_url("entry-1");
    world.unblock("e-1", "entry-1").await;
    let resumed = run(&variables, &["resume", "url.unblock", "--json"]).await;
    assert_eq!(resumed.field("changed"), [true], "{resumed:?}");
    world.daemon.settled(1).await;
    assert_eq!(status().await.code, Some(0));
    for _ in 0..2 {
        let nothing = run(&variables, &["resume", "url.unblock", "--json"]).await;
        assert_eq!((nothing.code, nothing.field("changed")), (Some(0), vec![json!(false)]));
        assert_eq!(nothing.field("state"), ["consuming"]);
    }
    // And once more from the beginning.
    run(&variables, &["pause", "url.unblock"]).await;
    world.unblock("e-2", "entry-1").await;
    run(&variables, &["resume"]).await;
    world.daemon.settled(2).await;
}

#[tokio::test]
async fn the_status_says_that_the_last_settings_were_wrong_until_they_are_right() {
    let mut mounted = Mounted::new("", None).await;
    let (daemon, key) = (mounted.start().await, mounted.right_key());
    let mut variables = mounted.variables.clone();
    variables.extend([named("ADMIN__LISTEN", &daemon.authority())]);
    let says_so = async || {
        let status = run(&variables, &["status", "--config", "/dev/null"]).await;
        status.out.contains("the settings that were read last are wrong")
    };
    assert!(!says_so().await);
    for round in 1..=2 {
        mounted.write("[retry]\nattempts = 0\n", &key);
        daemon.wait_for_metric(REFUSED, f64::from(round)).await;
        assert!(says_so().await);
        mounted.write("", &key);
        daemon.wait_for_metric(APPLIED, f64::from(round)).await;
        assert!(!says_so().await);
    }
    mounted.fake.wait_for_calls(0, DEADLINE).await;
}
