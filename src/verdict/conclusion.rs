//! What carrying out one command came to in the end.

use super::evidence::Stuck;
use super::fault::Fault;
use super::reason::Reason;
use std::time::Duration;

/// What carrying out one command came to in the end, after as many attempts as it was worth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Conclusion {
    /// It holds now.
    Applied,
    /// It held already.
    AlreadyGone,
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
    /// The name in the audit trail.
    pub fn label(&self) -> &'static str {
        match self {
            Conclusion::Applied => "applied",
            Conclusion::AlreadyGone => "already_gone",
            Conclusion::Refused(..) => "refused",
            Conclusion::Stuck(_) => "stuck",
            Conclusion::Limited(_) | Conclusion::OutOfTime | Conclusion::Stopped => "not_now",
        }
    }
}
