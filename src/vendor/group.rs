//! The one group that is called by a name.

use super::group_policy::Admission;
use super::paging::PageError;
use super::vendor::{Effort, Vendor};
use crate::command::{Call, Operation};
use crate::event::{is_group_name, is_nearly_group_name};
use crate::verdict::{Cause, Conclusion, Fault, History, Reason, Stuck};
use serde_json::Value;
use std::collections::BTreeSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Bytes of a name of Mimecast's that a dead letter shows.
const LONGEST_NAME: usize = 128;

/// Ids of groups with one name that are kept: two are too many already.
const MOST_IDS: usize = 20;

/// The id of a group.
pub(super) struct Found {
    pub id: String,
    /// Whether it was remembered rather than asked for just now.
    pub remembered: bool,
}

/// The groups that a name may mean.
#[derive(Default)]
struct Named {
    /// Whether Mimecast has listed any group at all.
    has_any: bool,
    /// The ids of those that are called exactly so.
    ids: BTreeSet<String>,
    /// The name of one that differs in nothing but case or white space.
    near: Option<String>,
}

impl Vendor {
    /// The one group of exactly this name, which stands at `place` of an event's `groups`, if the policy admits
    /// it. An id that was remembered and that Mimecast does not list any more is looked up again.
    ///
    /// # Errors
    ///
    /// The conclusion otherwise; [`Conclusion::Refused`] where none or several are called so, or the policy is
    /// against it.
    pub(super) async fn admitted_group(
        &self,
        (name, place): (&str, usize),
        moment: Instant,
        (history, effort, ended): (&mut History, Effort<'_>, &CancellationToken),
    ) -> Result<Found, Conclusion> {
        loop {
            // First: while the rules cannot be evaluated, no name may be refused either.
            if self.guards.are_about_groups() {
                self.group_policy(moment, (&mut *history, effort, ended)).await?;
            }
            let group = self.group(name, place, (&mut *history, effort, ended)).await?;
            let asking = (&mut *history, effort, ended);
            let admission = self.admission(&group.id, moment, asking).await?;
            if !matches!(admission, Admission::Unlisted(_)) || !group.remembered {
                return admission.into_result().map(|()| group);
            }
            self.tenant.directory.forget(name);
        }
    }

    /// The one group of exactly this name. Names are not unique (recorded: two groups called alike).
    ///
    /// # Errors
    ///
    /// The conclusion otherwise; [`Conclusion::Refused`] where none or several are called so.
    pub(super) async fn group(
        &self,
        name: &str,
        place: usize,
        asking: (&mut History, Effort<'_>, &CancellationToken),
    ) -> Result<Found, Conclusion> {
        if let Some(id) = self.tenant.directory.recall(name, self.group_cache()) {
            return Ok(Found { id, remembered: true });
        }
        let Named { ids, near, .. } = self.groups_named(name, asking).await?;
        let mut several = ids.into_iter();
        match (several.next(), several.next()) {
            (None, _) => {
                let near =
                    near.map(|near| format!("; {near:?} differs only in case or white space"));
                let near = near.unwrap_or_default();
                let detail = format!("no group has the name in groups[{place}]{near}");
                let fault = Fault::new("group_not_found", &detail);
                Err(Conclusion::Refused(Reason::Rejected, fault))
            }
            (Some(id), None) => {
                self.tenant.directory.remember(name, &id);
                Ok(Found { id, remembered: false })
            }
            (Some(one), Some(other)) => {
                let ids: Vec<String> = [one, other].into_iter().chain(several).collect();
                let more = if ids.len() < MOST_IDS { "" } else { " or more" };
                let (count, ids) = (ids.len(), ids.join(", "));
                let detail =
                    format!("{count}{more} groups ({ids}) have the name in groups[{place}]");
                Err(Conclusion::Refused(Reason::Ambiguous, Fault::new("ambiguous", &detail)))
            }
        }
    }

    /// The groups that a name may mean. Mimecast searches by the bytes of a name as far as is known, and may refuse
    /// to search for some text: where it finds nothing, and for a name that has several spellings in bytes, all
    /// groups are read.
    async fn groups_named(
        &self,
        name: &str,
        (history, effort, ended): (&mut History, Effort<'_>, &CancellationToken),
    ) -> Result<Named, Conclusion> {
        let unread = |error: PageError| error.conclude(Operation::FindGroups, None);
        if name.is_ascii() {
            match self.list_groups(Some(name), name, (&mut *history, effort, ended)).await {
                Ok(found) if !found.ids.is_empty() => return Ok(found),
                Ok(_) | Err(PageError::Refused(_)) => {}
                Err(error) => return Err(unread(error)),
            }
        }
        let listed =
            self.list_groups(None, name, (history, effort, ended)).await.map_err(unread)?;
        if listed.has_any { Ok(listed) } else { Err(nothing_listed()) }
    }

    async fn list_groups(
        &self,
        query: Option<&str>,
        name: &str,
        asking: (&mut History, Effort<'_>, &CancellationToken),
    ) -> Result<Named, PageError> {
        self.read_list(
            Operation::FindGroups,
            |page| Call::find_groups(query, page),
            Named::default,
            |named, group| {
                named.has_any = true;
                let (Some(id), Some(listed)) = (text(group, "id"), text(group, "description"))
                else {
                    return;
                };
                if is_group_name(name, listed) {
                    if named.ids.len() < MOST_IDS {
                        named.ids.insert(id.to_owned());
                    }
                } else if named.near.is_none() && is_nearly_group_name(name, listed) {
                    let end = listed.floor_char_boundary(LONGEST_NAME);
                    named.near = Some(listed[..end].to_owned());
                }
            },
            asking,
        )
        .await
    }
}

/// The conclusion where Mimecast lists no group at all: a role that may not see them gets the same answer, so that it
/// proves nothing of a name.
fn nothing_listed() -> Conclusion {
    let fault = Fault::new("no_groups", "Mimecast lists no group at all");
    let (operation, cause) = (Operation::FindGroups, Cause::Passing);
    Conclusion::Stuck(Stuck { operation, group: None, cause, fault })
}

/// A text of an entry of a list.
pub(super) fn text<'a>(entry: &'a Value, name: &str) -> Option<&'a str> {
    entry.get(name).and_then(Value::as_str)
}
