//! One delivery, and the envelope that the rest of the daemon sees of it.

use crate::event::Envelope;
use crate::verdict::History;
use chrono::DateTime;
use lapin::message;
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{Acker, BasicProperties};

/// A message that the broker has handed out and that is ours until it is settled.
#[derive(Debug)]
pub struct Delivery {
    /// What the event is read from.
    pub envelope: Envelope,
    /// What happened to it before it came here this time.
    pub history: History,
    /// How often it was delivered before (header `x-delivery-count` of a quorum queue).
    pub deliveries: u32,
    pub(crate) properties: BasicProperties,
    pub(crate) acker: Acker,
}

impl From<message::Delivery> for Delivery {
    fn from(delivery: message::Delivery) -> Delivery {
        let message::Delivery { exchange, routing_key, properties, data, acker, .. } = delivery;
        let empty = FieldTable::default();
        let headers = properties.headers().as_ref().unwrap_or(&empty);
        let envelope = Envelope {
            body: data,
            content_type: plain(properties.content_type()),
            message_type: plain(properties.kind()),
            message_id: plain(properties.message_id()),
            // A copy of ours comes from a delay queue, and says in headers where it was published.
            exchange: text(headers, "x-eventd-exchange").unwrap_or(exchange.to_string()),
            routing_key: text(headers, "x-eventd-routing-key").unwrap_or(routing_key.to_string()),
        };
        let history = history(headers);
        let deliveries = number(headers, "x-delivery-count");
        Delivery { envelope, history, deliveries, properties, acker }
    }
}

/// What the headers of a copy of ours say; what is missing or makes no sense counts as nothing.
fn history(headers: &FieldTable) -> History {
    let first_failed_at = text(headers, "x-eventd-first-failed-at");
    let done = text(headers, "x-eventd-done").unwrap_or_default();
    History {
        attempts: number(headers, "x-eventd-attempts"),
        first_failed_at: first_failed_at
            .and_then(|at| DateTime::parse_from_rfc3339(&at).ok())
            .map(|at| at.to_utc()),
        request_id: None,
        climbed: number(headers, "x-eventd-rung"),
        done: done.split_whitespace().map(str::to_owned).collect(),
    }
}

fn plain(text: &Option<ShortString>) -> Option<String> {
    text.as_ref().map(ShortString::to_string)
}

fn text(headers: &FieldTable, name: &str) -> Option<String> {
    let value = headers.inner().get(name)?;
    if let AMQPValue::LongString(text) = value { Some(text.to_string()) } else { None }
}

fn number(headers: &FieldTable, name: &str) -> u32 {
    let number = match headers.inner().get(name) {
        Some(AMQPValue::LongLongInt(number)) => Some(*number),
        Some(AMQPValue::LongInt(number)) => Some(i64::from(*number)),
        Some(AMQPValue::LongUInt(number)) => Some(i64::from(*number)),
        Some(AMQPValue::ShortInt(number)) => Some(i64::from(*number)),
        // RabbitMQ leaves `x-delivery-count` out at the first delivery.
        Some(_) | None => None,
    };
    number.and_then(|number| u32::try_from(number).ok()).unwrap_or(0)
}
