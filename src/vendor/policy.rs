//! The rules of the policy that Mimecast has to be asked for.

use super::group::text;
use super::group_policy::{Admission, GroupPolicy, GroupReading, Meant};
use super::url_scan::Sought;
use super::vendor::{Effort, Vendor};
use crate::command::{Call, Command, Intent, Operation, Rule};
use crate::verdict::{Cause, Conclusion, Fault, History, Reason, Stuck};
use std::collections::BTreeSet;
use std::sync::Arc;
use tokio::time::Instant;
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
        effort: Effort<'_>,
        ended: &CancellationToken,
    ) -> Result<(), Conclusion> {
        let moment = Instant::now();
        self.admit_entries(intents, history, effort, ended).await?;
        for intent in intents {
            let asking = (&mut *history, effort, ended);
            match intent {
                Intent::Command(Command::RemoveGroupMember { group_id, .. }) => {
                    self.admission(group_id, moment, asking).await?.into_result()?;
                }
                Intent::Leave { .. } if !self.guards.are_about_groups() => {}
                Intent::Leave { name, place, .. } => {
                    match self.admitted_group((name, *place), moment, asking).await {
                        // It is refused when its turn comes, and looked at once more before that.
                        Err(Conclusion::Refused(reason, _)) if reason != Reason::Denied => {}
                        admitted => drop(admitted?),
                    }
                }
                Intent::Command(Command::DeleteManagedUrl { .. }) | Intent::Unblock(_) => {}
            }
        }
        Ok(())
    }

    /// What the policy says to the group of this id. A group that is newer than what is remembered is no reason to
    /// refuse anybody: Mimecast is asked again, unless it was at `moment` or later.
    ///
    /// # Errors
    ///
    /// The conclusion, where that cannot be known now.
    pub(super) async fn admission(
        &self,
        group_id: &str,
        moment: Instant,
        (history, effort, ended): (&mut History, Effort<'_>, &CancellationToken),
    ) -> Result<Admission, Conclusion> {
        if !self.guards.are_about_groups() {
            return Ok(Admission::Allowed);
        }
        let policy = self.group_policy(moment, (&mut *history, effort, ended)).await?;
        let known = policy.admission(group_id);
        if !matches!(known, Admission::Unlisted(_)) || policy.asked_at >= moment {
            return Ok(known);
        }
        let policy = self.group_policy_since(moment, (history, effort, ended)).await?;
        Ok(policy.admission(group_id))
    }

    /// The groups that may be left, and those that may not, as they are remembered, or as Mimecast lists them now.
    ///
    /// # Errors
    ///
    /// The conclusion, where that cannot be known now.
    pub(super) async fn group_policy(
        &self,
        moment: Instant,
        asking: (&mut History, Effort<'_>, &CancellationToken),
    ) -> Result<Arc<GroupPolicy>, Conclusion> {
        match self.group_policies.recall().or_else(|| self.group_policies.recall_since(moment)) {
            Some(policy) => Ok(policy),
            None => self.group_policy_since(moment, asking).await,
        }
    }

    /// Those of `ids` that no group of this tenant has, and those of `texts` that are neither id nor name of one.
    ///
    /// # Errors
    ///
    /// The conclusion, where that cannot be known now.
    pub async fn unknown_groups(
        &self,
        (ids, texts): (&[String], &[String]),
        history: &mut History,
        effort: Effort<'_>,
        ended: &CancellationToken,
    ) -> Result<Vec<String>, Conclusion> {
        let operation = Operation::FindGroups;
        let read = self.read_list(
            operation,
            |page| Call::find_groups(None, page),
            || (Meant::all(ids), Meant::all(texts)),
            |(ids, texts), group| {
                if let Some(id) = text(group, "id") {
                    ids.iter_mut().for_each(|it| it.see(id, None));
                    texts.iter_mut().for_each(|it| it.see(id, text(group, "description")));
                }
            },
            (history, effort, ended),
        );
        let (ids, texts) = read.await.map_err(|error| error.conclude(operation, None))?;
        let meant = ids.into_iter().chain(texts);
        Ok(meant.filter(Meant::is_unknown).map(|meant| meant.text).collect())
    }

    /// Whether entries that are named by their ids are ones that block: the vendor deletes those that
    /// permit by the same call.
    async fn admit_entries(
        &self,
        intents: &[&Intent],
        history: &mut History,
        effort: Effort<'_>,
        ended: &CancellationToken,
    ) -> Result<(), Conclusion> {
        let ids: BTreeSet<String> = intents.iter().filter_map(|intent| entry(intent)).collect();
        if !self.guards.only_blocked || ids.is_empty() {
            return Ok(());
        }
        let found = self.entries(&Sought::Ids(ids.clone()), history, effort, ended).await;
        let found = found.map_err(guarded)?;
        if found.entries.values().any(|blocks| !blocks) {
            return Admission::Denied(Rule::OnlyBlocked).into_result();
        }
        // One entry can have several ids: that this one is not shown does not say that it is gone.
        if found.entries.len() < ids.len() {
            let fault = Fault::new("not_listed", "Mimecast does not list an id of the event");
            return Err(Conclusion::Refused(Reason::Ambiguous, fault));
        }
        Ok(())
    }

    /// The groups that may be left, and those that may not, as Mimecast lists them at `moment` or later.
    async fn group_policy_since(
        &self,
        moment: Instant,
        (history, effort, ended): (&mut History, Effort<'_>, &CancellationToken),
    ) -> Result<Arc<GroupPolicy>, Conclusion> {
        let turn = tokio::time::timeout_at(effort.deadline, self.group_policies.turns.lock());
        let Some(turn) = ended.run_until_cancelled(turn).await else {
            return Err(Conclusion::Stopped);
        };
        let _turn = turn.map_err(|_| Conclusion::OutOfTime)?;
        if let Some(policy) = self.group_policies.recall_since(moment) {
            return Ok(policy);
        }
        let operation = Operation::FindGroups;
        let asked_at = Instant::now();
        let (allowed, protected) = (&self.guards.allowed_groups, &self.guards.protected_groups);
        let asking = (history, effort, ended);
        let read = self
            .read_list(
                operation,
                |page| Call::find_groups(None, page),
                || GroupReading::begin(allowed, protected),
                |reading, group| reading.add(text(group, "id"), text(group, "description")),
                asking,
            )
            .await
            .map_err(|error| guarded(error.conclude(operation, None)))?;
        let policy = read.policy(asked_at).map_err(|(rule, why)| not_evaluated(rule, &why))?;
        let policy = Arc::new(policy);
        self.group_policies.remember(&policy);
        Ok(policy)
    }
}

/// The same, of a question that the policy asks.
fn guarded(conclusion: Conclusion) -> Conclusion {
    match conclusion {
        Conclusion::Stuck(stuck) => Conclusion::Stuck(Stuck { cause: Cause::Guarded, ..stuck }),
        Conclusion::Applied
        | Conclusion::AlreadyGone
        | Conclusion::NotFound
        | Conclusion::Refused(..)
        | Conclusion::Limited(_)
        | Conclusion::OutOfTime
        | Conclusion::Stopped => conclusion,
    }
}

/// The conclusion of every event while a rule cannot be evaluated: nothing may be carried out.
fn not_evaluated(rule: Rule, why: &str) -> Conclusion {
    let detail = format!("policy.{}: {why}", rule.label());
    Conclusion::Stuck(Stuck {
        operation: Operation::FindGroups,
        group: None,
        cause: Cause::Guarded,
        fault: Fault::new(rule.label(), &detail),
    })
}

impl Admission {
    /// The conclusion of an event that is not admitted.
    pub(super) fn into_result(self) -> Result<(), Conclusion> {
        let (rule, detail) = match self {
            Admission::Allowed => return Ok(()),
            Admission::Denied(rule) => (rule, denial(rule)),
            Admission::Unlisted(rule) => (
                rule,
                "Mimecast lists no group with a group id of the event in exactly this spelling",
            ),
        };
        Err(Conclusion::Refused(Reason::Denied, Fault::new(rule.label(), detail)))
    }
}

fn denial(rule: Rule) -> &'static str {
    match rule {
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
    }
}

fn entry(intent: &Intent) -> Option<String> {
    match intent {
        Intent::Command(Command::DeleteManagedUrl { id }) => Some(id.clone()),
        Intent::Command(Command::RemoveGroupMember { .. })
        | Intent::Leave { .. }
        | Intent::Unblock(_) => None,
    }
}
