//! The audit trail from outside: what it says, and that nothing is done which it does not say.

use crate::support::broker::{DEAD_LETTERS, OFFBOARDED, UNBLOCK, Vhost};
use crate::support::daemon::Daemon;
use crate::support::node::Node;
use crate::support::program::run;
use crate::support::settings::{self, named};
use crate::support::wire::{Hold, Method, Wire};
use crate::support::world::World;
use crate::support::{DEADLINE, eventually};
use fake_mimecast::{Fault, FaultKind, Operation};
use lapin::BasicProperties;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

const ACKED: &str = r#"eventd_messages_settled_total{disposition="ack",event="url.unblock"}"#;
const PAUSED: &str = r#"eventd_lane_state{event="url.unblock",state="paused"}"#;
const LEAVERS_PAUSED: &str = r#"eventd_lane_state{event="user.offboarded",state="paused"}"#;

const FAILURES: &str = "eventd_audit_failures_total";

/// A folder for a trail, and the settings that lead there.
pub(super) struct Place {
    pub(super) folder: TempDir,
    pub(super) path: PathBuf,
    own: Vec<(&'static str, String)>,
}

impl Place {
    pub(super) fn new() -> Place {
        let folder = TempDir::new().unwrap();
        let (path, key) = (folder.path().join("audit.jsonl"), folder.path().join("key"));
        fs::write(&key, "a key of the auditor's\n").unwrap();
        fs::set_permissions(&key, PermissionsExt::from_mode(0o600)).unwrap();
        let text = |path: &Path| path.to_str().unwrap().to_owned();
        let own = vec![("AUDIT__PATH", text(&path)), ("AUDIT__KEY_FILE", text(&key))];
        Place { folder, path, own }
    }

    pub(super) async fn world(&self, more: &[(&str, &str)]) -> World {
        World::with(&[&self.own()[..], more].concat()).await
    }

    /// The settings that lead there.
    pub(super) fn own(&self) -> Vec<(&str, &str)> {
        self.own.iter().map(|(name, it)| (*name, it.as_str())).collect()
    }

    /// One whose trail is written as long as there is room for it.
    pub(super) async fn world_that_can_fill(&self, more: &[(&str, &str)]) -> World {
        let mut world = self.world(more).await;
        // A file that grows too large is as a full disk, if the signal for it is ignored.
        let ignoring = ["sh", "-c", r#"trap "" XFSZ; exec "$@""#, "sh"];
        drop(world.daemon);
        world.daemon = Daemon::start_by(&ignoring, &world.variables).await;
        world.daemon.wait_until_ready().await;
        world
    }

    /// Leaves room for so many bytes more, or for any number.
    pub(super) fn leave_room(&self, world: &World, bytes: Option<u64>) {
        let size = fs::metadata(&self.path).unwrap().len();
        let most = bytes.map_or("unlimited".to_owned(), |bytes| (size + bytes).to_string());
        let (process, most) = (world.daemon.process().to_string(), format!("--fsize={most}:"));
        let set = Command::new("prlimit").args(["--pid", &process, &most]).status();
        assert!(set.unwrap().success());
    }

    /// The lines of a kind in the file, in their order.
    pub(super) fn lines(&self, kind: &str) -> Vec<Value> {
        let text = fs::read_to_string(&self.path).unwrap();
        let lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines.filter(|line| line["kind"] == kind).collect()
    }

    /// What `audit verify` says of the files whose names begin so.
    pub(super) async fn verified(
        &self,
        world: &World,
        name: &str,
        more: &[&str],
    ) -> (Option<i32>, Vec<Value>) {
        let names = fs::read_dir(self.folder.path()).unwrap();
        let names = names.map(|it| it.unwrap().path().to_str().unwrap().to_owned());
        let begin = self.folder.path().join(name).to_str().unwrap().to_owned();
        let names: Vec<String> = names.filter(|it| it.starts_with(&begin)).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let ran =
            run(&world.variables, &[&["audit", "verify", "--json"], more, &names].concat()).await;
        (ran.code, ran.objects())
    }
}

#[tokio::test]
async fn a_line_says_who_it_was_about_what_was_done_and_what_became_of_it() {
    let place = Place::new();
    let world = place.world(&[("POLICY__VERIFY_EFFECT", "true")]).await;
    world.fake.add_member("group-1", "ada@example.com");
    let known_to_the_vendor = FaultKind::Status {
        status: 503,
        headers: [("x-request-id".to_owned(), "vendor-77".to_owned())].into(),
        body: String::new(),
        content_type: String::new(),
    };
    world.fake.inject(Fault::next(known_to_the_vendor).for_operation(Operation::RemoveGroupMember));
    let known = BasicProperties::default()
        .with_content_type("application/cloudevents+json".into())
        .with_user_id("guest".into());
    let event = json!({
        "specversion": "1.0", "id": "e-1", "source": "/hr", "type": "user.offboarded",
        "time": "2026-11-25T10:00:00Z", "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "data": {"emailAddress": "Ada@example.com", "groupIds": ["group-1"]},
    });
    world.vhost.publish("user.offboarded", event.to_string().as_bytes(), known).await;
    world.daemon.settled(1).await;
    world.publish("user.offboarded", "not JSON").await;
    world.daemon.settled(2).await;
    let lines = place.lines("settled");
    let [line, malformed] = lines.as_slice() else { panic!("{lines:?}") };
    for (name, expected) in [
        ("event", json!("user.offboarded")),
        ("event_id", json!("e-1")),
        ("source", json!("/hr")),
        ("user", json!("guest")),
        ("subject", json!("ada@example.com")),
        ("groups", json!(["group-1"])),
        ("time", json!("2026-11-25T10:00:00Z")),
        ("trace_id", json!("0af7651916cd43dd8448eb211c80319c")),
        ("disposition", json!("ack")),
        ("result", json!("applied")),
        ("version", json!(env!("CARGO_PKG_VERSION"))),
    ] {
        assert_eq!(line[name], expected, "{name}: {line}");
    }
    let [command] = line["commands"].as_array().unwrap().as_slice() else { panic!("{line}") };
    assert_eq!(command["operation"], "remove_group_member");
    assert_eq!(
        (&command["group_id"], &command["member"]),
        (&json!("group-1"), &json!("ada@example.com"))
    );
    assert_eq!(command["result"], "applied");
    assert!(
        command["seen_gone_at"].as_str().unwrap() > command["requests"][1]["at"].as_str().unwrap()
    );
    let outcomes: Vec<&Value> =
        command["requests"].as_array().unwrap().iter().map(|it| &it["outcome"]).collect();
    assert_eq!(outcomes, ["unavailable", "applied"]);
    let first = &command["requests"][0];
    assert_eq!((&first["vendor_id"], &first["code"]), (&json!("vendor-77"), &json!("http_503")));
    let calls = world.fake.calls();
    let sent = calls.iter().filter(|call| call.operation == Operation::RemoveGroupMember);
    let sent: Vec<Value> = sent.map(|call| json!(call.request_id)).collect();
    let told: Vec<Value> =
        command["requests"].as_array().unwrap().iter().map(|it| it["id"].clone()).collect();
    assert_eq!(sent, told, "each request of the command is in the line");
    assert_eq!(malformed["disposition"], "dead_letter");
    assert_eq!((&malformed["reason"], &malformed["commands"]), (&json!("malformed"), &json!([])));
    assert_eq!(malformed["subject"], Value::Null);
    // In clear here and only here.
    assert!(
        !world.daemon.lines().iter().any(|line| line.to_lowercase().contains("ada@example.com"))
    );
}

#[tokio::test]
async fn where_the_chain_is_stands_in_the_log_the_status_and_a_metric_and_is_asked_for() {
    let place = Place::new();
    let mut world = place.world(&[]).await;
    for number in 0..5 {
        world.fake.add_url(&format!("entry-{number}"));
        world.unblock(&format!("e-{number}"), &format!("entry-{number}")).await;
    }
    world.daemon.wait_for_metric(ACKED, 5.0).await;
    world.daemon.wait_for_metric("eventd_audit_lines", 11.0).await;
    let status = world.daemon.status().await;
    assert_eq!(status["audit"]["lines"], 11);
    let (_, page) = world.daemon.get("/").await;
    assert!(page.contains(status["audit"]["head"].as_str().unwrap()));
    world.daemon.signal("TERM");
    assert_eq!(world.daemon.ended().await, Some(0));
    let said = world.daemon.logged("audit trail");
    let last = said.last().unwrap();
    assert_eq!((&last["lines"], &last["head"]), (&json!(11), &status["audit"]["head"]));
    let head = last["head"].as_str().unwrap().to_owned();
    let (code, chains) = place.verified(&world, "audit.jsonl", &["--head", &head]).await;
    assert_eq!(
        (code, &chains[0]["lines"], &chains[0]["head"]),
        (Some(0), &json!(11), &json!(head))
    );
    // Without its last line it is a chain as well, but not the one that was told of.
    let text = fs::read_to_string(&place.path).unwrap();
    let end = text.trim_end().rfind('\n').unwrap();
    fs::write(&place.path, &text[..=end]).unwrap();
    assert_eq!(place.verified(&world, "audit.jsonl", &[]).await.0, Some(0));
    assert_eq!(place.verified(&world, "audit.jsonl", &["--head", &head]).await.0, Some(2));
}

#[tokio::test]
async fn what_is_parked_has_a_line_where_a_change_was_asked_for() {
    let place = Place::new();
    let world = place.world(&[("EVENTS__USER_OFFBOARDED__PREFETCH", "2")]).await;
    world.fake.add_member("group-1", "ada@example.com");
    world.fake.add_member("group-2", "ada@example.com");
    let acked = r#"eventd_messages_settled_total{disposition="ack",event="user.offboarded"}"#;
    // So that both are in work at once.
    world.offboard("e-0", "bob@example.com", &["group-0"]).await;
    world.daemon.wait_for_metric(acked, 1.0).await;
    world.fake.inject(Fault::next(FaultKind::Hold).for_item_containing("group-2").times(2));
    world.offboard("e-1", "ada@example.com", &["group-1", "group-2"]).await;
    world.offboard("e-2", "eve@example.com", &["group-2"]).await;
    world.fake.wait_for_calls(1 + 3, DEADLINE).await;
    world.fake.refuse_credentials(true);
    world.fake.release();
    world.daemon.wait_for_metric(LEAVERS_PAUSED, 1.0).await;
    world.fake.refuse_credentials(false);
    world.daemon.wait_for_metric(acked, 3.0).await;
    let mut gone = BTreeSet::new();
    for line in place.lines("settled") {
        for command in line["commands"].as_array().unwrap() {
            if command["result"] != "unauthorized" {
                let named =
                    ["group_id", "member"].map(|it| command[it].as_str().unwrap().to_owned());
                gone.insert(named);
            }
        }
        assert!(line["event_id"].is_string(), "{line}");
    }
    let expected = [
        ["group-0", "bob@example.com"],
        ["group-1", "ada@example.com"],
        ["group-2", "ada@example.com"],
        ["group-2", "eve@example.com"],
    ];
    assert_eq!(gone, expected.map(|it| it.map(str::to_owned)).into());
}

#[tokio::test]
async fn a_message_whose_dead_letter_is_not_taken_has_one_line_however_often_that_is_tried() {
    let place = Place::new();
    let world = place.world(&[]).await;
    world.vhost.refuse_dead_letters().await;
    world.publish("url.unblock", "not JSON").await;
    world.daemon.wait_for_logged("lane paused", 1).await;
    // It is tried again and again meanwhile.
    world.unblock("e-1", "entry-1").await;
    world.fake.wait_for_calls(1, DEADLINE).await;
    world.vhost.accept_dead_letters().await;
    world.vhost.wait_for_depth(DEAD_LETTERS, 1).await;
    world.daemon.settled(2).await;
    let of_the_letter = |line: &&Value| line["disposition"] == "dead_letter";
    assert_eq!(place.lines("settled").iter().filter(of_the_letter).count(), 1);
}

#[tokio::test]
async fn a_message_that_comes_again_has_a_second_line() {
    let place = Place::new();
    let wire = Wire::to(Node::shared().authority()).await;
    let vhost = Vhost::new().await;
    let url = vhost.url_by(&wire.authority());
    let own: Vec<(&str, &str)> = place.own.iter().map(|(name, it)| (*name, it.as_str())).collect();
    let told = [("AMQP__OUTCOME_EXCHANGE", "outcomes"), ("AMQP__URL", url.as_str())];
    let mut world = World::start(vhost, settings::hmac, &[&own[..], &told].concat()).await;
    // What is told of it is not confirmed, so that it is not acked.
    wire.hold(Hold::Confirms);
    world.fake.add_url("entry-1");
    world.unblock("e-1", "entry-1").await;
    let is_told = |method: &Method| matches!(method, Method::Publish { routing_key, .. } if routing_key == "url.unblock.applied");
    wire.wait_for("what became of it", 1, is_told).await;
    let [first] = &place.lines("settled")[..] else { panic!("it is written before that") };
    assert_eq!(
        (&first["disposition"], &first["commands"][0]["result"]),
        (&json!("ack"), &json!("applied"))
    );
    world.daemon.signal("KILL");
    assert_eq!(world.daemon.ended().await, None);
    wire.hold(Hold::Nothing);
    world.restart_daemon().await;
    world.daemon.wait_for_metric(ACKED, 1.0).await;
    let [_, second] = &place.lines("settled")[..] else { panic!("each delivery has its own") };
    assert_eq!(
        (&second["event_id"], &second["commands"][0]["result"]),
        (&json!("e-1"), &json!("already_gone"))
    );
}

#[tokio::test]
async fn once_a_minute_it_is_said_where_the_chain_is_and_seen_that_the_file_was_moved() {
    let place = Place::new();
    // The minute of users is in `Timings`.
    let world = place.world(&[("TIMINGS", "audit_head=1s")]).await;
    world.fake.add_url("entry-1");
    world.unblock("e-1", "entry-1").await;
    world.daemon.wait_for_metric(ACKED, 1.0).await;
    fs::rename(&place.path, place.folder.path().join("audit.jsonl.1")).unwrap();
    let said = eventually("it is said", async || {
        world.daemon.logged("audit trail").into_iter().find(|it| it["lines"] == 4)
    })
    .await;
    assert!(place.path.exists(), "and the chain goes on there");
    let (code, chains) = place.verified(&world, "audit.jsonl", &[]).await;
    assert_eq!((code, &chains[0]["head"]), (Some(0), &said["head"]), "{chains:?}");
}

#[tokio::test]
async fn a_file_that_is_deleted_under_the_daemon_pauses_the_lane_and_one_that_was_moved_does_not() {
    let place = Place::new();
    // Nothing but the next line makes it look at the file.
    let world = place.world(&[("TIMINGS", "audit_head=1h")]).await;
    let unblock = async |number: usize| {
        world.fake.add_url(&format!("entry-{number}"));
        world.unblock(&format!("e-{number}"), &format!("entry-{number}")).await;
    };
    fs::rename(&place.path, place.folder.path().join("audit.jsonl.1")).unwrap();
    unblock(1).await;
    world.daemon.wait_for_metric(ACKED, 1.0).await;
    assert_eq!(place.lines("settled").len(), 1, "it is where it belongs");
    fs::remove_file(&place.path).unwrap();
    unblock(2).await;
    world.daemon.wait_for_metric(PAUSED, 1.0).await;
    let (_, why) = world.daemon.get("/readyz").await;
    assert!(why.contains("was deleted or changed while it was written"), "{why}");
    assert_eq!(world.daemon.metric(ACKED).await, 1.0);
    world.daemon.signal("HUP");
    world.daemon.wait_for_metric(ACKED, 2.0).await;
    let [line] = &place.lines("settled")[..] else { panic!("the chain goes on") };
    assert_eq!((&line["event_id"], &line["line"]), (&json!("e-2"), &json!(8)));
}

#[tokio::test]
async fn where_the_last_line_cannot_be_kept_beside_the_trail_the_log_says_so_once() {
    let place = Place::new();
    // Where a new one is written before it takes its place.
    fs::create_dir(place.folder.path().join(".audit.jsonl.new")).unwrap();
    let world = place.world(&[]).await;
    for number in 1..=2 {
        world.fake.add_url(&format!("entry-{number}"));
        world.unblock(&format!("e-{number}"), &format!("entry-{number}")).await;
    }
    world.daemon.wait_for_metric(ACKED, 2.0).await;
    let told = world.daemon.lines();
    let told =
        told.iter().filter(|it| it.contains("the folder of the audit trail cannot be written"));
    assert_eq!(told.count(), 1);
}

#[tokio::test]
async fn a_file_or_a_key_that_others_can_read_is_refused_with_words() {
    let place = Place::new();
    let mut world = place.world(&[]).await;
    world.daemon.signal("TERM");
    assert_eq!(world.daemon.ended().await, Some(0));
    let key = place.folder.path().join("key");
    for (file, mode, code, words) in [
        (&place.path, 0o604, 1, "can be read or changed by anybody on this machine"),
        (&key, 0o604, 64, "can be read or changed by anybody on this machine"),
        (&key, 0o620, 64, "can be changed by its group"),
    ] {
        fs::set_permissions(file, PermissionsExt::from_mode(mode)).unwrap();
        let ran = run(&world.variables, &["run"]).await;
        assert!(ran.code == Some(code) && (ran.out + &ran.err).contains(words), "{words}");
        let ran = run(&world.variables, &["check", "--offline"]).await;
        assert!(ran.code == Some(code) && (ran.out + &ran.err).contains(words), "{words}");
        fs::set_permissions(file, PermissionsExt::from_mode(0o440)).unwrap();
    }
    fs::set_permissions(&place.path, PermissionsExt::from_mode(0o660)).unwrap();
    world.restart_daemon().await;
    world.daemon.wait_until_ready().await;
}

#[tokio::test]
async fn a_trail_that_was_cut_or_spoilt_while_no_daemon_ran_is_not_signed_over_in_silence() {
    for (is_spoilt, is_gone) in [(false, false), (true, false), (false, true)] {
        let place = Place::new();
        let mut world = place.world(&[]).await;
        for number in 0..3 {
            world.fake.add_url(&format!("entry-{number}"));
            world.unblock(&format!("e-{number}"), &format!("entry-{number}")).await;
        }
        world.daemon.wait_for_metric(ACKED, 3.0).await;
        world.daemon.signal("TERM");
        assert_eq!(world.daemon.ended().await, Some(0));
        let text = fs::read_to_string(&place.path).unwrap();
        let end = text.trim_end().rfind('\n').unwrap() + 1;
        match (is_spoilt, is_gone) {
            (_, true) => fs::remove_file(&place.path).unwrap(),
            (true, _) => {
                fs::write(&place.path, format!("{}x{}", &text[..end], &text[end..])).unwrap()
            }
            (false, _) => fs::write(&place.path, &text[..end]).unwrap(),
        }
        if !is_gone {
            // Before any start says so, too.
            let (code, found) = place.verified(&world, "audit.jsonl", &["--strict"]).await;
            assert_eq!(code, Some(2), "{found:?}");
            let cut = place.verified(&world, "audit.jsonl", &[]).await.0;
            assert_eq!(cut, Some(if is_spoilt { 2 } else { 0 }));
            // Also where nothing says any more how far it went.
            let (head, aside) =
                [".audit.jsonl.head", "aside"].map(|it| place.folder.path().join(it)).into();
            fs::rename(&head, &aside).unwrap();
            let (code, found) = place.verified(&world, "audit.jsonl", &["--strict"]).await;
            assert_eq!(code, Some(2), "{found:?}");
            fs::rename(&aside, &head).unwrap();
        }
        world.restart_daemon().await;
        let told = world.daemon.logged("the audit trail is not as it was left");
        assert_eq!((told.len(), &told[0]["expected_line"]), (1, &json!(7)));
        let line = &place.lines("mismatch")[0];
        let last: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
        assert_eq!((&line["expected_line"], &line["expected_seal"]), (&json!(7), &last["seal"]));
        assert_eq!(place.lines("repaired"), [] as [Value; 0]);
        let (code, found) = place.verified(&world, "audit.jsonl", &[]).await;
        assert_eq!((code, &found[0]["mismatches"]), (Some(0), &json!(1)), "{found:?}");
        assert_eq!(place.verified(&world, "audit.jsonl", &["--strict"]).await.0, Some(2));
        // It is told once.
        world.daemon.signal("TERM");
        assert_eq!(world.daemon.ended().await, Some(0));
        world.restart_daemon().await;
        assert_eq!(place.lines("mismatch").len(), 1);
    }
}

#[tokio::test]
async fn a_trail_without_its_first_line_fails_where_that_is_demanded() {
    let place = Place::new();
    let world = place.world(&[]).await;
    world.fake.add_url("entry-1");
    world.unblock("e-1", "entry-1").await;
    world.daemon.wait_for_metric(ACKED, 1.0).await;
    assert_eq!(
        place.verified(&world, "audit.jsonl", &["--from-first", "--strict"]).await.0,
        Some(0)
    );
    let text = fs::read_to_string(&place.path).unwrap();
    let (_, rest) = text.split_once('\n').unwrap();
    let cut = place.folder.path().join("cut.jsonl");
    fs::write(&cut, rest).unwrap();
    assert_eq!(place.verified(&world, "cut", &[]).await.0, Some(0));
    assert_eq!(place.verified(&world, "cut", &["--from-first"]).await.0, Some(2));
}

#[tokio::test]
async fn who_acts_by_hand_needs_the_key_of_that_trail_only_and_the_log_says_where_it_is() {
    let place = Place::new();
    let key = place.folder.path().join("by-hand-key");
    fs::write(&key, "another key than the daemon's\n").unwrap();
    fs::set_permissions(&key, PermissionsExt::from_mode(0o600)).unwrap();
    let socket = place.folder.path().join("control.sock");
    let own = [
        ("CONTROL__SOCKET", socket.to_str().unwrap()),
        ("AUDIT__BY_HAND_KEY_FILE", key.to_str().unwrap()),
        ("TIMINGS", "audit_head=1s"),
    ];
    let world = place.world(&own).await;
    let mut variables = world.variables.clone();
    variables.extend([named("AUDIT__KEY_FILE", "/nowhere/key")]);
    for arguments in [&["pause", "url.unblock"][..], &["resume", "url.unblock"]] {
        let ran = run(&variables, arguments).await;
        assert_eq!(ran.code, Some(0), "{ran:?}");
    }
    assert_eq!(
        place.verified(&world, "audit-by-hand", &[]).await.0,
        Some(2),
        "it is not the daemon's key"
    );
    let by_its_key = ["--audit-key-file", key.to_str().unwrap()];
    let (code, chains) = place.verified(&world, "audit-by-hand", &by_its_key).await;
    assert_eq!((code, &chains[0]["lines"]), (Some(0), &json!(5)));
    let said = eventually("it is logged", async || {
        let told = world.daemon.logged("audit trail of what people do by hand");
        told.into_iter().find(|line| line["lines"] == 5)
    })
    .await;
    assert_eq!(said["head"], chains[0]["head"]);
}

#[tokio::test]
async fn a_second_writer_does_not_start_and_says_why() {
    let place = Place::new();
    let world = place.world(&[]).await;
    let ran = run(&world.variables, &["run"]).await;
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(
        ran.err.contains("is written by another process; {host} in it tells replicas apart"),
        "{ran:?}"
    );
    let mut replica = world.variables.clone();
    let path = place.folder.path().join("audit-{host}.jsonl");
    replica.extend([named("AUDIT__PATH", path.to_str().unwrap())]);
    let other = Daemon::start(&replica).await;
    other.wait_until_ready().await;
    let host = String::from_utf8(Command::new("hostname").output().unwrap().stdout).unwrap();
    assert!(place.folder.path().join(format!("audit-{}.jsonl", host.trim())).exists());
}

#[tokio::test]
async fn a_lane_stays_paused_while_nothing_can_be_written_and_the_trail_says_since_when() {
    let place = Place::new();
    let world = place.world_that_can_fill(&[]).await;
    (1..=3).for_each(|it| world.fake.add_url(&format!("entry-{it}")));
    place.leave_room(&world, Some(0));
    for number in 1..=3 {
        world.unblock(&format!("e-{number}"), &format!("entry-{number}")).await;
    }
    world.daemon.wait_for_metric(PAUSED, 1.0).await;
    let failures = world.daemon.metric(FAILURES).await;
    world.daemon.wait_for_at_least(FAILURES, failures + 4.0).await;
    assert_eq!(world.daemon.logged("lane resumed"), [] as [Value; 0]);
    assert_eq!(world.daemon.logged("lane paused").len(), 1);
    assert_eq!(world.fake.changes_called(), 0);
    place.leave_room(&world, None);
    world.daemon.wait_for_metric(ACKED, 3.0).await;
    assert_eq!(world.daemon.logged("lane resumed").len(), 1);
    let [line] = &place.lines("unwritable")[..] else { panic!("one line says so") };
    assert!(line["since"].as_str() < line["at"].as_str(), "{line}");
}

#[tokio::test]
async fn a_lane_that_can_prove_again_what_it_does_asks_a_vendor_that_was_away_meanwhile() {
    let place = Place::new();
    let world = place.world_that_can_fill(&[]).await;
    let entries = ["first", "entry-1"];
    entries.iter().for_each(|entry| world.fake.add_url(entry));
    world.unblock("e-0", "first").await;
    world.daemon.wait_for_metric(ACKED, 1.0).await;
    world.fake.inject(Fault::next(FaultKind::Hold));
    world.unblock("e-1", "entry-1").await;
    world.fake.wait_for_calls(2, DEADLINE).await;
    place.leave_room(&world, Some(0));
    world.publish("url.unblock", "not JSON").await;
    world.daemon.wait_for_metric(PAUSED, 1.0).await;
    world.fake.refuse_credentials(true);
    world.fake.release();
    place.leave_room(&world, None);
    eventually("Mimecast is asked again", async || {
        let told = world.daemon.logged("lane paused");
        told.iter().any(|line| !line["why"].as_str().unwrap().starts_with("audit")).then_some(())
    })
    .await;
    world.vhost.wait_for_depth(DEAD_LETTERS, 1).await;
    let calls = world.fake.changes_called();
    world.fake.wait_for_calls(calls + 2, DEADLINE).await;
    world.fake.refuse_credentials(false);
    world.daemon.wait_for_metric(ACKED, 2.0).await;
    assert!(entries.iter().all(|entry| !world.fake.has_url(entry)));
    let lines = place.lines("settled");
    let ended = |it: &&Value| it["disposition"] == "ack" || it["disposition"] == "dead_letter";
    assert_eq!(lines.iter().filter(ended).count(), 3, "{lines:?}");
}

#[tokio::test]
async fn the_line_of_what_is_parked_says_what_was_done_for_which_event() {
    let place = Place::new();
    let world = place.world(&[]).await;
    world.fake.add_member("group-1", "ada@example.com");
    world.fake.inject(Fault::next(FaultKind::Hold).for_item_containing("group-2"));
    world.offboard("e-1", "ada@example.com", &["group-1", "group-2"]).await;
    world.fake.wait_for_calls(2, DEADLINE).await;
    world.fake.refuse_credentials(true);
    world.fake.release();
    world.daemon.wait_for_metric(LEAVERS_PAUSED, 1.0).await;
    run(&world.variables, &["pause", "user.offboarded"]).await;
    world.vhost.wait_for_depth(OFFBOARDED, 1).await;
    let lines = place.lines("settled");
    let said = |line: &Value| (line["event_id"].clone(), line["disposition"].clone());
    let said: Vec<(Value, Value)> = lines.iter().map(said).collect();
    assert_eq!(said, [(json!("e-1"), json!("requeue"))]);
    assert_eq!(lines[0]["commands"][0]["result"], "applied");
}

#[tokio::test]
async fn what_is_only_given_back_is_given_back_before_its_line_is_written() {
    let place = Place::new();
    let world = place.world_that_can_fill(&[]).await;
    for group in ["group-1", "group-2"] {
        world.fake.add_member(group, "ada@example.com");
    }
    world.fake.inject(Fault::next(FaultKind::Hold).for_item_containing("group-2"));
    world.offboard("e-1", "ada@example.com", &["group-1", "group-2"]).await;
    world.fake.wait_for_calls(2, DEADLINE).await;
    world.fake.refuse_credentials(true);
    place.leave_room(&world, Some(0));
    world.fake.release();
    world.daemon.wait_for_metric(LEAVERS_PAUSED, 1.0).await;
    run(&world.variables, &["pause", "user.offboarded"]).await;
    world.vhost.wait_for_depth(OFFBOARDED, 1).await;
    let told = world.daemon.logged("interrupted after something was done for it");
    assert_eq!(told.len(), 1, "{told:?}");

    place.leave_room(&world, None);
    let line =
        eventually("it comes later", async || place.lines("interrupted").first().cloned()).await;
    assert_eq!(line["commands"][0]["result"], "applied");
    world.fake.refuse_credentials(false);
    run(&world.variables, &["resume", "user.offboarded"]).await;
    world.vhost.wait_for_depth(OFFBOARDED, 0).await;
    eventually("the rest is done", async || {
        (!world.fake.is_member("group-2", "ada@example.com")).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_full_disk_pauses_the_lanes_and_nothing_is_settled_that_is_not_written() {
    for fsync in ["always", "50ms"] {
        let place = Place::new();
        let mut world = place.world_that_can_fill(&[("AUDIT__FSYNC", fsync)]).await;
        place.leave_room(&world, Some(4500));
        for number in 0..60 {
            world.fake.add_url(&format!("entry-{number}"));
            world.unblock(&format!("e-{number}"), &format!("entry-{number}")).await;
        }
        world.daemon.wait_for_metric(PAUSED, 1.0).await;
        let (_, why) = world.daemon.get("/readyz").await;
        assert!(why.contains("audit.path: ") && why.contains("File too large"), "{why}");
        // What was in work has ended a few tries later, and nothing more is done then.
        let tried = world.daemon.metric(FAILURES).await;
        world.daemon.wait_for_at_least(FAILURES, tried + 20.0).await;
        let (calls, tried) = (world.fake.calls().len(), world.daemon.metric(FAILURES).await);
        world.daemon.wait_for_at_least(FAILURES, tried + 60.0).await;
        assert_eq!(world.fake.calls().len(), calls, "it was done and is not written");
        let written = eventually("what is acked is what is written", async || {
            let written = place.lines("settled").len();
            (world.daemon.metric(ACKED).await == written as f64).then_some(written)
        })
        .await;
        assert!((1..40).contains(&written), "{written}");
        assert!(world.vhost.depth(UNBLOCK).await.unwrap().0 > 0);
        let (_, status) = world.daemon.get("/status.json").await;
        assert!(status.contains(r#""failure":"audit.path: "#), "{status}");
        assert!(!world.daemon.logged("the audit trail cannot be written").is_empty());

        place.leave_room(&world, None);
        world.daemon.wait_for_metric(ACKED, 60.0).await;
        assert!(!world.daemon.logged("the audit trail is written again").is_empty());
        world.vhost.wait_for_depth(UNBLOCK, 0).await;
        world.vhost.wait_for_depth(DEAD_LETTERS, 0).await;
        assert!((0..60).all(|number| !world.fake.has_url(&format!("entry-{number}"))));
        let ids: BTreeSet<String> =
            place.lines("settled").iter().map(|it| it["event_id"].to_string()).collect();
        assert_eq!(ids.len(), 60);
        world.daemon.signal("TERM");
        assert_eq!(world.daemon.ended().await, Some(0));
        assert_eq!(place.verified(&world, "audit.jsonl", &[]).await.0, Some(0));
    }
}

#[tokio::test]
async fn a_daemon_that_is_killed_while_it_writes_leaves_a_whole_chain_with_every_effect() {
    let place = Place::new();
    let mut world = place.world(&[]).await;
    for round in 0..8 {
        let lines = place.lines("settled").len() + 3 + round * 4;
        for number in 0..40 {
            let entry = format!("entry-{round}-{number}");
            world.fake.add_url(&entry);
            world.unblock(&entry, &entry).await;
        }
        eventually("it writes", async || (place.lines("settled").len() >= lines).then_some(()))
            .await;
        world.daemon.signal("KILL");
        assert_eq!(world.daemon.ended().await, None);
        world.restart_daemon().await;
    }
    eventually("all is applied", async || {
        let all =
            (0..8).flat_map(|round| (0..40).map(move |number| format!("entry-{round}-{number}")));
        all.into_iter().all(|entry| !world.fake.has_url(&entry)).then_some(())
    })
    .await;
    world.vhost.wait_for_depth(UNBLOCK, 0).await;
    world.vhost.wait_for_depth(DEAD_LETTERS, 0).await;
    world.daemon.signal("TERM");
    assert_eq!(world.daemon.ended().await, Some(0));
    let (code, chains) = place.verified(&world, "audit.jsonl", &[]).await;
    assert_eq!((code, chains.len(), &chains[0]["first"]), (Some(0), 1, &json!(1)), "{chains:?}");
    let acked = place.lines("settled").into_iter().filter(|line| line["disposition"] == "ack");
    let ids: BTreeSet<String> = acked.map(|it| it["event_id"].to_string()).collect();
    assert_eq!(ids.len(), 320);
    assert_eq!(place.lines("opened").len(), 9);
}

#[tokio::test]
async fn a_torn_line_is_repaired_at_the_next_start_and_the_chain_says_so() {
    let place = Place::new();
    let mut world = place.world(&[]).await;
    world.fake.add_url("entry-1");
    world.unblock("e-1", "entry-1").await;
    world.daemon.wait_for_metric(ACKED, 1.0).await;
    world.daemon.signal("KILL");
    assert_eq!(world.daemon.ended().await, None);
    let text = fs::read_to_string(&place.path).unwrap();
    fs::write(&place.path, format!("{text}{}", &text[..200])).unwrap();
    let (code, found) = place.verified(&world, "audit.jsonl", &[]).await;
    assert_eq!((code, &found[1]["broken"]["line"]), (Some(2), &json!(4)), "{found:?}");
    world.restart_daemon().await;
    world.fake.add_url("entry-2");
    world.unblock("e-2", "entry-2").await;
    world.daemon.wait_for_metric(ACKED, 1.0).await;
    let (code, found) = place.verified(&world, "audit.jsonl", &[]).await;
    assert_eq!((code, &found[0]["repaired"], &found[0]["lines"]), (Some(0), &json!(1), &json!(7)));
    assert_eq!(place.lines("repaired")[0]["torn_bytes"], 200);
}

#[tokio::test]
async fn a_rotation_by_reload_goes_on_with_the_chain_in_the_next_file() {
    let place = Place::new();
    // Nothing but the signal makes it look at the file.
    let mut world = place.world(&[("TIMINGS", "audit_head=1h")]).await;
    let unblocked = async |world: &World, number: usize| {
        world.fake.add_url(&format!("entry-{number}"));
        world.unblock(&format!("e-{number}"), &format!("entry-{number}")).await;
        let id = json!(format!("e-{number}"));
        eventually("it is settled", async || {
            world.daemon.logged("settled").iter().any(|line| line["event_id"] == id).then_some(())
        })
        .await;
    };
    unblocked(&world, 1).await;
    fs::rename(&place.path, place.folder.path().join("audit.jsonl.2")).unwrap();
    // Not as long as something else is there.
    fs::write(&place.path, "of somebody else").unwrap();
    world.daemon.signal("HUP");
    let astray = "the audit trail cannot be written";
    world.daemon.wait_for_logged(astray, 1).await;
    let why = world.daemon.logged(astray)[0]["error"].to_string();
    assert!(why.contains(place.path.to_str().unwrap()), "{why}");
    fs::remove_file(&place.path).unwrap();
    world.daemon.signal("HUP");
    eventually("it goes on in another file", async || {
        world.daemon.logged("the audit trail goes on in another file").first().cloned()
    })
    .await;
    unblocked(&world, 2).await;
    // While nobody writes.
    world.daemon.signal("TERM");
    world.daemon.ended().await;
    fs::rename(&place.path, place.folder.path().join("audit.jsonl.1")).unwrap();
    world.restart_daemon().await;
    unblocked(&world, 3).await;
    let (code, chains) = place.verified(&world, "audit.jsonl", &[]).await;
    assert_eq!((code, chains.len()), (Some(0), 1), "{chains:?}");
    assert_eq!((&chains[0]["first"], &chains[0]["lines"]), (&json!(1), &json!(10)));
    assert_eq!(place.lines("settled")[0]["event_id"], "e-3");
    // Without the one in the middle.
    fs::remove_file(place.folder.path().join("audit.jsonl.1")).unwrap();
    assert_eq!(place.verified(&world, "audit.jsonl", &[]).await.0, Some(2));
}

#[tokio::test]
async fn what_people_do_by_hand_has_a_chain_of_its_own_and_is_not_done_without_it() {
    let place = Place::new();
    let socket = place.folder.path().join("control.sock");
    let world = place.world(&[("CONTROL__SOCKET", socket.to_str().unwrap())]).await;
    let refusal = Fault::always(FaultKind::fail("err_validation_blocked"));
    world.fake.inject(refusal.for_item_containing("ada@"));
    world.offboard("e-1", "ada@example.com", &["group-1"]).await;
    world.publish("url.unblock", r#"{"specversion":"1.0"}"#).await;
    world.vhost.wait_for_depth(DEAD_LETTERS, 2).await;
    let did = async |arguments: &[&str]| {
        let ran = run(&world.variables, arguments).await;
        assert_eq!(ran.code, Some(0), "{ran:?}");
    };
    did(&["dlq", "list"]).await;
    // Who only looks needs no key.
    let mut variables = world.variables.clone();
    variables.extend([named("AUDIT__KEY_FILE", "/nowhere/key")]);
    assert_eq!(run(&variables, &["dlq", "list"]).await.code, Some(0));
    assert_eq!(run(&variables, &["dlq", "discard", "--yes"]).await.code, Some(64));
    assert_eq!(run(&variables, &["pause"]).await.code, Some(64));
    did(&["dlq", "replay", "--id", "e-1", "--dry-run"]).await;
    assert!(!place.folder.path().join("audit-by-hand.jsonl").exists(), "nothing was done");
    did(&["dlq", "replay", "--id", "e-1"]).await;
    world.vhost.wait_for_depth(DEAD_LETTERS, 2).await;
    did(&["dlq", "discard", "--type", "url.unblock", "--yes"]).await;
    did(&["pause", "url.unblock", "--why", "the auditor asks"]).await;
    did(&["resume"]).await;
    let text = fs::read_to_string(place.folder.path().join("audit-by-hand.jsonl")).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let kinds: Vec<&str> = lines.iter().map(|line| line["kind"].as_str().unwrap()).collect();
    let expected = [
        "opened",
        "began",
        "replayed",
        "began",
        "discarded",
        "began",
        "paused",
        "began",
        "resumed",
    ];
    assert_eq!(kinds, expected);
    assert_eq!(lines[1]["command"], "dlq replay --id e-1");
    assert_eq!(lines[2]["letter"]["subject"], "ada@example.com");
    assert_eq!((&lines[2]["to"], &lines[2]["letter"]["id"]), (&json!(OFFBOARDED), &json!("e-1")));
    assert_eq!(lines[4]["letter"]["reason"], "malformed");
    assert!(lines[6]["state"].as_str().unwrap().contains("the auditor asks"), "{}", lines[6]);
    let user = String::from_utf8(Command::new("id").arg("-un").output().unwrap().stdout).unwrap();
    assert!(lines.iter().skip(1).all(|line| line["user"] == user.trim()), "{user}: {lines:?}");
    // Its body is that of the settled message, so that the two chains can be held against each other.
    let settled = place.lines("settled");
    assert!(settled.iter().any(|line| line["body_sha256"] == lines[2]["letter"]["body_sha256"]));
    assert_eq!(place.verified(&world, "audit-by-hand", &[]).await.0, Some(0));

    fs::write(place.folder.path().join("audit-by-hand.jsonl"), text.replace("resumed", "RESUMED"))
        .unwrap();
    for arguments in [&["dlq", "discard", "--yes"][..], &["dlq", "replay"], &["pause"]] {
        let ran = run(&world.variables, arguments).await;
        assert_eq!(ran.code, Some(1), "{ran:?}");
        assert!(
            ran.err.contains("goes by another key than audit.key_file, or was changed"),
            "{ran:?}"
        );
    }
    world.vhost.wait_for_depth(DEAD_LETTERS, 1).await;
    world.daemon.wait_for_metric(PAUSED, 0.0).await;
}

#[tokio::test]
async fn the_page_on_the_trail_proves_a_file_with_its_own_program() {
    const PAGE: &str = include_str!("../../../docs/audit.md");
    let place = Place::new();
    let world = place.world(&[]).await;
    world.fake.add_url("entry-1");
    world.unblock("e-1", "entry-1").await;
    world.daemon.wait_for_metric(ACKED, 1.0).await;
    let (_, block) = PAGE.split_once("```python\n").unwrap();
    let (program, _) = block.split_once("```").unwrap();
    let key = place.folder.path().join("key");
    let prove = |path: &Path| {
        let output =
            Command::new("python3").args(["-c", program]).args([&key, path]).output().unwrap();
        (output.status.success(), String::from_utf8(output.stdout).unwrap())
    };
    let status = world.daemon.status().await;
    let head = status["audit"]["head"].as_str().unwrap();
    assert_eq!(prove(&place.path), (true, format!("3 {head}\n")));
    let changed = place.folder.path().join("changed");
    let text = fs::read_to_string(&place.path).unwrap().replace("entry-1", "entry-2");
    fs::write(&changed, text).unwrap();
    assert!(!prove(&changed).0);
    // And what it shows for a shell is understood.
    let (_, block) = PAGE.rsplit_once("```sh\n").unwrap();
    let (commands, _) = block.split_once("```").unwrap();
    let commands = commands.replace("ada@example.com", "entry-1").replace("--address", "--id");
    let commands = commands.replace("--id entry-1", "--id e-1");
    let program = Path::new(env!("CARGO_BIN_EXE_mimecast-eventd")).parent().unwrap();
    let mut shell = Command::new("bash");
    shell.args(["-e", "-c", &commands]).env_clear().envs(&world.variables);
    shell.env("PATH", format!("{}:/usr/bin:/bin", program.display()));
    fs::remove_file(&changed).unwrap();
    let output = shell.current_dir(place.folder.path()).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(
        fs::read_to_string(place.folder.path().join("report.html")).unwrap().contains("is whole")
    );
}
