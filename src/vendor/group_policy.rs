//! The groups that may be left, and those that may not, by their ids as they are now.

use super::fingerprints::Fingerprints;
use crate::command::Rule;
use crate::event::is_group_name;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Mutex as Turns;
use tokio::time::Instant;

/// The groups that may be left and those that may not.
#[derive(Debug)]
pub(super) struct GroupPolicy {
    /// The ids of those that may be left, if not all.
    pub allowed: Option<BTreeSet<String>>,
    /// The ids of those that nobody is removed from.
    pub protected: BTreeSet<String>,
    /// Every id that Mimecast lists, in exactly its spelling.
    pub listed: Fingerprints,
    /// From when on Mimecast was asked for its groups.
    pub asked_at: Instant,
}

/// What the policy says to a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admission {
    /// Members may be removed from it.
    Allowed,
    /// A rule is against that.
    Denied(Rule),
    /// Mimecast does not list this id, so that the rule is against it: it could be another spelling of a protected
    /// one, and is none that is allowed.
    Unlisted(Rule),
}

impl GroupPolicy {
    /// What is said to the group of this id.
    pub(super) fn admission(&self, group_id: &str) -> Admission {
        if self.protected.contains(group_id) {
            return Admission::Denied(Rule::ProtectedGroups);
        }
        match &self.allowed {
            Some(allowed) if allowed.contains(group_id) => Admission::Allowed,
            Some(_) if self.listed.has(group_id) => Admission::Denied(Rule::AllowedGroups),
            Some(_) => Admission::Unlisted(Rule::AllowedGroups),
            None if self.protected.is_empty() || self.listed.has(group_id) => Admission::Allowed,
            None => Admission::Unlisted(Rule::ProtectedGroups),
        }
    }
}

/// The groups that one text in the settings may mean.
pub(super) struct Meant {
    /// The text.
    pub text: String,
    /// Whether a group has this text as its id.
    is_id: bool,
    /// The ids of the groups that have this text as their name.
    named: BTreeSet<String>,
}

/// What was read of the tenant's groups for the policy.
pub(super) struct GroupReading {
    allowed: Vec<Meant>,
    protected: Vec<Meant>,
    listed: Fingerprints,
}

impl Meant {
    /// Nothing is known of these texts yet.
    pub(super) fn all(texts: &[String]) -> Vec<Meant> {
        let meant =
            |text: &String| Meant { text: text.clone(), is_id: false, named: BTreeSet::new() };
        texts.iter().map(meant).collect()
    }

    /// There is a group with this id and name.
    pub(super) fn see(&mut self, id: &str, name: Option<&str>) {
        self.is_id |= self.text == id;
        if name.is_some_and(|name| is_group_name(&self.text, name)) {
            self.named.insert(id.to_owned());
        }
    }

    /// Whether it is neither id nor name of a group.
    pub(super) fn is_unknown(&self) -> bool {
        !self.is_id && self.named.is_empty()
    }
}

impl GroupReading {
    /// Nothing is read yet.
    pub(super) fn begin(allowed: &[String], protected: &[String]) -> GroupReading {
        let (allowed, protected) = (Meant::all(allowed), Meant::all(protected));
        GroupReading { allowed, protected, listed: Fingerprints::default() }
    }

    /// There is a group with this id and name.
    pub(super) fn add(&mut self, id: Option<&str>, name: Option<&str>) {
        let Some(id) = id else { return };
        self.listed.add(id);
        for meant in self.allowed.iter_mut().chain(&mut self.protected) {
            meant.see(id, name);
        }
    }

    /// Of two groups that a text may mean, both are protected, but only the one with this id is allowed: anybody
    /// who may name a group could name it like the id of another. An allowed text that is unknown is an id that the
    /// settings allow in so many words: Mimecast decides on it, and not a list that may lack it.
    ///
    /// # Errors
    ///
    /// The rule that cannot be evaluated, and why. A protected group that is unknown could be any. If none of the
    /// allowed groups is known, the list is no proof that every event is against the rule.
    pub(super) fn policy(self, asked_at: Instant) -> Result<GroupPolicy, (Rule, String)> {
        if let Some(Meant { text, .. }) = self.protected.iter().find(|meant| meant.is_unknown()) {
            let detail = format!("{text:?} is neither name nor id of a group");
            return Err((Rule::ProtectedGroups, detail));
        }
        let (has_allowed, listed) = (!self.allowed.is_empty(), self.listed);
        if has_allowed && self.allowed.iter().all(Meant::is_unknown) {
            let detail = "Mimecast lists no group with one of these names or ids".to_owned();
            return Err((Rule::AllowedGroups, detail));
        }
        let allowed = self.allowed.into_iter().flat_map(|meant| {
            if meant.is_id || meant.is_unknown() {
                BTreeSet::from([meant.text])
            } else {
                meant.named
            }
        });
        let allowed = has_allowed.then(|| allowed.collect());
        let protected = self.protected.into_iter();
        let protected =
            protected.flat_map(|Meant { text, named, .. }| named.into_iter().chain([text]));
        Ok(GroupPolicy { allowed, protected: protected.collect(), listed, asked_at })
    }
}

/// The policy, remembered for a while.
#[derive(Debug)]
pub(super) struct GroupPolicies {
    lifetime: Duration,
    known: Mutex<Option<Arc<GroupPolicy>>>,
    /// Whose turn it is to ask Mimecast. One reading serves all that wait for it.
    pub turns: Turns<()>,
}

impl GroupPolicies {
    /// Remembers it for so long.
    pub(super) fn new(lifetime: Duration) -> GroupPolicies {
        GroupPolicies { lifetime, known: Mutex::default(), turns: Turns::default() }
    }

    /// The policy as it is remembered.
    pub(super) fn recall(&self) -> Option<Arc<GroupPolicy>> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.as_ref().filter(|it| it.asked_at.elapsed() < self.lifetime).map(Arc::clone)
    }

    /// The policy as it is remembered, if Mimecast was asked for it at `moment` or later.
    pub(super) fn recall_since(&self, moment: Instant) -> Option<Arc<GroupPolicy>> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.as_ref().filter(|it| it.asked_at >= moment).map(Arc::clone)
    }

    /// Remembers it.
    pub(super) fn remember(&self, policy: &Arc<GroupPolicy>) {
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(policy));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_protects_all_that_it_may_mean_and_allows_one_thing() {
        let texts = ["Board".to_owned(), "eNo-staff".to_owned()];
        let read = |groups: &[(&str, &str)]| {
            let mut reading = GroupReading::begin(&texts, &texts);
            groups.iter().for_each(|(id, name)| reading.add(Some(id), Some(name)));
            reading.policy(Instant::now())
        };
        let groups =
            [("eNo-board", "Board"), ("eNo-staff", "Staff"), ("eNo-trap", "eNo-staff"), ("x", "y")];
        let policy = read(&groups).unwrap();
        let ids = |set: &BTreeSet<String>| set.iter().cloned().collect::<Vec<_>>().join(" ");
        assert_eq!(ids(&policy.protected), "Board eNo-board eNo-staff eNo-trap");
        assert_eq!(ids(&policy.allowed.unwrap()), "eNo-board eNo-staff");
        assert!(policy.listed.has("x") && !policy.listed.has("eNo-board="));
        let (rule, detail) = read(&groups[1..]).unwrap_err();
        assert_eq!((rule, detail.starts_with("\"Board\"")), (Rule::ProtectedGroups, true));
    }

    #[test]
    fn a_group_is_left_only_by_an_id_that_is_allowed_not_protected_and_listed_as_it_is() {
        let mut listed = Fingerprints::default();
        assert!(["eNo-board", "eNo-staff", "eNo-other"].into_iter().all(|id| listed.add(id)));
        let set = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect();
        let (asked_at, protected) = (Instant::now(), set(&["eNo-board"]));
        let policy = GroupPolicy { allowed: None, protected, listed, asked_at };
        assert_eq!(policy.admission("eNo-staff"), Admission::Allowed);
        assert_eq!(policy.admission("eNo-board"), Admission::Denied(Rule::ProtectedGroups));
        let unlisted = Admission::Unlisted(Rule::ProtectedGroups);
        assert_eq!(policy.admission("eNo-board="), unlisted);
        let policy = GroupPolicy { allowed: Some(set(&["eNo-staff", "eNo-board"])), ..policy };
        assert_eq!(policy.admission("eNo-staff"), Admission::Allowed);
        assert_eq!(policy.admission("eNo-other"), Admission::Denied(Rule::AllowedGroups));
        assert_eq!(policy.admission("eNo-board"), Admission::Denied(Rule::ProtectedGroups));
        let unlisted = Admission::Unlisted(Rule::AllowedGroups);
        assert_eq!(policy.admission("eNo-new"), unlisted, "it may be newer than this");
        let policy = GroupPolicy { protected: set(&[]), ..policy };
        assert_eq!(policy.admission("eNo-board"), Admission::Allowed);
    }

    #[test]
    fn a_list_without_any_allowed_group_proves_nothing_and_one_without_some_allows_these_by_id() {
        let texts = ["eNo-staff".to_owned(), "Open".to_owned()];
        let read = |groups: &[(&str, &str)]| {
            let mut reading = GroupReading::begin(&texts, &[]);
            groups.iter().for_each(|(id, name)| reading.add(Some(id), Some(name)));
            reading.policy(Instant::now()).map_err(|(rule, _)| rule)
        };
        for groups in [&[][..], &[("eNo-other", "Other")]] {
            assert_eq!(read(groups).err(), Some(Rule::AllowedGroups), "{groups:?}");
        }
        let policy = read(&[("eNo-open", "Open"), ("eNo-other", "Other")]).unwrap();
        assert_eq!(policy.admission("eNo-open"), Admission::Allowed);
        assert_eq!(policy.admission("eNo-staff"), Admission::Allowed, "the settings name it");
        assert_eq!(policy.admission("eNo-other"), Admission::Denied(Rule::AllowedGroups));
        let unlisted = Admission::Unlisted(Rule::AllowedGroups);
        assert_eq!(policy.admission("Open"), unlisted, "that is a name");
    }
}
