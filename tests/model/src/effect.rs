//! What an action changes.

use crate::action::Action;
use crate::job::{Item, Job, Letter};
use crate::lane::{Lane, Process};
use crate::protocol::Protocol;
use crate::quota::Known;
use crate::state::State;
use mimecast_eventd::verdict::{Conclusion, Evidence};

impl Protocol {
    /// Lets an action happen; `None` if it cannot.
    pub(crate) fn act(&self, state: &mut State, action: Action) -> Option<()> {
        match action {
            Action::Start => state.process = Process::Runs,
            Action::Exit | Action::Crash => {
                if action == Action::Crash {
                    state.faults.crashes -= 1;
                }
                self.end_process(state);
            }
            Action::Stop => {
                state.faults.stops -= 1;
                state.process = Process::Stops;
                state.lanes.iter_mut().for_each(Lane::give_up);
            }
            Action::Recover => state.is_vendor_well = true,
            Action::Outage => {
                state.faults.outages -= 1;
                state.is_vendor_well = false;
            }
            Action::Renew => {
                state.window = self.window.unwrap_or_default();
                state.quota = Known::default();
            }
            Action::Cut(lane) => {
                state.faults.cuts -= 1;
                state.lanes[lane].lose_session(self);
            }
            Action::Deliver(lane, _) => {
                let lane = &mut state.lanes[lane];
                let letter = lane.queue.pop_front()?;
                lane.work.push(Job::begin(letter, false));
            }
            Action::Expire(lane, place, _) => {
                let lane = &mut state.lanes[lane];
                let letter = lane.delayed.remove(place);
                lane.queue.push_back(letter);
            }
            Action::Arrive(lane) => {
                let lane = &mut state.lanes[lane];
                lane.open.insert(Item::Spare);
                lane.queue.push_back(Letter::of(Item::Spare));
            }
            Action::Wake(lane) => state.lanes[lane].wake(self),
            Action::Resume(lane) => state.lanes[lane].resume(),
            Action::HoldTooLong(lane, _) => {
                state.faults.timeouts -= 1;
                state.lanes[lane].hold_too_long();
            }
            Action::Send(lane, seat, _) => state.send(self, lane, seat)?,
            Action::Reply(lane, seat, item) => {
                let outcome = state.ask_vendor(lane, item, self.window);
                state.hear(self, lane, seat, outcome);
            }
            Action::Throttle(lane, seat, _) => {
                state.faults.throttles -= 1;
                let outcome = state.throttle();
                state.hear(self, lane, seat, outcome);
            }
            Action::LoseReply(lane, seat, item) => {
                state.faults.lost_replies -= 1;
                let outcome = state.ask_vendor_in_vain(lane, item, self.window);
                state.hear(self, lane, seat, outcome);
            }
            Action::ReplyTooLate(lane, place, item) => {
                let outcome = state.ask_vendor(lane, item, self.window);
                let lane = &mut state.lanes[lane];
                let (_, sent) = lane.ghosts.remove(place);
                lane.evidence.learn(lane.operation, sent, outcome);
            }
            Action::Copy(lane, seat, _)
            | Action::Confirm(lane, seat, _)
            | Action::Answer(lane, seat, _) => {
                state.step(self, lane, seat);
            }
            Action::Delay(lane, seat, _) => {
                state.faults.late_confirms -= 1;
                state.fail_to_copy(self, lane, seat, true);
            }
            Action::Refuse(lane, seat, _) => {
                state.faults.refused_copies -= 1;
                state.fail_to_copy(self, lane, seat, false);
            }
            Action::TimeOut(lane, seat, _) => {
                state.faults.timeouts -= 1;
                let job = state.lanes[lane].take_job(seat);
                state.conclude(self, lane, seat, job, Conclusion::OutOfTime);
            }
        }
        Some(())
    }

    /// What was just begun with is asked for at once, if the quota has a call for it: nothing can come between
    /// that makes a difference, but for the end of the session, which is as if it had not been handed out.
    pub(crate) fn send_first_calls(&self, state: &mut State) {
        for number in 0..state.lanes.len() {
            while let Some(seat) = state.lanes[number].fresh() {
                if !self.may_send(state) || state.send(self, number, seat).is_none() {
                    break;
                }
            }
        }
    }

    fn end_process(&self, state: &mut State) {
        state.process = Process::Gone;
        state.quota = Known::default();
        for lane in &mut state.lanes {
            lane.lose_session(self);
            lane.ghosts.clear();
            lane.evidence = Evidence::default();
        }
    }
}
