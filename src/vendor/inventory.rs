//! Who waits for a reading of the vendor's managed URLs.

use crate::event::ManagedUrl;
use crate::verdict::Conclusion;
use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use tokio::sync::{Mutex as Turns, oneshot};

/// What is looked for.
#[derive(Clone, Debug)]
pub(super) enum Sought {
    /// Every entry that blocks this one page.
    Url(ManagedUrl),
    /// The entries with these ids, whatever they do.
    Ids(BTreeSet<String>),
}

/// An entry that was found.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Found {
    /// Its id.
    pub id: String,
    /// Whether it blocks; else it permits.
    pub blocks: bool,
}

/// What came of a reading for one who waited.
pub(super) type Answer = Result<BTreeSet<Found>, Conclusion>;

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
    /// For what.
    pub(super) sought: Sought,
    /// Where the answer goes.
    pub(super) answer: oneshot::Sender<Answer>,
}

impl Inventory {
    /// Waits for the next reading.
    pub(super) fn wait(&self, sought: &Sought) -> oneshot::Receiver<Answer> {
        let (answer, answered) = oneshot::channel();
        let waiting = Waiting { sought: sought.clone(), answer };
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).push(waiting);
        answered
    }

    /// All that wait by now.
    pub(super) fn take_waiting(&self) -> Vec<Waiting> {
        std::mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
