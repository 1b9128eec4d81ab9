//! What an action changes.

use crate::action::{Action, Step};
use crate::job::{Kind, Stage};
use crate::mimecast::Mimecast;
use crate::protocol::Protocol;
use crate::quota::Known;
use crate::replica::Replica;
use crate::state::State;
use mimecast_eventd::verdict::{Conclusion, Health};

impl Protocol {
    /// Lets an action happen; `None` if it cannot.
    pub(crate) fn act(&self, state: &mut State, action: Action) -> Option<()> {
        let (replica, place) = (action.replica.unwrap_or_default(), action.place);
        if let Some(left) = state.faults.left(action.step) {
            *left -= 1;
        }
        match action.step {
            Step::EndDelay => {
                let letter = state.delayed.remove(place);
                state.queue.push_back(letter);
            }
            Step::Recover => state.mimecast = Mimecast::Well,
            Step::Outage => state.mimecast = Mimecast::Down,
            Step::HalfOutage => state.mimecast = Mimecast::HalfDown,
            Step::Renew => {
                state.window = self.window.unwrap_or_default();
                state.replicas.iter_mut().for_each(|replica| replica.quota = Known::default());
            }
            Step::Deliver => {
                let letter = state.queue.pop_front()?;
                state.begin(replica, letter, Kind::Delivery);
            }
            Step::CallHealth => {
                let health = state.health(self, replica);
                state.replicas[replica].health = Some(health);
            }
            Step::HearHealth => state.hear(self, replica),
            Step::Wake => state.wake(self, replica),
            Step::Release => state.release(self, replica),
            Step::Stop => state.stop(self, replica),
            Step::Cut => state.lose_session(self, replica),
            Step::Crash | Step::Restart => {
                state.lose_session(self, replica);
                state.replicas[replica] = Replica::default();
            }
            Step::GiveBack => state.give_back(replica),
            Step::Settle => state.settle(self, replica, place),
            Step::Delay | Step::Refuse => {
                state.fail_to_copy(self, (replica, place), action.step == Step::Delay);
            }
            Step::TimeOut => self.time_out(state, replica, place),
            Step::Call | Step::LoseReply | Step::Throttle => {
                let (item, is_lost) = (action.item?, action.step == Step::LoseReply);
                let outcome = if action.step == Step::Throttle {
                    state.throttle(replica)
                } else {
                    state.call(self, replica, item, is_lost)
                };
                state.hear_call(self, (replica, place), outcome);
            }
        }
        Some(())
    }

    fn time_out(&self, state: &mut State, replica: usize, place: usize) {
        let job = state.replicas[replica].work.remove(place);
        match job.stage {
            Stage::Ready => state.conclude(self, replica, job, Conclusion::OutOfTime),
            Stage::First | Stage::Stuck(_) | Stage::Settling(_) => {
                state.hear_health(self, replica, job, Health::OutOfTime);
            }
        }
    }
}
