//! The world at one moment.

use crate::job::{Item, Letter};
use crate::mimecast::Mimecast;
use crate::protocol::Faults;
use crate::replica::Replica;
use std::collections::{BTreeSet, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};

/// The world at one moment: the queue of one lane, Mimecast, and the replicas of the daemon.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    /// Messages that are ready to be handed out.
    pub queue: VecDeque<Letter>,
    /// Messages that wait in a delay queue.
    pub delayed: Vec<Letter>,
    /// Dead letters, and why each is one.
    pub dead: BTreeSet<(Item, &'static str)>,
    /// What is still to be done at Mimecast.
    pub open: BTreeSet<Item>,
    /// How Mimecast is.
    pub mimecast: Mimecast,
    /// Calls that Mimecast still answers in this window.
    pub window: u64,
    /// The replicas.
    pub replicas: Vec<Replica>,
    /// What may still go wrong.
    pub faults: Faults,
    /// Whether a lane has waited for a change for ten minutes.
    pub is_released: bool,
    /// A rule that the last steps broke, if they did.
    pub breach: Option<Breach>,
}

/// A rule about a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Breach {
    /// A lane that is paused for health began with a message.
    BegunInPause,
    /// A lane that was paused for health resumed without an answer.
    ResumedBlindly,
}

impl State {
    /// Every message that has not come to its end.
    pub fn letters(&self) -> impl Iterator<Item = &Letter> {
        let held = self.replicas.iter().flat_map(Replica::unsettled);
        self.queue.iter().chain(&self.delayed).chain(held)
    }

    /// Whether every message has come to its end, and no lane is paused.
    pub fn has_ended(&self) -> bool {
        self.letters().next().is_none() && self.replicas.iter().all(|it| it.pause.is_none())
    }

    /// The same with the replicas in one order: none of them is special.
    pub fn representative(&self) -> State {
        let mut state = self.clone();
        state.replicas.sort_by_cached_key(hash);
        state
    }
}

/// What tells one state, or a part of one, from another, in every run the same.
pub(crate) fn hash<T: Hash>(one: &T) -> u64 {
    let mut hasher = DefaultHasher::new();
    one.hash(&mut hasher);
    hasher.finish()
}
