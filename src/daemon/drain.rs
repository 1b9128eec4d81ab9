//! The end of the work at a stop: what is in work is finished, and what takes too long is cut off.

use super::reload::Current;
use super::supervisor;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

/// Counts the messages of every session, of those too that have ended, and cuts off what a stop cannot wait for.
#[derive(Clone, Debug, Default)]
pub(super) struct Drain {
    messages: TaskTracker,
    cut: CancellationToken,
}

impl Drain {
    /// Counts a message for as long as this lives.
    pub(super) fn count(&self) -> TaskTrackerToken {
        self.messages.token()
    }

    /// Does `work` until it is cut off; it is dropped then, with all messages in it.
    pub(super) fn until_cut<W: Future>(
        &self,
        work: W,
    ) -> impl Future<Output = Option<W::Output>> + use<W> {
        self.cut.clone().run_until_cancelled_owned(work)
    }

    /// Waits for the stop, and then for the lanes and all messages, but not for ever. Returns until when what comes
    /// after it may take.
    pub(super) async fn run(
        self,
        lanes: JoinSet<()>,
        current: &Current,
        stop: &CancellationToken,
    ) -> Instant {
        let too_late = async {
            stop.cancelled().await;
            tracing::info!("stopping, finishing what is in work");
            let (drain_timeout, shutdown) = times(current);
            supervisor::stopping(drain_timeout + shutdown);
            tokio::time::sleep(drain_timeout).await;
        };
        let finished = async {
            lanes.join_all().await;
            self.messages.close();
            self.messages.wait().await;
        };
        let is_finished = tokio::select! {
            () = finished => true,
            () = too_late => false,
        };
        let end = Instant::now() + times(current).1;
        if is_finished {
            tracing::info!("stopped");
        } else {
            self.cut.cancel();
            self.messages.close();
            // Each message that is dropped says what was done for it.
            let _dropped = timeout_at(end, self.messages.wait()).await;
            tracing::warn!("stopped before all was finished; the rest stays queued");
        }
        end
    }
}

/// The drain timeout, and what may come after it.
fn times(current: &Current) -> (Duration, Duration) {
    let settings = current.borrow();
    (settings.drain_timeout, settings.timings.shutdown)
}
