//! What became of a message, told to whoever listens, and to who asked for an answer.

use super::connection::{Broker, BrokerError};
use super::delivery::Delivery;
use super::publisher::{Publication, Publisher};
use lapin::options::BasicPublishOptions;
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{BasicProperties, Channel, Connection};
use std::sync::Weak;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

/// Answers that wait for being sent; what is more is dropped.
const MOST_ANSWERS: usize = 256;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// What is told of a message.
#[derive(Clone, Copy, Debug)]
pub struct Announcement<'a> {
    /// Its id.
    pub id: &'a str,
    /// Its type, which is its routing key too.
    pub event_type: &'a str,
    /// What it is correlated by where the message does not say.
    pub correlation_id: Option<&'a str>,
    /// A CloudEvent in structured JSON.
    pub body: &'a str,
}

/// Tells what became of messages.
#[derive(Debug)]
pub struct Announcer {
    /// The exchange where it is told to everybody, if it is.
    pub exchange: Option<String>,
    /// Who answers those that ask for it, if they are answered.
    pub answers: Option<Answers>,
}

impl Announcer {
    /// Whether anybody is told anything.
    pub fn is_needed(&self) -> bool {
        self.exchange.is_some() || self.answers.is_some()
    }

    /// Tells everybody what becomes of `delivery`; it is safe then, or nobody listens.
    ///
    /// # Errors
    ///
    /// [`BrokerError::NotTaken`] when it is neither; others with the connection.
    pub async fn announce(
        &self,
        publisher: &Publisher,
        delivery: &Delivery,
        announcement: Announcement<'_>,
    ) -> Result<(), BrokerError> {
        let Some(exchange) = &self.exchange else { return Ok(()) };
        let Announcement { event_type: routing_key, body, .. } = announcement;
        let (of, mandatory, body) = (Some(delivery.tag), false, body.as_bytes());
        let publication = Publication { of, mandatory, exchange, routing_key, body };
        publisher.publish(publication, properties(delivery, announcement)).await
    }

    /// Answers who sent `delivery` and asked for that, if that can be done at once.
    pub fn answer(&self, delivery: &Delivery, announcement: Announcement<'_>) {
        let Some(answers) = &self.answers else { return };
        let Some(to) = delivery.properties.reply_to() else { return };
        if answers.is_ours(to.as_str()) {
            tracing::warn!("an answer was asked for in a queue of ours, and is not given");
            return;
        }
        let properties = properties(delivery, announcement);
        let answer = Answer { to: to.clone(), body: announcement.body.into(), properties };
        // It is the best that can be done: who asked may have gone, too.
        if answers.waiting.try_send(answer).is_err() {
            tracing::debug!("an answer was dropped");
        }
    }
}

/// Answers whoever asked for that, on a channel of their own and without holding anything up.
#[derive(Debug)]
pub struct Answers {
    waiting: mpsc::Sender<Answer>,
    own_queues: Vec<String>,
}

#[derive(Debug)]
struct Answer {
    to: ShortString,
    body: Vec<u8>,
    properties: BasicProperties,
}

/// Who sends them, for as long as the connection lives.
struct Answering {
    connection: Weak<Connection>,
    blocked: watch::Receiver<Option<String>>,
    channel: Option<Channel>,
}

impl Answers {
    /// On the connection of `broker`, and never into one of `own_queues` or what belongs to one of them: a
    /// stranger says where to.
    pub fn open(broker: &Broker, own_queues: Vec<String>) -> Answers {
        let (waiting, answers) = mpsc::channel(MOST_ANSWERS);
        let (connection, blocked) = (broker.connection(), broker.blocked());
        let answering = Answering { connection, blocked, channel: None };
        tokio::spawn(answering.run(answers, broker.over()));
        Answers { waiting, own_queues }
    }

    fn is_ours(&self, queue: &str) -> bool {
        let is_of = |own: &String| {
            queue
                .strip_prefix(own.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        queue.is_empty() || self.own_queues.iter().any(is_of)
    }
}

impl Answering {
    async fn run(mut self, mut answers: mpsc::Receiver<Answer>, over: CancellationToken) {
        while let Some(Some(answer)) = over.run_until_cancelled(answers.recv()).await {
            // A broker that takes no messages would read nothing more of this connection, acks neither.
            if self.blocked.borrow().is_some() {
                continue;
            }
            let sending = tokio::time::timeout(PATIENCE, self.send(answer));
            match over.run_until_cancelled(sending).await {
                Some(Ok(Ok(()))) => {}
                Some(Ok(Err(error))) => {
                    tracing::debug!(%error, "an answer was not sent");
                    self.channel = None;
                }
                Some(Err(_)) => self.channel = None,
                None => return,
            }
        }
    }

    async fn send(&mut self, answer: Answer) -> Result<(), lapin::Error> {
        let channel = match self.channel.take().filter(|channel| channel.status().connected()) {
            Some(channel) => channel,
            None => match self.connection.upgrade() {
                Some(connection) => connection.create_channel().await?,
                None => return Ok(()),
            },
        };
        let options = BasicPublishOptions::default();
        let Answer { to, body, properties } = answer;
        channel.basic_publish("".into(), to, options, &body, properties).await?;
        self.channel = Some(channel);
        Ok(())
    }
}

fn properties(delivery: &Delivery, announcement: Announcement<'_>) -> BasicProperties {
    let Announcement { id, event_type, correlation_id, .. } = announcement;
    let mut properties = BasicProperties::default()
        .with_content_type("application/cloudevents+json".into())
        .with_delivery_mode(2)
        .with_message_id(id.into())
        .with_type(event_type.into());
    let given = delivery.properties.correlation_id().clone();
    let correlation_id =
        given.or_else(|| correlation_id.and_then(|id| ShortString::try_new(id).ok()));
    if let Some(correlation_id) = correlation_id {
        properties = properties.with_correlation_id(correlation_id);
    }
    if let Some(traceparent) = &delivery.envelope.traceparent {
        let mut headers = FieldTable::default();
        headers.insert("traceparent".into(), AMQPValue::LongString(traceparent.as_str().into()));
        properties = properties.with_headers(headers);
    }
    properties
}
