//! One delivery, and the envelope that the rest of the daemon sees of it.

use crate::event::Envelope;
use lapin::message::Delivery;
use lapin::types::{AMQPValue, FieldTable};

/// Reads the envelope of `delivery`.
pub fn envelope(delivery: &Delivery) -> Envelope {
    let properties = &delivery.properties;
    let text = |text: &Option<lapin::types::ShortString>| {
        text.as_ref().map(|text| text.as_str().to_owned())
    };
    Envelope {
        body: delivery.data.clone(),
        content_type: text(properties.content_type()),
        message_type: text(properties.kind()),
        message_id: text(properties.message_id()),
        routing_key: delivery.routing_key.as_str().to_owned(),
        deliveries: deliveries(properties.headers().as_ref()),
    }
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
