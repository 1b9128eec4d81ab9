//! The fields of a JSON object, and what is wrong with them in words that name the place and never quote
//! the payload.

use super::error::EventError;
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// Entries of one list: an event that asks for more is no event of a person or an entry.
const MOST_ENTRIES: usize = 1_000;

/// Bytes of an address or an id.
const LONGEST_ITEM: usize = 512;

/// A field that is there; `null` counts as absent, as most producers mean it.
pub(super) fn present<'a>(object: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    object.get(name).filter(|value| !value.is_null())
}

pub(super) fn optional_text(
    object: &Map<String, Value>,
    name: &str,
) -> Result<Option<String>, EventError> {
    present(object, name).map(|value| text(value, name)).transpose()
}

pub(super) fn required_text(object: &Map<String, Value>, name: &str) -> Result<String, EventError> {
    optional_text(object, name)?.ok_or_else(|| malformed(format!("{name} is missing")))
}

/// The text of an item: an address or an id.
pub(super) fn optional_item(
    object: &Map<String, Value>,
    name: &str,
) -> Result<Option<String>, EventError> {
    present(object, name).map(|value| item(value, name)).transpose()
}

/// A list of texts without repetitions, in the order given. An empty list is refused: it would turn
/// the event into a success that did nothing.
pub(super) fn optional_texts(
    object: &Map<String, Value>,
    name: &str,
) -> Result<Option<Vec<String>>, EventError> {
    let Some(value) = present(object, name) else { return Ok(None) };
    let values = value.as_array().ok_or_else(|| malformed(format!("{name} must be a list")))?;
    if values.len() > MOST_ENTRIES {
        return Err(malformed(format!("{name} has more than {MOST_ENTRIES} entries")));
    }
    let (mut texts, mut known) = (Vec::with_capacity(values.len()), BTreeSet::new());
    for (place, value) in values.iter().enumerate() {
        let text = item(value, &format!("{name}[{place}]"))?;
        if known.insert(text.clone()) {
            texts.push(text);
        }
    }
    if texts.is_empty() {
        return Err(malformed(format!("{name} is empty")));
    }
    Ok(Some(texts))
}

fn item(value: &Value, name: &str) -> Result<String, EventError> {
    let item = text(value, name)?;
    if item.len() > LONGEST_ITEM {
        return Err(malformed(format!("{name} is longer than {LONGEST_ITEM} bytes")));
    }
    Ok(item)
}

fn text(value: &Value, name: &str) -> Result<String, EventError> {
    match value.as_str() {
        Some(text) if !text.trim().is_empty() => Ok(text.to_owned()),
        Some(_) => Err(malformed(format!("{name} is blank"))),
        None => Err(malformed(format!("{name} must be a string"))),
    }
}

pub(super) fn malformed(detail: impl Into<String>) -> EventError {
    EventError::Malformed(detail.into())
}
