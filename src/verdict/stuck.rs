//! A call whose attempts are used up.

use super::fault::Fault;
use crate::command::Operation;

/// The attempts at a call are used up. Whether the message is at fault or Mimecast is unwell is not known yet.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Stuck {
    /// The operation of the call.
    pub operation: Operation,
    /// The id of the group that the call is about, if it is about one.
    pub group: Option<String>,
    /// Why it did not succeed.
    pub cause: Cause,
    /// The fault of the last attempt.
    pub fault: Fault,
}

/// Why a call did not succeed. Of several in one message the last in this order decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cause {
    /// Mimecast has refused the item, for its own sake or for want of a permission.
    Forbidden,
    /// Mimecast has answered, and the answers do not fit together.
    Inconsistent,
    /// Mimecast has reported success, and shows that nothing was changed.
    Contradicted,
    /// A passing fault.
    Passing,
    /// Mimecast has refused the caller.
    Refused,
    /// The policy cannot be evaluated, so that nothing of the lane may be changed.
    Guarded,
}

impl Stuck {
    /// True where a refusal of this item is final, once Mimecast takes the operation for others. A refused question is
    /// never the fault of the event.
    pub(super) fn is_final(&self) -> bool {
        self.cause == Cause::Forbidden && self.operation.is_change()
    }

    /// The same where nobody knows whether Mimecast takes the operation for others.
    #[must_use]
    pub fn undecided(self) -> Stuck {
        let is_final = self.is_final();
        Stuck { cause: if is_final { Cause::Refused } else { self.cause }, ..self }
    }

    /// True where Mimecast may fail in the same way for every message, whatever a health call says.
    pub fn may_be_everybodys(&self) -> bool {
        match self.cause {
            Cause::Forbidden | Cause::Passing | Cause::Refused => true,
            Cause::Inconsistent | Cause::Contradicted | Cause::Guarded => false,
        }
    }

    /// True where no change of the lane can be made, and not for the want of an answer to a question of the message.
    pub fn keeps_changes_back(&self) -> bool {
        self.operation.is_change() || self.cause == Cause::Guarded
    }
}
