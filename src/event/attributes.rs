//! The attributes of a CloudEvent in binary mode: they are headers, and the body is its data.

use super::error::EventError;

/// The attributes that a delivery came with, by their names without prefix; `None` is a value that is
/// neither text nor number.
#[derive(Clone, Copy, Debug)]
pub(super) struct Attributes<'a>(pub(super) &'a [(String, Option<String>)]);

impl Attributes<'_> {
    /// Whether there is an event in binary mode at all.
    pub(super) fn are_given(self) -> bool {
        self.0.iter().any(|(name, _)| name == "specversion")
    }

    pub(super) fn required_text(self, name: &str) -> Result<String, EventError> {
        self.optional_text(name)?.ok_or_else(|| wrong(name, "is missing"))
    }

    pub(super) fn optional_text(self, name: &str) -> Result<Option<String>, EventError> {
        let mut values = self.0.iter().filter(|(known, _)| known == name).map(|(_, value)| value);
        let Some(first) = values.next() else { return Ok(None) };
        // They can come under several prefixes.
        if values.any(|value| value != first) {
            return Err(wrong(name, "is given twice, and differently"));
        }
        match first.as_deref().map(str::trim) {
            Some("") => Err(wrong(name, "is blank")),
            Some(_) => Ok(first.clone()),
            None => Err(wrong(name, "must be a text")),
        }
    }
}

fn wrong(name: &str, what: &str) -> EventError {
    EventError::malformed(format!("the attribute {name} in the headers {what}"))
}
