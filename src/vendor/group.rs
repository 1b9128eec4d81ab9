//! The one group that is called by a name.

use super::vendor::{Effort, Vendor};
use crate::command::{Call, Operation};
use crate::verdict::{Conclusion, Fault, History, Reason};
use serde_json::Value;
use std::collections::BTreeSet;
use tokio_util::sync::CancellationToken;

/// The id of a group.
pub(super) struct Found {
    pub id: String,
    /// Whether it was remembered rather than asked for just now.
    pub remembered: bool,
}

impl Vendor {
    /// The one group of exactly this name, which stands at `place` of an event's `groups`. Names are not
    /// unique (recorded: two groups called alike), and the search finds what merely contains the text.
    ///
    /// # Errors
    ///
    /// What the look-up came to otherwise; [`Conclusion::Refused`] where none or several are called so.
    pub(super) async fn group(
        &self,
        name: &str,
        place: usize,
        history: &mut History,
        effort: Effort,
        ended: &CancellationToken,
    ) -> Result<Found, Conclusion> {
        if let Some(id) = self.directory.recall(name, self.means().group_cache()) {
            return Ok(Found { id, remembered: true });
        }
        let ids = self.groups_called(name, history, effort, ended).await?;
        let refused = |reason, code, what: &str| {
            let detail = format!("{what} the name in groups[{place}]");
            Err(Conclusion::Refused(reason, Fault::new(code, &detail)))
        };
        let mut several = ids.into_iter();
        match (several.next(), several.next()) {
            (None, _) => refused(Reason::Rejected, "group_not_found", "no group has"),
            (Some(id), None) => {
                self.directory.remember(name, &id);
                Ok(Found { id, remembered: false })
            }
            (Some(one), Some(other)) => {
                let ids: Vec<String> = [one, other].into_iter().chain(several).collect();
                let what = format!("{} groups ({}) have", ids.len(), ids.join(", "));
                refused(Reason::Ambiguous, "ambiguous", &what)
            }
        }
    }

    /// The ids of all groups of exactly this name.
    ///
    /// # Errors
    ///
    /// What the look-up came to otherwise.
    pub(super) async fn groups_called(
        &self,
        name: &str,
        history: &mut History,
        effort: Effort,
        ended: &CancellationToken,
    ) -> Result<BTreeSet<String>, Conclusion> {
        self.read_list(
            Operation::FindGroups,
            |page| Call::find_groups(name, page),
            BTreeSet::new,
            |ids, data| {
                let folders = folders(data)?;
                let called_so =
                    folders.iter().filter(|folder| text(folder, "description") == Some(name));
                ids.extend(called_so.filter_map(|folder| text(folder, "id")).map(str::to_owned));
                Some(folders.len() as u64)
            },
            (history, effort, ended),
        )
        .await
    }
}

/// The groups of a page, which stand in `folders` of the one entry of its `data`.
fn folders(data: &[Value]) -> Option<Vec<&Value>> {
    let lists = data.iter().map(|entry| entry.get("folders").and_then(Value::as_array));
    Some(lists.collect::<Option<Vec<_>>>()?.into_iter().flatten().collect())
}

fn text<'a>(object: &'a Value, name: &str) -> Option<&'a str> {
    object.get(name).and_then(Value::as_str)
}
