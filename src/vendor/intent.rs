//! Fulfils intents: looks up what is called so, and carries out the commands that it comes to.

use super::inventory::{Found, Sought};
use super::vendor::{Effort, Vendor};
use crate::command::{Command, Intent, Operation};
use crate::event::{ManagedUrl, Member};
use crate::verdict::{Cause, Conclusion, Fault, History, Outcome, Reason, Stuck};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// How often the inventory is read again after deletions, until none is left.
const READINGS: u32 = 3;

impl Vendor {
    /// Fulfils `intent`, with as many attempts at each call as `effort` allows. `ended` ends a wait, but
    /// never a request under way.
    pub async fn fulfil(
        &self,
        intent: &Intent,
        history: &mut History,
        effort: Effort,
        ended: &CancellationToken,
    ) -> Conclusion {
        match intent {
            Intent::Command(command) => {
                let said = self.execute(command, history, effort, ended).await;
                match command {
                    Command::RemoveGroupMember { group_id, member } => {
                        self.verify(group_id, member, said, (history, effort, ended)).await
                    }
                    Command::DeleteManagedUrl { .. } => said,
                }
            }
            Intent::Leave { name, place, member } => {
                // On the heap, for most intents are commands, and would carry the room for it along.
                Box::pin(self.leave(name, *place, member, (history, effort, ended))).await
            }
            Intent::Unblock(url) => Box::pin(self.unblock(url, history, effort, ended)).await,
        }
    }

    /// The commands that `intent` comes to now; nothing is changed.
    ///
    /// # Errors
    ///
    /// What the look-up came to otherwise.
    pub async fn look_up(
        &self,
        intent: &Intent,
        history: &mut History,
        effort: Effort,
        ended: &CancellationToken,
    ) -> Result<Vec<Command>, Conclusion> {
        match intent {
            Intent::Command(command) => Ok(vec![command.clone()]),
            Intent::Leave { name, place, member } => {
                let group = self.group(name, *place, history, effort, ended).await?;
                let (group_id, member) = (group.id, member.clone());
                Ok(vec![Command::RemoveGroupMember { group_id, member }])
            }
            Intent::Unblock(url) => {
                let sought = Sought::Url(url.clone());
                let found = self.entries(&sought, history, effort, ended).await?;
                Ok(found.into_iter().map(|it| Command::DeleteManagedUrl { id: it.id }).collect())
            }
        }
    }

    /// Removes the member from the group of this name. An id that was remembered and is refused now is
    /// looked up once more: the group may have another one by now.
    async fn leave(
        &self,
        name: &str,
        place: usize,
        member: &Member,
        (history, effort, ended): (&mut History, Effort, &CancellationToken),
    ) -> Conclusion {
        let mut is_first = true;
        loop {
            let group = match self.group(name, place, history, effort, ended).await {
                Ok(group) => group,
                Err(conclusion) => return conclusion,
            };
            if let Err(conclusion) = self.admit_group(&group.id, history, effort, ended).await {
                return conclusion;
            }
            let (group_id, leaver) = (group.id.clone(), member.clone());
            let command = Command::RemoveGroupMember { group_id, member: leaver };
            match self.execute(&command, history, effort, ended).await {
                // Once: whoever looks it up beside us would have it remembered again.
                Conclusion::Refused(Reason::Rejected, _) if group.remembered && is_first => {
                    self.directory.forget(name);
                    is_first = false;
                }
                said @ (Conclusion::Applied | Conclusion::AlreadyGone) => {
                    return self.verify(&group.id, member, said, (history, effort, ended)).await;
                }
                conclusion @ (Conclusion::Refused(..)
                | Conclusion::Stuck(_)
                | Conclusion::Limited(_)
                | Conclusion::OutOfTime
                | Conclusion::Stopped) => return conclusion,
            }
        }
    }

    /// Deletes every entry that blocks the URL, under whatever ids it is there, until none is left.
    async fn unblock(
        &self,
        url: &ManagedUrl,
        history: &mut History,
        effort: Effort,
        ended: &CancellationToken,
    ) -> Conclusion {
        let mark = self.evidence(Operation::GetAllManagedUrls).mark();
        let mut reached = Conclusion::AlreadyGone;
        // In a dry run nothing goes, however often one looks.
        let readings = if self.means().guards.dry_run { 0 } else { READINGS };
        for _ in 0..=readings {
            let found = match self.entries(&Sought::Url(url.clone()), history, effort, ended).await
            {
                Ok(found) => found,
                Err(conclusion) => return conclusion,
            };
            if found.is_empty() {
                if reached == Conclusion::AlreadyGone {
                    self.metrics.concluded(Operation::DeleteManagedUrl, &Outcome::AlreadyGone);
                }
                return reached;
            }
            for Found { id, .. } in found {
                // There may be any number of them, and what is gone is not listed the next time.
                if reached == Conclusion::Applied && Instant::now() >= effort.deadline {
                    return Conclusion::OutOfTime;
                }
                let command = Command::DeleteManagedUrl { id };
                match self.execute(&command, history, effort, ended).await {
                    Conclusion::Applied | Conclusion::AlreadyGone => reached = Conclusion::Applied,
                    conclusion @ (Conclusion::Refused(..)
                    | Conclusion::Stuck(_)
                    | Conclusion::Limited(_)
                    | Conclusion::OutOfTime
                    | Conclusion::Stopped) => return conclusion,
                }
            }
        }
        if self.means().guards.dry_run {
            return reached;
        }
        // The vendor has answered since then, so that this is no outage.
        let detail = "the URL is still blocked after its entries were deleted";
        let fault = Fault::new("still_listed", detail);
        let (operation, cause) = (Operation::GetAllManagedUrls, Cause::Passing);
        Conclusion::Stuck(Stuck { operation, cause, mark, own: 0, fault })
    }
}
