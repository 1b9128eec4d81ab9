//! What the vendor shall do: the [`Command`]s of an event, and the unsigned [`Call`] of each.

use super::call::Call;
use super::operation::Operation;
use crate::event::{Data, Event, EventError, Member};
use crate::secrecy::redact;
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
                    return Err(EventError::malformed(
                        "groupIds is missing and no default_groups are configured",
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

    /// Tells these commands, in this order, from all others: by what is sent for them.
    pub fn digest(commands: &[Command]) -> String {
        let calls = commands.iter().map(Command::call);
        let lines: Vec<String> =
            calls.map(|call| format!("{} {}\n", call.operation.path(), call.body)).collect();
        redact::digest(&lines.concat())
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
    fn a_digest_tells_commands_from_others_and_is_the_same_for_the_same() {
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
        let digests = commands().map(|command| Command::digest(&[command]));
        assert_eq!(digests, commands().map(|command| Command::digest(&[command])));
        assert_eq!(BTreeSet::from_iter(&digests).len(), digests.len());
        let (all, turned) = (commands(), commands().into_iter().rev().collect::<Vec<_>>());
        assert_ne!(Command::digest(&all), Command::digest(&turned), "places would be others");
        assert_ne!(Command::digest(&all), Command::digest(&all[..4]));
    }
}
