//! One delivery, and the envelope that the rest of the daemon sees of it.

use crate::event::Envelope;
use lapin::Acker;
use lapin::message;
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{BasicProperties, types};

/// A message that the broker has handed out and that is ours until it is settled.
#[derive(Debug)]
pub struct Delivery {
    /// What the event is read from.
    pub envelope: Envelope,
    pub(crate) exchange: String,
    pub(crate) properties: BasicProperties,
    pub(crate) acker: Acker,
}

impl From<message::Delivery> for Delivery {
    fn from(delivery: message::Delivery) -> Delivery {
        let message::Delivery { exchange, routing_key, properties, data, acker, .. } = delivery;
        let envelope = Envelope {
            body: data,
            content_type: text(properties.content_type()),
            message_type: text(properties.kind()),
            message_id: text(properties.message_id()),
            routing_key: routing_key.to_string(),
            deliveries: deliveries(properties.headers().as_ref()),
        };
        Delivery { envelope, exchange: exchange.to_string(), properties, acker }
    }
}

fn text(text: &Option<ShortString>) -> Option<String> {
    text.as_ref().map(types::ShortString::to_string)
}

fn deliveries(headers: Option<&FieldTable>) -> u32 {
    let count = headers.and_then(|headers| headers.inner().get("x-delivery-count"));
    let count = match count {
        Some(AMQPValue::LongLongInt(count)) => Some(*count),
        Some(AMQPValue::LongInt(count)) => Some(i64::from(*count)),
        Some(AMQPValue::LongUInt(count)) => Some(i64::from(*count)),
        // RabbitMQ sends an integer, and leaves the header out at the first delivery.
        Some(_) | None => None,
    };
    count.and_then(|count| u32::try_from(count).ok()).unwrap_or(0)
}
