//! Lanes that people pause and resume.

use crate::support::broker::{DEAD_LETTERS, OFFBOARDED, UNBLOCK};
use crate::support::daemon::{Daemon, bound_to_us};
use crate::support::node::Node;
use crate::support::program::run;
use crate::support::relay::Relay;
use crate::support::settings::named;
use crate::support::wire::{Hold, Method, Wire};
use crate::support::world::World;
use crate::support::{DEADLINE, eventually};
use fake_mimecast::{Fault, FaultKind};
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;

const PAUSED: &str = r#"eventd_lane_state{event="url.unblock",state="paused"}"#;
const BY_HAND: &str = r#"eventd_lane_paused_by_hand{event="url.unblock"}"#;

/// Where the world's daemon listens by default.
fn socket(world: &World) -> PathBuf {
    PathBuf::from(&world.variables["XDG_RUNTIME_DIR"]).join("mimecast-eventd/control.sock")
}

/// Waits until the queue of unblockings has no consumer.
async fn wait_until_it_rests(world: &World) {
    eventually("nobody consumes", async || {
        world.vhost.depth(UNBLOCK).await.filter(|(_, consumers)| *consumers == 0)
    })
    .await;
}

#[tokio::test]
async fn a_lane_that_is_paused_finishes_what_is_in_work_and_takes_nothing_until_it_is_resumed() {
    let world = World::hmac().await;
    for entry in ["entry-1", "entry-2"] {
        world.fake.add_url(entry);
    }
    world.fake.inject(Fault::next(FaultKind::Hold));
    world.unblock("e-1", "entry-1").await;
    world.fake.wait_for_calls(1, DEADLINE).await;
    let pause = ["pause", "url.unblock", "--why", "the tenant is moved"];
    let paused = run(&world.variables, &pause).await;
    assert_eq!(paused.code, Some(0), "{paused:?}");
    let state =
        "paused by hand: the tenant is moved (until it is resumed or restarted; this replica only)";
    assert!(paused.lines()[1] == format!("url.unblock  {state}"), "{paused:?}");
    assert!(paused.err.contains("this replica only"), "{paused:?}");
    // The broker counts the consumer of a quorum queue for as long as it has a message of it.
    world.daemon.wait_for_metric(PAUSED, 1.0).await;
    world.fake.release();
    assert_eq!(
        world.daemon.settled(1).await[0]["disposition"],
        "ack",
        "what was in work is finished"
    );

    world.unblock("e-2", "entry-2").await;
    // The other lane is not concerned.
    world.fake.add_member("staff", "ada@example.com");
    world.offboard("e-3", "ada@example.com", &["staff"]).await;
    world.daemon.settled(2).await;
    assert!(world.fake.has_url("entry-2") && !world.fake.is_member("staff", "ada@example.com"));
    world.vhost.wait_for_depth(UNBLOCK, 1).await;
    world.daemon.wait_for_metric(PAUSED, 1.0).await;
    assert_eq!(world.daemon.metric(BY_HAND).await, 1.0);
    let (status, text) = world.daemon.get("/readyz").await;
    assert_eq!(status, 503);
    assert!(text.contains(": by hand: the tenant is moved"), "{text}");
    assert!(text.contains("user.offboarded consuming\n"), "{text}");
    let logged = world.daemon.logged("the lane is paused by hand");
    assert_eq!((logged.len(), &logged[0]["event"]), (1, &json!("url.unblock")));

    let resumed = run(&world.variables, &["resume", "--json"]).await;
    assert_eq!(resumed.field("lane"), ["user.offboarded", "url.unblock"], "{resumed:?}");
    assert_eq!(resumed.field("changed"), [false, true], "{resumed:?}");
    world.daemon.settled(3).await;
    assert!(!world.fake.has_url("entry-2"));
    world.daemon.wait_until_ready().await;
    assert_eq!(world.daemon.metric(BY_HAND).await, 0.0);
    let nothing = run(&world.variables, &["resume"]).await;
    assert!(nothing.err.contains("no lane was paused by hand"), "{nothing:?}");
    assert_eq!(nothing.lines()[1], "user.offboarded  consuming");
}

#[tokio::test]
async fn a_pause_by_hand_survives_a_connection_and_ends_with_the_process() {
    let relay = Relay::to(Node::shared().authority()).await;
    let mut world = World::by(&relay.authority(), &[]).await;
    world.fake.add_url("entry-1");
    assert_eq!(run(&world.variables, &["pause"]).await.lines().len(), 3);
    wait_until_it_rests(&world).await;
    world.unblock("e-1", "entry-1").await;
    relay.cut();
    let connections = r#"eventd_amqp_connections_total{event="url.unblock"}"#;
    world.daemon.wait_for_metric(connections, 2.0).await;
    world.daemon.wait_for_metric(PAUSED, 1.0).await;
    assert_eq!(world.daemon.metric(BY_HAND).await, 1.0);
    assert_eq!(world.vhost.depth(UNBLOCK).await, Some((1, 0)));
    world.restart_daemon().await;
    world.daemon.settled(1).await;
    assert!(!world.fake.has_url("entry-1"));
    assert_eq!(world.daemon.metric(BY_HAND).await, 0.0);
}

#[tokio::test]
async fn a_pause_for_a_time_ends_by_itself_and_the_last_word_counts() {
    let world = World::hmac().await;
    let paused = run(&world.variables, &["pause", "url.unblock", "--for", "1s", "--json"]).await;
    let until = paused.field("state")[0].as_str().unwrap().to_owned();
    assert!(until.starts_with("paused by hand (until 20"), "{until}");
    world.daemon.wait_for_metric(BY_HAND, 1.0).await;
    world.daemon.wait_for_metric(BY_HAND, 0.0).await;
    world.daemon.wait_until_ready().await;

    run(&world.variables, &["pause", "url.unblock", "--for", "1s"]).await;
    run(&world.variables, &["pause", "url.unblock"]).await;
    run(&world.variables, &["pause", "user.offboarded", "--for", "2s"]).await;
    // When that one is over, the first of the others would have been for a second.
    let other = r#"eventd_lane_paused_by_hand{event="user.offboarded"}"#;
    world.daemon.wait_for_metric(other, 1.0).await;
    world.daemon.wait_for_metric(other, 0.0).await;
    assert_eq!(world.daemon.metric(BY_HAND).await, 1.0);
}

#[tokio::test]
async fn a_lane_that_has_paused_by_itself_holds_nothing_once_it_is_paused_by_hand() {
    let own = [("EVENTS__URL_UNBLOCK__PREFETCH", "4")];
    let world = World::with(&own).await;
    for number in 0..6 {
        world.fake.add_url(&format!("entry-{number}"));
    }
    world.fake.inject(Fault::always(FaultKind::status(503)));
    for number in 0..6 {
        world.unblock(&format!("e-{number}"), &format!("entry-{number}")).await;
    }
    world.daemon.wait_for_metric(PAUSED, 1.0).await;
    run(&world.variables, &["pause", "url.unblock"]).await;
    world.vhost.wait_for_depth(UNBLOCK, 6).await;
    world.daemon.wait_for_metric(r#"eventd_messages_in_flight{event="url.unblock"}"#, 0.0).await;
    let calls = world.fake.calls().len();
    world.fake.heal();
    // It does not even ask whether the vendor is back: the other lane would have asked ten times.
    for number in 0..10 {
        world.offboard(&format!("o-{number}"), "ada@example.com", &["staff"]).await;
    }
    world.vhost.wait_for_depth(OFFBOARDED, 0).await;
    eventually("all of them are settled", async || {
        let settled = world.daemon.logged("settled");
        let acked =
            |line: &&Value| line["event"] == "user.offboarded" && line["disposition"] == "ack";
        (settled.iter().filter(acked).count() == 10).then_some(())
    })
    .await;
    assert!(world.fake.calls().len() >= calls + 10);
    assert!((0..6).all(|number| world.fake.has_url(&format!("entry-{number}"))));
    assert!(world.daemon.get("/readyz").await.1.contains(": by hand"));
    run(&world.variables, &["resume", "url.unblock"]).await;
    eventually("all of them are applied", async || {
        (0..6).all(|number| !world.fake.has_url(&format!("entry-{number}"))).then_some(())
    })
    .await;
    world.vhost.wait_for_depth(UNBLOCK, 0).await;
    let count = r#"eventd_messages_settled_total{disposition="dead_letter",event="url.unblock"}"#;
    assert_eq!(world.daemon.metric(count).await, 0.0);
}

#[tokio::test]
async fn what_a_paused_lane_finds_no_place_for_goes_back_once_it_is_paused_by_hand() {
    let world = World::hmac().await;
    world.fake.add_url("entry-1");
    world.vhost.refuse_dead_letters().await;
    world.fake.inject(Fault::always(FaultKind::status(503)));
    world.publish("url.unblock", "nonsense").await;
    world.daemon.wait_for_metric(PAUSED, 1.0).await;
    world.unblock("e-1", "entry-1").await;
    run(&world.variables, &["pause", "url.unblock"]).await;
    // Neither the letter, of which nobody takes a copy, nor what stands behind it is held.
    world.vhost.wait_for_depth(UNBLOCK, 2).await;
    world.daemon.wait_for_metric(r#"eventd_messages_in_flight{event="url.unblock"}"#, 0.0).await;

    world.vhost.accept_dead_letters().await;
    world.fake.heal();
    run(&world.variables, &["resume", "url.unblock"]).await;
    let found = world.vhost.take(DEAD_LETTERS).await;
    assert_eq!(found.header("x-eventd-reason"), "malformed");
    world.vhost.wait_for_depth(UNBLOCK, 0).await;
    eventually("the other is applied", async || (!world.fake.has_url("entry-1")).then_some(()))
        .await;
}

#[tokio::test]
async fn a_lane_that_rests_gives_back_what_it_finds_no_place_for() {
    let wire = Wire::to(Node::shared().authority()).await;
    let world = World::by(&wire.authority(), &[("TIMINGS", "confirm=2s")]).await;
    world.vhost.refuse_dead_letters().await;
    wire.hold(Hold::Confirms);
    world.publish("url.unblock", "nonsense").await;
    let is_publish = |method: &Method| matches!(method, Method::Publish { mandatory: true, .. });
    wire.wait_for("publish", 1, is_publish).await;
    run(&world.variables, &["pause", "url.unblock"]).await;
    wait_until_it_rests(&world).await;
    // Only now does it hear that nobody takes the copy.
    wire.hold(Hold::Nothing);
    world.vhost.wait_for_depth(UNBLOCK, 1).await;
    world.vhost.accept_dead_letters().await;
    run(&world.variables, &["resume", "url.unblock"]).await;
    assert_eq!(world.vhost.take(DEAD_LETTERS).await.body, b"nonsense");
    world.vhost.wait_for_depth(UNBLOCK, 0).await;
}

#[tokio::test]
async fn what_is_on_its_way_to_a_lane_as_it_is_paused_by_hand_goes_back_and_is_applied_later() {
    let wire = Wire::to(Node::shared().authority()).await;
    let world = World::by(&wire.authority(), &[]).await;
    world.fake.add_url("entry-1");
    wire.hold(Hold::Everything);
    world.unblock("e-1", "entry-1").await;
    wire.wait_for_broker("the broker hands it out", |method| *method == Method::Deliver).await;
    run(&world.variables, &["pause", "url.unblock"]).await;
    wire.wait_for("cancel", 1, |method| *method == Method::Cancel).await;
    wire.hold(Hold::Nothing);
    assert_eq!(world.daemon.settled(1).await[0]["disposition"], "requeue");
    wait_until_it_rests(&world).await;
    world.vhost.wait_for_depth(UNBLOCK, 1).await;
    run(&world.variables, &["resume", "url.unblock"]).await;
    eventually("it is applied", async || (!world.fake.has_url("entry-1")).then_some(())).await;
}

#[tokio::test]
async fn only_the_user_of_the_process_may_and_one_process_holds_the_socket() {
    let world = World::hmac().await;
    let path = socket(&world);
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    // A second one beside it works, and says that it cannot be paused by hand.
    let second = Daemon::start(&world.variables).await;
    second.wait_until_ready().await;
    let said = second.logged("nobody can pause or resume by hand; control.socket names a path");
    assert_eq!(said[0]["cause"], "another process holds it");
    // One that was asked to hold it does not start.
    let mut variables = world.variables.clone();
    variables.extend([named("CONTROL__SOCKET", path.to_str().unwrap())]);
    let mut command = bound_to_us(env!("CARGO_BIN_EXE_mimecast-eventd"));
    let output = command.arg("run").env_clear().envs(&variables).output().await.unwrap();
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(
        text.contains("control.socket: cannot listen on")
            && text.contains("another process holds it"),
        "{text}"
    );
    // The first one is still the one that is asked.
    run(&world.variables, &["pause", "url.unblock"]).await;
    world.daemon.wait_for_metric(BY_HAND, 1.0).await;
    assert_eq!(second.metric(BY_HAND).await, 0.0);
    // And what is left of one that was killed is no obstacle.
    drop((world.daemon, second));
    assert!(path.exists());
    let away = run(&world.variables, &["pause"]).await;
    assert_eq!(away.code, Some(1));
    assert!(
        away.err.contains("no daemon answers at ") && away.err.contains("control.socket"),
        "{away:?}"
    );
    let mut third = Daemon::start(&variables).await;
    third.wait_until_ready().await;
    run(&variables, &["pause", "url.unblock"]).await;
    third.wait_for_metric(BY_HAND, 1.0).await;
    third.signal("TERM");
    assert_eq!(third.ended().await, Some(0));
    assert!(!path.exists(), "one that ends in good order leaves nothing behind");
}

#[tokio::test]
async fn nonsense_on_the_socket_is_answered_and_keeps_nobody_from_it() {
    let world = World::hmac().await;
    let path = socket(&world);
    // One that says nothing, and one that stops midway.
    let _silent = UnixStream::connect(&path).await.unwrap();
    let mut midway = UnixStream::connect(&path).await.unwrap();
    midway.write_all(br#"{"pause":true,"#).await.unwrap();
    let endless = "x".repeat(100_000);
    for (line, said) in [
        ("nonsense\n", "expected"),
        ("{}\n", "missing field"),
        (endless.as_str(), "expected"),
        (r#"{"pause":true,"lane":"payroll"}"#, "this process has no lane"),
        (r#"{"pause":true,"seconds":18446744073709551615}"#, "that is too long"),
    ] {
        let mut stream = BufReader::new(UnixStream::connect(&path).await.unwrap());
        // It may have heard enough before it is over.
        let _heard = stream.write_all(line.as_bytes()).await;
        let _heard = stream.write_all(b"\n").await;
        let mut answer = String::new();
        if stream.read_line(&mut answer).await.is_ok() && !answer.is_empty() {
            let answer: Value = serde_json::from_str(&answer).unwrap();
            assert!(answer["error"].as_str().unwrap().contains(said), "{answer}");
        } else {
            assert_eq!(line, endless, "only who says too much is not answered");
        }
    }
    // Who is refused is told so.
    let longer = ["pause", "url.unblock", "--for", "1000000000years"];
    let refused = run(&world.variables, &longer).await;
    assert_eq!((refused.code, refused.out.as_str()), (Some(1), ""), "{refused:?}");
    assert!(refused.err.contains("the daemon says: that is too long"), "{refused:?}");
    let paused =
        run(&world.variables, &["pause", "url.unblock", "--why", "ask ada@example.com\u{1b}[2J"])
            .await;
    assert_eq!(paused.code, Some(0), "{paused:?}");
    assert!(paused.out.contains("ask [address] [2J"), "{paused:?}");
    let mut rest = String::new();
    drop(midway.shutdown().await);
    midway.read_to_string(&mut rest).await.unwrap();
    assert!(rest.contains("error"), "{rest}");
    let mistyped = run(&world.variables, &["pause", "user.offbord"]).await;
    assert_eq!(mistyped.code, Some(64));
    assert!(mistyped.err.contains("'user.offboarded'"), "{}", mistyped.err);
}
