//! One lane: what the broker has of it, what is still to be done at the vendor, and what the daemon holds.

use crate::action::Seat;
use crate::job::{Item, Job, Letter, Stage, Waiting};
use mimecast_eventd::command::Operation;
use mimecast_eventd::verdict::{Evidence, Holding, Sent};
use std::collections::{BTreeSet, VecDeque};

/// One lane.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Lane {
    /// What its messages come to.
    pub operation: Operation,
    /// What is ready to be handed out.
    pub queue: VecDeque<Letter>,
    /// What waits on a rung of the delay ladder.
    pub delayed: Vec<Letter>,
    /// Dead letters, and by what they died.
    pub dead: BTreeSet<(Item, &'static str)>,
    /// What is still to be done at the vendor.
    pub open: BTreeSet<Item>,
    /// What the daemon knows of the operation.
    pub evidence: Evidence,
    /// Messages in work.
    pub work: Vec<Job>,
    /// The pause, while there is one.
    pub pause: Option<Pause>,
    /// Calls of a session that is over, which are still under way.
    pub ghosts: Vec<(Item, Sent)>,
    /// Whether it went on after a pause without having heard from the vendor.
    pub went_on_blindly: bool,
}

/// A pause.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Pause {
    /// What is held.
    pub holding: Holding<Letter, Waiting>,
    /// What it does just now.
    pub step: Step,
    /// The message that it works on.
    pub desk: Option<Job>,
    /// Whether the vendor has answered a call that was sent in this pause.
    pub has_heard: bool,
    /// Whether it is for the vendor that it waits, and there is a message to ask it with.
    pub is_for_vendor: bool,
}

/// How far a paused lane is with one step of its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// It waits until the next probe.
    Waits,
    /// So many of what waits are still to be settled, before a message is the probe or after it.
    Settles(usize, Then),
    /// A message is the probe.
    Probes,
}

/// What comes after what waits was settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Then {
    /// The suspect is the probe, or else the queue's next message.
    Suspect,
    /// The queue's next message is the probe, or else the suspect.
    Queue,
    /// Nothing until the next step.
    Wait,
}

/// Whether the daemon runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Process {
    /// It runs.
    Runs,
    /// It was told to stop.
    Stops,
    /// It does not.
    Gone,
}

impl Lane {
    /// A lane with these messages in its queue.
    pub fn of(operation: Operation, items: &[Item]) -> Lane {
        Lane {
            operation,
            queue: items.iter().copied().map(Letter::of).collect(),
            delayed: Vec::new(),
            dead: BTreeSet::new(),
            open: items.iter().copied().collect(),
            evidence: Evidence::default(),
            work: Vec::new(),
            pause: None,
            ghosts: Vec::new(),
            went_on_blindly: false,
        }
    }

    /// Every message that the daemon has and the broker has not been told to forget.
    pub fn unsettled(&self) -> impl Iterator<Item = &Letter> {
        let desk = self.pause.iter().flat_map(|pause| &pause.desk);
        let held = self.pause.iter().flat_map(|pause| {
            let suspect = pause.holding.suspect.iter().map(|(letter, _)| letter);
            suspect.chain(pause.holding.waiting.iter().map(|waiting| &waiting.letter))
        });
        let jobs = self.work.iter().chain(desk).filter(|job| !job.is_acked);
        jobs.map(|job| &job.letter).chain(held)
    }

    /// Every message of the lane that has not come to its end.
    pub fn letters(&self) -> impl Iterator<Item = &Letter> {
        self.queue.iter().chain(&self.delayed).chain(self.unsettled())
    }

    /// A message that nothing was asked for yet.
    pub fn fresh(&self) -> Option<Seat> {
        let is_fresh = |job: &Job| matches!(&job.stage, Stage::Ready(it) if it.outcomes.is_empty());
        self.jobs().find(|(_, job)| is_fresh(job)).map(|(seat, _)| seat)
    }

    /// Every message in work, and where.
    pub fn jobs(&self) -> impl Iterator<Item = (Seat, &Job)> {
        let work = self.work.iter().enumerate().map(|(place, job)| (Seat::Work(place), job));
        work.chain(self.pause.iter().flat_map(|it| &it.desk).map(|job| (Seat::Desk, job)))
    }
}
