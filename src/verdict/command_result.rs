//! The result of one command, in the words that metrics, log, audit trail, outcome events and status page share.

use serde::{Serialize, Serializer};

/// The result of one command. A closed list: alerts and pipelines depend on the words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CommandResult {
    /// Mimecast has done it now.
    Applied,
    /// Mimecast does not find what was to be removed, on a retry or a redelivery: it may have been removed before.
    AlreadyGone,
    /// Mimecast does not find what was to be removed, at the first attempt of the first delivery.
    NotFound,
    /// Mimecast refuses this item for good, or nothing is called so.
    Rejected,
    /// Mimecast refuses the caller.
    Unauthorized,
    /// The quota or a limit left no time for it.
    Throttled,
    /// Mimecast has not answered, or its answer proves nothing.
    Unavailable,
}

impl CommandResult {
    /// Every result, in the order in which they are shown.
    pub const ALL: [CommandResult; 7] = [
        CommandResult::Applied,
        CommandResult::AlreadyGone,
        CommandResult::NotFound,
        CommandResult::Rejected,
        CommandResult::Unauthorized,
        CommandResult::Throttled,
        CommandResult::Unavailable,
    ];

    /// The word for it.
    pub fn label(self) -> &'static str {
        match self {
            CommandResult::Applied => "applied",
            CommandResult::AlreadyGone => "already_gone",
            CommandResult::NotFound => "not_found",
            CommandResult::Rejected => "rejected",
            CommandResult::Unauthorized => "unauthorized",
            CommandResult::Throttled => "throttled",
            CommandResult::Unavailable => "unavailable",
        }
    }

    /// True where nothing is left to do for the command.
    pub fn holds(self) -> bool {
        match self {
            CommandResult::Applied | CommandResult::AlreadyGone | CommandResult::NotFound => true,
            CommandResult::Rejected
            | CommandResult::Unauthorized
            | CommandResult::Throttled
            | CommandResult::Unavailable => false,
        }
    }
}

impl Serialize for CommandResult {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.label())
    }
}
