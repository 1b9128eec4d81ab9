//! Waiting until a node is ready, and the reason when it does not become ready.

use super::Node;
use super::ports::accepts;
use crate::failure::{Failure, Result};
use crate::process::report;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// A node is ready within ten seconds, but a machine may have other things to do.
const PATIENCE: Duration = Duration::from_secs(180);

pub(super) fn wait(node: &mut Node) -> Result {
    let deadline = Instant::now() + PATIENCE;
    loop {
        // Read before: a node that ended meanwhile is not ready.
        let ready = is_ready(node);
        if !node.is_running() {
            return Err(failure("the node ended while starting", &node.folder));
        }
        if ready {
            return Ok(());
        }
        if Instant::now() > deadline {
            return Err(failure("the node is not ready after 180 s", &node.folder));
        }
        sleep(Duration::from_millis(100));
    }
}

fn is_ready(node: &Node) -> bool {
    has_booted(&node.folder)
        && accepts(node.ports.amqp())
        && node.amqps_port().is_none_or(accepts)
        && management_answers(node.ports.management()).unwrap_or(false)
}

/// A little after its ports are open; before that it takes no part in a cluster.
fn has_booted(folder: &Path) -> bool {
    let log = fs::read_to_string(folder.join("log/start.log")).unwrap_or_default();
    log.lines().any(|line| line.contains(" completed with ") && line.contains(" plugins"))
}

fn management_answers(port: u16) -> std::io::Result<bool> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    stream.write_all(
        b"GET /api/overview HTTP/1.0\r\nHost: localhost\r\nAuthorization: Basic Z3Vlc3Q6Z3Vlc3Q=\r\n\r\n",
    )?;
    let mut start = [0; 12];
    stream.read_exact(&mut start)?;
    Ok(start.starts_with(b"HTTP/1.") && start.ends_with(b" 200"))
}

/// Writes the end of the log. The cause is around "Error during startup", with pages of consequences behind it. An
/// error in the configuration comes before anything is written to `rabbit.log`.
fn failure(what: &str, folder: &Path) -> Failure {
    let read = |name: &str| fs::read_to_string(folder.join(name)).unwrap_or_default();
    let (rabbit, start) = (read("log/rabbit.log"), read("log/start.log"));
    let in_start = rabbit.is_empty() || start.contains("BOOT FAILED");
    let (name, log) = if in_start { ("start.log", start) } else { ("rabbit.log", rabbit) };
    let lines: Vec<&str> = log.lines().collect();
    let cause = lines.iter().position(|line| line.contains("Error during startup"));
    let (from, to) = match cause {
        Some(cause) => (cause.saturating_sub(12), (cause + 8).min(lines.len())),
        None => (lines.len().saturating_sub(20), lines.len()),
    };
    report(&format!("the end of {}/log/{name}:\n{}", folder.display(), lines[from..to].join("\n")));
    Failure::failed(what)
}
