//! The messages of one lane that are in work at the same time.

use super::message::{Held, Message};
use super::worker::Worker;
use crate::broker::BrokerError;
use std::sync::Arc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// The messages in work. They go on in the background when this is dropped.
#[derive(Debug, Default)]
pub(super) struct InWork(JoinSet<Result<Option<Held>, BrokerError>>);

impl InWork {
    /// Begins with `message`.
    pub(super) fn begin(
        &mut self,
        worker: &Arc<Worker>,
        message: Box<Message>,
        ended: &CancellationToken,
    ) {
        // On the heap: the set would move it several times, and it is large.
        self.0.spawn(Box::pin(Arc::clone(worker).carry(message, false, ended.clone())));
    }

    /// The next message that could not be settled, once all that end before it are settled; `None`
    /// when no message is in work any more.
    ///
    /// # Errors
    ///
    /// What ends the session. That a task was aborted, or panicked outside the handling, ends it like
    /// any other failure.
    pub(super) async fn next(&mut self) -> Option<Result<Option<Held>, BrokerError>> {
        let carried = self.0.join_next().await?;
        Some(carried.unwrap_or_else(|error| Err(BrokerError::Lost(error.to_string()))))
    }
}

impl Drop for InWork {
    fn drop(&mut self) {
        self.0.detach_all();
    }
}
