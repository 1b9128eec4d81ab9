//! Health calls in flight, and what Mimecast has answered lately.

use super::fingerprints::Fingerprints;
use crate::command::{Call, Operation};
use crate::verdict::{Health, Outcome};
use futures_util::future::{BoxFuture, Shared};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;
use tokio::time::Instant;

/// Groups that are known at once to have failed: more than messages are in flight.
const MOST_GROUPS: usize = 100_000;

/// A health call that all who wait for it share.
#[derive(Clone, Debug)]
pub(super) struct HealthCall {
    /// When it began.
    pub began: Instant,
    /// Its result.
    pub health: Shared<BoxFuture<'static, Health>>,
}

/// Health calls in flight, what was answered last, and which groups calls have failed for.
#[derive(Debug, Default)]
pub(super) struct Known {
    in_flight: Mutex<BTreeMap<Operation, HealthCall>>,
    answered: Mutex<BTreeMap<Operation, Option<String>>>,
    /// The groups of calls that have failed.
    failed_for: Mutex<Fingerprints>,
    /// Notified when the calls in flight count no more.
    pub renewed: Notify,
}

impl Known {
    /// The health calls in flight.
    pub(super) fn in_flight(&self) -> MutexGuard<'_, BTreeMap<Operation, HealthCall>> {
        self.in_flight.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The last call of the operation that Mimecast has answered with the credentials of now, by its group if it was
    /// about one.
    pub(super) fn last_answered(&self, operation: Operation) -> Option<Option<String>> {
        self.answered().get(&operation).cloned()
    }

    /// Whether a call about this group has failed.
    pub(super) fn has_failed_for(&self, group: &str) -> bool {
        self.failed_for().has(group)
    }

    /// Remembers a call that Mimecast has answered, or the group of one that has failed.
    pub(super) fn learn(&self, call: &Call, outcome: &Outcome) {
        let is_answered = match outcome {
            Outcome::Applied | Outcome::NotFound => true,
            Outcome::Rejected(_) => call.operation.is_about_an_item(),
            Outcome::Forbidden(_)
            | Outcome::Unauthorized(_)
            | Outcome::Throttled(_)
            | Outcome::Unavailable(_) => false,
        };
        if is_answered {
            self.answered().insert(call.operation, call.group.clone());
        }
        if let Some(group) = call.group.as_ref().filter(|_| outcome.is_failure()) {
            let mut failed_for = self.failed_for();
            if failed_for.count() >= MOST_GROUPS {
                *failed_for = Fingerprints::default();
            }
            failed_for.add(group);
        }
    }

    /// The health calls in flight count no more.
    pub(super) fn abandon_calls(&self) {
        self.in_flight().clear();
        self.renewed.notify_waiters();
    }

    fn failed_for(&self) -> MutexGuard<'_, Fingerprints> {
        self.failed_for.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answered(&self) -> MutexGuard<'_, BTreeMap<Operation, Option<String>>> {
        self.answered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::Page;
    use crate::verdict::Fault;

    #[test]
    fn of_any_number_of_groups_no_more_are_known_to_have_failed_than_may_be() {
        let (known, failed) = (Known::default(), Outcome::Unavailable(Fault::new("503", "")));
        let page = || Page { size: Page::SMALLEST, token: None };
        for number in 0..MOST_GROUPS {
            known.learn(&Call::get_group_members(&number.to_string(), page()), &failed);
        }
        assert_eq!(known.failed_for().count(), MOST_GROUPS);
        known.learn(&Call::get_group_members("one more", page()), &failed);
        assert_eq!(known.failed_for().count(), 1);
        assert!(known.has_failed_for("one more"));
    }
}
