//! Copies with less than their originals have, for brokers that do not take all of it.

use super::header::{With, attribute, persistent, with_timestamp};
use super::sieve::LEFT_OUT;
use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable, ShortString};
use std::collections::BTreeMap;

/// What the header says of a copy without what a broker has refused.
const REFUSED: &str = "properties and headers that the broker refused were left out";

/// The properties without the largest foreign headers, so that they fit into one frame of `frame_max` bytes; `None` if
/// they do not fit without any. The broker ends the connection over a frame that is larger.
pub(super) fn fitting(properties: BasicProperties, frame_max: usize) -> Option<BasicProperties> {
    let headers = properties.headers().clone().unwrap_or_default();
    let size = |headers: &FieldTable| FRAME_START + texts_size(&properties) + table_size(headers);
    if size(&headers) <= frame_max {
        return Some(properties);
    }
    let mut kept: Vec<(ShortString, AMQPValue)> = headers.inner().clone().into_iter().collect();
    let altered = kept.iter().position(|(name, _)| name.as_str() == "x-eventd-altered");
    let altered = altered.map(|place| kept.swap_remove(place).1);
    kept.push((
        "x-eventd-altered".into(),
        AMQPValue::LongString(and_altered(altered, LEFT_OUT).into()),
    ));
    kept.sort_by_key(|(name, value)| (!is_ours(name), value_size(value)));
    loop {
        let headers = FieldTable::from(kept.iter().cloned().collect::<BTreeMap<_, _>>());
        if size(&headers) <= frame_max {
            return Some(properties.with_headers(headers));
        }
        kept.pop().filter(|(name, _)| !is_ours(name))?;
    }
}

/// The properties without those that no event is read from and that the broker could have refused; `None` if there are
/// none. Its attributes are what an event in binary mode consists of, and its time decides whether it is too old.
pub(super) fn bare(properties: &BasicProperties) -> Option<BasicProperties> {
    let texts: [(&Option<ShortString>, With); 4] = [
        (properties.content_type(), BasicProperties::with_content_type),
        (properties.content_encoding(), BasicProperties::with_content_encoding),
        (properties.message_id(), BasicProperties::with_message_id),
        (properties.kind(), BasicProperties::with_type),
    ];
    let is_kept = |name: &ShortString| is_ours(name) || attribute(name.as_str()).is_some();
    let mut headers = properties.headers().clone().unwrap_or_default().inner().clone();
    headers.retain(|name, _| is_kept(name));
    let bare = with_timestamp(persistent(texts), properties);
    if bare.clone().with_headers(headers.clone().into()) == *properties {
        return None;
    }
    let altered = headers.remove("x-eventd-altered");
    let altered = AMQPValue::LongString(and_altered(altered, REFUSED).into());
    headers.insert("x-eventd-altered".into(), altered);
    Some(bare.with_headers(headers.into()))
}

fn is_ours(name: &ShortString) -> bool {
    name.as_str().starts_with("x-eventd-")
}

/// How a message is altered that was altered in this way too, beside what is known of it.
fn and_altered(altered: Option<AMQPValue>, how: &str) -> String {
    match altered {
        Some(AMQPValue::LongString(altered)) if altered.to_string().contains(how) => {
            altered.to_string()
        }
        Some(AMQPValue::LongString(altered)) => format!("{altered}; {how}"),
        Some(_) | None => how.to_owned(),
    }
}

/// Bytes of the frame of a content header without its texts and headers: start and end, class, weight, size of the body,
/// flags, delivery mode, priority and timestamp.
const FRAME_START: usize = 8 + 12 + 2 + 10;

fn texts_size(properties: &BasicProperties) -> usize {
    let texts = [
        properties.content_type(),
        properties.content_encoding(),
        properties.correlation_id(),
        properties.reply_to(),
        properties.message_id(),
        properties.kind(),
        properties.app_id(),
        properties.cluster_id(),
        properties.user_id(),
    ];
    texts.into_iter().flatten().map(|text| 1 + text.as_str().len()).sum()
}

fn table_size(table: &FieldTable) -> usize {
    let entry =
        |(name, value): (&ShortString, &AMQPValue)| 1 + name.as_str().len() + 1 + value_size(value);
    4 + table.inner().iter().map(entry).sum::<usize>()
}

/// Bytes of a value without its type. Nothing is nested deeply here: the sieve has seen to that.
fn value_size(value: &AMQPValue) -> usize {
    match value {
        AMQPValue::Void => 0,
        AMQPValue::Boolean(_) | AMQPValue::ShortShortInt(_) | AMQPValue::ShortShortUInt(_) => 1,
        AMQPValue::ShortInt(_) | AMQPValue::ShortUInt(_) => 2,
        AMQPValue::LongInt(_) | AMQPValue::LongUInt(_) | AMQPValue::Float(_) => 4,
        AMQPValue::DecimalValue(_) => 5,
        AMQPValue::LongLongInt(_) | AMQPValue::Double(_) | AMQPValue::Timestamp(_) => 8,
        AMQPValue::ShortString(text) => 1 + text.as_str().len(),
        AMQPValue::LongString(text) => 4 + text.as_bytes().len(),
        AMQPValue::ByteArray(bytes) => 4 + bytes.len(),
        AMQPValue::FieldArray(values) => {
            4 + values.as_slice().iter().map(|value| 1 + value_size(value)).sum::<usize>()
        }
        AMQPValue::FieldTable(table) => table_size(table),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use amq_protocol::frame::{AMQPContentHeader, AMQPFrame, WriteContext, gen_frame};

    fn size_on_the_wire(properties: BasicProperties) -> usize {
        let header = AMQPContentHeader { class_id: 60, body_size: 1, properties };
        let context = WriteContext::from(Vec::new());
        gen_frame(&AMQPFrame::Header(1, header))(context).unwrap().into_inner().0.len()
    }

    fn text(length: usize) -> AMQPValue {
        AMQPValue::LongString("x".repeat(length).into())
    }

    fn copy(headers: &[(&str, AMQPValue)]) -> BasicProperties {
        let mut table = FieldTable::default();
        for (name, value) in headers {
            table.insert((*name).into(), value.clone());
        }
        BasicProperties::default()
            .with_delivery_mode(2)
            .with_priority(1)
            .with_timestamp(1)
            .with_message_id("é".repeat(127).into())
            .with_headers(table)
    }

    #[test]
    fn a_copy_fits_into_the_frame_to_the_byte_and_loses_its_largest_foreign_headers_first() {
        let inner = copy(&[("k", text(9))]).headers().clone().unwrap();
        let deep = AMQPValue::FieldTable(inner.clone());
        let list = AMQPValue::FieldArray(vec![text(3), deep.clone(), AMQPValue::Void].into());
        for large in 0..6_000 {
            let fitted = fitting(
                copy(&[
                    ("ce-id", text(3)),
                    ("deep", deep.clone()),
                    ("list", list.clone()),
                    ("flag", AMQPValue::Boolean(true)),
                    ("large", text(large)),
                    ("x-eventd-detail", text(1024)),
                ]),
                4096,
            )
            .unwrap();
            let names = fitted.headers().clone().unwrap();
            let has = |name: &str| names.inner().contains_key(name);
            let size = size_on_the_wire(fitted);
            assert!(size <= 4096, "{large} bytes");
            assert!(has("ce-id") && has("deep") && has("list") && has("x-eventd-detail"));
            assert_ne!(has("large"), has("x-eventd-altered"), "{large} bytes");
            // It is left out only where there is no room for it.
            assert!(has("large") || large + size > 4096 - 200, "{large} bytes");
        }
    }

    #[test]
    fn a_copy_says_once_that_it_has_lost_headers_and_what_was_altered_before() {
        for (before, after) in [
            (None, LEFT_OUT.to_owned()),
            (Some(LEFT_OUT.to_owned()), LEFT_OUT.to_owned()),
            (Some("texts".to_owned()), format!("texts; {LEFT_OUT}")),
        ] {
            let mut headers = vec![("large", text(9_000))];
            headers.extend(before.map(|it| ("x-eventd-altered", AMQPValue::LongString(it.into()))));
            let fitted = fitting(copy(&headers), 4096).unwrap();
            let altered = fitted.headers().clone().unwrap().inner()["x-eventd-altered"].clone();
            assert_eq!(altered, AMQPValue::LongString(after.into()));
        }
    }

    #[test]
    fn a_bare_copy_keeps_what_an_event_is_read_from_and_says_once_that_it_is_bare() {
        let headers = [
            ("ce-id", text(3)),
            ("team", text(2)),
            ("x-eventd-code", text(1)),
            ("x-eventd-altered", text(1)),
        ];
        let whole = copy(&headers).with_type("type".into()).with_timestamp(7);
        let altered = AMQPValue::LongString(format!("x; {REFUSED}").into());
        let kept = [("ce-id", text(3)), ("x-eventd-code", text(1)), ("x-eventd-altered", altered)];
        let expected = BasicProperties::default()
            .with_message_id(whole.message_id().clone().unwrap())
            .with_type("type".into())
            .with_timestamp(7)
            .with_delivery_mode(2)
            .with_headers(copy(&kept).headers().clone().unwrap());
        assert_eq!(bare(&whole), Some(expected.clone()));
        // There is nothing left that could be left out.
        assert_eq!(bare(&expected), None);
        assert_eq!(bare(&expected.clone().with_app_id("app".into())), Some(expected));
    }

    #[test]
    fn a_copy_whose_own_headers_do_not_fit_is_not_made() {
        let ours = copy(&[("x-eventd-detail", text(5_000)), ("team", text(2))]);
        assert_eq!(fitting(ours, 4096), None);
    }
}
