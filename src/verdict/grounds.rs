//! Why a message lies in the dead-letter queue, in words for people.

use super::reason::Reason;

/// Why a message lies in the dead-letter queue: the daemon or the broker has put it there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Grounds {
    /// The daemon, for this reason.
    Daemon(Reason),
    /// The broker, after too many deliveries that nobody settled.
    DeliveryLimit,
    /// The daemon would not read it, because it is too large.
    TooLarge,
    /// Some consumer rejected it.
    Rejected,
    /// It expired in a queue.
    Expired,
    /// A queue was full.
    QueueFull,
    /// Nothing says why.
    Unknown,
}

impl Grounds {
    /// Those that the broker gives, or nobody.
    const OTHERS: [Grounds; 6] = [
        Grounds::DeliveryLimit,
        Grounds::TooLarge,
        Grounds::Rejected,
        Grounds::Expired,
        Grounds::QueueFull,
        Grounds::Unknown,
    ];

    /// All of them, in the order in which they are shown.
    pub fn all() -> impl Iterator<Item = Grounds> {
        Reason::ALL.into_iter().map(Grounds::Daemon).chain(Grounds::OTHERS)
    }

    /// The one that is called so.
    pub fn named(label: &str) -> Option<Grounds> {
        Grounds::all().find(|grounds| grounds.label() == label)
    }

    /// The name, for lists and filters.
    pub fn label(self) -> &'static str {
        match self {
            Grounds::Daemon(reason) => reason.label(),
            Grounds::DeliveryLimit => "delivery_limit",
            Grounds::TooLarge => "too_large",
            Grounds::Rejected => "rejected_by_consumer",
            Grounds::Expired => "expired_in_queue",
            Grounds::QueueFull => "queue_full",
            Grounds::Unknown => "unknown",
        }
    }

    /// What it means, and what to do, one line each.
    pub fn explained(self) -> (&'static str, &'static str) {
        match self {
            Grounds::Daemon(reason) => reason.explained(),
            Grounds::DeliveryLimit => (
                "it was delivered as often as the queue allows and never settled: each time the \
                 daemon or its connection ended over it",
                "look into the daemon's log for panics and lost connections, then replay it",
            ),
            Grounds::TooLarge => (
                "its body is larger than 256 KiB, so that it was not read",
                "no event is so large: ask who published it, then discard it",
            ),
            Grounds::Rejected => (
                "a consumer rejected it that is not this daemon",
                "find out who else consumes from the queue, then replay it",
            ),
            Grounds::Expired => (
                "it expired in its queue: a policy or its sender gave it a time to live",
                "take the time to live away, then replay it",
            ),
            Grounds::QueueFull => (
                "its queue was full: a policy limits its length",
                "take the limit away, then replay it",
            ),
            Grounds::Unknown => (
                "nothing says why; the daemon has not put it there",
                "look at its headers and ask who publishes to the dead-letter exchange",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_one_has_a_name_of_its_own_and_says_what_to_do() {
        let labels: BTreeSet<&str> = Grounds::all().map(Grounds::label).collect();
        assert_eq!(labels.len(), Grounds::all().count());
        let all_are_said =
            |it: Grounds| !it.explained().0.is_empty() && !it.explained().1.is_empty();
        assert!(Grounds::all().all(all_are_said));
        let meanings: BTreeSet<&str> = Grounds::all().map(|it| it.explained().0).collect();
        assert_eq!(meanings.len(), labels.len(), "two mean the same");
    }
}
