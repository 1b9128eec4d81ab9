//! Health calls in flight, and what Mimecast has answered lately.

use crate::command::{Call, Operation};
use crate::verdict::{Health, Outcome};
use futures_util::future::{BoxFuture, Shared};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;
use tokio::time::Instant;

/// A health call that all who wait for it share.
#[derive(Clone, Debug)]
pub(super) struct HealthCall {
    /// When it began.
    pub began: Instant,
    /// Its result.
    pub health: Shared<BoxFuture<'static, Health>>,
}

/// Health calls in flight, and what was answered last.
#[derive(Debug, Default)]
pub(super) struct Known {
    in_flight: Mutex<BTreeMap<Operation, HealthCall>>,
    answered: Mutex<BTreeMap<Operation, Option<String>>>,
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

    /// Remembers a call that Mimecast has answered.
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
    }

    /// Other credentials may be answered otherwise.
    pub(super) fn forget(&self) {
        self.answered().clear();
        self.abandon_calls();
    }

    /// The health calls in flight count no more.
    pub(super) fn abandon_calls(&self) {
        self.in_flight().clear();
        self.renewed.notify_waiters();
    }

    fn answered(&self) -> MutexGuard<'_, BTreeMap<Operation, Option<String>>> {
        self.answered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
