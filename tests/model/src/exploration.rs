//! A world, explored.

use crate::action::Action;
use crate::endings::Endings;
use crate::protocol::Protocol;
use crate::rules::ENDS;
use crate::state::State;
use crate::story;
use stateright::{Checker, HasDiscoveries, Model};
use std::sync::Arc;

/// What came of exploring a world to the last state.
#[derive(Clone, Copy, Debug)]
pub struct Explored {
    /// Different states.
    pub states: usize,
    /// Steps from one to another.
    pub steps: usize,
    /// Steps of the longest way to the end, from any state.
    pub longest: u32,
}

impl Explored {
    /// The row about it in `docs/proof.md`.
    pub fn row(&self, name: &str) -> String {
        format!(
            "| {name} | {} | {} | {} |",
            grouped(self.states),
            grouped(self.steps),
            self.longest
        )
    }
}

/// A number with a comma before each three digits.
fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let groups: Vec<&[u8]> = digits.as_bytes().rchunks(3).rev().collect();
    String::from_utf8(groups.join(&b',')).expect("digits and commas are text")
}

/// Visits every state of the world.
///
/// # Errors
///
/// The story of the shortest way to a state that breaks a rule.
pub fn explore(protocol: &Protocol) -> Result<Explored, String> {
    let protocol = Protocol { endings: Arc::default(), ..protocol.clone() };
    // Breadth first would need many times the memory.
    let checker = protocol.clone().checker().threads(2).finish_when(HasDiscoveries::Any);
    let checker = checker.symmetry_fn(State::representative).spawn_dfs().join();
    if checker.discoveries().is_empty() {
        let (states, steps) = (checker.unique_state_count(), checker.state_count());
        return Ok(Explored { states, steps, longest: protocol.endings.bound() });
    }
    let (rule, way) = shortest_way(&protocol);
    let mut told = story::tell(&format!("Broken: {rule}."), &way);
    if let Some((last, _)) = way.last().filter(|_| rule == ENDS) {
        told.push_str(&circle(&protocol, last));
    }
    Err(told)
}

/// The rule that is broken first, and the way there. The checker goes on for a while after what it finds, and
/// tells of the last; so it goes one step further each time.
fn shortest_way(protocol: &Protocol) -> (&'static str, Vec<(State, Option<Action>)>) {
    let within = |steps: usize| {
        let checker = protocol.clone().checker().target_max_depth(steps);
        checker.spawn_bfs().join().discoveries().into_iter().min_by_key(|(rule, _)| *rule)
    };
    let found = (1..).find_map(within);
    let (rule, path) = found.expect("a rule is broken after some number of steps");
    (rule, path.into_vec())
}

/// The way round from a state that does not come to an end, if there is one.
fn circle(protocol: &Protocol, state: &State) -> String {
    let Err(endless) = Endings::default().longest(protocol, state) else { return String::new() };
    let way: Vec<(State, Option<Action>)> = endless.0;
    let last = way.last().map(|(state, _)| state);
    let from = way.iter().position(|(state, _)| Some(state) == last).unwrap_or_default();
    let before = story::tell("From there on, without a fault:", &way[..=from]);
    match from + 1 == way.len() {
        true => format!("{before}And there it stays.\n"),
        false => before + &story::tell("And then again and again:", &way[from..]),
    }
}
