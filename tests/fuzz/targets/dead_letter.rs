//! A dead letter as the broker would deliver it.

use crate::case::Case;
use lapin::BasicProperties;
use lapin::message::Delivery;
use lapin::types::{AMQPValue, FieldArray, FieldTable, ShortString};
use mimecast_eventd::broker::{Authorship, DeadLetter};

/// The dead letter that `case` is, whose body is the rest of it.
pub fn of(case: &Case<'_>) -> DeadLetter {
    let short = |name: &str| case.text(name).and_then(|text| ShortString::try_new(text).ok());
    let (exchange, key) = (short("exchange"), short("routing-key"));
    let (exchange, key) = (exchange.unwrap_or_default(), key.unwrap_or_default());
    let mut delivery = Delivery::mock(1, exchange, key, false, case.rest.to_vec());
    type With = fn(BasicProperties, ShortString) -> BasicProperties;
    let texts: [(&str, With); 5] = [
        ("content-type", BasicProperties::with_content_type),
        ("content-encoding", BasicProperties::with_content_encoding),
        ("type", BasicProperties::with_type),
        ("message-id", BasicProperties::with_message_id),
        ("user-id", BasicProperties::with_user_id),
    ];
    let properties = texts.into_iter().fold(
        BasicProperties::default(),
        |properties, (name, with)| match short(name) {
            Some(text) => with(properties, text),
            None => properties,
        },
    );
    delivery.properties = properties.with_headers(headers(case));
    DeadLetter::read(delivery, &Authorship::default())
}

/// Lines with names of types: `text`, `number` and `time` are headers, `death` is what the broker says.
fn headers(case: &Case<'_>) -> FieldTable {
    let mut headers = FieldTable::default();
    insert(case, "", &mut headers);
    let mut death = FieldTable::default();
    insert(case, "death-", &mut death);
    let keys: Vec<AMQPValue> =
        case.texts("death-key").map(|key| AMQPValue::LongString(key.as_ref().into())).collect();
    death.insert("routing-keys".into(), AMQPValue::FieldArray(FieldArray::from(keys)));
    if case.all("death-text").next().is_some() {
        let deaths = vec![AMQPValue::FieldTable(death)];
        headers.insert("x-death".into(), AMQPValue::FieldArray(FieldArray::from(deaths)));
    }
    headers
}

fn insert(case: &Case<'_>, prefix: &str, table: &mut FieldTable) {
    type Read = fn(&str) -> Option<AMQPValue>;
    let kinds: [(&str, Read); 3] = [
        ("text", |value| Some(AMQPValue::LongString(value.into()))),
        ("number", |value| value.parse().ok().map(AMQPValue::LongLongInt)),
        ("time", |value| value.parse().ok().map(AMQPValue::Timestamp)),
    ];
    for (kind, read) in kinds {
        for (name, value) in case.pairs(&format!("{prefix}{kind}")) {
            let value = read(value.as_deref().unwrap_or_default());
            if let (Ok(name), Some(value)) = (ShortString::try_new(name), value) {
                table.insert(name, value);
            }
        }
    }
}
