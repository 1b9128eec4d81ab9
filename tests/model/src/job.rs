//! A message, and how far the work on it is.

use mimecast_eventd::verdict::{Disposition, Mark, Outcome, Place, Sent};
use std::fmt;

/// What a message asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Item {
    /// Something that the vendor does when it is well.
    Good(u8),
    /// The same, published when a lane has nothing else to learn from.
    Spare,
    /// Something at which the vendor always fails.
    Poison,
    /// Something that the vendor refuses, and does not say whether for the item or for a permission.
    Undecided,
}

impl Item {
    /// Whether the vendor does it when it is well.
    pub fn is_good(self) -> bool {
        matches!(self, Item::Good(_) | Item::Spare)
    }
}

impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Item::Good(number) => write!(f, "the good item {number}"),
            Item::Spare => f.write_str("a good item that came later"),
            Item::Poison => f.write_str("the poisonous item"),
            Item::Undecided => f.write_str("the item that is refused"),
        }
    }
}

/// A message: at the broker, or as it was handed out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Letter {
    /// What it asks for.
    pub item: Item,
    /// How often it came back without being settled, as the broker counts.
    pub returned: u8,
    /// Rungs that it has climbed.
    pub climbed: u32,
    /// How often it relapsed on this rung.
    pub relapses: u32,
    /// What its headers say of that.
    pub told_relapses: u32,
    /// For the suspect of a pause: the moment of its first failure when it was last tried.
    pub suspect: Option<Mark>,
    /// Where a copy of it was sent whose confirm did not come in time.
    pub late: Option<Place>,
}

impl Letter {
    /// One that was just published.
    pub fn of(item: Item) -> Letter {
        Letter {
            item,
            returned: 0,
            climbed: 0,
            relapses: 0,
            told_relapses: 0,
            suspect: None,
            late: None,
        }
    }
}

/// A message in work.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Job {
    /// The message.
    pub letter: Letter,
    /// Whether it is the probe of a paused lane.
    pub is_probe: bool,
    /// Whether the broker was already told that it is done with.
    pub is_acked: bool,
    /// How far it is.
    pub stage: Stage,
}

/// How far the work on a message is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Stage {
    /// The next attempt may begin.
    Ready(Tries),
    /// A call is under way, which may have been sent while the lane was paused.
    Asking(Tries, Sent, bool),
    /// It is being settled.
    Settling(Settling),
}

/// The attempts so far at one command.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Tries {
    /// What they came to.
    pub outcomes: Vec<Outcome>,
    /// The moment of the first failure.
    pub first_failure: Option<Mark>,
}

/// A settlement under way.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Settling {
    /// What becomes of the message.
    pub disposition: Disposition,
    /// Steps that are done.
    pub done: usize,
    /// Whether the broker has the copy of this step, and has not confirmed it.
    pub is_sent: bool,
}

impl Job {
    /// The work on a message begins.
    pub fn begin(letter: Letter, is_probe: bool) -> Job {
        Job { letter, is_probe, is_acked: false, stage: Stage::Ready(Tries::default()) }
    }

    /// The message is to be settled so.
    pub fn settle(letter: Letter, disposition: Disposition) -> Job {
        let settling = Settling { disposition, done: 0, is_sent: false };
        Job { letter, is_probe: false, is_acked: false, stage: Stage::Settling(settling) }
    }
}

/// A message that waits to be settled, and how it is to be.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Waiting {
    /// The message.
    pub letter: Letter,
    /// How.
    pub disposition: Disposition,
}

impl AsRef<Disposition> for Waiting {
    fn as_ref(&self) -> &Disposition {
        &self.disposition
    }
}

impl From<Waiting> for Letter {
    fn from(waiting: Waiting) -> Letter {
        waiting.letter
    }
}
