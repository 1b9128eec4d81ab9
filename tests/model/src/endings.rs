//! Whether everything comes to its end once nothing goes wrong any more.
//!
//! From a state on, as long as nothing goes wrong and Mimecast is well, any order of events leads to the
//! end: there is no way round in circles. The longest way is the bound.

use crate::action::{Action, Step};
use crate::mimecast::Mimecast;
use crate::protocol::Protocol;
use crate::state::{State, hash};
use stateright::Model;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// The steps of the longest ways to the end, from the states that were looked at; `None` while that is done.
#[derive(Debug, Default)]
pub struct Endings(Mutex<HashMap<u64, Option<u32>>>);

/// A way that does not come to an end: each state, and what happens next.
#[derive(Debug)]
pub struct Endless(pub Vec<(State, Option<Action>)>);

/// A state on the way, and what is still to be tried from there.
struct Stop {
    state: State,
    left: Vec<Action>,
    taken: Option<Action>,
    longest: u32,
}

impl Endings {
    /// The steps of the longest way to the end from `state`.
    ///
    /// # Errors
    ///
    /// A way that comes back to where it was, or ends with messages that have not.
    pub fn longest(&self, protocol: &Protocol, state: &State) -> Result<u32, Endless> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut way: Vec<Stop> = Vec::new();
        let mut next = Some(state.clone());
        loop {
            if let Some(state) = next.take() {
                match known.get(&key(&state)) {
                    Some(Some(longest)) => match way.last_mut() {
                        Some(stop) => stop.longest = stop.longest.max(longest + 1),
                        None => return Ok(*longest),
                    },
                    Some(None) => return Err(Endless::of(way, state)),
                    None => {
                        let left = well(protocol, &state);
                        if left.is_empty() && !state.has_ended() {
                            return Err(Endless::of(way, state));
                        }
                        known.insert(key(&state), None);
                        way.push(Stop { state, left, taken: None, longest: 0 });
                    }
                }
            }
            let Some(stop) = way.last_mut() else { unreachable!("the first stop returns") };
            stop.taken = stop.left.pop();
            match stop.taken {
                Some(action) => next = protocol.next_state(&stop.state, action),
                None => {
                    known.insert(key(&stop.state), Some(stop.longest));
                    next = way.pop().map(|stop| stop.state);
                }
            }
        }
    }

    /// The longest of all ways that were looked at.
    pub fn bound(&self) -> u32 {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.values().flatten().copied().max().unwrap_or_default()
    }
}

/// The same for states that differ in the order of the replicas only.
fn key(state: &State) -> u64 {
    hash(&state.representative())
}

impl Endless {
    fn of(way: Vec<Stop>, last: State) -> Endless {
        let way = way.into_iter().map(|stop| (stop.state, stop.taken));
        Endless(way.chain([(last, None)]).collect())
    }
}

/// What can happen while nothing goes wrong, once Mimecast is well.
pub(crate) fn well(protocol: &Protocol, state: &State) -> Vec<Action> {
    if state.mimecast != Mimecast::Well {
        return vec![Action { replica: None, item: None, place: 0, step: Step::Recover }];
    }
    let mut actions = Vec::new();
    protocol.actions(state, &mut actions);
    actions.retain(|action| !action.step.is_fault());
    actions
}
