//! One order of events out of many: a walk through a world, by a seed that repeats it exactly.

use crate::action::Action;
use crate::endings;
use crate::protocol::Protocol;
use crate::rules;
use crate::state::State;
use crate::story;
use stateright::Model;

/// A walk that has not come to its end by then never will.
const MOST_STEPS: usize = 20_000;

/// Walks as `seed` says: with the faults of the world, one in eight steps where one can happen, until they are
/// used up; and then on until everything has ended. It returns the number of steps.
///
/// # Errors
///
/// The story of the walk, if it breaks a rule or does not end.
pub fn walk(protocol: &Protocol, seed: u64) -> Result<usize, String> {
    let mut random = Random(seed);
    let mut way: Vec<(State, Option<Action>)> = Vec::new();
    let mut state = protocol.init_states().remove(0);
    for steps in 0..MOST_STEPS {
        let next = choose(protocol, &state, &mut random);
        let (true, Some(action)) = (rules::broken(protocol, &state).is_none(), next) else {
            let broken = rules::broken(protocol, &state);
            if broken.is_none() && state.has_ended() {
                return Ok(steps);
            }
            way.push((state, None));
            let rule = broken.unwrap_or("everything ends");
            return Err(story::tell(&format!("Broken with the seed {seed}: {rule}."), &way));
        };
        let after = protocol.next_state(&state, action).ok_or("an action that cannot be taken")?;
        way.push((std::mem::replace(&mut state, after), Some(action)));
    }
    let title = format!("With the seed {seed} it has not ended after {MOST_STEPS} steps.");
    Err(story::tell(&title, &way[way.len() - 200..]))
}

/// What happens next: a fault, or anything else as long as something can go wrong, or what leads to the end.
fn choose(protocol: &Protocol, state: &State, random: &mut Random) -> Option<Action> {
    let mut all = Vec::new();
    protocol.actions(state, &mut all);
    let (faults, others): (Vec<Action>, Vec<Action>) =
        all.into_iter().partition(|action| action.step.is_fault());
    if !faults.is_empty() && random.below(8) == 0 {
        return random.one(&faults);
    }
    match faults.is_empty() {
        true => random.one(&endings::well(protocol, state)),
        false => random.one(&others),
    }
}

/// The generator splitmix64: the same numbers for the same seed, everywhere.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) as usize % bound
    }

    fn one(&mut self, actions: &[Action]) -> Option<Action> {
        (!actions.is_empty()).then(|| actions[self.below(actions.len())])
    }
}
