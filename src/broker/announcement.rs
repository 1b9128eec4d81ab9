//! What became of a message, told to whoever listens, and to who asked for an answer.

use super::connection::{Broker, BrokerError, lost};
use super::delivery::Delivery;
use super::publication::Publication;
use super::publisher::Publisher;
use crate::settings::Amqp;
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{BasicProperties, Channel};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Answers that wait for being sent; what is more is dropped.
const MOST_ANSWERS: usize = 256;

/// What is told of a message.
#[derive(Clone, Copy, Debug)]
pub struct Announcement<'a> {
    /// Its id.
    pub id: &'a str,
    /// Its type, which is its routing key too.
    pub event_type: &'a str,
    /// What it is correlated by where the message does not say.
    pub correlation_id: Option<&'a str>,
    /// The trace that it belongs to (W3C `traceparent`).
    pub traceparent: Option<&'a str>,
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
        // On the heap, for most daemons tell nobody, and their messages would carry the room for it along.
        Box::pin(publisher.publish(publication, properties(delivery, announcement))).await
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
        if !answers.put(answer) {
            tracing::debug!("an answer was dropped");
        }
    }
}

/// Answers whoever asked for that, on a connection of its own and without holding anything up. A stranger says
/// where to, and the broker ends the whole connection over some names that look like a "direct reply-to" (seen
/// with RabbitMQ 3.10.8).
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

/// Who sends them, until `over`.
struct Answering {
    amqp: Amqp,
    over: CancellationToken,
    connected: Option<(Broker, Channel)>,
}

impl Answers {
    /// Begins to answer, for as long as `broker` is connected, and never into one of `own_queues` or what
    /// belongs to one of them.
    pub fn open(broker: &Broker, amqp: Amqp, own_queues: Vec<String>) -> Answers {
        let (waiting, answers) = mpsc::channel(MOST_ANSWERS);
        let answering = Answering { amqp, over: broker.over(), connected: None };
        tokio::spawn(answering.run(answers));
        Answers { waiting, own_queues }
    }

    /// Has `answer` sent, unless too many wait for that.
    fn put(&self, answer: Answer) -> bool {
        self.waiting.try_send(answer).is_ok()
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
    async fn run(mut self, mut answers: mpsc::Receiver<Answer>) {
        let over = self.over.clone();
        while let Some(Some(answer)) = over.run_until_cancelled(answers.recv()).await {
            let sending = tokio::time::timeout(self.amqp.timings.reply, self.send(answer));
            let Some(sent) = over.run_until_cancelled(sending).await else { break };
            let problem = match sent {
                Ok(Ok(())) => continue,
                Ok(Err(error)) => error.to_string(),
                Err(_) => "the broker does not take it in time".to_owned(),
            };
            tracing::debug!(problem, "an answer was not sent");
            self.connected = None;
        }
        if let Some((broker, _)) = self.connected {
            broker.close().await;
        }
    }

    /// Sends one, and waits until the broker has looked at it: what one costs, costs no other.
    async fn send(&mut self, answer: Answer) -> Result<(), BrokerError> {
        let (_, channel) = match &mut self.connected {
            Some(connected) => connected,
            none => none.insert(connect(&self.amqp).await?),
        };
        let options = BasicPublishOptions::default();
        let Answer { to, body, properties } = answer;
        let confirm = channel.basic_publish("".into(), to, options, &body, properties).await;
        confirm.map_err(lost)?.await.map_err(lost)?;
        Ok(())
    }
}

async fn connect(amqp: &Amqp) -> Result<(Broker, Channel), BrokerError> {
    let broker = Broker::connect(amqp, |_| {}).await?;
    let channel = broker.channel().await?;
    channel.confirm_select(ConfirmSelectOptions::default()).await.map_err(lost)?;
    Ok((broker, channel))
}

fn properties(delivery: &Delivery, announcement: Announcement<'_>) -> BasicProperties {
    let Announcement { id, event_type, correlation_id, traceparent, .. } = announcement;
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
    if let Some(traceparent) = traceparent {
        let mut headers = FieldTable::default();
        headers.insert("traceparent".into(), AMQPValue::LongString(traceparent.into()));
        properties = properties.with_headers(headers);
    }
    properties
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_answers_wait_and_what_is_more_is_dropped() {
        let (waiting, _answers) = mpsc::channel(MOST_ANSWERS);
        let answers = Answers { waiting, own_queues: Vec::new() };
        let answer =
            || Answer { to: "a".into(), body: Vec::new(), properties: BasicProperties::default() };
        for _ in 0..MOST_ANSWERS {
            assert!(answers.put(answer()));
        }
        assert!(!answers.put(answer()));
    }
}
