//! Publishes copies so that they are either safe in a queue or known not to be.

use super::connection::{Broker, BrokerError, cause, lost};
use super::copy;
use super::outgoing::{MOST_LATE, Outgoing};
use super::publication::{Publication, Sent};
use super::sieve::FRAME_MAX;
use crate::event::Envelope;
use lapin::options::ConfirmSelectOptions;
use lapin::{BasicProperties, Channel, Confirmation, Connection, PublisherConfirm};
use std::sync::{Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;
use tokio::sync::{Notify, Semaphore, watch};

/// Copies that are published at the same time at most.
const MOST_COPIES: usize = 64;

/// The session's way to publish, on channels of its own: a refused copy must not take a consumer down.
/// A channel has one copy at a time, so that a returned one can only be the one waited for.
#[derive(Debug)]
pub struct Publisher {
    connection: Weak<Connection>,
    turns: Semaphore,
    outgoing: Mutex<Outgoing>,
    blocked: watch::Receiver<Option<String>>,
    /// Notified when a copy had no queue to go to.
    unrouted: Notify,
    /// Maximum time until a copy is confirmed.
    confirm: Duration,
}

impl Publisher {
    /// Opens a channel and asks for confirms.
    ///
    /// # Errors
    ///
    /// [`BrokerError::Lost`].
    pub async fn open(broker: &Broker) -> Result<Publisher, BrokerError> {
        let publisher = Publisher::of(broker);
        let channel = publisher.channel().await?;
        publisher.outgoing().keep(channel);
        Ok(publisher)
    }

    /// One that opens its channel with its first copy.
    pub(super) fn of(broker: &Broker) -> Publisher {
        let (connection, blocked) = (broker.connection(), broker.blocked());
        let confirm = broker.timings().confirm;
        let (turns, outgoing) = (Semaphore::new(MOST_COPIES), Mutex::default());
        let unrouted = Notify::new();
        Publisher { connection, turns, outgoing, blocked, unrouted, confirm }
    }

    /// The largest frame that the broker takes, in bytes.
    pub(super) fn frame_max(&self) -> usize {
        let connection = self.connection.upgrade();
        connection.map_or(FRAME_MAX, |connection| connection.configuration().frame_max()) as usize
    }

    /// Publishes and waits for the confirm: after `Ok` the copy is in a queue, if one has to take it.
    ///
    /// # Errors
    ///
    /// [`BrokerError::NotTaken`] when the broker says so, or says nothing in time, or does not permit
    /// it; and [`BrokerError::Lost`] with the connection.
    pub async fn publish(
        &self,
        copy: Publication<'_>,
        properties: BasicProperties,
    ) -> Result<(), BrokerError> {
        let not_taken =
            |cause: String| BrokerError::NotTaken { exchange: copy.exchange.to_owned(), cause };
        let sent = Sent::of(&copy).ok_or_else(|| {
            not_taken("a name is longer than the 255 bytes that AMQP allows".into())
        })?;
        let _turn = self.turns.acquire().await.expect("nobody closes it");
        if let Some(reason) = &*self.blocked.borrow() {
            return Err(not_taken(takes_none(reason)));
        }
        let late = self.outgoing().take_late(&sent);
        let (channel, mut confirm) = match late {
            Some(late) => late,
            None if self.outgoing().has_many_late(&sent) => {
                return Err(not_taken(format!(
                    "{MOST_LATE} copies before it are not confirmed yet"
                )));
            }
            None => {
                let opening = tokio::time::timeout(self.confirm, self.free_channel());
                let channel =
                    opening.await.map_err(|_| not_taken("no channel in time".into()))??;
                let sending = sent.send(&channel, &copy, properties).await;
                (channel, sending.map_err(|error| self.refused(&error, not_taken))?)
            }
        };
        let confirmation = match self.answer(&mut confirm).await {
            Ok(confirmation) => confirmation.map_err(|error| self.refused(&error, not_taken))?,
            Err(cause) => {
                self.outgoing().keep_late(sent, channel, confirm);
                return Err(not_taken(cause));
            }
        };
        // Not on this channel again: one that has met a quorum queue whose leader had died with its
        // node refuses for ever, although the queue has a new one (seen with RabbitMQ 3.10.8).
        if !matches!(confirmation, Confirmation::Nack(_)) {
            self.outgoing().keep(channel);
        }
        match confirmation {
            Confirmation::Ack(None) => Ok(()),
            Confirmation::Ack(Some(_)) => {
                self.unrouted.notify_one();
                Err(not_taken(match copy.exchange {
                    "" => format!("the queue {} is not there", copy.routing_key),
                    _ => "no queue is bound for it".to_owned(),
                }))
            }
            Confirmation::Nack(_) => Err(not_taken("a queue refused it".into())),
            Confirmation::NotRequested => Err(not_taken("confirms are off".into())),
        }
    }

    /// Publishes a new message to `exchange`, as safely as a copy: its envelope says everything but where
    /// to.
    ///
    /// # Errors
    ///
    /// The same.
    pub async fn send(
        &self,
        exchange: &str,
        routing_key: &str,
        envelope: &Envelope,
    ) -> Result<(), BrokerError> {
        let not_taken = |cause: &str| BrokerError::NotTaken {
            exchange: exchange.to_owned(),
            cause: cause.to_owned(),
        };
        let properties = copy::new(envelope)
            .ok_or_else(|| not_taken("a property is longer than the 255 bytes that AMQP allows"))?;
        let publication =
            Publication { of: None, mandatory: true, exchange, routing_key, body: &envelope.body };
        self.publish(publication, properties).await
    }

    /// Gives up what is kept for the copies of a delivery, as soon as that is settled.
    pub fn forget(&self, delivery: u64) {
        self.outgoing().forget(delivery);
    }

    /// Comes when a copy had no queue to go to, also one before. One may wait for it.
    pub async fn could_not_route(&self) {
        self.unrouted.notified().await;
    }

    /// Whether the broker takes no messages for now, because it is short of memory or disk.
    pub fn is_blocked(&self) -> bool {
        self.blocked.borrow().is_some()
    }

    /// What the broker answers to a copy; otherwise why it is not waited for any longer.
    async fn answer(
        &self,
        confirm: &mut PublisherConfirm,
    ) -> Result<Result<Confirmation, lapin::Error>, String> {
        let mut blocked = self.blocked.clone();
        // `None` with the end of the connection, which is an answer too.
        let blocked = async { blocked.wait_for(Option::is_some).await.ok()?.clone() };
        tokio::select! {
            biased;
            answer = tokio::time::timeout(self.confirm, confirm) => {
                answer.map_err(|_| "no confirm in time".into())
            }
            // It may be this very copy that it says this over: no confirm comes before it takes more.
            Some(reason) = blocked => Err(takes_none(&reason)),
        }
    }

    /// A channel without a copy: one that is there, or a new one.
    async fn free_channel(&self) -> Result<Channel, BrokerError> {
        let kept = self.outgoing().take_channel();
        match kept {
            Some(channel) => Ok(channel),
            None => self.channel().await,
        }
    }

    fn outgoing(&self) -> MutexGuard<'_, Outgoing> {
        self.outgoing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn channel(&self) -> Result<Channel, BrokerError> {
        let gone = || BrokerError::Lost("the connection is closed".into());
        let connection = self.connection.upgrade().ok_or_else(gone)?;
        let channel = connection.create_channel().await.map_err(lost)?;
        channel.confirm_select(ConfirmSelectOptions::default()).await.map_err(lost)?;
        Ok(channel)
    }

    /// A channel that the broker closes over a copy, because we may not write to the exchange, costs
    /// that copy and nothing else. An exchange that is not there any more is for the next session to
    /// declare, or to wait for.
    fn refused(
        &self,
        error: &lapin::Error,
        not_taken: impl Fn(String) -> BrokerError,
    ) -> BrokerError {
        let cause = cause(error);
        let lives = |connection: &Connection| connection.status().connected();
        match self.connection.upgrade() {
            Some(connection) if lives(&connection) && !cause.starts_with("NOT_FOUND") => {
                not_taken(cause)
            }
            Some(_) | None => BrokerError::Lost(cause),
        }
    }
}

fn takes_none(reason: &str) -> String {
    format!("the broker takes no messages: {reason}")
}
