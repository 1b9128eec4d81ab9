//! How the world begins, and what can happen in it.

use crate::action::{Action, Step};
use crate::endings::Endings;
use crate::job::{Due, Item, Job, Letter, Stage};
use crate::mimecast::Mimecast;
use crate::replica::{LanePause, Replica, Start};
use crate::rules;
use crate::state::{State, hash};
use mimecast_eventd::verdict::Until;
use stateright::{Model, Property};
use std::sync::Arc;

/// A world: how it begins, and what may go wrong in it.
#[derive(Clone, Debug)]
pub struct Protocol {
    /// The messages in the queue of the lane.
    pub items: Vec<Item>,
    /// Replicas of the daemon.
    pub replicas: usize,
    /// What may go wrong, and how often.
    pub faults: Faults,
    /// Calls that Mimecast answers in a window; any number without a limit.
    pub window: Option<u64>,
    /// Retry delays.
    pub delays: usize,
    /// Messages that a replica has in flight at most.
    pub prefetch: usize,
    /// Times that a message may come back, as far as that counts.
    pub delivery_limit: u8,
    /// Whether each return counts, as before RabbitMQ 4.3, or only one by a reject.
    pub every_return_counts: bool,
    /// Whether Mimecast forbids what a health call asks for, so that it says nothing.
    pub forbids_health: bool,
    /// A rule that is broken on purpose.
    pub mistake: Option<Mistake>,
    /// Whether it is tried that everything ends.
    pub has_to_end: bool,
    /// What is known of the ways to the end.
    pub endings: Arc<Endings>,
}

/// What may go wrong, and how often.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Faults {
    /// A replica is killed.
    pub crashes: u8,
    /// A replica is told to stop.
    pub stops: u8,
    /// A connection is lost.
    pub cuts: u8,
    /// Mimecast fails at every call.
    pub outages: u8,
    /// Mimecast fails at every call but health calls, for less than a retry delay.
    pub half_outages: u8,
    /// A reply of Mimecast is lost.
    pub lost_replies: u8,
    /// A confirm does not come in time.
    pub late_confirms: u8,
    /// A copy is not taken.
    pub refused_copies: u8,
    /// A message has no time left, or is held for too long.
    pub timeouts: u8,
    /// A call beyond the window is answered with 429; others wait for the next window.
    pub throttles: u8,
}

impl Faults {
    /// How often a step may still happen, if it is a fault.
    pub fn left(&mut self, step: Step) -> Option<&mut u8> {
        Some(match step {
            Step::Crash => &mut self.crashes,
            Step::Stop => &mut self.stops,
            Step::Cut => &mut self.cuts,
            Step::Outage => &mut self.outages,
            Step::HalfOutage => &mut self.half_outages,
            Step::LoseReply => &mut self.lost_replies,
            Step::Delay => &mut self.late_confirms,
            Step::Refuse => &mut self.refused_copies,
            Step::TimeOut | Step::GiveBack => &mut self.timeouts,
            Step::Throttle => &mut self.throttles,
            Step::EndDelay
            | Step::Recover
            | Step::Renew
            | Step::Deliver
            | Step::CallHealth
            | Step::HearHealth
            | Step::Wake
            | Step::Release
            | Step::Restart
            | Step::Call
            | Step::Settle => return None,
        })
    }
}

/// A rule that is broken on purpose, to see that it is noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mistake {
    /// The ack is sent before the copy is.
    AckFirst,
    /// What is parked is given back in a way that counts.
    ParkByRequeue,
    /// At a stop nothing is parked.
    ReturnAtStop,
    /// A message that is stuck is at fault, without a health call.
    BlameWithoutAsking,
    /// A message that is stuck is at fault once a health call is answered, without another call of its own.
    BlameWithoutAnotherCall,
    /// A lane that is paused for health resumes without an answer.
    ResumeBlindly,
    /// A lane that is paused for health probes with a message.
    ProbeWithoutAnswer,
    /// A paused lane probes with as many attempts as ever.
    ProbeWithAllAttempts,
    /// Any number of messages may be at fault in a row.
    NoStreak,
    /// After ten minutes without a change no message takes a retry delay.
    NeverRelease,
}

impl Model for Protocol {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State {
            queue: self.items.iter().copied().map(Letter::of).collect(),
            delayed: Vec::new(),
            dead: Default::default(),
            open: self.items.iter().copied().collect(),
            mimecast: Mimecast::Well,
            window: self.window.unwrap_or_default(),
            replicas: vec![Replica::default(); self.replicas],
            faults: self.faults,
            is_released: false,
            breach: None,
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        let mut may = |replica, item, place, steps: Vec<(bool, Step)>| {
            let possible = |(is_possible, step): &(bool, Step)| {
                *is_possible && state.faults.clone().left(*step).is_none_or(|left| *left > 0)
            };
            let steps = steps.into_iter().filter(possible);
            actions.extend(steps.map(|(_, step)| Action { replica, item, place, step }));
        };
        may(None, None, 0, self.of_world(state));
        for (place, letter) in state.delayed.iter().enumerate() {
            may(None, Some(letter.item), place, vec![(may_delays_end(state), Step::EndDelay)]);
        }
        for (number, replica) in state.replicas.iter().enumerate() {
            may(Some(number), None, 0, self.of_replica(state, replica));
            if let Some(next) = state.queue.front() {
                let delivers = vec![(self.may_deliver(replica), Step::Deliver)];
                may(Some(number), Some(next.item), 0, delivers);
            }
            for (place, job) in replica.work.iter().enumerate() {
                let steps = self.of_message(state, replica, job);
                may(Some(number), Some(job.letter.item), place, steps);
            }
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        self.act(&mut state, action)?;
        state.resume_lanes();
        // Their order makes no difference: any of them may be the next.
        state.delayed.sort_by_cached_key(hash);
        for replica in &mut state.replicas {
            replica.work.sort_by_cached_key(hash);
            replica.pause.iter_mut().for_each(|pause| pause.waiting.sort_by_cached_key(hash));
        }
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        rules::all()
    }
}

impl Protocol {
    fn of_world(&self, state: &State) -> Vec<(bool, Step)> {
        let is_well = state.mimecast == Mimecast::Well;
        vec![
            (!is_well, Step::Recover),
            (self.waits_for_window(state), Step::Renew),
            (is_well, Step::Outage),
            (is_well, Step::HalfOutage),
        ]
    }

    fn of_replica(&self, state: &State, replica: &Replica) -> Vec<(bool, Step)> {
        let (runs, is_fresh) = (!replica.is_stopping, *replica == Replica::default());
        let has_something = replica.pause.is_some() || !replica.work.is_empty();
        let is_waiting = replica.wants_health() && replica.health.is_none();
        let pause = replica.pause.as_ref();
        vec![
            (is_waiting && self.may_call(state, replica), Step::CallHealth),
            (replica.health.is_some(), Step::HearHealth),
            (pause.is_some_and(|pause| may_wake(replica, pause)), Step::Wake),
            (pause.is_some_and(|pause| pause.until() == Some(&Until::Changed)), Step::Release),
            (!runs && !has_something, Step::Restart),
            (!is_fresh, Step::Crash),
            (!is_fresh && runs, Step::Stop),
            (has_something, Step::Cut),
            (pause.is_some_and(|pause| !pause.waiting.is_empty()), Step::GiveBack),
        ]
    }

    fn may_deliver(&self, replica: &Replica) -> bool {
        let room = if replica.start == Start::Full { self.prefetch } else { 1 };
        !replica.is_stopping && replica.pause.is_none() && replica.messages() < room
    }

    fn of_message(&self, state: &State, replica: &Replica, job: &Job) -> Vec<(bool, Step)> {
        let (has_call, has_quota) = (self.has_call(state), self.has_quota(replica));
        let is_done = state.mimecast == Mimecast::Well && job.letter.item.is_good();
        match &job.stage {
            Stage::Ready => vec![
                (has_call && has_quota, Step::Call),
                (!has_call && has_quota, Step::Throttle),
                (has_call && has_quota && is_done, Step::LoseReply),
                (true, Step::TimeOut),
            ],
            Stage::First | Stage::Stuck(_) => vec![(true, Step::TimeOut)],
            Stage::Settling(settling) => {
                let is_copy = matches!(self.next_step(settling), Some(Due::Copy(_)));
                vec![
                    (true, Step::Settle),
                    (is_copy && settling.is_sent, Step::Delay),
                    (is_copy && !settling.is_sent, Step::Refuse),
                ]
            }
        }
    }

    /// Whether Mimecast would answer a call in this window, be it that it is down.
    fn has_call(&self, state: &State) -> bool {
        self.window.is_none() || state.window > 0 || state.mimecast == Mimecast::Down
    }

    /// Whether a replica believes that it may make a call.
    fn has_quota(&self, replica: &Replica) -> bool {
        self.window.is_none_or(|limit| replica.quota.take(limit).is_some())
    }

    fn may_call(&self, state: &State, replica: &Replica) -> bool {
        self.has_call(state) && self.has_quota(replica)
    }

    /// Whether anything waits for the next window of the quota. Nothing else can tell whether one has begun.
    fn waits_for_window(&self, state: &State) -> bool {
        state.replicas.iter().any(|replica| {
            let wants_call = replica.work.iter().any(|job| job.stage == Stage::Ready)
                || (replica.wants_health() && replica.health.is_none());
            wants_call && !self.may_call(state, replica)
        })
    }
}

/// Whether retry delays end: each is longer than a partial outage, and than the reply to a health call takes.
fn may_delays_end(state: &State) -> bool {
    let has_replies = state.replicas.iter().any(|replica| replica.health.is_some());
    state.mimecast != Mimecast::HalfDown && !has_replies
}

/// Whether the next step of a paused lane would do anything. A message is settled in less than an interval. While the
/// lane waits for a change it probes once, and then its ten minutes are over.
fn may_wake(replica: &Replica, pause: &LanePause) -> bool {
    match pause.until() {
        Some(Until::Answered { .. }) => {
            !pause.is_asking && replica.messages() == replica.work.len()
        }
        Some(Until::Changed) => !replica.has_probed && replica.work.is_empty(),
        Some(Until::Decided) | None => replica.work.is_empty(),
    }
}
