//! What the vendor shall do: the [`Command`]s of an event, and the unsigned [`Call`] of each.

use super::call::Call;
use super::operation::Operation;
use crate::event::{Data, Event, EventError, Member};
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
    /// The commands of `event`, at least one; `default_groups` stand in where it names no groups.
    ///
    /// # Errors
    ///
    /// [`EventError::Malformed`] when there is no group to leave.
    pub fn of_event(event: &Event, default_groups: &[String]) -> Result<Vec<Command>, EventError> {
        match &event.data {
            Data::UserOffboarded { member, group_ids } => {
                let groups = group_ids.as_deref().unwrap_or(default_groups);
                if groups.is_empty() {
                    return Err(EventError::Malformed(
                        "groupIds is missing and no default_groups are configured".into(),
                    ));
                }
                Ok(groups
                    .iter()
                    .map(|group_id| Command::RemoveGroupMember {
                        group_id: group_id.clone(),
                        member: member.clone(),
                    })
                    .collect())
            }
            Data::UrlUnblock { ids } => {
                Ok(ids.iter().map(|id| Command::DeleteManagedUrl { id: id.clone() }).collect())
            }
        }
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
            Command::RemoveGroupMember { group_id, member } => match member {
                Member::EmailAddress(address) => json!({"id": group_id, "emailAddress": address}),
                Member::Domain(domain) => json!({"id": group_id, "domain": domain}),
            },
            Command::DeleteManagedUrl { id } => json!({"id": id}),
        };
        Call { operation: self.operation(), body: json!({"data": [item]}).to_string() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn a_digest_tells_every_call_from_every_other_and_is_the_same_for_the_same() {
        let leave = |group_id: &str, member: Member| Command::RemoveGroupMember {
            group_id: group_id.into(),
            member,
        };
        let address = || Member::EmailAddress("ada@example.com".into());
        let commands = || {
            [
                leave("one", address()),
                leave("two", address()),
                leave("one", Member::EmailAddress("bob@example.com".into())),
                leave("one", Member::Domain("ada@example.com".into())),
                Command::DeleteManagedUrl { id: "one".into() },
            ]
        };
        let digests = commands().map(|command| command.call().digest());
        assert_eq!(digests, commands().map(|command| command.call().digest()));
        assert_eq!(BTreeSet::from_iter(&digests).len(), digests.len());
        let same_body = |operation| Call { operation, body: "{}".into() }.digest();
        assert_ne!(same_body(Operation::RemoveGroupMember), same_body(Operation::DeleteManagedUrl));
    }
}
