//! What is known of the vendor's groups by their names.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// Names that are remembered at once: more than any pipeline uses.
const MOST_NAMES: usize = 10_000;

/// Bytes of all names and ids that are remembered.
const MOST_BYTES: usize = 4 << 20;

/// The ids of groups by their names, remembered for a while.
#[derive(Debug, Default)]
pub(super) struct Directory {
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    ids: HashMap<String, (String, Instant)>,
    /// Of all names and ids in it; those that were remembered again count twice.
    bytes: usize,
}

impl Directory {
    /// Forgets the id of the group of this name.
    pub(super) fn forget(&self, name: &str) {
        self.with_known(|known| known.ids.remove(name));
    }

    /// The id of the group of this name, if it was told within `lifetime`.
    pub(super) fn recall(&self, name: &str, lifetime: Duration) -> Option<String> {
        self.with_known(|known| {
            let (id, since) = known.ids.get(name)?;
            (since.elapsed() < lifetime).then(|| id.clone())
        })
    }

    /// Remembers the id of the group of this name.
    pub(super) fn remember(&self, name: &str, id: &str) {
        self.with_known(|known| {
            let bytes = name.len() + id.len();
            if known.ids.len() >= MOST_NAMES || known.bytes + bytes > MOST_BYTES {
                *known = Known::default();
            }
            known.bytes += bytes;
            known.ids.insert(name.to_owned(), (id.to_owned(), Instant::now()));
        });
    }

    fn with_known<T>(&self, act: impl FnOnce(&mut Known) -> T) -> T {
        act(&mut self.known.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn ids_are_remembered_up_to_so_many_bytes_and_names() {
        let remembers = |names: usize, size: usize| {
            let directory = Directory::default();
            let name = |number: usize| format!("{number:0size$}");
            (0..names).for_each(|number| directory.remember(&name(number), "id"));
            directory.recall(&name(0), Duration::from_secs(60)).is_some()
        };
        assert!(remembers(MOST_NAMES, 8));
        assert!(!remembers(MOST_NAMES + 1, 8), "too many names");
        let (size, most) = (1022, MOST_BYTES / 1024);
        assert!(remembers(most, size));
        assert!(!remembers(most + 1, size), "too many bytes");
    }
}
