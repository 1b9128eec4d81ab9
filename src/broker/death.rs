//! What the broker says of a message that it has dead-lettered.

use super::header::{spelled, timestamp};
use chrono::{DateTime, Utc};
use lapin::types::{AMQPValue, FieldTable};

/// What the broker says of the last time that it dead-lettered a message, in the first entry of `x-death`
/// (RabbitMQ, "Dead Letter Exchanges").
#[derive(Debug, Default)]
pub(super) struct Death {
    pub(super) reason: Option<String>,
    pub(super) queue: Option<String>,
    pub(super) exchange: Option<String>,
    pub(super) routing_key: Option<String>,
    pub(super) at: Option<DateTime<Utc>>,
}

impl Death {
    /// True where it waited in one of the delay queues of `queue`, which only copies come to.
    pub(super) fn is_of_delay(&self, queue: &str) -> bool {
        let of_lane = |key: &str| key.strip_prefix(queue).is_some_and(|rest| rest.starts_with('.'));
        self.exchange.as_deref() == Some("") && self.routing_key.as_deref().is_some_and(of_lane)
    }

    /// Reads the headers of a message; `None` of one that the broker has not dead-lettered.
    pub(super) fn last(headers: &FieldTable) -> Option<Death> {
        let Some(AMQPValue::FieldArray(deaths)) = headers.inner().get("x-death") else {
            return None;
        };
        let Some(AMQPValue::FieldTable(last)) = deaths.as_slice().first() else { return None };
        let routing_key = match last.inner().get("routing-keys") {
            Some(AMQPValue::FieldArray(keys)) => keys.as_slice().first().and_then(spelled),
            Some(_) | None => None,
        };
        let at = match last.inner().get("time") {
            Some(AMQPValue::Timestamp(seconds)) => timestamp(*seconds),
            Some(_) | None => None,
        };
        let said = |name: &str| last.inner().get(name).and_then(spelled);
        Some(Death {
            reason: said("reason"),
            queue: said("queue"),
            exchange: said("exchange"),
            routing_key,
            at,
        })
    }
}
