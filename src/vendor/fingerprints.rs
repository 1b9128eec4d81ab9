//! Texts that were seen, a few bytes each.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};

/// Texts that were seen. Eight bytes are kept of each; the key is random, so that nobody can make two texts that
/// are taken for each other.
#[derive(Debug, Default)]
pub(super) struct Fingerprints {
    key: RandomState,
    seen: HashSet<u64>,
}

impl Fingerprints {
    /// Adds a text; `false` if it was seen before.
    pub(super) fn add(&mut self, text: &str) -> bool {
        self.seen.insert(self.key.hash_one(text))
    }

    /// How many texts were seen.
    pub(super) fn count(&self) -> usize {
        self.seen.len()
    }

    /// True where the text was seen.
    pub(super) fn has(&self, text: &str) -> bool {
        self.seen.contains(&self.key.hash_one(text))
    }
}
