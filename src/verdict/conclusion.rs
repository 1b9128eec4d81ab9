//! What carrying out one command came to in the end.

use super::command_result::CommandResult;
use super::fault::Fault;
use super::reason::Reason;
use super::stuck::{Cause, Stuck};
use std::time::Duration;

/// What carrying out one command came to in the end, after as many attempts as it was worth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Conclusion {
    /// Mimecast has done it now.
    Applied,
    /// Mimecast does not find what was to be removed, and we may have removed it before.
    AlreadyGone,
    /// Mimecast does not find what was to be removed, and we have never asked for it before.
    NotFound,
    /// It can never be done: the vendor refuses the item for good, or there is no one thing that is
    /// called so.
    Refused(Reason, Fault),
    /// The attempts are used up.
    Stuck(Stuck),
    /// The policy allows no more commands for so long.
    Limited(Duration),
    /// The vendor's quota, or the other commands of the message, left no time for it.
    OutOfTime,
    /// A stop came before there was an outcome.
    Stopped,
}

impl Conclusion {
    /// True where nothing is left to do: it was done, or there is nothing to remove.
    pub fn holds(&self) -> bool {
        matches!(self, Conclusion::Applied | Conclusion::AlreadyGone | Conclusion::NotFound)
    }

    /// The result of the command, once it has one.
    pub fn result(&self) -> Option<CommandResult> {
        Some(match self {
            Conclusion::Applied => CommandResult::Applied,
            Conclusion::AlreadyGone => CommandResult::AlreadyGone,
            Conclusion::NotFound => CommandResult::NotFound,
            Conclusion::Refused(..) => CommandResult::Rejected,
            Conclusion::Stuck(stuck) => match stuck.cause {
                Cause::Passing | Cause::Inconsistent | Cause::Contradicted | Cause::Guarded => {
                    CommandResult::Unavailable
                }
                Cause::Forbidden => CommandResult::Rejected,
                Cause::Refused => CommandResult::Unauthorized,
            },
            Conclusion::Limited(_) | Conclusion::OutOfTime => CommandResult::Throttled,
            Conclusion::Stopped => return None,
        })
    }
}
