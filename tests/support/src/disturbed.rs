//! The node that tests may stop, kill and starve. There is one for all of them, in turn, because
//! starting one costs more than most tests do.

use super::node::{Node, folder_of_this_run};
use std::path::PathBuf;
use tokio::sync::{Mutex, MutexGuard};

static NODE: Mutex<Option<Node>> = Mutex::const_new(None);

/// The node, for one test. It is handed on in good health.
pub struct Disturbed(MutexGuard<'static, Option<Node>>);

impl Disturbed {
    /// Waits for the node to be free.
    pub async fn node() -> Disturbed {
        let mut disturbed = Disturbed(NODE.lock().await);
        if disturbed.0.is_none() {
            // What a test has left there that did not come to its end.
            let _nothing_left = std::fs::remove_dir_all(folder());
            disturbed.start().await;
        }
        disturbed
    }

    /// The node while it runs.
    pub fn running(&self) -> &Node {
        self.0.as_ref().expect("the node runs")
    }

    /// Stops it in good order.
    pub async fn stop(&mut self) {
        self.end(Node::stop).await;
    }

    /// Kills it without a warning.
    pub async fn kill(&mut self) {
        self.end(Node::kill).await;
    }

    /// Starts it again, with its ports and data.
    pub async fn start(&mut self) {
        let starting = tokio::task::spawn_blocking(|| Node::start(&folder()));
        *self.0 = Some(starting.await.unwrap());
    }

    /// Lets it be short of memory, so that it takes no messages.
    pub fn starve(&self) {
        self.running().evaluate("vm_memory_monitor:set_vm_memory_high_watermark({absolute, 1}).");
    }

    /// Lets it have memory enough.
    pub fn feed(&self) {
        self.running().evaluate("vm_memory_monitor:set_vm_memory_high_watermark(0.4).");
    }

    /// Off the runtime, so that relays and the vendor go on meanwhile.
    async fn end(&mut self, how: fn(Node)) {
        let node = self.0.take().expect("the node runs");
        tokio::task::spawn_blocking(move || how(node)).await.unwrap();
    }
}

impl Drop for Disturbed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // Nobody knows what state a test has left it in that did not come to its end.
            drop(self.0.take());
        }
    }
}

fn folder() -> PathBuf {
    folder_of_this_run("disturbed-node")
}
