//! The daemon's own queues, as metrics tell them apart.

use crate::event::EventType;

/// What a queue is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Events wait there for their lane.
    Lane,
    /// Messages wait there for their time.
    Delay,
    /// Dead letters lie there.
    DeadLetter,
}

/// A queue, and what it is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueLabels {
    /// Its name.
    pub queue: String,
    /// The event of its lane, if it is of one.
    pub event: Option<EventType>,
    /// What it is for.
    pub purpose: Purpose,
}

impl Purpose {
    /// The name in metrics.
    pub fn label(self) -> &'static str {
        match self {
            Purpose::Lane => "lane",
            Purpose::Delay => "delay",
            Purpose::DeadLetter => "dead_letter",
        }
    }
}
