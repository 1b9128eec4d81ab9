//! One replica of the daemon: its session, what it has in flight, and its pause.

use crate::job::{Job, Kind, Letter, Stage};
use crate::quota::Known;
use mimecast_eventd::verdict::{Breaker, Disposition, Health, Pause, Pausing, Streak, Until};
use std::time::Duration;

/// Time is not part of the world, so that no interval is ever asked for.
const BREAKER: Breaker =
    Breaker { initial_probe_delay: Duration::ZERO, max_probe_delay: Duration::ZERO };

/// One replica of the daemon. The default is one that has just started.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Replica {
    /// Whether it was told to stop.
    pub is_stopping: bool,
    /// How far the start of the session is.
    pub start: Start,
    /// Messages in flight.
    pub work: Vec<Job>,
    /// The pause, while there is one.
    pub pause: Option<LanePause>,
    /// The messages that were at fault one after the other.
    pub streak: Streak,
    /// Whether it has probed since it waits for a change, also in earlier pauses.
    pub has_probed: bool,
    /// The reply to the health call in flight, once Mimecast has decided on it.
    pub health: Option<Health>,
    /// Whether Mimecast has answered a call of a message, where that makes a difference.
    pub knows_an_answer: bool,
    /// What it knows of the quota.
    pub quota: Known,
}

/// How far the start of a session is, or what comes after a pause.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Start {
    /// No message has come.
    #[default]
    First,
    /// One at a time; whether one is in flight that was not handed out before.
    Slow(bool),
    /// As many as the lane is allowed.
    Full,
}

/// A pause of the lane.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LanePause {
    /// What it waits for.
    pub pause: Pause,
    /// Messages whose copies the broker did not take, and how they are to be settled.
    pub waiting: Vec<(Letter, Disposition)>,
    /// Whether it has begun a health call.
    pub is_asking: bool,
    /// Whether it is for health that it waits, and no health call was answered yet.
    pub is_unanswered: bool,
}

impl LanePause {
    fn begin() -> LanePause {
        LanePause {
            pause: Pause::begin(BREAKER),
            waiting: Vec::new(),
            is_asking: false,
            is_unanswered: false,
        }
    }

    /// What ends it, beside copies.
    pub fn until(&self) -> Option<&Until> {
        self.pause.reason.as_ref().map(|reason| &reason.until)
    }

    /// Whether it waits for a health call.
    pub fn is_for_health(&self) -> bool {
        matches!(self.until(), Some(Until::Answered { .. }))
    }

    /// There is a reason to pause.
    pub fn add(&mut self, pausing: Pausing) {
        if self.pause.add(pausing) {
            self.is_unanswered |= self.is_for_health();
        }
    }
}

impl Replica {
    /// The pause, which begins if there is none.
    pub fn pause(&mut self) -> &mut LanePause {
        self.pause.get_or_insert_with(LanePause::begin)
    }

    /// Every message that it has and the broker has not been told to forget.
    pub fn unsettled(&self) -> impl Iterator<Item = &Letter> {
        let waiting = self.pause.iter().flat_map(|pause| &pause.waiting);
        let jobs = self.work.iter().filter(|job| !job.is_acked).map(|job| &job.letter);
        jobs.chain(waiting.map(|(letter, _)| letter))
    }

    /// Messages in flight that are more than a copy.
    pub fn messages(&self) -> usize {
        self.work.iter().filter(|job| job.kind != Kind::Copy).count()
    }

    /// Whether a message, or the pause, waits for a health call.
    pub fn wants_health(&self) -> bool {
        let waits = |job: &Job| matches!(job.stage, Stage::First | Stage::Stuck(_));
        self.pause.as_ref().is_some_and(|pause| pause.is_asking) || self.work.iter().any(waits)
    }

    /// Whether the pause, if there is one, is over: nothing is waited for but messages that may begin again.
    pub fn is_over(&self) -> bool {
        let may_begin_again = |it: &Disposition| matches!(it, Disposition::Park(_));
        let may_go_on = |job: &Job| match (&job.stage, job.kind) {
            (Stage::Settling(settling), Kind::Copy) => may_begin_again(&settling.disposition),
            (..) => true,
        };
        self.pause.as_ref().is_some_and(|pause| {
            pause.pause.reason.is_none() && pause.waiting.iter().all(|(_, it)| may_begin_again(it))
        }) && self.work.iter().all(may_go_on)
    }
}
