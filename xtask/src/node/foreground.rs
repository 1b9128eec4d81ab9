//! A node for scripts: `cargo xtask node DIR`.
//!
//! When the node is ready, these lines go to standard output: `AMQP_URL=`, `MANAGEMENT_URL=`, `AMQPS_PORT=` (with
//! `BROKER_TLS_DIR` only), `PID=` (of the Erlang VM, the process to kill in tests) and `READY`. The node lives until
//! the end of standard input: a caller holds the writing end of a pipe. With standard input closed or `/dev/null`
//! it stops at once.

use super::{Node, Options};
use crate::failure::Result;
use crate::process::{print, report};
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

/// Runs a node until the end of standard input, or until the node ends.
pub fn run(folder: &Path) -> Result {
    static READY: AtomicBool = AtomicBool::new(false);
    let (closed, end) = channel::<()>();
    std::thread::spawn(move || {
        let _end = io::copy(&mut io::stdin(), &mut io::sink());
        if !READY.load(Ordering::SeqCst) {
            report("standard input ended before the node was ready");
            // The parts of the node that run are bound to this process.
            std::process::exit(0);
        }
        drop(closed);
    });
    let mut node = Node::start(folder, &Options::from_environment()?)?;
    READY.store(true, Ordering::SeqCst);
    print(&format!("AMQP_URL={}", node.amqp_url()))?;
    print(&format!("MANAGEMENT_URL={}", node.management_url()))?;
    if let Some(port) = node.amqps_port() {
        print(&format!("AMQPS_PORT={port}"))?;
    }
    print(&format!("PID={}\nREADY", node.process()))?;
    while end.recv_timeout(Duration::from_millis(200)) == Err(RecvTimeoutError::Timeout) {
        if !node.is_running() {
            report(&format!("the node (PID {}) ended by itself", node.process()));
            break;
        }
    }
    Ok(())
}
