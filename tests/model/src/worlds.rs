//! The worlds that are tried.

use crate::job::Item::{self, Good, Poison, Undecided};
use crate::protocol::{Faults, Protocol};
use std::sync::Arc;

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
    let none = Faults::default();
    let outage = Faults { outages: 1, ..none };
    let trouble = Faults { outages: 1, lost_replies: 1, timeouts: 1, ..none };
    let late = Faults { late_confirms: 1, refused_copies: 1, ..none };
    let copies = Faults { late_confirms: 1, cuts: 1, ..none };
    let ends = Faults { crashes: 1, stops: 1, ..none };
    let two_crashes = Faults { crashes: 2, outages: 1, ..none };
    vec![
        small("nothing goes wrong", one_lane(none)),
        small("an outage", one_lane(outage)),
        small("an outage, a lost reply, a timeout", two_messages(trouble)),
        small("a copy late, a copy refused", two_messages(late)),
        small("a connection lost", two_messages(Faults { cuts: 1, ..none })),
        small("a crash and a stop", two_messages(ends)),
        small(
            "a crash and a stop, and every return counts",
            Protocol { every_return_counts: true, ..two_messages(ends) },
        ),
        small(
            "two lanes share a quota of two calls, and a 429",
            Protocol {
                lanes: vec![vec![Poison], vec![Good(1)]],
                ..two_lanes(Faults { throttles: 1, ..none })
            },
        ),
        small("two lanes, three messages", two_lanes(none)),
        large("a copy late, a connection lost", two_messages(copies)),
        large("a crash and an outage, three messages", one_lane(Faults { crashes: 1, ..outage })),
        large("two crashes and an outage, three messages", one_lane(two_crashes)),
        large(
            "two lanes, three messages, two crashes and an outage",
            Protocol { prefetch: 1, ..two_lanes(two_crashes) },
        ),
    ]
}

/// One that is too large to be explored, with two of every fault.
pub fn for_walks() -> Protocol {
    let faults = Faults {
        crashes: 2,
        stops: 2,
        cuts: 2,
        outages: 2,
        lost_replies: 2,
        late_confirms: 2,
        refused_copies: 2,
        timeouts: 2,
        throttles: 2,
    };
    let first = vec![Poison, Good(1), Good(2), Undecided, Good(3)];
    let second = vec![Good(1), Undecided, Poison, Good(2)];
    Protocol { prefetch: 3, rungs: 2, ..protocol(vec![first, second], Some(4), faults) }
}

/// A good item and one that is poisonous.
pub fn two_messages(faults: Faults) -> Protocol {
    protocol(vec![vec![Poison, Good(1)]], None, faults)
}

/// A good item, one that is poisonous and one that is refused without saying why, in one lane.
pub fn one_lane(faults: Faults) -> Protocol {
    protocol(vec![vec![Poison, Good(1), Undecided]], None, faults)
}

/// The same in two lanes, which share the vendor's quota.
pub fn two_lanes(faults: Faults) -> Protocol {
    protocol(vec![vec![Poison, Good(1)], vec![Undecided]], Some(2), faults)
}

fn protocol(lanes: Vec<Vec<Item>>, window: Option<u64>, faults: Faults) -> Protocol {
    Protocol {
        lanes,
        faults,
        window,
        rungs: 1,
        prefetch: 2,
        delivery_limit: 3,
        every_return_counts: false,
        mistake: None,
        has_to_end: true,
        endings: Arc::default(),
    }
}

fn small(name: &'static str, protocol: Protocol) -> World {
    World { name, protocol, is_large: false }
}

fn large(name: &'static str, protocol: Protocol) -> World {
    World { name, protocol, is_large: true }
}
