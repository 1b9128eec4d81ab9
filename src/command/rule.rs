//! The rules that keep an event from being carried out, or its effect from being believed.

/// A rule. A closed list: alerts and pipelines depend on the names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    /// `policy.allowed_sources`.
    AllowedSources,
    /// `policy.allowed_users`.
    AllowedUsers,
    /// `policy.allowed_groups`.
    AllowedGroups,
    /// `policy.protected_groups`.
    ProtectedGroups,
    /// `policy.protected_addresses`.
    ProtectedAddresses,
    /// `policy.max_event_age`.
    MaxEventAge,
    /// `policy.only_blocked`.
    OnlyBlocked,
    /// `policy.verify_effect`.
    VerifyEffect,
    /// `policy.max_commands`.
    MaxCommands,
    /// `policy.dry_run`.
    DryRun,
}

impl Rule {
    /// Every rule, in the order in which they are shown.
    pub const ALL: [Rule; 10] = [
        Rule::AllowedSources,
        Rule::AllowedUsers,
        Rule::AllowedGroups,
        Rule::ProtectedGroups,
        Rule::ProtectedAddresses,
        Rule::MaxEventAge,
        Rule::OnlyBlocked,
        Rule::VerifyEffect,
        Rule::MaxCommands,
        Rule::DryRun,
    ];

    /// The name in headers, metrics and logs: that of its setting.
    pub fn label(self) -> &'static str {
        match self {
            Rule::AllowedSources => "allowed_sources",
            Rule::AllowedUsers => "allowed_users",
            Rule::ProtectedAddresses => "protected_addresses",
            Rule::AllowedGroups => "allowed_groups",
            Rule::ProtectedGroups => "protected_groups",
            Rule::MaxEventAge => "max_event_age",
            Rule::OnlyBlocked => "only_blocked",
            Rule::VerifyEffect => "verify_effect",
            Rule::MaxCommands => "max_commands",
            Rule::DryRun => "dry_run",
        }
    }
}
