//! The largest pages that Mimecast takes.

use crate::command::{Operation, Page};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// The sizes of pages that Mimecast took where it refused larger ones, each since when that is known.
#[derive(Debug)]
pub(super) struct PageSizes {
    /// How long a size is remembered.
    lifetime: Duration,
    known: Mutex<BTreeMap<Operation, (u64, Instant)>>,
}

impl PageSizes {
    /// Nothing is known yet; what is learned is remembered for `lifetime`.
    pub(super) fn new(lifetime: Duration) -> PageSizes {
        PageSizes { lifetime, known: Mutex::default() }
    }

    /// The size to begin with.
    pub(super) fn of(&self, operation: Operation) -> u64 {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|_, (_, since)| since.elapsed() < self.lifetime);
        known.get(&operation).map_or(Page::LARGEST, |(size, _)| *size)
    }

    /// Remembers that Mimecast has taken pages of this size.
    pub(super) fn remember(&self, operation: Operation, size: u64) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if size < Page::LARGEST {
            known.entry(operation).or_insert((size, Instant::now())).0 = size;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_smaller_size_is_remembered_for_a_while_and_of_its_own_operation() {
        let (lifetime, groups) = (Duration::from_mins(10), Operation::FindGroups);
        let sizes = PageSizes::new(lifetime);
        sizes.remember(groups, Page::LARGEST);
        assert_eq!(sizes.of(groups), Page::LARGEST);
        sizes.remember(groups, 62);
        tokio::time::advance(lifetime / 2).await;
        sizes.remember(groups, 62);
        assert_eq!(sizes.of(groups), 62);
        assert_eq!(sizes.of(Operation::GetGroupMembers), Page::LARGEST);
        tokio::time::advance(lifetime / 2).await;
        assert_eq!(sizes.of(groups), Page::LARGEST, "larger pages may be taken again");
    }
}
