//! One thing that the vendor shall do, and the unsigned [`Call`] for it.

use super::call::Call;
use super::operation::Operation;
use crate::event::Member;
use serde_json::json;

/// One thing that the vendor shall do. Carrying it out twice comes to the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Remove `member` from the group.
    RemoveGroupMember {
        /// The vendor's id of the group.
        group_id: String,
        /// Who leaves.
        member: Member,
    },
    /// Delete the managed URL entry.
    DeleteManagedUrl {
        /// The vendor's id of the entry.
        id: String,
    },
}

impl Command {
    /// The vendor's operation that carries this out.
    pub fn operation(&self) -> Operation {
        match self {
            Command::RemoveGroupMember { .. } => Operation::RemoveGroupMember,
            Command::DeleteManagedUrl { .. } => Operation::DeleteManagedUrl,
        }
    }

    /// The call that carries this out.
    pub fn call(&self) -> Call {
        let item = match self {
            Command::RemoveGroupMember { group_id, member } => match member {
                Member::EmailAddress(address) => json!({"id": group_id, "emailAddress": address}),
                Member::Domain(domain) => json!({"id": group_id, "domain": domain}),
            },
            Command::DeleteManagedUrl { id } => json!({"id": id}),
        };
        Call { operation: self.operation(), body: json!({"data": [item]}).to_string() }
    }
}
