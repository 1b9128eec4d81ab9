//! The fields of a JSON object, and what is wrong with them: in words that never quote the payload, and
//! with the place as a JSON Pointer.

use super::error::EventError;
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// Entries of one list: an event that asks for more is no event of a person or an entry.
const MOST_ENTRIES: usize = 1_000;

/// Bytes of an address or an id.
const LONGEST_ITEM: usize = 512;

/// One object, and the JSON Pointer to it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fields<'a> {
    object: &'a Map<String, Value>,
    at: &'a str,
}

impl<'a> Fields<'a> {
    pub(super) fn new(object: &'a Map<String, Value>, at: &'a str) -> Fields<'a> {
        Fields { object, at }
    }

    /// A field that is there; `null` counts as absent, as most producers mean it.
    pub(super) fn present(&self, name: &str) -> Option<&'a Value> {
        self.object.get(name).filter(|value| !value.is_null())
    }

    pub(super) fn required_object(&self, name: &str) -> Result<&'a Map<String, Value>, EventError> {
        match self.present(name) {
            Some(Value::Object(object)) => Ok(object),
            Some(_) => Err(self.wrong(name, "must be an object")),
            None => Err(self.wrong(name, "is missing")),
        }
    }

    pub(super) fn required_text(&self, name: &str) -> Result<String, EventError> {
        let value = self.present(name).ok_or_else(|| self.wrong(name, "is missing"))?;
        text(value, name, || self.pointer(name))
    }

    /// The text of an item: an address or an id.
    pub(super) fn optional_item(&self, name: &str) -> Result<Option<String>, EventError> {
        self.present(name).map(|value| item(value, name, || self.pointer(name))).transpose()
    }

    /// A list of texts without repetitions, in the order given. An empty list is refused: it would
    /// turn the event into a success that did nothing.
    pub(super) fn optional_texts(&self, name: &str) -> Result<Option<Vec<String>>, EventError> {
        let Some(value) = self.present(name) else { return Ok(None) };
        let values = value.as_array().ok_or_else(|| self.wrong(name, "must be a list"))?;
        if values.len() > MOST_ENTRIES {
            return Err(self.wrong(name, &format!("has more than {MOST_ENTRIES} entries")));
        }
        let (mut texts, mut known) = (Vec::with_capacity(values.len()), BTreeSet::new());
        for (place, value) in values.iter().enumerate() {
            let pointer = || format!("{}/{place}", self.pointer(name));
            let text = item(value, &format!("{name}[{place}]"), pointer)?;
            if known.insert(text.clone()) {
                texts.push(text);
            }
        }
        if texts.is_empty() {
            return Err(self.wrong(name, "is empty"));
        }
        Ok(Some(texts))
    }

    /// Something is wrong with the fields as a whole.
    pub(super) fn malformed(&self, detail: &str) -> EventError {
        match self.at {
            "" => EventError::malformed(detail),
            at => EventError::malformed_at(at.to_owned(), detail),
        }
    }

    /// A field asks for what is not handled.
    pub(super) fn unsupported(&self, name: &str, detail: &str) -> EventError {
        EventError::unsupported_at(self.pointer(name), detail)
    }

    fn wrong(&self, name: &str, what: &str) -> EventError {
        EventError::malformed_at(self.pointer(name), format!("{name} {what}"))
    }

    /// The names of our fields have nothing in them that a pointer would escape.
    fn pointer(&self, name: &str) -> String {
        format!("{}/{name}", self.at)
    }
}

fn item(value: &Value, name: &str, pointer: impl Fn() -> String) -> Result<String, EventError> {
    let item = text(value, name, &pointer)?;
    if item.len() > LONGEST_ITEM {
        let detail = format!("{name} is longer than {LONGEST_ITEM} bytes");
        return Err(EventError::malformed_at(pointer(), detail));
    }
    Ok(item)
}

fn text(value: &Value, name: &str, pointer: impl Fn() -> String) -> Result<String, EventError> {
    let what = match value.as_str() {
        Some(text) if !text.trim().is_empty() => return Ok(text.to_owned()),
        Some(_) => "is blank",
        None => "must be a string",
    };
    Err(EventError::malformed_at(pointer(), format!("{name} {what}")))
}
