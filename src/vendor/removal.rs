//! Removes a member from a group, by every spelling under which Mimecast may list it.

use super::paging::PageError;
use super::vendor::{Effort, Vendor};
use crate::command::{Call, Command, Operation, Rule};
use crate::event::{Listed, Member};
use crate::verdict::{Cause, Conclusion, Fault, History, Stuck};
use serde_json::Value;
use std::collections::BTreeSet;
use tokio_util::sync::CancellationToken;

/// How often the members are read until none of them is the one that was removed.
const READINGS: u32 = 3;

/// Spellings of one member that are kept of one reading: one is usual.
const MOST_SPELLINGS: usize = 10;

impl Vendor {
    /// Removes the member from the group of this id. An address with an international domain that Mimecast does
    /// not find is tried in its own script as well. With `policy.verify_effect` the members are read then:
    /// whatever was answered, the member is gone only when no spelling of it is listed.
    pub(super) async fn remove_member(
        &self,
        group_id: &str,
        member: &Member,
        (history, effort, ended): (&mut History, Effort<'_>, &CancellationToken),
    ) -> Conclusion {
        let mut tried = BTreeSet::from([member.as_str().to_owned()]);
        let command = Command::remove(group_id, member);
        let mut said = self.execute(&command, history, effort, ended).await;
        if is_absent(&said)
            && let Some(spelling) = member.in_unicode()
        {
            let asking = (&mut *history, effort, ended);
            // That Mimecast refuses a spelling that nobody has listed says nothing of the member.
            let now = self.remove_as(group_id, member, &spelling, asking).await;
            said = if matches!(now, Conclusion::Refused(..)) { said } else { better(said, now) };
            tried.insert(spelling);
        }
        let guards = self.guards.clone();
        if !guards.verify_effect || guards.dry_run {
            return said;
        }
        self.verify(group_id, member, (said, tried), (history, effort, ended)).await
    }

    /// The conclusion after the members were read, and whatever spelling they show was removed as well.
    async fn verify(
        &self,
        group_id: &str,
        member: &Member,
        (mut said, mut tried): (Conclusion, BTreeSet<String>),
        (history, effort, ended): (&mut History, Effort<'_>, &CancellationToken),
    ) -> Conclusion {
        let operation = Operation::GetGroupMembers;
        if !said.holds() {
            return said;
        }
        for _ in 0..READINGS {
            let asking = (&mut *history, effort, ended);
            let listed = match self.spellings(group_id, member, asking).await {
                Ok(listed) => listed,
                Err(error) => return error.conclude(operation, Some(group_id)),
            };
            if listed.is_empty() {
                let is_meant = |command: &Command| is_removal(command, group_id, member);
                history.seen_gone(is_meant, (self.fresh)().at);
                return said;
            }
            let news: Vec<&String> = listed.difference(&tried).collect();
            if news.is_empty() {
                break;
            }
            for spelling in news {
                let asking = (&mut *history, effort, ended);
                said = better(said, self.remove_as(group_id, member, spelling, asking).await);
                if !said.holds() {
                    return said;
                }
            }
            tried.extend(listed);
        }
        self.metrics.decided(Rule::VerifyEffect);
        let detail = "the group still lists the member after it was removed";
        let fault = Fault::new("effect_not_seen", detail);
        let group = Some(group_id.to_owned());
        Conclusion::Stuck(Stuck { operation, group, cause: Cause::Contradicted, fault })
    }

    /// Removes the member by another spelling than its canonical form.
    async fn remove_as(
        &self,
        group_id: &str,
        member: &Member,
        spelling: &str,
        (history, effort, ended): (&mut History, Effort<'_>, &CancellationToken),
    ) -> Conclusion {
        let (group_id, member) = (group_id.to_owned(), member.clone());
        let listed_as = Some(spelling.to_owned());
        let command = Command::RemoveGroupMember { group_id, member, listed_as };
        self.execute(&command, history, effort, ended).await
    }

    /// The spellings under which the group lists the member.
    pub(super) async fn spellings(
        &self,
        group_id: &str,
        member: &Member,
        asking: (&mut History, Effort<'_>, &CancellationToken),
    ) -> Result<BTreeSet<String>, PageError> {
        let reading = self.read_list(
            Operation::GetGroupMembers,
            |page| Call::get_group_members(group_id, page),
            || (BTreeSet::new(), None::<&str>),
            |(spellings, unclear), entry| match listed_name(entry)
                .map(|it| (it, member.listed_as(it)))
            {
                None => *unclear = Some("a member of the group has a name that is no text"),
                Some((_, Listed::Unclear)) => {
                    *unclear = Some("a member of the group has a name that may be this one");
                }
                Some((name, Listed::Same)) if spellings.len() < MOST_SPELLINGS => {
                    spellings.insert(name.to_owned());
                }
                Some((_, Listed::Same | Listed::Another)) => {}
            },
            asking,
        );
        let (spellings, unclear) = reading.await?;
        if let Some(what) = unclear.filter(|_| spellings.is_empty()) {
            return Err(PageError::Inconsistent(Fault::new("unreadable_member", what)));
        }
        Ok(spellings)
    }
}

/// The conclusion for a member of which one spelling was removed after another: "not found" adds nothing.
fn better(before: Conclusion, now: Conclusion) -> Conclusion {
    if is_absent(&now) { before } else { now }
}

/// The name under which a member is listed; empty where it has none, and nothing where it is no text. An entry for an
/// address has its domain beside it, and one for a domain no address (seen by an administrator): a domain alone never
/// stands for an address.
fn listed_name(entry: &Value) -> Option<&str> {
    let entry = entry.as_object()?;
    let name = |name: &str| match entry.get(name) {
        None | Some(Value::Null) => Some(""),
        Some(value) => value.as_str(),
    };
    let address = name("emailAddress")?;
    if address.trim().is_empty() { name("domain") } else { Some(address) }
}

/// Whether Mimecast did not find what was to be removed.
fn is_absent(said: &Conclusion) -> bool {
    matches!(said, Conclusion::AlreadyGone | Conclusion::NotFound)
}

fn is_removal(command: &Command, of_group: &str, of: &Member) -> bool {
    match command {
        Command::RemoveGroupMember { group_id, member, .. } => group_id == of_group && member == of,
        Command::DeleteManagedUrl { .. } => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_member_is_listed_by_an_address_or_else_by_a_domain() {
        for (entry, expected) in [
            (
                json!({"emailAddress": "ada@example.com", "domain": "example.com"}),
                Some("ada@example.com"),
            ),
            (json!({"emailAddress": "", "domain": "example.com"}), Some("example.com")),
            (json!({"domain": "example.com"}), Some("example.com")),
            (json!({"emailAddress": "example.com", "domain": ""}), Some("example.com")),
            (json!({"emailAddress": null, "domain": ""}), Some("")),
            (json!({"emailAddress": ["ada@example.com"], "domain": "example.com"}), None),
            (json!({"name": "Ada"}), Some("")),
            (json!("ada@example.com"), None),
            (json!(null), None),
            (json!({"emailAddress": "", "domain": 7}), None),
        ] {
            assert_eq!(listed_name(&entry), expected, "{entry}");
        }
    }
}
