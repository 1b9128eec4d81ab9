//! The two generations of the API.

use crate::call::{AuthorizationKind, Operation};

/// Each has an address of its own, as it has hosts of its own at the vendor. The addresses lead to
/// one tenant.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Generation {
    /// API 1.0, whose requests are signed.
    One,
    /// API 2.0, whose requests bear tokens.
    Two,
}

impl Generation {
    /// The operation at this path, if this generation has it.
    pub(crate) fn operation_at(self, path: &str) -> Option<Operation> {
        match Operation::at(path)? {
            Operation::Token if self == Self::One => None,
            operation @ (Operation::RemoveGroupMember
            | Operation::DeleteManagedUrl
            | Operation::FindGroups
            | Operation::GetGroupMembers
            | Operation::GetAllManagedUrls
            | Operation::Token) => Some(operation),
        }
    }

    /// Whether a request asks to be let in as one asks in the other generation.
    pub(crate) fn is_foreign(self, kind: AuthorizationKind) -> bool {
        match kind {
            AuthorizationKind::Signature => self == Self::Two,
            AuthorizationKind::Bearer => self == Self::One,
            AuthorizationKind::None => false,
        }
    }
}
