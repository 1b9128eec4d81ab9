//! `check` and `healthcheck`, as an operator runs them.

use crate::support::DEADLINE;
use crate::support::broker::{DEAD_LETTERS, UNBLOCK, Vhost};
use crate::support::daemon::Daemon;
use crate::support::settings::{self, Variables, named};
use crate::support::world::World;
use fake_mimecast::{Credentials, FakeMimecast, Operation};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::process::Command;

#[tokio::test]
async fn all_is_well_beside_a_running_daemon_and_stays_as_it_is() {
    for credentials in [settings::hmac, settings::oauth2] {
        let world = World::new(credentials, &[]).await;
        world.fake.add_member("group-1", "ada@example.com");
        world.fake.add_url("entry-1");
        let (code, lines) = check(&world.variables, &[]).await;
        assert_eq!(code, Some(0), "{lines:?}");
        let expected = [
            "ok       settings: complete, for user.offboarded and url.unblock",
            "ok       broker: reachable, and it lets us in",
            "ok       topology: queues, exchanges, permissions and dead-letter route are as they should be",
            "ok       vendor remove_group_member: reachable, credentials accepted",
            "ok       vendor delete_managed_url: reachable, credentials accepted",
            "ok       clock: agrees with the vendor's",
        ];
        assert_eq!(lines, expected);
        assert!(
            world.fake.is_member("group-1", "ada@example.com") && world.fake.has_url("entry-1")
        );
        assert_eq!(world.fake.violations(), Vec::<String>::new());
        world.vhost.wait_for_depth(DEAD_LETTERS, 0).await;
        world.vhost.wait_for_depth(UNBLOCK, 0).await;
    }
}

#[tokio::test]
async fn offline_stops_after_the_settings() {
    let fake = FakeMimecast::start(Credentials::default()).await;
    let mut variables = settings::hmac(&fake);
    variables.extend([named("AMQP__URL", "amqp://127.0.0.1:1")]);
    let (code, lines) = check(&variables, &["--offline"]).await;
    assert_eq!((code, lines.len()), (Some(0), 1), "{lines:?}");
    assert!(fake.calls().is_empty());
    variables.insert("EVENTD_MIMECAST__AUTH".into(), "both".into());
    assert_eq!(check(&variables, &["--offline"]).await.0, Some(64));
}

#[tokio::test]
async fn what_the_daemon_will_declare_is_a_warning_and_is_not_declared_by_the_check() {
    let vhost = Vhost::new().await;
    let fake = FakeMimecast::start(Credentials::default()).await;
    let mut variables = settings::hmac(&fake);
    variables.extend([named("AMQP__URL", &vhost.url)]);
    let (code, lines) = check(&variables, &[]).await;
    assert_eq!(code, Some(0), "{lines:?}");
    let warned = |line: &&String| line.starts_with("warning  topology: ") && line.contains(UNBLOCK);
    assert!(lines.iter().any(|line| warned(&line)), "{lines:?}");
    assert_eq!(vhost.depth(UNBLOCK).await, None);

    variables.extend([named("AMQP__TOPOLOGY", "verify")]);
    let (code, lines) = check(&variables, &[]).await;
    assert_eq!(code, Some(1), "{lines:?}");
    assert!(lines.iter().any(|line| line.starts_with("failure  topology: ")), "{lines:?}");
}

#[tokio::test]
async fn what_is_away_or_refuses_us_is_a_failure_and_the_rest_is_still_looked_at() {
    let world = World::hmac().await;
    world.fake.refuse_credentials(true);
    let mut variables = world.variables.clone();
    variables.extend([named("AMQP__URL", "amqp://canary:canary@127.0.0.1:1")]);
    let (code, lines) = check(&variables, &[]).await;
    assert_eq!(code, Some(1));
    assert!(lines[1].starts_with("failure  broker: cannot connect to the broker at 127.0.0.1:1"));
    let refused = "failure  vendor remove_group_member: err_xdk_invalid_signature";
    assert!(lines.iter().any(|line| line.starts_with(refused)), "{lines:?}");
    assert!(lines.iter().all(|line| !line.contains("canary")), "{lines:?}");
}

#[tokio::test]
async fn a_clock_that_is_off_is_a_failure_that_says_by_how_much() {
    for ahead in [2 * 60, -5 * 60] {
        let fake = FakeMimecast::start(Credentials::default()).await;
        fake.set_clock_ahead(chrono::TimeDelta::seconds(ahead));
        let mut variables = settings::hmac(&fake);
        variables.extend([named("AMQP__URL", "amqp://127.0.0.1:1")]);
        let (code, lines) = check(&variables, &[]).await;
        assert_eq!(code, Some(1));
        let clock = lines.iter().find(|line| line.contains("  clock: ")).unwrap();
        assert!(clock.starts_with("failure  clock: differs from the vendor's by "), "{clock}");
        let seconds = clock.split_whitespace().find_map(|word| word.parse::<i64>().ok()).unwrap();
        assert!((seconds - ahead).abs() < 30, "{clock}");
    }
}

#[tokio::test]
async fn an_operation_that_the_application_lacks_is_a_failure_of_that_operation_alone() {
    let fake = FakeMimecast::start(Credentials::default()).await;
    fake.products(&[Operation::RemoveGroupMember]);
    let mut variables = settings::oauth2(&fake);
    variables.extend([named("AMQP__URL", "amqp://127.0.0.1:1")]);
    let (code, lines) = check(&variables, &[]).await;
    assert_eq!(code, Some(1));
    let starts = |start: &str| lines.iter().any(|line| line.starts_with(start));
    assert!(starts("ok       vendor remove_group_member: "), "{lines:?}");
    assert!(starts("failure  vendor delete_managed_url: app_forbidden"), "{lines:?}");
}

#[tokio::test]
async fn a_healthcheck_is_well_as_long_as_the_daemon_works() {
    let world = World::hmac().await;
    let admin = world.daemon.authority();
    let healthy = |admin: String| async move {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mimecast-eventd"));
        let command = command.args(["healthcheck", "--admin-listen", &admin]).env_clear();
        command.output().await.unwrap().status.code()
    };
    assert_eq!(healthy(admin.clone()).await, Some(0));
    let everywhere = admin.replace("127.0.0.1", "0.0.0.0");
    assert_eq!(healthy(everywhere).await, Some(0));
    drop(world);
    assert_eq!(healthy(admin).await, Some(1));

    // Without a broker the daemon is not ready, but it works.
    let fake = FakeMimecast::start(Credentials::default()).await;
    let mut variables = settings::hmac(&fake);
    variables.extend([named("AMQP__URL", "amqp://127.0.0.1:1")]);
    let daemon = Daemon::start(&variables).await;
    assert_eq!(daemon.get("/readyz").await.0, 503);
    assert_eq!(healthy(daemon.authority()).await, Some(0));
    // Somebody else at the address, who answers that nothing is well.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let stranger = listener.local_addr().unwrap().to_string();
    let answering = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(b"HTTP/1.1 503 Service Unavailable\r\n\r\n").await.unwrap();
        // Whoever asked may close before it is read to its end.
        let _ended = stream.read_to_end(&mut Vec::new()).await;
    };
    assert_eq!(tokio::join!(healthy(stranger.clone()), answering).0, Some(1));
    // And one who says nothing at all: the connection is made, and that is all.
    let silent = tokio::time::timeout(DEADLINE, healthy(stranger)).await;
    assert_eq!(silent.expect("it does not wait for ever"), Some(1));
}

async fn check(variables: &Variables, arguments: &[&str]) -> (Option<i32>, Vec<String>) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mimecast-eventd"));
    let command = command.arg("check").args(arguments).env_clear().envs(variables);
    let output = command.output().await.unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    (output.status.code(), text.lines().map(str::to_owned).collect())
}
