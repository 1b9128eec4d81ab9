//! The largest pages that Mimecast takes.

use crate::command::{Operation, Page};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// How long a page size is remembered that Mimecast took where it refused larger ones.
const LIFETIME: Duration = Duration::from_mins(10);

/// The sizes of pages that Mimecast took where it refused larger ones, each since when that is known.
#[derive(Debug, Default)]
pub(super) struct PageSizes {
    known: Mutex<BTreeMap<Operation, (u64, Instant)>>,
}

impl PageSizes {
    /// The size to begin with.
    pub(super) fn of(&self, operation: Operation) -> u64 {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|_, (_, since)| since.elapsed() < LIFETIME);
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
        let (sizes, groups) = (PageSizes::default(), Operation::FindGroups);
        sizes.remember(groups, Page::LARGEST);
        assert_eq!(sizes.of(groups), Page::LARGEST);
        sizes.remember(groups, 62);
        tokio::time::advance(LIFETIME / 2).await;
        sizes.remember(groups, 62);
        assert_eq!(sizes.of(groups), 62);
        assert_eq!(sizes.of(Operation::GetGroupMembers), Page::LARGEST);
        tokio::time::advance(LIFETIME / 2).await;
        assert_eq!(sizes.of(groups), Page::LARGEST, "larger pages may be taken again");
    }
}
