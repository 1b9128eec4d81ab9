//! The world at one moment.

use crate::lane::{Lane, Process};
use crate::protocol::Faults;
use crate::quota::Known;
use std::hash::{DefaultHasher, Hash, Hasher};

/// The world at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    /// The lanes, each with its queue at the broker.
    pub lanes: Vec<Lane>,
    /// Whether the daemon runs.
    pub process: Process,
    /// Whether the vendor is well.
    pub is_vendor_well: bool,
    /// Calls that the vendor still answers in this window.
    pub window: u64,
    /// What the daemon knows of that.
    pub quota: Known,
    /// What may still go wrong.
    pub faults: Faults,
}

impl State {
    /// Whether every message has come to its end, and the daemon rests.
    pub fn has_ended(&self) -> bool {
        self.lanes.iter().all(|lane| lane.letters().next().is_none())
    }
}

/// What tells one state, or a part of one, from another, in every run the same.
pub(crate) fn hash<T: Hash>(one: &T) -> u64 {
    let mut hasher = DefaultHasher::new();
    one.hash(&mut hasher);
    hasher.finish()
}
