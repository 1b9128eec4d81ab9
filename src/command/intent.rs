//! What an event asks for: commands, or what comes to commands once the vendor was asked.

use super::call::{Call, Page};
use super::command::Command;
use crate::event::{Data, Entries, Event, EventError, Group, ManagedUrl, Member};
use crate::secrecy::redact;

/// One thing that an event asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Intent {
    /// What the vendor shall do is known.
    Command(Command),
    /// The member shall be out of the group of this name.
    Leave {
        /// The name of the group.
        name: String,
        /// At which place of `groups` it stands.
        place: usize,
        /// Who leaves.
        member: Member,
    },
    /// Nothing shall block this URL.
    Unblock(ManagedUrl),
}

impl Intent {
    /// What `event` asks for, at least one thing; `default_groups` stand in where it names no groups.
    ///
    /// # Errors
    ///
    /// [`EventError::Malformed`] when there is no group to leave.
    pub fn of_event(event: &Event, default_groups: &[String]) -> Result<Vec<Intent>, EventError> {
        match &event.data {
            Data::UserOffboarded { member, groups: Some(groups) } => {
                Ok(groups.iter().map(|group| Intent::leave(group, member)).collect())
            }
            Data::UserOffboarded { groups: None, .. } if default_groups.is_empty() => {
                let detail = "groupIds is missing and no default_groups are configured";
                Err(EventError::malformed(detail))
            }
            Data::UserOffboarded { member, groups: None } => {
                let ids = default_groups.iter().cloned().map(Group::Id);
                Ok(ids.map(|group| Intent::leave(&group, member)).collect())
            }
            Data::UrlUnblock { entries: Entries::Ids(ids) } => {
                let delete = |id: &String| Command::DeleteManagedUrl { id: id.clone() };
                Ok(ids.iter().map(delete).map(Intent::Command).collect())
            }
            Data::UrlUnblock { entries: Entries::Url(url) } => {
                Ok(vec![Intent::Unblock(url.clone())])
            }
        }
    }

    fn leave(group: &Group, member: &Member) -> Intent {
        match group {
            Group::Id(id) => Intent::Command(Command::remove(id, member)),
            Group::Name(name, place) => {
                Intent::Leave { name: name.clone(), place: *place, member: member.clone() }
            }
        }
    }

    /// Tells these intents of a `tenant`, in this order, from all others: by what is sent for them.
    pub fn digest(intents: &[Intent], tenant: &str) -> String {
        let lines: Vec<String> = intents.iter().map(Intent::line).collect();
        redact::digest(&format!("{tenant}\n{}", lines.concat()))
    }

    fn line(&self) -> String {
        match self {
            Intent::Command(command) => {
                let call = command.call();
                format!("{} {}\n", call.operation.path(), call.body)
            }
            Intent::Leave { name, member, .. } => {
                let call = Call::find_groups(Some(name), Page::FIRST);
                format!("{} {} {member:?}\n", call.operation.path(), call.body)
            }
            Intent::Unblock(url) => format!("{url}\n"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Domain, EmailAddress};
    use std::collections::BTreeSet;

    #[test]
    fn a_digest_tells_intents_from_others_and_is_the_same_for_the_same() {
        let member = |text: &str| Member::EmailAddress(EmailAddress::parse(text).unwrap());
        let address = || member("ada@example.com");
        let domain = || Member::Domain(Domain::parse("example.com").unwrap());
        let leave = |id: &str, member: Member| Intent::Command(Command::remove(id, &member));
        let named =
            |name: &str, member: Member| Intent::Leave { name: name.into(), place: 0, member };
        let url = |url: &str| Intent::Unblock(ManagedUrl::parse(url).unwrap());
        let intents = || {
            [
                leave("one", address()),
                leave("two", address()),
                leave("one", member("bob@example.com")),
                leave("one", domain()),
                named("one", address()),
                named("two", address()),
                named("one", domain()),
                Intent::Command(Command::DeleteManagedUrl { id: "one".into() }),
                url("https://example.com/one"),
                url("https://example.com/two"),
            ]
        };
        let digest = |intents: &[Intent]| Intent::digest(intents, "tenant");
        let digests = intents().map(|intent| digest(&[intent]));
        assert_eq!(digests, intents().map(|intent| digest(&[intent])));
        assert_eq!(BTreeSet::from_iter(&digests).len(), digests.len());
        let (all, turned) = (intents(), intents().into_iter().rev().collect::<Vec<_>>());
        assert_ne!(digest(&all), digest(&turned), "places would be others");
        assert_ne!(digest(&all), digest(&all[..4]));
        assert_ne!(digest(&all), Intent::digest(&all, "another"));
    }
}
