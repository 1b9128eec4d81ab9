//! Waits for the quota of an operation.

use super::quota::Priority;
use super::vendor::Vendor;
use crate::command::Operation;
use crate::verdict::{Conclusion, retry};
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// How long a wait goes on before it is added to those that were counted.
const COUNTED_EVERY: Duration = Duration::from_secs(1);

impl Vendor {
    /// Waits until the quota has a call left. Once this vendor is replaced it has none.
    pub(super) async fn wait_for_quota(
        &self,
        operation: Operation,
        deadline: Instant,
        ended: &CancellationToken,
    ) -> Result<(), Conclusion> {
        loop {
            if ended.is_cancelled() || self.is_replaced() {
                return Err(Conclusion::Stopped);
            }
            let now = Instant::now();
            let Err(wait) = self.take_quota(operation, now.into_std()) else { return Ok(()) };
            // A little later than the others, or all would come at the same instant.
            let until = now + retry::jittered(wait).min(wait + self.timings().quota_lead);
            if until >= deadline {
                return Err(Conclusion::OutOfTime);
            }
            self.sleep_throttled(until, ended).await;
        }
    }

    /// Takes one call out of the quota of `operation`, or says how long to wait before asking again.
    fn take_quota(&self, operation: Operation, now: std::time::Instant) -> Result<(), Duration> {
        let mut quotas = self.tenant.quotas();
        let mut own = quotas[&operation];
        let priority_of_own = priority(operation);
        if priority_of_own == Priority::Low {
            let mut urgent = quotas.iter().filter(|(it, _)| priority(**it) == Priority::High);
            urgent.try_for_each(|(_, urgent)| own.let_first(urgent, now))?;
        }
        let taken = own.take(priority_of_own, now);
        quotas.insert(operation, own);
        taken
    }

    /// Sleeps until then, until `ended` or until this vendor is replaced, and counts that while it lasts: a long wait
    /// shows before it is over.
    async fn sleep_throttled(&self, until: Instant, ended: &CancellationToken) {
        while !ended.is_cancelled() && !self.is_replaced() && Instant::now() < until {
            let started = Instant::now();
            let step = tokio::time::sleep_until(until.min(started + COUNTED_EVERY));
            let waiting = self.tenant.replaced.run_until_cancelled(step);
            let _either = ended.run_until_cancelled(waiting).await;
            self.metrics.throttled(started.elapsed());
        }
    }
}

/// Access that somebody still has comes before URLs that nobody can open.
fn priority(operation: Operation) -> Priority {
    match operation {
        Operation::RemoveGroupMember | Operation::FindGroups | Operation::GetGroupMembers => {
            Priority::High
        }
        Operation::DeleteManagedUrl | Operation::GetAllManagedUrls => Priority::Low,
    }
}
