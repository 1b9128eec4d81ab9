//! The rules of the policy that the vendor has to be asked for.

use super::fence::Fence;
use super::inventory::Sought;
use super::vendor::{Effort, Vendor};
use crate::command::{Call, Command, Intent, Operation, Rule};
use crate::event::Member;
use crate::verdict::{Cause, Conclusion, Fault, History, Reason, Stuck};
use serde_json::Value;
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

impl Vendor {
    /// Whether all of `intents` may be fulfilled, before the first of them is: what is denied is denied
    /// as a whole.
    ///
    /// # Errors
    ///
    /// What is to become of all of them otherwise.
    pub async fn admit(
        &self,
        intents: &[&Intent],
        history: &mut History,
        effort: Effort,
        ended: &CancellationToken,
    ) -> Result<(), Conclusion> {
        self.admit_entries(intents, history, effort, ended).await?;
        for intent in intents {
            let id: Cow<'_, str> = match intent {
                Intent::Command(Command::RemoveGroupMember { group_id, .. }) => {
                    Cow::Borrowed(group_id.as_str())
                }
                Intent::Leave { name, place, .. } => {
                    if self.fence(history, effort, ended).await?.is_open() {
                        continue;
                    }
                    match self.group(name, *place, history, effort, ended).await {
                        Ok(group) => Cow::Owned(group.id),
                        // It is refused when its turn comes, and looked at once more before that.
                        Err(Conclusion::Refused(..)) => continue,
                        Err(conclusion) => return Err(conclusion),
                    }
                }
                Intent::Command(Command::DeleteManagedUrl { .. }) | Intent::Unblock(_) => continue,
            };
            self.admit_group(&id, history, effort, ended).await?;
        }
        Ok(())
    }

    /// Whether somebody may be removed from the group of this id.
    ///
    /// # Errors
    ///
    /// What is to become of it otherwise.
    pub(super) async fn admit_group(
        &self,
        group_id: &str,
        history: &mut History,
        effort: Effort,
        ended: &CancellationToken,
    ) -> Result<(), Conclusion> {
        let fence = self.fence(history, effort, ended).await?;
        fence.keeps_in(group_id).map_or(Ok(()), |rule| Err(denied(rule)))
    }

    /// Whether entries that are named by their ids are ones that block: the vendor deletes those that
    /// permit by the same call.
    async fn admit_entries(
        &self,
        intents: &[&Intent],
        history: &mut History,
        effort: Effort,
        ended: &CancellationToken,
    ) -> Result<(), Conclusion> {
        let ids: BTreeSet<String> = intents.iter().filter_map(|intent| entry(intent)).collect();
        if !self.means().guards.only_blocked || ids.is_empty() {
            return Ok(());
        }
        let found = self.entries(&Sought::Ids(ids.clone()), history, effort, ended).await?;
        if found.iter().any(|found| !found.blocks) {
            return Err(denied(Rule::OnlyBlocked));
        }
        // One entry can have several ids: that this one is not shown does not say that it is gone.
        if found.len() < ids.len() {
            let fault = Fault::new("not_listed", "the inventory does not show an id of the event");
            return Err(Conclusion::Refused(Reason::Ambiguous, fault));
        }
        Ok(())
    }

    /// The groups that may be left, and those that may not.
    async fn fence(
        &self,
        history: &mut History,
        effort: Effort,
        ended: &CancellationToken,
    ) -> Result<Arc<Fence>, Conclusion> {
        // The same ones from beginning to end: a fence of other guards must not be remembered for these.
        let means = self.means();
        let guards = &means.guards;
        if guards.allowed_groups.is_empty() && guards.protected_groups.is_empty() {
            return Ok(means.fences.open());
        }
        if let Some(fence) = means.fences.recall() {
            return Ok(fence);
        }
        let (mut allowed, mut protected) = (BTreeSet::new(), BTreeSet::new());
        for group in &guards.allowed_groups {
            // One that is not known allows nothing.
            allowed.extend(self.ids_of(group, history, effort, ended).await?);
        }
        for group in &guards.protected_groups {
            let ids = self.ids_of(group, history, effort, ended).await?;
            if ids.is_empty() {
                return Err(self.unknown(group));
            }
            protected.extend(ids);
        }
        let allowed = (!guards.allowed_groups.is_empty()).then_some(allowed);
        let fence = Arc::new(Fence { allowed, protected });
        means.fences.remember(&fence);
        Ok(fence)
    }

    /// The ids of all groups that are meant by a name or an id in the settings.
    async fn ids_of(
        &self,
        group: &str,
        history: &mut History,
        effort: Effort,
        ended: &CancellationToken,
    ) -> Result<BTreeSet<String>, Conclusion> {
        let ids = self.groups_called(group, history, effort, ended).await?;
        if !ids.is_empty() {
            return Ok(ids);
        }
        // Nobody is called so: it may be an id.
        let call = Call::get_group_members(group, None);
        match Box::pin(self.conclude(&call, history, effort, ended)).await.0 {
            Conclusion::Applied => Ok(BTreeSet::from([group.to_owned()])),
            Conclusion::Refused(..) => Ok(BTreeSet::new()),
            conclusion @ (Conclusion::AlreadyGone
            | Conclusion::Stuck(_)
            | Conclusion::Limited(_)
            | Conclusion::OutOfTime
            | Conclusion::Stopped) => Err(conclusion),
        }
    }

    /// A group that is protected and not known could be any: nothing may be carried out.
    fn unknown(&self, group: &str) -> Conclusion {
        let operation = Operation::FindGroups;
        let detail =
            format!("policy.protected_groups: {group:?} is neither name nor id of a group");
        Conclusion::Stuck(Stuck {
            operation,
            cause: Cause::Guarded,
            mark: self.evidence(operation).mark(),
            own: 0,
            fault: Fault::new(Rule::ProtectedGroups.label(), &detail),
        })
    }

    /// What a removal came to, once the group was looked at: it counts only when the member is not there
    /// any more, if the policy wants that.
    pub(super) async fn verify(
        &self,
        group_id: &str,
        member: &Member,
        said: Conclusion,
        (history, effort, ended): (&mut History, Effort, &CancellationToken),
    ) -> Conclusion {
        let is_said = matches!(said, Conclusion::Applied | Conclusion::AlreadyGone);
        let means = self.means();
        if !means.guards.verify_effect || means.guards.dry_run || !is_said {
            return said;
        }
        let operation = Operation::GetGroupMembers;
        let mark = self.evidence(operation).mark();
        let stuck =
            |cause, fault| Conclusion::Stuck(Stuck { operation, cause, mark, own: 0, fault });
        let seen = self
            .read_list(
                operation,
                |page| Call::get_group_members(group_id, page),
                || false,
                |seen, data| {
                    let lists = data.iter().map(|it| it.get("groupMembers")?.as_array());
                    let members: Vec<&Value> =
                        lists.collect::<Option<Vec<_>>>()?.into_iter().flatten().collect();
                    *seen |= members.iter().any(|shown| is_shown(member, shown));
                    Some(members.len() as u64)
                },
                (&mut *history, effort, ended),
            )
            .await;
        match seen {
            Ok(false) => {
                let (group_id, member) = (group_id.to_owned(), member.clone());
                let command = Command::RemoveGroupMember { group_id, member };
                history.seen_gone(&command, (self.fresh)().at);
                said
            }
            Ok(true) => {
                self.metrics.decided(Rule::VerifyEffect);
                let detail = "the member is still in the group after it was removed";
                stuck(Cause::Contradicted, Fault::new("effect_not_seen", detail))
            }
            // That the group cannot be looked at says nothing of the member.
            Err(Conclusion::Refused(_, fault)) => stuck(Cause::Passing, fault),
            Err(conclusion) => conclusion,
        }
    }
}

fn denied(rule: Rule) -> Conclusion {
    let detail = match rule {
        Rule::OnlyBlocked => "an entry of the event does not block",
        Rule::AllowedGroups => "a group of the event is not among those that are allowed",
        Rule::ProtectedGroups
        | Rule::AllowedSources
        | Rule::AllowedUsers
        | Rule::ProtectedAddresses
        | Rule::MaxEventAge
        | Rule::VerifyEffect
        | Rule::MaxCommands
        | Rule::DryRun => "a group of the event is protected",
    };
    Conclusion::Refused(Reason::Denied, Fault::new(rule.label(), detail))
}

fn entry(intent: &Intent) -> Option<String> {
    match intent {
        Intent::Command(Command::DeleteManagedUrl { id }) => Some(id.clone()),
        Intent::Command(Command::RemoveGroupMember { .. })
        | Intent::Leave { .. }
        | Intent::Unblock(_) => None,
    }
}

/// An entry for an address has its domain beside it, and one for a domain no address (seen by an
/// administrator): a domain alone never stands for an address.
fn is_shown(member: &Member, shown: &Value) -> bool {
    let text = |name: &str| shown.get(name).and_then(Value::as_str).unwrap_or_default().trim();
    let is = |name: &str, it: &str| text(name).to_lowercase() == it.trim().to_lowercase();
    match member {
        Member::EmailAddress(address) => is("emailAddress", address),
        Member::Domain(domain) => text("emailAddress").is_empty() && is("domain", domain),
    }
}
