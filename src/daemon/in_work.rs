//! The messages of one lane that are in work at the same time.

use super::message::{Held, Message, Processed};
use super::worker::Worker;
use crate::broker::BrokerError;
use crate::command::Operation;
use crate::verdict::{Breaker, Fault, Health};
use std::sync::Arc;
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// The messages in work, and those that only wait for their copies. They go on in the background when this is dropped.
#[derive(Debug)]
pub(super) struct InWork {
    worker: Arc<Worker>,
    messages: JoinSet<Result<Processed, BrokerError>>,
    probes: JoinSet<Result<Processed, BrokerError>>,
    copies: JoinSet<Result<Option<Held>, BrokerError>>,
    health_calls: JoinSet<Health>,
}

/// What has ended.
#[derive(Debug)]
pub(super) enum Ended {
    /// A message is processed and settled.
    Settled,
    /// A probe is decided; it is being settled.
    Decided {
        /// Whether Mimecast was asked for it.
        asked: bool,
        /// Whether a change was made for it.
        changed: bool,
    },
    /// A copy was taken, or a message given back.
    Released,
    /// A health call.
    Asked(Health),
    /// The lane has to pause for this message.
    Held(Held),
}

impl InWork {
    /// Nothing is in work yet.
    pub(super) fn new(worker: &Arc<Worker>) -> InWork {
        InWork {
            worker: Arc::clone(worker),
            messages: JoinSet::new(),
            probes: JoinSet::new(),
            copies: JoinSet::new(),
            health_calls: JoinSet::new(),
        }
    }

    /// Begins with `message`.
    pub(super) fn begin(&mut self, message: Box<Message>, ended: &CancellationToken) {
        // On the heap: the set would move it several times, and it is large.
        let processing = Arc::clone(&self.worker).process(message, false, ended.clone());
        let processing = self.until_cut(processing);
        self.messages.spawn(Box::pin(processing));
    }

    /// Begins with `message` as a probe, with one attempt at each call.
    pub(super) fn probe(&mut self, message: Box<Message>, ended: &CancellationToken) {
        let processing = Arc::clone(&self.worker).process(message, true, ended.clone());
        let processing = self.until_cut(processing);
        self.probes.spawn(Box::pin(processing));
    }

    /// Begins with a message that an earlier session has begun with: a health call comes first.
    pub(super) fn begin_again(&mut self, message: Box<Message>, ended: &CancellationToken) {
        let processing = Arc::clone(&self.worker).process_if_well(message, ended.clone());
        let processing = self.until_cut(processing);
        self.messages.spawn(Box::pin(processing));
    }

    /// Settles a message as its report says, beside all others: each copy may take as long as a confirm.
    pub(super) fn settle(&mut self, message: Box<Message>) {
        let worker = Arc::clone(&self.worker);
        let settling = self.until_cut(async move { worker.settle_or_hold(message).await });
        self.copies.spawn(Box::pin(settling));
    }

    /// The same, once it has waited as long again as it already has, at most as long as a probe waits. What may not
    /// wait any longer is given back.
    pub(super) fn settle_later(&mut self, message: Box<Message>, ended: &CancellationToken) {
        let (worker, ended) = (Arc::clone(&self.worker), ended.clone());
        let Breaker { initial_probe_delay, max_probe_delay } = worker.settings().breaker;
        let wait = message.since.elapsed().max(initial_probe_delay).min(max_probe_delay);
        let settling = async move {
            let waiting = ended.run_until_cancelled(tokio::time::sleep(wait));
            if waiting.await.is_none() || Instant::now() + max_probe_delay >= message.deadline {
                return worker.give_back(message).await.map(|()| None);
            }
            worker.settle_or_hold(message).await
        };
        let settling = self.until_cut(settling);
        self.copies.spawn(Box::pin(settling));
    }

    /// Lets a copy of the message go to the end of its queue.
    pub(super) fn park(&mut self, message: Box<Message>, fault: Fault) {
        self.settle(message.to_be_parked(fault));
    }

    /// Lets go of a message at once: a copy goes to the end of its queue, or else the message itself to its head.
    pub(super) fn release(&mut self, held: Held) {
        let worker = Arc::clone(&self.worker);
        let releasing = self.until_cut(async move { worker.release(held).await.map(|()| None) });
        self.copies.spawn(Box::pin(releasing));
    }

    /// Gives a message back to the head of its queue.
    pub(super) fn give_back(&mut self, message: Box<Message>) {
        let worker = Arc::clone(&self.worker);
        let giving = self.until_cut(async move { worker.give_back(message).await.map(|()| None) });
        self.copies.spawn(Box::pin(giving));
    }

    /// Makes a health call instead of the one in flight, if there is one.
    pub(super) fn ask(
        &mut self,
        (operation, group): (Operation, Option<String>),
        ended: &CancellationToken,
    ) {
        let (worker, ended) = (Arc::clone(&self.worker), ended.clone());
        self.health_calls = JoinSet::new();
        self.health_calls.spawn(async move {
            let deadline = Instant::now() + worker.timings().work;
            worker.vendor.health(operation, group.as_deref(), deadline, &ended).await
        });
    }

    /// True if a health call is in flight.
    pub(super) fn is_asking(&self) -> bool {
        !self.health_calls.is_empty()
    }

    /// True if a probe is in flight.
    pub(super) fn is_probing(&self) -> bool {
        !self.probes.is_empty()
    }

    /// Messages that only wait for their copies.
    pub(super) fn copies(&self) -> usize {
        self.copies.len()
    }

    /// What ends next; `None` when nothing is in work any more.
    ///
    /// # Errors
    ///
    /// What ends the session. That a task was aborted, or panicked outside the handling, ends it like
    /// any other failure.
    pub(super) async fn next(&mut self) -> Option<Result<Ended, BrokerError>> {
        let lost = |error: JoinError| BrokerError::Lost(error.to_string());
        let processed = tokio::select! {
            biased;
            Some(copied) = self.copies.join_next() => {
                let copied = copied.map_err(lost).flatten();
                return Some(copied.map(|held| held.map_or(Ended::Released, Ended::Held)));
            }
            Some(Ok(health)) = self.health_calls.join_next() => return Some(Ok(Ended::Asked(health))),
            Some(processed) = self.probes.join_next() => processed.map_err(lost).flatten(),
            Some(processed) = self.messages.join_next() => processed.map_err(lost).flatten(),
            else => return None,
        };
        Some(processed.map(|processed| match processed {
            Processed::Settled => Ended::Settled,
            Processed::Held(held) => Ended::Held(held),
            Processed::Decided { message, asked, changed } => {
                self.settle(message);
                Ended::Decided { asked, changed }
            }
        }))
    }
}

impl InWork {
    /// Does `work` until a stop waits no longer for it.
    fn until_cut<T, W: Future<Output = Result<T, BrokerError>>>(
        &self,
        work: W,
    ) -> impl Future<Output = Result<T, BrokerError>> + use<T, W> {
        let work = self.worker.drain.until_cut(work);
        async { work.await.unwrap_or_else(|| Err(BrokerError::Lost("the daemon ends".into()))) }
    }
}

impl Drop for InWork {
    fn drop(&mut self) {
        self.messages.detach_all();
        self.probes.detach_all();
        self.copies.detach_all();
    }
}
