//! What is wrong with lists, on order.

use crate::call::Operation;
use crate::kind::FaultKind;
use crate::protocol::Asked;

/// What is wrong with lists.
#[derive(Default)]
pub(crate) struct Lists {
    /// The lists whose pages overlap, and for how many readings more.
    overlapping: Vec<(Operation, u64)>,
    /// The largest pages of lists, and what happens to who asks for larger ones.
    pub(crate) largest: Vec<(Operation, usize, FaultKind)>,
}

impl Lists {
    pub(crate) fn overlap(&mut self, operation: Operation, readings: u64) {
        self.overlapping.push((operation, readings));
    }

    /// Whether the page that is asked for overlaps with the first one. A reading is over with its last page, so
    /// that it counts when the next one begins.
    pub(crate) fn overlaps(&mut self, asked: &Asked) -> bool {
        let of_list = self.overlapping.iter_mut().find(|(of, _)| *of == asked.operation);
        let Some((_, readings)) = of_list else { return false };
        if asked.page.is_first() {
            return false;
        }
        let overlaps = *readings > 0;
        *readings = readings.saturating_sub(1);
        overlaps
    }

    /// What happens to a call for a page that is too large.
    pub(crate) fn refuse(&self, asked: &Asked) -> Option<FaultKind> {
        let is_too_large = |most: usize| asked.page.size() > most;
        let refused = |(of, most, _): &&(Operation, usize, FaultKind)| {
            *of == asked.operation && is_too_large(*most)
        };
        self.largest.iter().find(refused).map(|(_, _, kind)| kind.clone())
    }
}
