//! A message, and how far the work on it is.

use mimecast_eventd::verdict::{Answer, Disposition, Outcome, Place, Step, Stuck};
use std::fmt;

/// What a message asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Item {
    /// Something that Mimecast does when it is well.
    Good(u8),
    /// Something at which Mimecast always fails.
    Poison(u8),
    /// Something that Mimecast forbids, for its own sake.
    Refused,
}

impl Item {
    /// True for what Mimecast does when it is well.
    pub fn is_good(self) -> bool {
        matches!(self, Item::Good(_))
    }

    /// What tells it from others in a streak.
    pub fn identity(self) -> u64 {
        match self {
            Item::Good(number) => number.into(),
            Item::Poison(number) => 1_000 + u64::from(number),
            Item::Refused => 2_000,
        }
    }
}

impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Item::Good(number) => write!(f, "good message {number}"),
            Item::Poison(number) => write!(f, "poison message {number}"),
            Item::Refused => f.write_str("the refused message"),
        }
    }
}

/// A message: at the broker, or as it was handed out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Letter {
    /// What it asks for.
    pub item: Item,
    /// Retry delays that it has taken.
    pub delays: u32,
    /// How often it came back without being settled, as the broker counts.
    pub returned: u8,
    /// Whether it was handed out before.
    pub is_redelivered: bool,
    /// Where a copy of it was sent whose confirm did not come in time.
    pub late: Option<Place>,
}

impl Letter {
    /// One that was just published.
    pub fn of(item: Item) -> Letter {
        Letter { item, delays: 0, returned: 0, is_redelivered: false, late: None }
    }
}

/// A message in flight.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Job {
    /// The message.
    pub letter: Letter,
    /// Why the daemon works on it.
    pub kind: Kind,
    /// Results of the attempts at its call, since its last health call if there was one.
    pub tries: Vec<Outcome>,
    /// Whether its health call was answered.
    pub is_answered: bool,
    /// Whether that answer leaves open if Mimecast takes the operation for others.
    pub is_unclear: bool,
    /// Whether the broker was already told to forget it.
    pub is_acked: bool,
    /// How far it is.
    pub stage: Stage,
}

/// Why the daemon works on a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// It was delivered.
    Delivery,
    /// A paused lane probes with it.
    Probe,
    /// Only a copy of it is needed.
    Copy,
}

/// How far the work on a message is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Stage {
    /// The first of a session, and redelivered: a health call comes first.
    First,
    /// The next attempt may begin.
    Ready,
    /// Its attempts are used up, and it waits for the health call.
    Stuck(Stuck),
    /// It is being settled.
    Settling(Settling),
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

/// What is to be done next to settle a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// A copy.
    Copy(Place),
    /// An answer to the broker.
    Answer(Answer),
}

impl Job {
    /// The work on a message begins.
    pub fn begin(letter: Letter, kind: Kind) -> Job {
        let (tries, stage) = (Vec::new(), Stage::Ready);
        let (is_answered, is_unclear, is_acked) = (false, false, false);
        Job { letter, kind, tries, is_answered, is_unclear, is_acked, stage }
    }

    /// A copy is needed, and nothing else.
    pub fn copy(letter: Letter, disposition: Disposition) -> Job {
        Job::begin(letter, Kind::Copy).settle(disposition)
    }

    /// The same message, to be settled so.
    pub fn settle(mut self, disposition: Disposition) -> Job {
        let settling = Settling { disposition, done: 0, is_sent: false };
        // Only the last result still counts.
        self.tries.drain(..self.tries.len().saturating_sub(1));
        Job { stage: Stage::Settling(settling), ..self }
    }

    /// Whether Mimecast was asked for it.
    pub fn has_asked(&self) -> bool {
        self.is_answered || !self.tries.is_empty()
    }

    /// Whether what it asks for holds.
    pub fn has_changed(&self) -> bool {
        matches!(self.tries.last(), Some(Outcome::Applied | Outcome::NotFound))
    }
}

impl Settling {
    /// What is to be done next.
    pub fn next(&self) -> Option<Due> {
        self.all().nth(self.done)
    }

    /// The same, last step first.
    pub fn next_in_wrong_order(&self) -> Option<Due> {
        self.all().collect::<Vec<_>>().into_iter().nth_back(self.done)
    }

    fn all(&self) -> impl Iterator<Item = Due> {
        self.disposition.steps().map(|step| match step {
            Step::Copy(place, _) => Due::Copy(place),
            Step::Answer(answer) => Due::Answer(answer),
        })
    }
}
