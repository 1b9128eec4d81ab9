//! Two nodes that tests may stop, kill and starve. All of them take turns, because starting one costs more than most
//! tests do.

use super::node::{Node, folder_of_this_run};
use std::path::PathBuf;
use tokio::sync::{Mutex, MutexGuard};

static NODES: [Mutex<Option<Node>>; 2] = [Mutex::const_new(None), Mutex::const_new(None)];

/// One of the nodes, for one test. It is handed on in good health.
pub struct Disturbed {
    node: MutexGuard<'static, Option<Node>>,
    number: usize,
}

impl Disturbed {
    /// Waits for one of them to be free.
    pub async fn node() -> Disturbed {
        let [first, second] = &NODES;
        let mut disturbed = tokio::select! {
            biased;
            node = first.lock() => Disturbed { node, number: 1 },
            node = second.lock() => Disturbed { node, number: 2 },
        };
        if disturbed.node.is_none() {
            // What a test has left there that did not come to its end.
            let _nothing_left = std::fs::remove_dir_all(disturbed.folder());
            disturbed.start().await;
        }
        disturbed
    }

    /// The node while it runs.
    pub fn running(&self) -> &Node {
        self.node.as_ref().expect("the node runs")
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
        let folder = self.folder();
        let starting = tokio::task::spawn_blocking(move || Node::start(&folder));
        *self.node = Some(starting.await.unwrap());
    }

    /// Lets it be short of memory, so that it takes no messages.
    pub fn starve(&self) {
        self.running().evaluate("vm_memory_monitor:set_vm_memory_high_watermark({absolute, 1}).");
    }

    /// Lets it have memory enough.
    pub fn feed(&self) {
        self.running().evaluate("vm_memory_monitor:set_vm_memory_high_watermark(0.4).");
    }

    fn folder(&self) -> PathBuf {
        folder_of_this_run(&format!("disturbed-node-{}", self.number))
    }

    /// Off the runtime, so that relays and the vendor go on meanwhile.
    async fn end(&mut self, how: fn(Node)) {
        let node = self.node.take().expect("the node runs");
        tokio::task::spawn_blocking(move || how(node)).await.unwrap();
    }
}

impl Drop for Disturbed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // Nobody knows what state a test has left it in that did not come to its end.
            drop(self.node.take());
        }
    }
}
