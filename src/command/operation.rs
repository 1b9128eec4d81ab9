//! The vendor's operations.

use crate::event::EventType;

/// The vendor's operations that the daemon uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Operation {
    /// Remove a user or domain from a group.
    RemoveGroupMember,
    /// Delete a managed URL entry.
    DeleteManagedUrl,
    /// Find groups; changes nothing.
    FindGroups,
    /// List the members of a group; changes nothing.
    GetGroupMembers,
    /// List the managed URL entries; changes nothing.
    GetAllManagedUrls,
}

impl Operation {
    /// Every operation, in the order in which they are shown.
    pub const ALL: [Operation; 5] = [
        Operation::RemoveGroupMember,
        Operation::DeleteManagedUrl,
        Operation::FindGroups,
        Operation::GetGroupMembers,
        Operation::GetAllManagedUrls,
    ];

    /// Those that change something: what a command comes to.
    pub const CHANGES: [Operation; 2] = [Operation::RemoveGroupMember, Operation::DeleteManagedUrl];

    /// The operation that events of a type come to.
    pub fn of(event_type: EventType) -> Operation {
        match event_type {
            EventType::UserOffboarded => Operation::RemoveGroupMember,
            EventType::UrlUnblock => Operation::DeleteManagedUrl,
        }
    }

    /// Whether it changes something.
    pub fn is_change(self) -> bool {
        Operation::CHANGES.contains(&self)
    }

    /// Whether it is about a group.
    pub fn has_group(self) -> bool {
        match self {
            Operation::RemoveGroupMember | Operation::GetGroupMembers => true,
            Operation::DeleteManagedUrl | Operation::FindGroups | Operation::GetAllManagedUrls => {
                false
            }
        }
    }

    /// Whether it names an item that Mimecast may refuse: a refusal is an answer then.
    pub fn is_about_an_item(self) -> bool {
        self.is_change() || self.has_group()
    }

    /// The type of the events that it is for.
    pub fn event_type(self) -> EventType {
        match self {
            Operation::RemoveGroupMember | Operation::FindGroups | Operation::GetGroupMembers => {
                EventType::UserOffboarded
            }
            Operation::DeleteManagedUrl | Operation::GetAllManagedUrls => EventType::UrlUnblock,
        }
    }

    /// The name in metrics and logs.
    pub fn label(self) -> &'static str {
        match self {
            Operation::RemoveGroupMember => "remove_group_member",
            Operation::DeleteManagedUrl => "delete_managed_url",
            Operation::FindGroups => "find_groups",
            Operation::GetGroupMembers => "get_group_members",
            Operation::GetAllManagedUrls => "get_all_managed_urls",
        }
    }

    /// The path of the call, which is also what gets signed (vendor pages "Remove Group Member",
    /// "Delete Managed URL", "Find Groups", "Get Group Members" and "Get Managed URL", section
    /// URI).
    pub fn path(self) -> &'static str {
        match self {
            Operation::RemoveGroupMember => "/api/directory/remove-group-member",
            Operation::DeleteManagedUrl => "/api/ttp/url/delete-managed-url",
            Operation::FindGroups => "/api/directory/find-groups",
            Operation::GetGroupMembers => "/api/directory/get-group-members",
            Operation::GetAllManagedUrls => "/api/ttp/url/get-all-managed-urls",
        }
    }
}
