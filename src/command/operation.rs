//! The vendor's operations.

use crate::event::EventType;

/// The vendor's operations that the daemon uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Operation {
    /// Remove a user or domain from a group.
    RemoveGroupMember,
    /// Delete a managed URL entry.
    DeleteManagedUrl,
}

impl Operation {
    /// Every operation, in the order in which they are shown.
    pub const ALL: [Operation; 2] = [Operation::RemoveGroupMember, Operation::DeleteManagedUrl];

    /// The operation that events of a type come to.
    pub fn of(event_type: EventType) -> Operation {
        match event_type {
            EventType::UserOffboarded => Operation::RemoveGroupMember,
            EventType::UrlUnblock => Operation::DeleteManagedUrl,
        }
    }

    /// The name in metrics and logs.
    pub fn label(self) -> &'static str {
        match self {
            Operation::RemoveGroupMember => "remove_group_member",
            Operation::DeleteManagedUrl => "delete_managed_url",
        }
    }

    /// The path of the call, which is also what gets signed (vendor pages "Remove Group Member" and
    /// "Delete Managed URL", section URI).
    pub fn path(self) -> &'static str {
        match self {
            Operation::RemoveGroupMember => "/api/directory/remove-group-member",
            Operation::DeleteManagedUrl => "/api/ttp/url/delete-managed-url",
        }
    }
}
