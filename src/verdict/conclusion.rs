//! What carrying out one command came to in the end.

use super::evidence::Stuck;
use super::fault::Fault;

/// What carrying out one command came to in the end, after as many attempts as it was worth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Conclusion {
    /// It holds now.
    Applied,
    /// It held already.
    AlreadyGone,
    /// The vendor refuses the item for good.
    Refused(Fault),
    /// The attempts are used up.
    Stuck(Stuck),
    /// The vendor's quota, or the other commands of the message, left no time for it.
    OutOfTime,
    /// A stop came before there was an outcome.
    Stopped,
}
