//! Why a message is dead-lettered.

/// Why a message is dead-lettered. A closed list: alerts and pipelines depend on the names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
}
