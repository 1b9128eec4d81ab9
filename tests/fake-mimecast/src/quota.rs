//! The rate limit: which buckets a call is taken from.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::bucket::{Bucket, RateLimit};
use crate::call::Operation;

/// Recorded from the live service in 2022: 800 calls for a key that it knows, shared by all
/// operations, and 5000 for those that it does not know.
const CALLS: u64 = 800;
const CALLS_OF_STRANGERS: u64 = 5000;
const WINDOW: Duration = Duration::from_secs(5);

/// Whom a call counts against.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Account {
    /// The tenant, for this operation.
    Ours(Operation),
    /// Whoever is not known.
    Stranger,
}

pub(crate) struct Quota {
    shared: Bucket,
    operations: HashMap<Operation, Bucket>,
    strangers: Bucket,
}

impl Quota {
    pub(crate) fn new() -> Self {
        Self {
            shared: Bucket::new(CALLS, WINDOW),
            operations: HashMap::new(),
            strangers: Bucket::new(CALLS_OF_STRANGERS, WINDOW),
        }
    }

    /// Sets a limit, of which nothing is used then: that of one operation, or the shared one.
    pub(crate) fn set(&mut self, operation: Option<Operation>, calls: u64, window: Duration) {
        let bucket = Bucket::new(calls, window);
        match operation {
            Some(operation) => {
                self.operations.insert(operation, bucket);
            }
            None => self.shared = bucket,
        }
    }

    /// Takes one call out of each bucket that it counts against; false, and nothing is taken, if
    /// one of them is empty.
    pub(crate) fn take(&mut self, account: Account, now: Instant) -> bool {
        let mut buckets = self.buckets(account);
        let is_there = buckets.iter_mut().all(|bucket| bucket.remaining(now) > 0);
        if is_there {
            buckets.iter_mut().for_each(|bucket| bucket.take(now));
        }
        is_there
    }

    /// What the tightest bucket says; of two that are equally tight, the one that stays so longer.
    pub(crate) fn rate_limit(&mut self, account: Account, now: Instant) -> RateLimit {
        self.buckets(account)
            .into_iter()
            .map(|bucket| bucket.rate_limit(now))
            .min_by_key(|shown| (shown.remaining, Reverse(shown.reset_milliseconds)))
            .expect("every call counts against a bucket")
    }

    fn buckets(&mut self, account: Account) -> Vec<&mut Bucket> {
        match account {
            Account::Ours(operation) => {
                let own = self.operations.get_mut(&operation);
                [Some(&mut self.shared), own].into_iter().flatten().collect()
            }
            Account::Stranger => vec![&mut self.strangers],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REMOVE: Account = Account::Ours(Operation::RemoveGroupMember);
    const DELETE: Account = Account::Ours(Operation::DeleteManagedUrl);

    fn quota(shared: u64, removals: u64) -> Quota {
        let mut quota = Quota::new();
        quota.set(None, shared, Duration::from_millis(100));
        let operation = Operation::RemoveGroupMember;
        quota.set(Some(operation), removals, Duration::from_millis(300));
        quota
    }

    #[test]
    fn a_call_needs_room_in_both_buckets_and_else_takes_from_neither() {
        let now = Instant::now();
        let mut quota = quota(2, 1);
        assert!(quota.take(REMOVE, now));
        assert!(!quota.take(REMOVE, now));
        assert_eq!(quota.rate_limit(DELETE, now).remaining, 1);
        assert!(quota.take(DELETE, now));
        assert!(!quota.take(DELETE, now));

        let later = now + Duration::from_millis(100);
        assert!(!quota.take(REMOVE, later));
        assert_eq!(quota.rate_limit(DELETE, later).remaining, 2);
    }

    #[test]
    fn the_tightest_bucket_is_shown() {
        let now = Instant::now();
        let limit = |quota: &mut Quota| quota.rate_limit(REMOVE, now);
        assert_eq!(limit(&mut quota(7, 3)).limit, 3);
        assert_eq!(limit(&mut quota(3, 7)).limit, 3);
        // Whoever waits for the other would be throttled again.
        assert_eq!(limit(&mut quota(0, 0)).reset_milliseconds, Some(300));
    }

    #[test]
    fn strangers_use_up_nothing_of_ours() {
        let now = Instant::now();
        let mut quota = quota(1, 1);
        for _ in 0..CALLS_OF_STRANGERS {
            assert!(quota.take(Account::Stranger, now));
        }
        assert!(!quota.take(Account::Stranger, now));
        assert!(quota.take(REMOVE, now));
    }
}
