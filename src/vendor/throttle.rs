//! Waits for the vendor's quota.

use super::quota::Priority;
use super::vendor::Vendor;
use crate::command::Operation;
use crate::verdict::{Conclusion, retry};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

impl Vendor {
    /// Waits until the quota has a call left.
    pub(super) async fn wait_for_quota(
        &self,
        operation: Operation,
        deadline: Instant,
        ended: &CancellationToken,
    ) -> Result<(), Conclusion> {
        loop {
            if ended.is_cancelled() {
                return Err(Conclusion::Stopped);
            }
            let taken =
                self.with_quota(|quota| quota.take(priority(operation), Instant::now().into_std()));
            let Err(wait) = taken else { return Ok(()) };
            // A little later than the others, or all would come at the same instant.
            let wait = retry::jittered(wait);
            let started = Instant::now();
            if started + wait >= deadline {
                return Err(Conclusion::OutOfTime);
            }
            let _either = ended.run_until_cancelled(tokio::time::sleep(wait)).await;
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
