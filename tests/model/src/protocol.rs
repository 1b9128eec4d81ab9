//! How the world begins, and what can happen in it.

use crate::action::{Action, Seat};
use crate::daemon::Due;
use crate::endings::Endings;
use crate::job::{Item, Job, Stage};
use crate::lane::{Lane, Process, Step};
use crate::numbers;
use crate::quota::Known;
use crate::rules;
use crate::state::{State, hash};
use mimecast_eventd::command::Operation;
use stateright::{Model, Property};
use std::sync::Arc;

/// A world: how it begins, and what may go wrong in it.
#[derive(Clone, Debug)]
pub struct Protocol {
    /// The messages of each lane.
    pub lanes: Vec<Vec<Item>>,
    /// What may go wrong, and how often.
    pub faults: Faults,
    /// Calls that the vendor answers in a window; any number without a limit.
    pub window: Option<u64>,
    /// Rungs of the delay ladder.
    pub rungs: usize,
    /// Messages that a lane has in work at most.
    pub prefetch: usize,
    /// Times that a message may come back, as far as that counts.
    pub delivery_limit: u8,
    /// Whether each return counts, as before RabbitMQ 4.3, or only one by a reject.
    pub every_return_counts: bool,
    /// A rule that is broken on purpose.
    pub mistake: Option<Mistake>,
    /// Whether it is tried that everything comes to its end.
    pub has_to_end: bool,
    /// What is known of the ways to the end.
    pub endings: Arc<Endings>,
}

/// What may go wrong, and how often.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Faults {
    /// The daemon is killed.
    pub crashes: u8,
    /// It is told to stop.
    pub stops: u8,
    /// A connection is lost.
    pub cuts: u8,
    /// The vendor falls ill.
    pub outages: u8,
    /// A reply of the vendor is lost.
    pub lost_replies: u8,
    /// A confirm does not come in time.
    pub late_confirms: u8,
    /// A copy is not taken.
    pub refused_copies: u8,
    /// A message has no time left, or is held for too long.
    pub timeouts: u8,
    /// A call that comes when the vendor's window is used up is answered with 429; others wait for the next one.
    pub throttles: u8,
}

/// A rule that is broken on purpose, to see that it is noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mistake {
    /// The ack is sent before the copy is.
    AckFirst,
    /// What is parked is given back to the queue in a way that counts.
    ParkByRequeue,
    /// A lane goes on without an answer of the vendor.
    ResumeBlindly,
    /// Whoever is stuck is to blame.
    BlameAtOnce,
    /// A paused lane probes with as many attempts as ever.
    ProbeWithAllAttempts,
    /// A suspect that others fail with is excused each time.
    ForgetRelapses,
}

const OPERATIONS: [Operation; 2] = Operation::CHANGES;

impl Model for Protocol {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let lanes = OPERATIONS.into_iter().zip(&self.lanes);
        vec![State {
            lanes: lanes.map(|(operation, items)| Lane::of(operation, items)).collect(),
            process: Process::Gone,
            is_vendor_well: true,
            window: self.window.unwrap_or_default(),
            quota: Known::default(),
            faults: self.faults,
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        self.of_world(state, actions);
        for (number, lane) in state.lanes.iter().enumerate() {
            self.of_lane(state, number, lane, actions);
            for (seat, job) in lane.jobs() {
                self.of_job(state, number, seat, job, actions);
            }
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        self.act(&mut state, action)?;
        self.send_first_calls(&mut state);
        for lane in &mut state.lanes {
            numbers::normalise(lane);
            // Their order makes no difference: any of them may be the next.
            lane.work.sort_by_cached_key(hash);
            lane.delayed.sort_by_cached_key(hash);
            lane.ghosts.sort_by_cached_key(hash);
        }
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        rules::all()
    }
}

impl Protocol {
    fn of_world(&self, state: &State, actions: &mut Vec<Action>) {
        let faults = state.faults;
        let mut may =
            |is_possible: bool, action: Action| actions.extend(is_possible.then_some(action));
        let is_idle = state.lanes.iter().all(|lane| lane.jobs().next().is_none());
        may(state.process == Process::Gone, Action::Start);
        may(state.process == Process::Stops && is_idle, Action::Exit);
        may(!state.is_vendor_well, Action::Recover);
        may(self.waits_for_window(state), Action::Renew);
        may(state.process != Process::Gone && faults.crashes > 0, Action::Crash);
        may(state.process == Process::Runs && faults.stops > 0, Action::Stop);
        may(state.is_vendor_well && faults.outages > 0, Action::Outage);
    }

    fn of_lane(&self, state: &State, number: usize, lane: &Lane, actions: &mut Vec<Action>) {
        let mut may =
            |is_possible: bool, action: Action| actions.extend(is_possible.then_some(action));
        let runs = state.process == Process::Runs;
        let has_something = lane.pause.is_some() || !lane.work.is_empty();
        may(has_something && state.faults.cuts > 0, Action::Cut(number));
        for (place, letter) in lane.delayed.iter().enumerate() {
            may(true, Action::Expire(number, place, letter.item));
        }
        for (place, (item, _)) in lane.ghosts.iter().enumerate() {
            may(self.has_call(state), Action::ReplyTooLate(number, place, *item));
        }
        let Some(pause) = lane.pause.as_ref().filter(|_| runs) else {
            let next = lane.queue.front().filter(|_| runs);
            if let Some(letter) = next.filter(|_| lane.work.len() < self.prefetch) {
                may(true, Action::Deliver(number, letter.item));
            }
            return;
        };
        if pause.desk.is_none() {
            let is_over = lane.is_over(self);
            let next = if is_over { Action::Resume(number) } else { Action::Wake(number) };
            may(pause.step == Step::Waits, next);
            if let Some((letter, _)) = &pause.holding.suspect {
                may(state.faults.timeouts > 0, Action::HoldTooLong(number, letter.item));
            }
            let has_good = lane.letters().any(|letter| letter.item.is_good());
            may(!has_good && !is_over, Action::Arrive(number));
        }
    }

    fn of_job(&self, state: &State, lane: usize, seat: Seat, job: &Job, actions: &mut Vec<Action>) {
        let (item, faults) = (job.letter.item, state.faults);
        let mut may =
            |is_possible: bool, action: Action| actions.extend(is_possible.then_some(action));
        match &job.stage {
            Stage::Ready(_) => {
                let stops = state.process == Process::Stops;
                may(stops || self.may_send(state), Action::Send(lane, seat, item));
                may(faults.timeouts > 0, Action::TimeOut(lane, seat, item));
            }
            Stage::Asking(..) => {
                let has_call = self.has_call(state);
                may(has_call, Action::Reply(lane, seat, item));
                may(!has_call && faults.throttles > 0, Action::Throttle(lane, seat, item));
                let is_done = has_call && state.is_vendor_well && item.is_good();
                may(is_done && faults.lost_replies > 0, Action::LoseReply(lane, seat, item));
            }
            Stage::Settling(settling) => match settling.next(self) {
                Some(Due::Copy(_)) if settling.is_sent => {
                    may(true, Action::Confirm(lane, seat, item));
                    may(faults.late_confirms > 0, Action::Delay(lane, seat, item));
                }
                Some(Due::Copy(_)) => {
                    may(true, Action::Copy(lane, seat, item));
                    may(faults.refused_copies > 0, Action::Refuse(lane, seat, item));
                }
                Some(Due::Answer(_)) => may(true, Action::Answer(lane, seat, item)),
                None => {}
            },
        }
    }

    /// Whether the vendor would answer a call in this window, be it that it is ill.
    pub(crate) fn has_call(&self, state: &State) -> bool {
        self.window.is_none() || state.window > 0 || !state.is_vendor_well
    }

    /// Whether anything waits for the vendor's next window. Nothing else can tell whether one has begun.
    fn waits_for_window(&self, state: &State) -> bool {
        let may_send = state.process == Process::Stops || self.may_send(state);
        let has_call = self.has_call(state);
        state.lanes.iter().any(|lane| {
            let mut jobs = lane.jobs().map(|(_, job)| &job.stage);
            jobs.any(|stage| match stage {
                Stage::Ready(_) => !may_send,
                Stage::Asking(..) => !has_call,
                Stage::Settling(_) => false,
            }) || (!has_call && !lane.ghosts.is_empty())
        })
    }

    pub(crate) fn may_send(&self, state: &State) -> bool {
        self.window.is_none_or(|limit| state.quota.take(limit).is_some())
    }
}
