//! Messages of a lane of which a health call does not say enough, and what other messages say of them.
//!
//! Health calls may be answered while real ones fail: writes fail, and reads of nothing do not. So the third message
//! in a row that is at fault pauses its lane. A change for any message ends the streak. After ten minutes of such a
//! pause each message may take one retry delay, also one that was refused; the first that would take a second one
//! pauses the lane again.
//!
//! Health calls may be forbidden while real ones are not. So a message that is refused then pauses its lane, until
//! Mimecast decides on some message. If a change is made for another one after that, and it is refused again, it is at
//! fault.

use std::collections::{BTreeMap, BTreeSet};

/// Different messages in a row after which real calls are taken to fail for all.
const MOST: usize = 3;

/// Messages that are remembered at most.
const MOST_REMEMBERED: usize = 100_000;

/// The messages of a lane that were at fault since the last change, and those that may be.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Streak {
    at_fault: BTreeSet<u64>,
    /// Whether each message may take one retry delay.
    is_released: bool,
    /// The messages that were refused while health calls are forbidden, and whether a change was made since.
    refused: BTreeMap<u64, bool>,
}

/// Who is to blame when a message is at fault, as far as other messages tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blame {
    /// The message.
    Message,
    /// Mimecast: the lane is to pause.
    Mimecast,
    /// Nobody knows. The lane has paused for ten minutes, and no change was made since.
    Nobody,
}

impl Streak {
    /// A change was made for some message. These messages were `refused_before` anything was done for it: a change
    /// that was under way when a message was refused says nothing of what came after.
    pub fn end(&mut self, refused_before: &BTreeSet<u64>) {
        (self.at_fault, self.is_released) = (BTreeSet::new(), false);
        for message in refused_before {
            self.refused.entry(*message).and_modify(|changed_since| *changed_since = true);
        }
    }

    /// The messages that were refused while health calls are forbidden.
    pub fn refused(&self) -> BTreeSet<u64> {
        self.refused.keys().copied().collect()
    }

    /// A `message` is at fault, and no change was made for it.
    pub fn add(&mut self, message: u64) -> Blame {
        let is_new = self.at_fault.insert(message);
        match self.is_released {
            true if is_new && self.at_fault.len() <= MOST_REMEMBERED => Blame::Nobody,
            false if self.at_fault.len() < MOST => Blame::Message,
            true | false => Blame::Mimecast,
        }
    }

    /// The lane has paused for ten minutes, and goes on.
    pub fn release(&mut self) {
        (self.at_fault, self.is_released) = (BTreeSet::new(), true);
    }

    /// A `message` is refused, and so are health calls. Returns whether it is at fault: a change was made since it was
    /// refused before.
    pub fn refuse(&mut self, message: u64) -> bool {
        if self.refused.remove(&message) == Some(true) {
            return true;
        }
        if self.refused.len() >= MOST_REMEMBERED {
            self.refused.clear();
        }
        self.refused.insert(message, false);
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_third_message_in_a_row_pauses_the_lane_and_one_alone_never_does() {
        use Blame::{Message, Mimecast};
        let mut streak = Streak::default();
        let blamed = [1, 1, 1, 1, 2, 1, 3, 4].map(|it| streak.add(it));
        assert_eq!(blamed[..6], [Message; 6]);
        assert_eq!(blamed[6..], [Mimecast; 2]);
        streak.end(&BTreeSet::new());
        let blamed = [1, 2, 3].map(|it| streak.add(it));
        assert_eq!(blamed, [Message, Message, Mimecast], "a change ends it");
    }

    #[test]
    fn after_a_pause_each_message_takes_one_delay_and_the_first_second_one_pauses_again() {
        let mut streak = Streak::default();
        assert_eq!((1..=3).map(|it| streak.add(it)).last(), Some(Blame::Mimecast));
        streak.release();
        assert!((1..=100).all(|it| streak.add(it) == Blame::Nobody));
        assert_eq!(streak.add(7), Blame::Mimecast);
        streak.release();
        assert_eq!(streak.add(7), Blame::Nobody);
        streak.end(&BTreeSet::new());
        let blamed = [7, 7].map(|it| streak.add(it));
        assert_eq!(blamed, [Blame::Message; 2], "one alone is to blame once something was changed");
    }

    #[test]
    fn no_number_of_messages_takes_more_memory_than_it_may() {
        let mut streak = Streak::default();
        streak.release();
        let paused = (0..).find(|it| streak.add(*it) == Blame::Mimecast);
        assert_eq!(paused, Some(MOST_REMEMBERED as u64));
    }

    #[test]
    fn a_refused_message_is_at_fault_once_a_change_was_made_for_another_one_in_between() {
        let mut streak = Streak::default();
        assert!(!streak.refuse(1) && !streak.refuse(1));
        let before = streak.refused();
        assert!(!streak.refuse(2));
        streak.end(&before);
        assert!(streak.refuse(1) && !streak.refuse(2), "the change was under way before");
        assert!(!streak.refuse(1), "it begins anew");
        streak.release();
        assert!(!streak.refuse(1), "nothing was changed");
        streak.end(&streak.refused());
        assert!(streak.refuse(1) && streak.refuse(2));
    }
}
