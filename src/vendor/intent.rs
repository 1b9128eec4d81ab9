//! Fulfils intents: resolves names, and executes the commands that they result in.

use super::paging::PageError;
use super::url_entries::not_shown;
use super::url_scan::{MOST_OF_ONE_PAGE, Sought};
use super::vendor::{Effort, Vendor};
use crate::command::{Command, Intent, Operation};
use crate::event::{ManagedUrl, Member};
use crate::verdict::{Cause, Conclusion, Fault, History, Reason};
use std::collections::BTreeSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// How often the entries are read again after deletions, until none is left.
const READINGS: u32 = 3;

impl Vendor {
    /// Fulfils `intent`, with as many attempts at each call as `effort` allows. `ended` ends a wait, but
    /// never a request under way.
    pub async fn fulfil(
        &self,
        intent: &Intent,
        history: &mut History,
        effort: Effort<'_>,
        ended: &CancellationToken,
    ) -> Conclusion {
        match intent {
            Intent::Command(Command::RemoveGroupMember { group_id, member, .. }) => {
                self.remove_member(group_id, member, (history, effort, ended)).await
            }
            Intent::Command(command @ Command::DeleteManagedUrl { .. }) => {
                self.execute(command, history, effort, ended).await
            }
            Intent::Leave { name, place, member } => {
                // On the heap, for most intents are commands, and would carry the room for it along.
                Box::pin(self.leave(name, *place, member, (history, effort, ended))).await
            }
            Intent::Unblock(url) => Box::pin(self.unblock(url, history, effort, ended)).await,
        }
    }

    /// The commands that `intent` results in now; nothing is changed.
    ///
    /// # Errors
    ///
    /// The conclusion of what had to be asked, otherwise.
    pub async fn look_up(
        &self,
        intent: &Intent,
        history: &mut History,
        effort: Effort<'_>,
        ended: &CancellationToken,
    ) -> Result<Vec<Command>, Conclusion> {
        match intent {
            Intent::Command(command) => Ok(vec![command.clone()]),
            Intent::Leave { name, place, member } => {
                let group = self.group(name, *place, (history, effort, ended)).await?;
                Ok(vec![Command::remove(&group.id, member)])
            }
            Intent::Unblock(url) => {
                let sought = Sought::Url(url.clone());
                let found = self.entries(&sought, history, effort, ended).await?;
                if found.too_many {
                    return Err(too_many());
                }
                self.expect_unblocked(found.clone())?;
                Ok(found.entries.into_keys().map(|id| Command::DeleteManagedUrl { id }).collect())
            }
        }
    }

    /// Whether Mimecast lists what `command` is to remove.
    ///
    /// # Errors
    ///
    /// The conclusion, where that cannot be known now.
    pub async fn lists(
        &self,
        command: &Command,
        history: &mut History,
        effort: Effort<'_>,
        ended: &CancellationToken,
    ) -> Result<bool, Conclusion> {
        match command {
            Command::RemoveGroupMember { group_id, member, .. } => {
                let listed = self.spellings(group_id, member, (history, effort, ended)).await;
                let unread =
                    |error: PageError| error.conclude(Operation::GetGroupMembers, Some(group_id));
                let listed = listed.map_err(unread)?;
                Ok(!listed.is_empty())
            }
            Command::DeleteManagedUrl { id } => {
                let sought = Sought::Ids(BTreeSet::from([id.clone()]));
                let found = self.entries(&sought, history, effort, ended).await?;
                Ok(!found.entries.is_empty())
            }
        }
    }

    /// Removes the member from the group of this name. Where an id that was remembered is refused, or the member is
    /// not found by it, the name is looked up again: it may be that of another group by now.
    async fn leave(
        &self,
        name: &str,
        place: usize,
        member: &Member,
        (history, effort, ended): (&mut History, Effort<'_>, &CancellationToken),
    ) -> Conclusion {
        let (moment, mut tried) = (Instant::now(), None::<(String, Conclusion)>);
        loop {
            let asking = (&mut *history, effort, ended);
            let group = match self.admitted_group((name, place), moment, asking).await {
                Ok(group) => group,
                Err(conclusion) => return conclusion,
            };
            match tried {
                Some((id, said)) if id == group.id => return said,
                Some(_) | None => {}
            }
            let asking = (&mut *history, effort, ended);
            let said = self.remove_member(&group.id, member, asking).await;
            let is_done = match &said {
                Conclusion::Refused(Reason::Rejected, _)
                | Conclusion::AlreadyGone
                | Conclusion::NotFound => !group.remembered,
                Conclusion::Stuck(stuck) if stuck.cause == Cause::Forbidden => !group.remembered,
                Conclusion::Applied
                | Conclusion::Refused(..)
                | Conclusion::Stuck(_)
                | Conclusion::Limited(_)
                | Conclusion::OutOfTime
                | Conclusion::Stopped => true,
            };
            if is_done {
                return said;
            }
            self.tenant.directory.forget(name);
            tried = Some((group.id, said));
        }
    }

    /// Deletes every entry that blocks exactly this URL, under whatever ids it is listed, until none is left; then
    /// no other entry may block it either.
    async fn unblock(
        &self,
        url: &ManagedUrl,
        history: &mut History,
        effort: Effort<'_>,
        ended: &CancellationToken,
    ) -> Conclusion {
        let (mut reached, mut deleted) = (None, 0);
        // In a dry run nothing goes, however often the entries are read.
        let readings = if self.guards.dry_run { 0 } else { READINGS };
        for _ in 0..=readings {
            let sought = Sought::Url(url.clone());
            let found = match self.entries(&sought, history, effort, ended).await {
                Ok(found) => found,
                Err(conclusion) => return conclusion,
            };
            if found.entries.is_empty() {
                let unblocked = self.expect_unblocked(found);
                return unblocked.err().or(reached).unwrap_or_else(|| {
                    let nothing = history.nothing_to_do();
                    if self.guards.dry_run {
                        return nothing;
                    }
                    let (operation, now) = (Operation::DeleteManagedUrl, (self.fresh)().at);
                    self.metrics.concluded(operation, &nothing, now);
                    nothing
                });
            }
            deleted += found.entries.len();
            if found.too_many || deleted > MOST_OF_ONE_PAGE {
                return too_many();
            }
            for id in found.entries.into_keys() {
                // There may be any number of them, and what is gone is not listed the next time.
                if reached.is_some() && Instant::now() >= effort.deadline {
                    return Conclusion::OutOfTime;
                }
                let command = Command::DeleteManagedUrl { id };
                let said = self.execute(&command, history, effort, ended).await;
                if !said.holds() {
                    return said;
                }
                if reached != Some(Conclusion::Applied) {
                    reached = Some(said);
                }
            }
        }
        if self.guards.dry_run {
            return Conclusion::Applied;
        }
        let detail = "the URL is still blocked after its entries were deleted";
        not_shown(Fault::new("still_listed", detail))
    }
}

/// The conclusion where so many entries block one page that somebody has to see why.
fn too_many() -> Conclusion {
    let detail = format!("more than {MOST_OF_ONE_PAGE} entries block the URL");
    Conclusion::Refused(Reason::Rejected, Fault::new("too_many_entries", &detail))
}
