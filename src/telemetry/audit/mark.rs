//! Lines about the audit trail itself.

use chrono::{DateTime, Utc};
use serde::Serialize;

/// What is said when something happens to the file itself.
#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(super) enum Mark<'a> {
    /// A process has opened the file.
    Opened { version: &'a str, host: &'a str, process: u32, continues: Option<&'a str> },
    /// The bytes between the line before and this one are what a crash has left of a line.
    Repaired { torn_bytes: u64, torn_sha256: &'a str },
    /// No line could be written for a while, so nothing was done.
    Unwritable { since: DateTime<Utc> },
    /// The trail is not as it was left: lines are missing, or are none any more.
    Mismatch {
        expected_line: Option<u64>,
        expected_seal: Option<&'a str>,
        found_line: u64,
        torn_bytes: u64,
        torn_sha256: &'a str,
    },
}

/// `entry` as JSON.
pub(super) fn json(entry: &impl Serialize) -> String {
    serde_json::to_string(entry).expect("an entry has nothing that JSON has not")
}
