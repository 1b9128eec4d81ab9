//! Who waits for a reading of the vendor's managed URLs.

use crate::event::ManagedUrl;
use crate::verdict::Conclusion;
use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use tokio::sync::{Mutex as Turns, oneshot};

/// The ids of the entries that were found.
pub(super) type Ids = BTreeSet<String>;

/// Who waits for a reading of the inventory. One reading serves all that wait when it begins; who comes
/// while it is under way waits for the next, since it may have passed the entry already.
#[derive(Debug, Default)]
pub(super) struct Inventory {
    waiting: Mutex<Vec<Waiting>>,
    /// Who reads it.
    pub(super) turns: Turns<()>,
}

/// One who waits.
#[derive(Debug)]
pub(super) struct Waiting {
    /// For the entries that block this.
    pub(super) url: ManagedUrl,
    /// Where the answer goes.
    pub(super) answer: oneshot::Sender<Result<Ids, Conclusion>>,
}

impl Inventory {
    /// Waits for the next reading.
    pub(super) fn wait(&self, url: &ManagedUrl) -> oneshot::Receiver<Result<Ids, Conclusion>> {
        let (answer, answered) = oneshot::channel();
        let waiting = Waiting { url: url.clone(), answer };
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).push(waiting);
        answered
    }

    /// All that wait by now.
    pub(super) fn take_waiting(&self) -> Vec<Waiting> {
        std::mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
