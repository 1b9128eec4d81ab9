//! The end of the dead-letter queue, where copies of what was read go.

use super::authorship::Authorship;
use super::connection::{Broker, BrokerError, cause, lost};
use super::copy;
use super::dead_letter::DeadLetter;
use super::permissions::{NOWHERE, may_write};
use super::publisher::Publisher;
use futures_util::future::join_all;
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::{BasicProperties, Channel, Confirmation, PublisherConfirm};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

/// A channel on which copies go to the end of the queue, in the order in which they are given. It is on a connection
/// of its own: a broker that is short of memory or disk reads no more from whoever publishes, and could not be told
/// of anything else there.
#[derive(Debug)]
pub(super) struct Tail {
    channel: Channel,
    /// A channel for the one question whether copies are taken, which closes it.
    question: Option<Channel>,
    queue: String,
    /// What tells the copies of this one from others.
    name: String,
    authorship: Arc<Authorship>,
    /// The largest frame that the broker takes, in bytes.
    frame_max: usize,
    blocked: watch::Receiver<Option<String>>,
    /// Maximum time until copies are confirmed.
    confirm: Duration,
}

impl Tail {
    /// Opens it on the connection `copies`.
    ///
    /// # Errors
    ///
    /// [`BrokerError::Lost`].
    pub(super) async fn open(
        copies: &Broker,
        queue: &str,
        authorship: Arc<Authorship>,
    ) -> Result<Tail, BrokerError> {
        let channel = copies.channel().await?;
        let name = format!("{:016x}", RandomState::new().build_hasher().finish());
        let confirm = copies.timings().confirm;
        let (question, blocked) = (Some(copies.channel().await?), copies.blocked());
        let (queue, frame_max) = (queue.to_owned(), Publisher::of(copies).frame_max());
        Ok(Tail { channel, question, queue, name, authorship, frame_max, blocked, confirm })
    }

    /// Asks whether the broker takes copies, unless it was asked before. Of a copy that it does not read in an alarm
    /// nobody would know whether it reads it later.
    ///
    /// # Errors
    ///
    /// [`BrokerError::NotTaken`] if it does not, or does not answer.
    pub(super) async fn ask(&mut self) -> Result<(), BrokerError> {
        let Some(question) = self.question.take() else { return Ok(()) };
        let until = Instant::now() + self.confirm;
        let properties = self.authorship.named(BasicProperties::default());
        let asking = may_write(&question, "", NOWHERE, properties);
        let refusal = self.answer(until, asking).await.map_err(not_taken)??;
        if let Some(refusal) = refusal.filter(|refusal| !self.authorship.learn(refusal)) {
            return Err(not_taken(format!("{refusal}; grant write on amq.default")));
        }
        // RabbitMQ 4.3 answers to what was published first, and reads nothing more then.
        let confirming = self.channel.confirm_select(ConfirmSelectOptions::default());
        self.answer(until, confirming).await.map_err(not_taken)?.map_err(lost)
    }

    /// Whether `letter` is a copy that was put there here.
    pub(super) fn has(&self, letter: &DeadLetter) -> bool {
        letter.reader.as_ref() == Some(&self.name)
    }

    /// Puts a copy of each letter there. What became of each comes in the same order: after `Ok` it is safe.
    pub(super) async fn append(
        &mut self,
        letters: &[Arc<DeadLetter>],
    ) -> Vec<Result<(), BrokerError>> {
        if letters.is_empty() {
            return Vec::new();
        }
        if let Err(error) = self.ask().await {
            return vec![Err(error); letters.len()];
        }
        let until = Instant::now() + self.confirm;
        let mut confirms = Vec::new();
        for letter in letters {
            confirms.push(self.answer(until, self.publish(letter)).await);
        }
        let answers = join_all(confirms.into_iter().map(async |confirm| {
            let confirm = confirm??;
            self.answer(until, confirm).await?.map_err(|error| cause(&error))
        }));
        let answers = answers.await;
        // The client does not say for which of several messages a return was. All are for one queue.
        let is_returned = |answer: &Result<_, _>| matches!(answer, Ok(Confirmation::Ack(Some(_))));
        let returned = answers.iter().any(is_returned);
        let taken = answers.into_iter().map(|answer| match answer? {
            _ if returned => Err("the dead-letter queue is gone".to_owned()),
            Confirmation::Ack(_) => Ok(()),
            Confirmation::Nack(_) => Err("the dead-letter queue refused it".to_owned()),
            Confirmation::NotRequested => Err("confirms are off".to_owned()),
        });
        taken.map(|taken| taken.map_err(not_taken)).collect()
    }

    async fn publish(&self, letter: &DeadLetter) -> Result<PublisherConfirm, String> {
        let (queue, body) = (self.queue.as_str().into(), letter.envelope.body.as_slice());
        let properties = copy::put_back(letter, &self.name);
        let properties = self.authorship.sign(properties, body, self.frame_max)?;
        let options = BasicPublishOptions { mandatory: true, immediate: false };
        let sending = self.channel.basic_publish("".into(), queue, options, body, properties);
        sending.await.map_err(|error| cause(&error))
    }

    /// What the broker answers, or why that is not waited for any longer.
    async fn answer<T>(
        &self,
        until: Instant,
        asking: impl Future<Output = T>,
    ) -> Result<T, String> {
        let mut blocked = self.blocked.clone();
        // `None` with the end of the connection, which is an answer too.
        let blocked = async { blocked.wait_for(Option::is_some).await.ok()?.clone() };
        tokio::select! {
            biased;
            Some(reason) = blocked => Err(format!("the broker takes no messages: {reason}")),
            answer = timeout_at(until, asking) => {
                answer.map_err(|_| "the broker does not answer in time".to_owned())
            }
        }
    }
}

fn not_taken(cause: String) -> BrokerError {
    BrokerError::NotTaken { exchange: "amq.default".to_owned(), cause }
}
