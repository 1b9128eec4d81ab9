//! The groups that may be left, and those that may not, by their ids as they are now.

use crate::command::Rule;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// The groups that may be left and those that may not.
#[derive(Debug, Default)]
pub(super) struct Fence {
    /// Those that may be left, if not all.
    pub allowed: Option<BTreeSet<String>>,
    /// Those that nobody is removed from.
    pub protected: BTreeSet<String>,
}

impl Fence {
    /// Whether everybody may be removed from everything.
    pub(super) fn is_open(&self) -> bool {
        self.allowed.is_none() && self.protected.is_empty()
    }

    /// The rule that keeps everybody in the group of this id, if one does.
    pub(super) fn keeps_in(&self, group_id: &str) -> Option<Rule> {
        if self.protected.contains(group_id) {
            return Some(Rule::ProtectedGroups);
        }
        let is_allowed = self.allowed.as_ref().is_none_or(|allowed| allowed.contains(group_id));
        (!is_allowed).then_some(Rule::AllowedGroups)
    }
}

/// The fence, remembered for a while.
#[derive(Debug)]
pub(super) struct Fences {
    lifetime: Duration,
    open: Arc<Fence>,
    known: Mutex<Option<(Arc<Fence>, Instant)>>,
}

impl Fences {
    /// Remembers it for so long.
    pub(super) fn new(lifetime: Duration) -> Fences {
        Fences { lifetime, open: Arc::default(), known: Mutex::default() }
    }

    /// The one where nobody has said anything about groups.
    pub(super) fn open(&self) -> Arc<Fence> {
        Arc::clone(&self.open)
    }

    /// The fence as it is remembered.
    pub(super) fn recall(&self) -> Option<Arc<Fence>> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let (fence, since) = known.as_ref()?;
        (since.elapsed() < self.lifetime).then(|| Arc::clone(fence))
    }

    /// Remembers it.
    pub(super) fn remember(&self, fence: &Arc<Fence>) {
        let known = Some((Arc::clone(fence), Instant::now()));
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = known;
    }
}
