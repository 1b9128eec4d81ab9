//! Why a message is dead-lettered.

/// Why a message is dead-lettered. A closed list: alerts and pipelines depend on the names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// Not an event, or a field is wrong or missing.
    Malformed,
    /// An event of a type or kind that the daemon does not handle.
    Unsupported,
    /// A rule of the policy is against it.
    Denied,
    /// It is older than the policy allows.
    Expired,
    /// Several things are called so.
    Ambiguous,
    /// The vendor refuses the item for good, or nothing is called so.
    Rejected,
    /// Every attempt on every rung of the delay ladder failed.
    RetriesExhausted,
}

impl Reason {
    /// Every reason, in the order in which they are shown.
    pub const ALL: [Reason; 7] = [
        Reason::Malformed,
        Reason::Unsupported,
        Reason::Denied,
        Reason::Expired,
        Reason::Ambiguous,
        Reason::Rejected,
        Reason::RetriesExhausted,
    ];

    /// The name in headers, metrics and logs.
    pub fn label(self) -> &'static str {
        match self {
            Reason::Malformed => "malformed",
            Reason::Unsupported => "unsupported",
            Reason::Denied => "denied",
            Reason::Expired => "expired",
            Reason::Ambiguous => "ambiguous",
            Reason::Rejected => "rejected",
            Reason::RetriesExhausted => "retries_exhausted",
        }
    }

    /// The one that is called so.
    pub fn named(label: &str) -> Option<Reason> {
        Reason::ALL.into_iter().find(|reason| reason.label() == label)
    }

    /// What it means, and what to do, one line each.
    pub fn explained(self) -> (&'static str, &'static str) {
        match self {
            Reason::Malformed => (
                "it is not an event, or a field is wrong or missing; the detail says where",
                "let its producer be corrected and send the event anew, then discard this one",
            ),
            Reason::Unsupported => (
                "it is an event of a type or kind that the daemon does not handle",
                "see what binds it to the queue, or name its type in events.…types; then replay or discard it",
            ),
            Reason::Denied => (
                "a rule of the policy is against it; the code names the rule",
                "have it confirmed by somebody who may; then change the rule and replay it, or discard it",
            ),
            Reason::Expired => (
                "it is older than policy.max_event_age, or does not say how old it is",
                "see whether it still holds; then send it anew, or raise the age and replay it",
            ),
            Reason::Ambiguous => (
                "several groups are called so; the detail has their ids",
                "give the groups different names and replay it, or send the event anew with ids",
            ),
            Reason::Rejected => (
                "the vendor refuses the item for good; the code says why",
                "correct what it names at the vendor and replay it, or discard it if it no longer matters",
            ),
            Reason::RetriesExhausted => (
                "every attempt failed for hours, while the vendor did answer other calls",
                "see the code and the vendor's status; replay it once that is better",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_found_by_its_name_and_no_other_is() {
        for reason in Reason::ALL {
            assert_eq!(Reason::named(reason.label()), Some(reason));
        }
        assert_eq!(Reason::named("Malformed"), None);
    }
}
