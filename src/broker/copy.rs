//! The copies of a message that the daemon publishes: properties and headers.

use super::authorship::{CLAIMED, USER_ID};
use super::dead_letter::DeadLetter;
use super::delivery::Delivery;
use super::header::{With, persistent, with_timestamp};
use crate::event::Envelope;
use crate::verdict::{Fault, History, Reason};
use chrono::{DateTime, SecondsFormat, Utc};
use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable, ShortString};

/// What a dead letter says beside where, by whom and how often it was published.
const SAID: [&str; 7] = [
    "x-eventd-altered",
    "x-eventd-code",
    "x-eventd-detail",
    "x-eventd-attempts",
    "x-eventd-first-failed-at",
    "x-eventd-request-id",
    "x-eventd-version",
];

/// The properties of the dead letter: those of the original, and headers that say why it is there.
/// Where it stood on the delay ladder is not among them: whoever sends it in again starts anew.
pub(super) fn dead_letter(
    delivery: &Delivery,
    reason: Reason,
    fault: &Fault,
    history: &History,
    (queue, at): (&str, DateTime<Utc>),
) -> BasicProperties {
    let mut headers = common_headers(delivery, fault, history);
    let at = at.to_rfc3339_opts(SecondsFormat::Secs, true);
    insert(&mut headers, "x-eventd-dead-lettered-at", &at);
    insert(&mut headers, "x-eventd-reason", reason.label());
    insert(&mut headers, "x-eventd-queue", queue);
    insert(&mut headers, "x-eventd-version", env!("CARGO_PKG_VERSION"));
    if let Some(request_id) = history.request_id {
        insert(&mut headers, "x-eventd-request-id", &request_id.to_string());
    }
    lasting(&delivery.properties).with_headers(headers)
}

/// The properties of a copy that comes back to its lane, having climbed so many rungs.
pub(super) fn waiting(
    delivery: &Delivery,
    climbed: u32,
    fault: &Fault,
    history: &History,
) -> BasicProperties {
    let mut headers = common_headers(delivery, fault, history);
    headers.insert("x-eventd-rung".into(), AMQPValue::LongLongInt(climbed.into()));
    insert(&mut headers, "x-eventd-done", &history.done.text());
    lasting(&delivery.properties).with_headers(headers)
}

/// The properties of a message that is new; `None` if one does not fit into AMQP.
pub(super) fn new(envelope: &Envelope) -> Option<BasicProperties> {
    let texts: [(&Option<String>, With); 5] = [
        (&envelope.content_type, BasicProperties::with_content_type),
        (&envelope.content_encoding, BasicProperties::with_content_encoding),
        (&envelope.message_id, BasicProperties::with_message_id),
        (&envelope.message_type, BasicProperties::with_type),
        (&envelope.user_id, BasicProperties::with_user_id),
    ];
    let mut properties = BasicProperties::default().with_delivery_mode(2);
    for (value, with) in texts {
        if let Some(value) = value {
            properties = with(properties, ShortString::try_new(value.as_str()).ok()?);
        }
    }
    if let Some(seconds) = envelope.timestamp.and_then(|at| u64::try_from(at.timestamp()).ok()) {
        properties = properties.with_timestamp(seconds);
    }
    let mut headers = FieldTable::default();
    for (name, value) in &envelope.attributes {
        ShortString::try_new(format!("cloudEvents:{name}")).ok()?;
        insert(&mut headers, &format!("cloudEvents:{name}"), value.as_deref().unwrap_or_default());
    }
    if let Some(traceparent) = &envelope.traceparent {
        insert(&mut headers, "traceparent", traceparent);
    }
    Some(properties.with_headers(headers))
}

/// The properties of a dead letter that people send back to its lane, which begins anew there: nothing of
/// what happened to it is kept but how often they did.
pub(super) fn replayed(letter: &DeadLetter) -> BasicProperties {
    let mut headers = foreign_headers(letter.properties.headers().as_ref());
    origin(&mut headers, &letter.envelope, letter.replays.saturating_add(1));
    lasting(&letter.properties).with_headers(headers)
}

/// The properties of a dead letter that `reader` puts to the end of its queue: what is read of it is the same as
/// before, with our own words for what the broker said. Its priority is in a header, since RabbitMQ 4 would hand it
/// out before others.
pub(super) fn put_back(letter: &DeadLetter, reader: &str) -> BasicProperties {
    let original = letter.properties.headers().as_ref();
    let mut headers = foreign_headers(original);
    for (name, value) in original.into_iter().flat_map(FieldTable::inner) {
        if SAID.contains(&name.as_str()) && letter.is_said {
            headers.insert(name.clone(), value.clone());
        }
    }
    if !letter.is_proven {
        headers.insert(CLAIMED.into(), AMQPValue::Boolean(true));
    }
    origin(&mut headers, &letter.envelope, letter.replays);
    insert(&mut headers, "x-eventd-reason", letter.grounds.label());
    insert(&mut headers, "x-eventd-reader", reader);
    if let Some(queue) = &letter.queue {
        insert(&mut headers, "x-eventd-queue", queue);
    }
    if let Some(since) = letter.since {
        insert(&mut headers, "x-eventd-dead-lettered-at", &since.to_rfc3339());
    }
    if let Some(priority) = letter.properties.priority() {
        headers.insert("x-eventd-priority".into(), AMQPValue::LongLongInt((*priority).into()));
    }
    without_priority(&letter.properties).with_headers(headers)
}

/// The headers that every copy has: its own, where it was published, what happened to it so far.
fn common_headers(delivery: &Delivery, fault: &Fault, history: &History) -> FieldTable {
    let mut headers = foreign_headers(delivery.properties.headers().as_ref());
    insert(&mut headers, "x-eventd-code", &fault.code);
    insert(&mut headers, "x-eventd-detail", &fault.detail);
    origin(&mut headers, &delivery.envelope, history.replays);
    if let Some(altered) = &history.altered {
        insert(&mut headers, "x-eventd-altered", altered);
    }
    if let Some(at) = history.first_failed_at {
        insert(&mut headers, "x-eventd-first-failed-at", &at.to_rfc3339());
    }
    headers.insert("x-eventd-attempts".into(), AMQPValue::LongLongInt(history.attempts.into()));
    headers
}

/// Where and by whom it was published, and how often it was sent in again.
fn origin(headers: &mut FieldTable, envelope: &Envelope, replays: u32) {
    insert(headers, "x-eventd-exchange", &envelope.exchange);
    insert(headers, "x-eventd-routing-key", &envelope.routing_key);
    if let Some(user_id) = &envelope.user_id {
        insert(headers, USER_ID, user_id);
    }
    if replays > 0 {
        headers.insert("x-eventd-replays".into(), AMQPValue::LongLongInt(replays.into()));
    }
}

fn insert(headers: &mut FieldTable, name: &str, value: &str) {
    headers.insert(name.into(), AMQPValue::LongString(value.into()));
}

/// The properties of the original that a copy keeps. Not its expiration, because a copy must not
/// vanish; and not its user id, because a copy has ours. The copy is persistent whatever the original was.
fn lasting(original: &BasicProperties) -> BasicProperties {
    let copy = without_priority(original);
    match original.priority() {
        Some(priority) => copy.with_priority(*priority),
        None => copy,
    }
}

/// The literal name is for the channel that published it: from us RabbitMQ 4.3 refuses it, with 406 (RabbitMQ, "Direct
/// Reply-to"). What the broker makes of it for others has more behind it.
const DIRECT_REPLY: &str = "amq.rabbitmq.reply-to";

fn without_priority(original: &BasicProperties) -> BasicProperties {
    let reply_to = original.reply_to().clone().filter(|queue| queue.as_str() != DIRECT_REPLY);
    let texts: [(&Option<ShortString>, With); 8] = [
        (original.content_type(), BasicProperties::with_content_type),
        (original.content_encoding(), BasicProperties::with_content_encoding),
        (original.correlation_id(), BasicProperties::with_correlation_id),
        (&reply_to, BasicProperties::with_reply_to),
        (original.message_id(), BasicProperties::with_message_id),
        (original.kind(), BasicProperties::with_type),
        (original.app_id(), BasicProperties::with_app_id),
        (original.cluster_id(), BasicProperties::with_cluster_id),
    ];
    with_timestamp(persistent(texts), original)
}

/// The headers that the message came with, without ours of an earlier copy and without those that
/// mean something to the broker: a copy that carried `x-death` would be taken for a cycle, and one
/// with `CC` would be routed elsewhere too.
fn foreign_headers(headers: Option<&FieldTable>) -> FieldTable {
    let mut kept = FieldTable::default();
    for (name, value) in headers.into_iter().flat_map(FieldTable::inner) {
        if !is_left_out(name) {
            kept.insert(name.clone(), value.clone());
        }
    }
    kept
}

fn is_left_out(name: &ShortString) -> bool {
    let name = name.as_str();
    matches!(name, "x-death" | "x-delivery-count" | "x-acquired-count" | "CC" | "BCC")
        || name.starts_with("x-eventd-")
        || name.starts_with("x-first-death-")
        || name.starts_with("x-last-death-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_asks_for_no_answer_where_nobody_but_its_producer_may() {
        for (reply_to, kept) in [
            ("amq.rabbitmq.reply-to", None),
            ("amq.rabbitmq.reply-to.g1h2", Some("amq.rabbitmq.reply-to.g1h2")),
            ("answers", Some("answers")),
        ] {
            let copy = lasting(&BasicProperties::default().with_reply_to(reply_to.into()));
            assert_eq!(copy.reply_to().as_ref().map(ShortString::as_str), kept);
        }
    }
}
