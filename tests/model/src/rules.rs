//! What must hold in every state that can come about.

use crate::job::{Item, Job, Kind, Letter, Stage};
use crate::protocol::{Faults, Protocol};
use crate::state::{Breach, State};
use mimecast_eventd::verdict::{Disposition, Outcome};
use stateright::Property;
use std::collections::BTreeSet;

/// A rule, and whether a state keeps it.
type Rule = (&'static str, fn(&Protocol, &State) -> bool);

/// What can only be said of all that may come after a state.
pub(crate) const ENDS: &str = "everything ends";

/// What can be said of one state by itself.
const RULES: [Rule; 7] = [
    ("nothing is lost", nothing_is_lost),
    ("no good message is a dead letter", no_good_message_is_dead),
    ("no outage and no restart costs a good message anything", no_good_message_pays),
    ("a partial outage costs two messages a delay, and no more", a_streak_pauses),
    ("a lane that is paused for health begins with no message", |_, state| {
        state.breach != Some(Breach::BegunInPause)
    }),
    ("no lane that is paused for health resumes without an answer", |_, state| {
        state.breach != Some(Breach::ResumedBlindly)
    }),
    ("a probe makes one attempt", probes_try_once),
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

/// Each message is done at Mimecast, a dead letter, or still at the broker.
fn nothing_is_lost(protocol: &Protocol, state: &State) -> bool {
    protocol.items.iter().all(|item| {
        !state.open.contains(item)
            || state.dead.iter().any(|(dead, _)| dead == item)
            || state.letters().any(|letter| letter.item == *item)
    })
}

fn no_good_message_is_dead(protocol: &Protocol, state: &State) -> bool {
    state.dead.iter().all(|(item, reason)| match item {
        Item::Good(_) => false,
        Item::Poison(_) => *reason == "retries_exhausted",
        // Nobody can tell it from a poison message where health calls are forbidden too, or others are at fault.
        Item::Refused => {
            *reason == "rejected" || protocol.forbids_health || protocol.items.len() > 2
        }
    })
}

/// A good message takes a retry delay only if its call failed after an answered health call: as often as an outage
/// began, or a reply was lost, just then. Only crashes, lost connections and copies that are not taken let it come back.
fn no_good_message_pays(protocol: &Protocol, state: &State) -> bool {
    let (all, left) = (protocol.faults, state.faults);
    let used = |count: fn(&Faults) -> u8| count(&all) - count(&left);
    let failures = used(|it| it.outages + it.half_outages + it.lost_replies);
    let losses =
        used(|it| it.crashes + it.cuts + it.late_confirms + it.refused_copies + it.timeouts);
    let pays = |letter: &Letter| letter.delays > failures.into() || letter.returned > losses;
    let is_blamed = |job: &Job| match &job.stage {
        Stage::Settling(settling) => {
            matches!(settling.disposition, Disposition::Retry(..) | Disposition::DeadLetter(..))
        }
        Stage::First | Stage::Ready | Stage::Stuck(_) => false,
    };
    let mut jobs = state.replicas.iter().flat_map(|replica| &replica.work);
    let is_wronged = |job: &Job| {
        let has_failed = job.is_answered && !job.tries.is_empty();
        job.letter.item.is_good() && job.kind != Kind::Copy && is_blamed(job) && !has_failed
    };
    !state.letters().any(|letter| letter.item.is_good() && pays(letter)) && !jobs.any(is_wronged)
}

/// That is, two for each replica, until ten minutes are over.
fn a_streak_pauses(protocol: &Protocol, state: &State) -> bool {
    let Faults { outages, lost_replies, .. } = protocol.faults;
    let costs = |letter: &&Letter| letter.item.is_good() && letter.delays > 0;
    let paying: BTreeSet<Item> = state.letters().filter(costs).map(|letter| letter.item).collect();
    state.is_released || outages + lost_replies > 0 || paying.len() <= 2 * protocol.replicas
}

fn probes_try_once(_: &Protocol, state: &State) -> bool {
    let jobs = state.replicas.iter().flat_map(|replica| &replica.work);
    jobs.filter(|job| job.kind == Kind::Probe).all(|job| {
        let is_wait = |outcome: &&Outcome| matches!(outcome, Outcome::Throttled(_));
        job.tries.iter().filter(|it| !is_wait(it)).count() <= 1
    })
}
