//! Commands whose output is cut short by its reader, or cannot be written at all.

use crate::support::broker::{DEAD_LETTERS, UNBLOCK};
use crate::support::program::{run, run_into};
use crate::support::settings::{Variables, named};
use crate::support::world::World;
use fake_mimecast::{Fault, FaultKind};
use lapin::BasicProperties;
use lapin::options::QueueDeclareOptions;
use lapin::types::FieldTable;
use serde_json::json;
use std::fs::{self, File};
use std::process::Stdio;

/// A pipe whose reader is gone already, as `head` is once it has its lines.
fn closed() -> Stdio {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    writer.into()
}

/// A file that has no room for a byte.
fn full() -> Stdio {
    File::options().write(true).open("/dev/full").unwrap().into()
}

/// Expects that a command ends with `code` when the reader has closed its output, and with 1 when there is no room
/// for it.
async fn expect(variables: &Variables, arguments: &[&str], code: i32) {
    let (ended, said) = run_into(closed(), variables, arguments).await;
    assert_eq!(ended, Some(code), "{arguments:?} into a closed pipe: {said}");
    assert!(!said.contains("written") && !said.contains("panic"), "{arguments:?}: {said}");
    let (ended, said) = run_into(full(), variables, arguments).await;
    assert_eq!(ended, Some(1), "{arguments:?} without room: {said}");
    assert!(said.contains("the output cannot be written: No space left"), "{arguments:?}: {said}");
}

/// A world with so many dead letters of the lane of URLs, in their order.
async fn world_of(letters: usize) -> World {
    let world = World::hmac().await;
    for number in 0..letters {
        let named = BasicProperties::default().with_message_id(format!("m-{number}").into());
        world.vhost.publish_to("", DEAD_LETTERS, br#"{"id":7}"#, named).await;
    }
    world.vhost.wait_for_depth(DEAD_LETTERS, letters as u32).await;
    world
}

/// The ids of the dead letters that are left.
async fn left(world: &World) -> Vec<serde_json::Value> {
    let listed = run(&world.variables, &["dlq", "list", "--json"]).await;
    assert_eq!(listed.code, Some(0), "{listed:?}");
    listed.field("id")
}

fn ids(numbers: std::ops::Range<usize>) -> Vec<serde_json::Value> {
    numbers.map(|number| json!(format!("m-{number}"))).collect()
}

#[tokio::test]
async fn a_reader_that_has_enough_is_no_failure_of_a_command_that_asks_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let event = |data: &str| {
        format!(
            r#"{{"specversion":"1.0","id":"e-1","source":"/soc","type":"url.unblock","data":{data}}}"#
        )
    };
    let (good, bad) = (file("good", &event(r#"{"id":"x"}"#)), file("bad", &event("{}")));
    let mut variables = crate::support::settings::hmac_without_url();
    variables.extend([named("MIMECAST__REGION", "eu")]);
    for (arguments, code) in [
        (&["--help"][..], 0),
        (&["--version"], 0),
        (&["dlq", "replay", "--help"], 0),
        (&["codes"], 0),
        (&["codes", "--json"], 0),
        (&["config", "show"], 0),
        (&["config", "show", "--json"], 0),
        (&["config", "schema"], 0),
        (&["completions", "bash"], 0),
        (&["man"], 0),
        (&["pseudonym", "ada@example.com"], 0),
        (&["check", "--offline"], 0),
        (&["check", "--offline", "--json"], 0),
        (&["plan", &good], 0),
        (&["plan", "--json", &good], 0),
        (&["send", "--dry-run", &good], 0),
    ] {
        expect(&variables, arguments, code).await;
    }
    // What the code says beside that is said all the same.
    for (arguments, code) in [
        (&["plan", &bad][..], 2),
        (&["config", "show", "--retry-attempts", "none"], 64),
        (&["check", "--amqp-topology", "declare"], 1),
    ] {
        let (ended, said) = run_into(closed(), &variables, arguments).await;
        assert_eq!(ended, Some(code), "{arguments:?}: {said}");
    }
}

#[tokio::test]
async fn a_reader_that_has_enough_is_no_failure_of_a_command_that_asks_the_daemon_or_the_broker() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let trail = path("audit.jsonl");
    let world = World::with(&[("AUDIT__PATH", &trail)]).await;
    world.publish("url.unblock", r#"{"specversion":"1.0","id":"e-1"}"#).await;
    world.vhost.wait_for_depth(DEAD_LETTERS, 1).await;
    world.unblock("e-2", "entry-1").await;
    world.daemon.settled(2).await;
    let mut variables = world.variables.clone();
    variables.extend([named("ADMIN__LISTEN", &world.daemon.authority())]);
    for arguments in [
        &["status"][..],
        &["status", "--json"],
        &["check"],
        &["check", "--json"],
        &["resume"],
        &["resume", "--json"],
        &["dlq", "list"],
        &["dlq", "list", "--json"],
        &["dlq", "stats"],
        &["dlq", "stats", "--json"],
        &["dlq", "show", "e-1"],
        &["dlq", "show", "--json", "e-1"],
        &["dlq", "export"],
        &["dlq", "discard", "--dry-run"],
        &["audit", "verify", &trail],
        &["audit", "verify", "--json", &trail],
        &["audit", "show", "--id", "e-2", &trail],
        &["audit", "show", "--json", "--id", "e-2", &trail],
        &["audit", "report", &trail],
    ] {
        expect(&variables, arguments, 0).await;
    }
    world.vhost.wait_for_depth(DEAD_LETTERS, 1).await;
    let changed = path("changed.jsonl");
    fs::write(&changed, fs::read_to_string(&trail).unwrap().replace("/soc", "/hr!")).unwrap();
    for (arguments, code) in [
        (&["audit", "verify", &changed][..], 2),
        (&["audit", "show", "--json", "--id", "e-2", &changed], 2),
        (&["dlq", "show", "unknown"], 2),
        (&["pause", "url.unblock"], 0),
    ] {
        let (ended, said) = run_into(closed(), &variables, arguments).await;
        assert_eq!(ended, Some(code), "{arguments:?}: {said}");
    }
    let paused = r#"eventd_lane_state{event="url.unblock",state="paused"}"#;
    world.daemon.wait_for_metric(paused, 1.0).await;
    assert_eq!(run_into(closed(), &variables, &["status"]).await.0, Some(2));
}

#[tokio::test]
async fn an_export_whose_reader_has_enough_leaves_every_letter_in_its_place() {
    let world = world_of(40).await;
    let (ended, said) = run_into(closed(), &world.variables, &["dlq", "export"]).await;
    assert_eq!((ended, said.as_str()), (Some(0), ""));
    world.vhost.wait_for_depth(DEAD_LETTERS, 40).await;
    assert_eq!(left(&world).await, ids(0..40));
}

#[tokio::test]
async fn no_letter_is_discarded_that_was_not_printed() {
    let world = world_of(40).await;
    let discard = ["dlq", "discard", "--yes"];
    let (ended, said) = run_into(closed(), &world.variables, &discard).await;
    assert_eq!(ended, Some(0), "{said}");
    assert!(said.contains("no dead letters discarded"), "{said}");
    let (ended, said) = run_into(full(), &world.variables, &discard).await;
    assert_eq!(ended, Some(1), "{said}");
    assert!(said.contains("the output cannot be written"), "{said}");
    world.vhost.wait_for_depth(DEAD_LETTERS, 40).await;
    assert_eq!(left(&world).await, ids(0..40));
}

#[tokio::test]
async fn a_replay_that_cannot_be_printed_ends_soon_and_leaves_each_letter_in_one_place() {
    let world = world_of(60).await;
    let (options, none) = (QueueDeclareOptions::default(), FieldTable::default());
    world.vhost.channel().await.queue_declare("aside".into(), options, none).await.unwrap();
    let mut gone = 0;
    for (output, code) in [(closed(), 0), (full(), 1)] {
        let replay = ["dlq", "replay", "--to", "aside"];
        let (ended, said) = run_into(output, &world.variables, &replay).await;
        assert_eq!(ended, Some(code), "{said}");
        let (aside, _) = world.vhost.depth("aside").await.unwrap();
        assert!(aside > gone && aside <= gone + 16, "{aside}, {gone} before: {said}");
        gone = aside;
        world.vhost.wait_for_depth(DEAD_LETTERS, 60 - gone).await;
        assert_eq!(left(&world).await, ids(gone as usize..60));
    }
}

#[tokio::test]
async fn events_are_all_sent_whether_that_can_be_printed_or_not() {
    let world = World::hmac().await;
    let folder = tempfile::tempdir().unwrap();
    for (name, output, code) in [("closed", closed(), 0), ("full", full(), 1)] {
        let lines: Vec<String> = (0..5)
            .map(|number| {
                let id = format!("{name}-{number}");
                world.fake.add_url(&id);
                json!({
                    "specversion": "1.0", "id": id, "source": "/soc", "type": "url.unblock",
                    "data": {"id": id},
                })
                .to_string()
            })
            .collect();
        let file = folder.path().join(name);
        fs::write(&file, lines.join("\n")).unwrap();
        let send = ["send", file.to_str().unwrap()];
        let (ended, said) = run_into(output, &world.variables, &send).await;
        assert_eq!(ended, Some(code), "{said}");
        assert!(said.contains("5 events are in their queues"), "{said}");
    }
    world.daemon.settled(10).await;
    world.vhost.wait_for_depth(UNBLOCK, 0).await;
    assert!((0..5).all(|number| !world.fake.has_url(&format!("closed-{number}"))));
    assert!((0..5).all(|number| !world.fake.has_url(&format!("full-{number}"))));
}

#[tokio::test]
async fn nothing_that_is_shown_steers_a_terminal_or_a_reader_and_no_address_is_shown_in_another_spelling()
 {
    let folder = tempfile::tempdir().unwrap();
    let trail = folder.path().join("audit.jsonl");
    let trail = trail.to_str().unwrap();
    let world = World::with(&[("AUDIT__PATH", trail)]).await;
    let steering = "e-\u{1b}[2J\u{9b}2J\u{7f}\u{85}\u{2028}\u{202e}\u{2066}\u{61c}1";
    let refusal = format!("err_{steering}");
    world.fake.inject(Fault::always(FaultKind::fail(&refusal)).for_item_containing("closed"));
    let address = "ada.lovelace\u{ff20}example.com of charles.babbage%40example.com and grace.hopper&#64;example.com";
    world.offboard(&format!("{address} {steering}"), "ada@example.com", &["closed"]).await;
    world.offboard("good", "ada@example.com", &["staff"]).await;
    world.vhost.wait_for_depth(DEAD_LETTERS, 1).await;
    let named = BasicProperties::default().with_message_id(steering.into());
    let garbage = format!("{steering}\"ada%40example.com");
    world.vhost.publish("user.offboarded", garbage.as_bytes(), named).await;
    world.vhost.wait_for_depth(DEAD_LETTERS, 2).await;
    world.daemon.settled(3).await;

    let mut shown: Vec<(String, String)> = Vec::new();
    for arguments in [
        &["dlq", "list"][..],
        &["dlq", "stats"],
        &["dlq", "show", steering],
        &["dlq", "export"],
        &["audit", "show", trail],
        &["audit", "verify", trail],
        &["audit", "report", trail],
        &["status"],
        &["check"],
        &["dlq", "replay", "--dry-run"],
    ] {
        for json in [&[][..], &["--json"]] {
            let ran = run(&world.variables, &[arguments, json].concat()).await;
            shown.push((format!("{arguments:?} {json:?}"), [ran.out, ran.err].concat()));
        }
    }
    for path in ["/", "/status.json", "/readyz", "/metrics"] {
        shown.push((path.into(), world.daemon.get(path).await.1));
    }
    shown.push(("the log".into(), world.daemon.lines().join("\n")));
    for (what, shown) in &shown {
        let steers = shown.chars().find(|it| {
            (it.is_control() && *it != '\n') || "\u{61c}\u{2028}\u{202e}\u{2066}".contains(*it)
        });
        assert_eq!(steers, None, "{what}: {shown:?}");
    }
    for (what, shown) in shown.iter().filter(|(what, _)| what == "the log" || what.starts_with('/'))
    {
        for hidden in ["lovelace", "babbage", "hopper"] {
            assert!(!shown.contains(hidden), "{what}: {shown}");
        }
    }
}
