//! The worlds that are tried.

use crate::job::Item::{self, Good, Poison, Refused};
use crate::protocol::{Faults, Protocol};
use std::sync::Arc;

/// Nothing goes wrong.
pub const NONE: Faults = Faults {
    crashes: 0,
    stops: 0,
    cuts: 0,
    outages: 0,
    half_outages: 0,
    lost_replies: 0,
    late_confirms: 0,
    refused_copies: 0,
    timeouts: 0,
    throttles: 0,
};
/// One outage.
pub const OUTAGE: Faults = Faults { outages: 1, ..NONE };
/// One partial outage.
pub const HALF_OUTAGE: Faults = Faults { half_outages: 1, ..NONE };
const CRASH: Faults = Faults { crashes: 1, ..OUTAGE };
const ENDS: Faults = Faults { stops: 1, ..CRASH };
const COPIES: Faults = Faults { late_confirms: 1, refused_copies: 1, ..OUTAGE };

/// A world with a name.
#[derive(Clone, Debug)]
pub struct World {
    /// What is special in it.
    pub name: &'static str,
    /// How it begins, and what may go wrong.
    pub protocol: Protocol,
    /// Whether it takes minutes to try.
    pub is_large: bool,
}

/// Every world, those that take minutes last.
pub fn all() -> Vec<World> {
    let world = |is_large| move |(name, protocol)| World { name, protocol, is_large };
    let small = of_one_message().into_iter().chain(of_one_replica()).chain(of_two_replicas());
    small.map(world(false)).chain(large().into_iter().map(world(true))).collect()
}

fn of_one_message() -> Vec<(&'static str, Protocol)> {
    let all = Faults { cuts: 1, lost_replies: 1, ..ENDS };
    vec![
        ("a poison message alone, every fault of the daemon", one(vec![Poison(1)], all)),
        ("a refused message alone, every fault of the daemon", one(vec![Refused], all)),
        ("a good message alone, every fault of the daemon", one(vec![Good(1)], all)),
        ("two replicas, a poison message alone, a crash, a stop", two(vec![Poison(1)], ENDS)),
        ("two replicas, a refused message alone, a crash, a stop", two(vec![Refused], ENDS)),
        ("two replicas, a good message alone, a crash, a stop", two(vec![Good(1)], ENDS)),
        ("two replicas, a good message alone, two copies fail", two(vec![Good(1)], COPIES)),
    ]
}

fn of_one_replica() -> Vec<(&'static str, Protocol)> {
    let trouble = Faults { lost_replies: 1, timeouts: 1, ..OUTAGE };
    let two_good = vec![Good(1), Good(2)];
    let cut = Faults { cuts: 1, late_confirms: 1, ..OUTAGE };
    let unclear = one(vec![Poison(1), Good(1), Good(2)], Faults { timeouts: 1, ..NONE });
    vec![
        ("three messages, an outage", one(three(), OUTAGE)),
        ("two messages, a lost reply, a timeout", Protocol { delays: 2, ..one(pair(), trouble) }),
        ("two messages, two copies fail", one(pair(), COPIES)),
        ("two messages, a cut, a copy late", one(pair(), cut)),
        ("two messages, a crash, a stop", one(pair(), ENDS)),
        ("three poison messages", one((1..=3).map(Poison).collect(), NONE)),
        ("three good messages, a partial outage", one((1..=3).map(Good).collect(), HALF_OUTAGE)),
        ("three messages, health calls forbidden", forbidden(unclear)),
        ("a poison message alone, health calls forbidden", forbidden(one(vec![Poison(1)], NONE))),
        ("two good messages, an outage, health calls forbidden", forbidden(one(two_good, OUTAGE))),
    ]
}

/// The same where Mimecast forbids what a health call asks for.
pub fn forbidden(protocol: Protocol) -> Protocol {
    Protocol { forbids_health: true, ..protocol }
}

fn of_two_replicas() -> Vec<(&'static str, Protocol)> {
    let quota = two(pair(), Faults { throttles: 1, timeouts: 1, ..NONE });
    let good = two((1..=3).map(Good).collect(), HALF_OUTAGE);
    vec![
        ("two replicas, two messages, an outage", two(pair(), OUTAGE)),
        ("two replicas, two messages, a quota, a 429", Protocol { window: Some(2), ..quota }),
        ("two replicas, three good messages, a partial outage", good),
    ]
}

fn large() -> Vec<(&'static str, Protocol)> {
    vec![
        ("two replicas, two messages, a crash", two(pair(), CRASH)),
        ("two replicas, two messages, two copies fail", two(pair(), COPIES)),
        ("two replicas, two messages, a crash, a stop", two(pair(), ENDS)),
        ("two replicas, three messages, an outage", two(three(), OUTAGE)),
        ("two replicas, three poison messages", two((1..=3).map(Poison).collect(), NONE)),
    ]
}

fn pair() -> Vec<Item> {
    vec![Poison(1), Good(1)]
}

fn three() -> Vec<Item> {
    vec![Poison(1), Good(1), Refused]
}

/// One that is too large to be explored, with two of most faults, and a retry delay for each fault that may cost one.
pub fn for_walks() -> Protocol {
    let faults = Faults {
        crashes: 2,
        stops: 2,
        cuts: 2,
        outages: 1,
        half_outages: 1,
        lost_replies: 1,
        late_confirms: 2,
        refused_copies: 2,
        timeouts: 2,
        throttles: 2,
    };
    let items = vec![Poison(1), Good(1), Good(2), Refused, Poison(2), Good(3), Poison(3), Good(4)];
    Protocol { prefetch: 3, delays: 3, delivery_limit: 9, window: Some(4), ..two(items, faults) }
}

/// One replica.
pub fn one(items: Vec<Item>, faults: Faults) -> Protocol {
    Protocol {
        items,
        replicas: 1,
        faults,
        window: None,
        delays: 1,
        prefetch: 2,
        delivery_limit: 3,
        every_return_counts: true,
        forbids_health: false,
        mistake: None,
        has_to_end: true,
        endings: Arc::default(),
    }
}

/// Two replicas.
pub fn two(items: Vec<Item>, faults: Faults) -> Protocol {
    Protocol { replicas: 2, ..one(items, faults) }
}
