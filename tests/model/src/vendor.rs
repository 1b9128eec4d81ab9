//! What the vendor does.

use crate::job::Item;
use crate::state::State;
use mimecast_eventd::verdict::{Fault, Outcome};
use std::time::Duration;

impl State {
    /// The vendor does what it is asked for, or does not, and says so.
    pub fn ask_vendor(&mut self, lane: usize, item: Item, limit: Option<u64>) -> Outcome {
        if !self.is_vendor_well {
            return Outcome::Unavailable(fault());
        }
        if let Some(limit) = limit {
            self.window -= 1;
            self.quota = self.quota.learn(limit, self.window);
        }
        match item {
            Item::Good(_) | Item::Spare => match self.lanes[lane].open.remove(&item) {
                true => Outcome::Applied,
                false => Outcome::NotFound,
            },
            Item::Poison => Outcome::Unavailable(fault()),
            Item::Undecided => Outcome::Forbidden(fault()),
        }
    }

    /// The vendor says to wait.
    pub fn throttle(&mut self) -> Outcome {
        self.quota = self.quota.close();
        Outcome::Throttled(Duration::from_secs(1))
    }

    /// The vendor does what it is asked for, and nobody hears of it.
    pub fn ask_vendor_in_vain(&mut self, lane: usize, item: Item, limit: Option<u64>) -> Outcome {
        let quota = self.quota;
        self.ask_vendor(lane, item, limit);
        self.quota = quota;
        Outcome::Unavailable(fault())
    }
}

/// Nothing is decided by its words.
fn fault() -> Fault {
    Fault { code: String::new(), detail: String::new() }
}
