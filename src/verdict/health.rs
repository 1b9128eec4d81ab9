//! The result of a health call.

use super::fault::Fault;

/// The result of a health call.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Health {
    /// Mimecast answered: it knows us, and takes the operation from us.
    Answered,
    /// Mimecast forbids whatever was asked for, and has never answered the operation: for want of a permission, or
    /// because nobody may change just these items.
    Forbidden(Fault),
    /// Mimecast forbids what is made up, and has answered the operation for what is real: the call says nothing.
    Unclear(Fault),
    /// Nobody answered, or Mimecast refuses us.
    NotAnswered(Fault),
    /// The quota of the operation left no time for it, or a stop ended the wait.
    OutOfTime,
}

impl Health {
    /// Whether Mimecast forbids whatever was asked for.
    pub fn is_forbidden(&self) -> bool {
        matches!(self, Health::Forbidden(_))
    }
}
