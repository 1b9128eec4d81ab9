//! Those that wait for a reading of Mimecast's managed URL entries, and what each of them finds.

use super::url_entry::{Relation, UrlEntry};
use crate::event::ManagedUrl;
use crate::verdict::Conclusion;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};
use tokio::sync::{Mutex as Turns, oneshot};

/// Entries that may be deleted for one event: one or two are usual.
pub(super) const MOST_OF_ONE_PAGE: usize = 1_000;

/// What is looked for.
#[derive(Clone, Debug)]
pub(super) enum Sought {
    /// The entries that block this one page.
    Url(ManagedUrl),
    /// The entries with these ids, whatever they do.
    Ids(BTreeSet<String>),
}

/// What was found.
#[derive(Clone, Debug, Default)]
pub(super) struct Findings {
    /// The ids that are sought, or whose entries block exactly the page that is; and whether each entry blocks.
    pub entries: BTreeMap<String, bool>,
    /// Whether more entries block exactly the page than may be deleted for one event.
    pub too_many: bool,
    /// An entry that blocks the page together with others.
    pub wider: Option<String>,
    /// An entry that may block the page and cannot be read.
    pub unreadable: Option<String>,
}

/// Those that wait for a reading. One reading serves all that wait when it begins; a message that comes while it is
/// under way waits for the next, since it may have passed the entry already.
#[derive(Debug, Default)]
pub(super) struct UrlScan {
    waiting: Mutex<Vec<Waiting>>,
    /// Whose turn it is to read.
    pub turns: Turns<()>,
}

/// One that waits.
#[derive(Debug)]
pub(super) struct Waiting {
    sought: Sought,
    /// Where the answer goes.
    pub answer: oneshot::Sender<Result<Findings, Conclusion>>,
}

impl UrlScan {
    /// Waits for the next reading.
    pub(super) fn wait(&self, sought: &Sought) -> oneshot::Receiver<Result<Findings, Conclusion>> {
        let (answer, answered) = oneshot::channel();
        let waiting = Waiting { sought: sought.clone(), answer };
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).push(waiting);
        answered
    }

    /// All that wait by now.
    pub(super) fn take_waiting(&self) -> Vec<Waiting> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.retain(|one| !one.answer.is_closed());
        std::mem::take(&mut *waiting)
    }
}

impl Findings {
    /// Adds an entry, as far as `waiting` looks for it.
    pub(super) fn add(&mut self, waiting: &Waiting, entry: &UrlEntry<'_>) {
        match &waiting.sought {
            Sought::Ids(ids) => {
                if let Some(id) = entry.id.filter(|id| ids.contains(*id)) {
                    self.entries.insert(id.to_owned(), entry.blocks());
                }
            }
            Sought::Url(url) => match entry.relation(url) {
                Relation::None => {}
                Relation::ThisPage(_) if self.entries.len() >= MOST_OF_ONE_PAGE => {
                    self.too_many = true;
                }
                Relation::ThisPage(id) => drop(self.entries.insert(id.to_owned(), true)),
                Relation::Wider => drop(self.wider.get_or_insert_with(|| entry.name())),
                Relation::Unreadable => drop(self.unreadable.get_or_insert_with(|| entry.name())),
            },
        }
    }
}
