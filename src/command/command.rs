//! One thing that the vendor shall do, and the unsigned [`Call`] for it.

use super::call::Call;
use super::operation::Operation;
use crate::event::Member;
use serde::Serialize;

/// One thing that the vendor shall do. Carrying it out twice comes to the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Remove `member` from the group.
    RemoveGroupMember {
        /// The vendor's id of the group.
        group_id: String,
        /// Who leaves.
        member: Member,
        /// How Mimecast spells the member, where that is not the canonical form.
        listed_as: Option<String>,
    },
    /// Delete the managed URL entry.
    DeleteManagedUrl {
        /// The vendor's id of the entry.
        id: String,
    },
}

impl Command {
    /// Removes the member from the group, by its canonical form.
    pub fn remove(group_id: &str, member: &Member) -> Command {
        let (group_id, member) = (group_id.to_owned(), member.clone());
        Command::RemoveGroupMember { group_id, member, listed_as: None }
    }

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
            Command::RemoveGroupMember { group_id: id, member, listed_as } => {
                let name = Some(listed_as.as_deref().unwrap_or(member.as_str()));
                match member {
                    Member::EmailAddress(_) => Item { id, email_address: name, domain: None },
                    Member::Domain(_) => Item { id, email_address: None, domain: name },
                }
            }
            Command::DeleteManagedUrl { id } => Item { id, email_address: None, domain: None },
        };
        let body = serde_json::to_string(&Body { data: [item] }).expect("texts are valid JSON");
        let group = match self {
            Command::RemoveGroupMember { group_id, .. } => Some(group_id.clone()),
            Command::DeleteManagedUrl { .. } => None,
        };
        Call { operation: self.operation(), body, group }
    }
}

/// The body of a call that changes something.
#[derive(Serialize)]
struct Body<'a> {
    data: [Item<'a>; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Item<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    domain: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    email_address: Option<&'a str>,
    id: &'a str,
}
