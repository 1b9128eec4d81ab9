//! The unsigned HTTP form of a command.

use super::operation::Operation;

/// The HTTP form of a command: a POST of `body` to `path`, not yet signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// Which operation it is.
    pub operation: Operation,
    /// Strict JSON with exactly one item in `data`, because a reply to several could be half a success.
    pub body: String,
}
