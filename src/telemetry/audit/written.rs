//! Whether something is in the trail already.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether something is in the trail. It may be handed over several times, by whoever gave up waiting for it, and is
/// written once.
#[derive(Clone, Debug, Default)]
pub struct Written(Arc<AtomicBool>);

impl Written {
    /// True once it is there.
    pub fn is_true(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    pub(super) fn set(&self) {
        self.0.store(true, Ordering::Release);
    }
}
