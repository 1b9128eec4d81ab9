//! What is known of the vendor's groups by their names.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// Names that are remembered at once: more than any pipeline uses, and no burden.
const MOST_NAMES: usize = 10_000;

/// The ids of groups by their names, remembered for a while.
#[derive(Debug, Default)]
pub(super) struct Directory {
    known: Mutex<HashMap<String, (String, Instant)>>,
}

impl Directory {
    /// Forgets the id of the group of this name.
    pub(super) fn forget(&self, name: &str) {
        self.with_known(|known| known.remove(name));
    }

    /// The id of the group of this name, if it was told within `lifetime`.
    pub(super) fn recall(&self, name: &str, lifetime: Duration) -> Option<String> {
        self.with_known(|known| {
            let (id, since) = known.get(name)?;
            (since.elapsed() < lifetime).then(|| id.clone())
        })
    }

    /// Remembers the id of the group of this name.
    pub(super) fn remember(&self, name: &str, id: &str) {
        self.with_known(|known| {
            if known.len() >= MOST_NAMES {
                known.clear();
            }
            known.insert(name.to_owned(), (id.to_owned(), Instant::now()));
        });
    }

    fn with_known<T>(&self, act: impl FnOnce(&mut HashMap<String, (String, Instant)>) -> T) -> T {
        act(&mut self.known.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
