//! The headers and properties of a message, as far as they are of a type that is expected.

use chrono::{DateTime, Utc};
use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable, ShortString};

/// Sets one property.
pub(super) type With = fn(BasicProperties, ShortString) -> BasicProperties;

/// Persistent properties of these texts, as far as they are there.
pub(super) fn persistent<const N: usize>(
    texts: [(&Option<ShortString>, With); N],
) -> BasicProperties {
    let set = |copy, (value, with): (&Option<ShortString>, With)| match value {
        Some(value) => with(copy, value.clone()),
        None => copy,
    };
    texts.into_iter().fold(BasicProperties::default().with_delivery_mode(2), set)
}

/// The same with the time of the original, if it has one.
pub(super) fn with_timestamp(copy: BasicProperties, original: &BasicProperties) -> BasicProperties {
    match original.timestamp() {
        Some(timestamp) => copy.with_timestamp(*timestamp),
        None => copy,
    }
}

/// What headers say of a CloudEvent in binary mode.
pub(super) fn attributes(headers: &FieldTable) -> Vec<(String, Option<String>)> {
    let named = |(name, value): (&ShortString, &AMQPValue)| {
        Some((attribute(name.as_str())?, spelled(value)))
    };
    headers.inner().iter().filter_map(named).collect()
}

/// The attribute of a CloudEvent in binary mode that a header of this name has, if it has one. Its binding wants
/// `cloudEvents:`, or `cloudEvents_` where a colon is a burden (CloudEvents AMQP binding 1.0.2, section 3.1.3); who
/// comes from HTTP keeps `ce-`.
pub(super) fn attribute(header: &str) -> Option<String> {
    let name = header.to_ascii_lowercase();
    let prefixes = ["ce-", "cloudevents:", "cloudevents_"];
    prefixes.iter().find_map(|prefix| name.strip_prefix(prefix)).map(str::to_owned)
}

/// A value as CloudEvents spells it, if it is of a type that an attribute can have.
pub(super) fn spelled(value: &AMQPValue) -> Option<String> {
    match value {
        AMQPValue::LongString(text) => Some(text.to_string()),
        AMQPValue::ShortString(text) => Some(text.to_string()),
        AMQPValue::Boolean(value) => Some(value.to_string()),
        AMQPValue::ShortShortInt(number) => Some(number.to_string()),
        AMQPValue::ShortShortUInt(number) => Some(number.to_string()),
        AMQPValue::ShortInt(number) => Some(number.to_string()),
        AMQPValue::ShortUInt(number) => Some(number.to_string()),
        AMQPValue::LongInt(number) => Some(number.to_string()),
        AMQPValue::LongUInt(number) => Some(number.to_string()),
        AMQPValue::LongLongInt(number) => Some(number.to_string()),
        AMQPValue::Timestamp(seconds) => timestamp(*seconds).map(|time| time.to_rfc3339()),
        AMQPValue::Float(_)
        | AMQPValue::Double(_)
        | AMQPValue::DecimalValue(_)
        | AMQPValue::FieldArray(_)
        | AMQPValue::FieldTable(_)
        | AMQPValue::ByteArray(_)
        | AMQPValue::Void => None,
    }
}

/// In seconds, as AMQP has it.
pub(super) fn timestamp(seconds: u64) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp(i64::try_from(seconds).ok()?, 0)
}

pub(super) fn plain(text: &Option<ShortString>) -> Option<String> {
    text.as_ref().map(ShortString::to_string)
}

pub(super) fn text(headers: &FieldTable, name: &str) -> Option<String> {
    let value = headers.inner().get(name)?;
    if let AMQPValue::LongString(text) = value { Some(text.to_string()) } else { None }
}

/// A text that fits where AMQP has short ones.
pub(super) fn short(headers: &FieldTable, name: &str) -> Option<String> {
    text(headers, name).filter(|text| ShortString::try_new(text.as_str()).is_ok())
}

/// A number that is there and fits. RabbitMQ leaves `x-delivery-count` out at the first delivery.
pub(super) fn number<T: TryFrom<i64>>(headers: &FieldTable, name: &str) -> Option<T> {
    let number = match headers.inner().get(name) {
        Some(AMQPValue::LongLongInt(number)) => Some(*number),
        Some(AMQPValue::LongInt(number)) => Some(i64::from(*number)),
        Some(AMQPValue::LongUInt(number)) => Some(i64::from(*number)),
        Some(AMQPValue::ShortInt(number)) => Some(i64::from(*number)),
        Some(_) | None => None,
    };
    number.and_then(|number| T::try_from(number).ok())
}
