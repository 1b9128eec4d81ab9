//! A test that is killed leaves nothing running: neither its daemon nor its broker.

use crate::support::daemon::Daemon;
use crate::support::eventually;
use crate::support::node::Node;
use crate::support::settings::{self, named};
use fake_mimecast::{Credentials, FakeMimecast};
use std::io::Write as _;
use std::path::Path;
use std::process::Stdio;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

/// Tells the child of the test below that it is the child, and where its broker shall live.
const FOLDER: &str = "EVENTD_TEST_IS_KILLED_IN";

#[tokio::test]
async fn a_killed_test_leaves_no_daemon_and_no_broker_behind() {
    if let Some(folder) = std::env::var_os(FOLDER) {
        return wait_to_be_killed(Path::new(&folder)).await;
    }
    let folder = tempfile::tempdir().unwrap();
    let name = "house::killed::a_killed_test_leaves_no_daemon_and_no_broker_behind";
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", name, "--nocapture"]).env(FOLDER, folder.path());
    let mut child = command.stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let processes = loop {
        let line = lines.next_line().await.unwrap().expect("the child says what it started");
        if let Some((_, processes)) = line.split_once("started: ") {
            break processes.split(' ').map(str::to_owned).collect::<Vec<String>>();
        }
    };
    assert_eq!(processes.len(), 2);
    assert!(processes.iter().all(|process| is_alive(process)), "{processes:?}");
    child.kill().await.unwrap();
    eventually("daemon and broker are gone", async || {
        (!processes.iter().any(|process| is_alive(process))).then_some(())
    })
    .await;
}

async fn wait_to_be_killed(folder: &Path) {
    let node = Node::start(folder);
    let fake = FakeMimecast::start(Credentials::default()).await;
    let mut variables = settings::hmac(&fake);
    variables.extend([named("AMQP__URL", &format!("amqp://guest:guest@{}", node.authority()))]);
    let daemon = Daemon::start(&variables).await;
    daemon.wait_until_ready().await;
    let mut stdout = std::io::stdout();
    writeln!(stdout, "started: {} {}", daemon.process(), node.process()).unwrap();
    stdout.flush().unwrap();
    std::future::pending().await
}

/// Whether the process is there and not only waits for somebody to notice its end.
fn is_alive(process: &str) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    status.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
}
