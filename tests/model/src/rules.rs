//! What must hold in every state that can come about.

use crate::job::{Item, Stage};
use crate::lane::Lane;
use crate::protocol::Protocol;
use crate::state::State;
use mimecast_eventd::verdict::Outcome;
use stateright::Property;

/// A rule, and whether a state keeps it.
type Rule = (&'static str, fn(&Protocol, &State) -> bool);

/// What can only be said of all that may come after a state.
pub(crate) const ENDS: &str = "everything ends";

/// What can be said of one state by itself.
const RULES: [Rule; 4] = [
    ("nothing is lost", nothing_is_lost),
    ("no innocent is a dead letter", no_innocent_is_dead),
    ("a paused lane asks once with each probe", probes_ask_once),
    ("no lane goes on before the vendor has answered", none_goes_on_blindly),
];

/// Every rule.
pub(crate) fn all() -> Vec<Property<Protocol>> {
    let ends = |protocol: &Protocol, state: &State| {
        !protocol.has_to_end || protocol.endings.longest(protocol, state).is_ok()
    };
    let rules = RULES.into_iter().map(|(name, holds)| Property::always(name, holds));
    rules.chain([Property::always(ENDS, ends)]).collect()
}

/// The first rule that a state breaks.
pub(crate) fn broken(protocol: &Protocol, state: &State) -> Option<&'static str> {
    RULES.into_iter().find(|(_, holds)| !holds(protocol, state)).map(|(name, _)| name)
}

fn nothing_is_lost(protocol: &Protocol, state: &State) -> bool {
    protocol.lanes.iter().zip(&state.lanes).all(|(items, lane)| {
        items.iter().chain([&Item::Spare]).all(|item| is_somewhere(*item, lane))
    })
}

fn no_innocent_is_dead(_: &Protocol, state: &State) -> bool {
    state.lanes.iter().flat_map(|lane| &lane.dead).all(|(item, reason)| match item {
        Item::Good(_) | Item::Spare => false,
        Item::Poison => *reason == "retries_exhausted",
        Item::Undecided => *reason == "rejected",
    })
}

fn probes_ask_once(_: &Protocol, state: &State) -> bool {
    let desks = state.lanes.iter().flat_map(|lane| &lane.pause).flat_map(|it| &it.desk);
    desks.filter(|job| job.is_probe).all(|job| match &job.stage {
        Stage::Ready(tries) | Stage::Asking(tries, ..) => {
            tries.outcomes.iter().all(|it| matches!(it, Outcome::Throttled(_)))
        }
        Stage::Settling(_) => true,
    })
}

fn none_goes_on_blindly(_: &Protocol, state: &State) -> bool {
    state.lanes.iter().all(|lane| !lane.went_on_blindly)
}

/// Whether it was done, is a dead letter, or is still the broker's.
fn is_somewhere(item: Item, lane: &Lane) -> bool {
    let is_done = !lane.open.contains(&item);
    is_done
        || lane.dead.iter().any(|(dead, _)| *dead == item)
        || lane.letters().any(|letter| letter.item == item)
}
