//! The rules that keep an event from being carried out, or its effect from being believed.

/// A rule. A closed list: alerts and pipelines depend on the names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    /// `policy.allowed_sources`.
    AllowedSources,
    /// `policy.allowed_users`.
    AllowedUsers,
    /// `policy.protected_addresses`.
    ProtectedAddresses,
    /// `policy.max_event_age`.
    MaxEventAge,
}

impl Rule {
    /// Every rule, in the order in which they are shown.
    pub const ALL: [Rule; 4] =
        [Rule::AllowedSources, Rule::AllowedUsers, Rule::ProtectedAddresses, Rule::MaxEventAge];

    /// The name in headers, metrics and logs: that of its setting.
    pub fn label(self) -> &'static str {
        match self {
            Rule::AllowedSources => "allowed_sources",
            Rule::AllowedUsers => "allowed_users",
            Rule::ProtectedAddresses => "protected_addresses",
            Rule::MaxEventAge => "max_event_age",
        }
    }
}
