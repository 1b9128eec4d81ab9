//! The environment of the tests: broker nodes, a virtual host for each test, the daemon as a process
//! and its settings, relays on either side of it, faults and their ledger.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails at that line")]

pub mod broker;
pub mod certificates;
pub mod cluster;
pub mod daemon;
pub mod disturbed;
pub mod faults;
pub mod malicious_api;
pub mod node;
pub mod path;
pub mod program;
pub mod proxy;
pub mod relay;
pub mod settings;
pub mod stranger;
pub mod wire;
pub mod within;
pub mod world;

use std::time::Duration;
use tokio::time::Instant;

/// Far longer than anything takes that happens at all: the daemon gives up a connection that does not
/// come about after 30 seconds, and makes another.
pub const DEADLINE: Duration = Duration::from_secs(75);

/// Waits until `fact` gives something, and fails with `what` if it never does.
pub async fn eventually<T>(what: &str, mut fact: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + DEADLINE;
    let mut pause = Duration::from_millis(10);
    loop {
        if let Some(found) = fact().await {
            return found;
        }
        assert!(Instant::now() < deadline, "it never came true: {what}");
        tokio::time::sleep(pause).await;
        // Many tests wait at the same time, and each look costs them all.
        pause = (pause * 3 / 2).min(Duration::from_millis(250));
    }
}

/// rustls cannot tell which provider to use until somebody says so.
pub fn install_crypto_provider() {
    let _already_there = rustls::crypto::ring::default_provider().install_default();
}
