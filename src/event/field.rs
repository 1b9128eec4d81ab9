//! The fields of a JSON object, and what is wrong with them: in words that never quote the payload, and
//! with the place as a JSON Pointer.

use super::characters::NameError;
use super::error::EventError;
use super::json::{Json, Object};
use super::managed_url::ManagedUrl;
use super::pointer::Pointers;
use std::collections::BTreeSet;

/// Entries of one list: an event that asks for more is no event of a person or an entry.
pub(super) const MOST_ENTRIES: usize = 1_000;

/// Bytes of an address or an id.
const LONGEST_ITEM: usize = 512;

/// Bytes of a URL: more than browsers and proxies let through.
const LONGEST_URL: usize = 8 * 1024;

/// One object, the JSON Pointer to it, and where in it fields stand that are not where they are called.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fields<'a> {
    object: &'a Object<'a>,
    at: &'a str,
    pointers: &'a Pointers,
}

/// A field that is there, and the JSON Pointer to it.
struct Found<'a, 'n> {
    value: &'a Json<'a>,
    fields: Fields<'a>,
    name: &'n str,
}

impl Found<'_, '_> {
    /// Written down only when something is wrong there.
    fn at(&self) -> String {
        self.fields.pointer(self.name)
    }
}

impl<'a> Fields<'a> {
    /// The fields of an object that stand where they are called.
    pub(super) fn new(object: &'a Object<'a>, at: &'a str) -> Fields<'a> {
        Fields { object, at, pointers: Pointers::NONE }
    }

    /// The same, read from where `pointers` say.
    pub(super) fn pointed(self, pointers: &'a Pointers) -> Fields<'a> {
        Fields { pointers, ..self }
    }

    /// Which of `names` the object gives. Of fields that stand for each other, one that is pointed to is
    /// the one that counts: in the events of others the rest may mean anything.
    pub(super) fn given<const N: usize>(&self, names: [&str; N]) -> [bool; N] {
        let pointed = names.map(|name| self.pointers.of(name).is_some());
        if pointed.contains(&true) {
            return pointed;
        }
        names.map(|name| self.object.get(name).is_some_and(|it| *it != Json::Null))
    }

    pub(super) fn required_object(&self, name: &str) -> Result<&'a Object<'a>, EventError> {
        match self.find(name)? {
            Some(Found { value: Json::Object(object), .. }) => Ok(object),
            Some(_) => Err(self.wrong(name, "must be an object")),
            None => Err(self.wrong(name, "is missing")),
        }
    }

    pub(super) fn required_text(&self, name: &str) -> Result<&'a str, EventError> {
        self.optional_text(name)?.ok_or_else(|| self.wrong(name, "is missing"))
    }

    pub(super) fn optional_text(&self, name: &str) -> Result<Option<&'a str>, EventError> {
        let found = self.find(name)?;
        found.map(|found| text(found.value, || (found.at(), name.to_owned()))).transpose()
    }

    /// An item, such as an address or an id, in the canonical form that `parse` gives it.
    pub(super) fn required_item<T>(
        &self,
        name: &str,
        parse: impl FnOnce(&str) -> Result<T, NameError>,
    ) -> Result<T, EventError> {
        let found = self.find(name)?.ok_or_else(|| self.wrong(name, "is missing"))?;
        item(found.value, parse, || (found.at(), name.to_owned()))
    }

    /// A URL, which may be longer than an address.
    pub(super) fn required_url(&self, name: &str) -> Result<ManagedUrl, EventError> {
        let text = self.required_text(name)?;
        if text.len() > LONGEST_URL {
            return Err(self.wrong(name, &format!("is longer than {LONGEST_URL} bytes")));
        }
        ManagedUrl::parse(text).map_err(|problem| self.wrong(name, &problem.to_string()))
    }

    /// A list of items, each in the canonical form that `parse` gives it, without repetitions and with its place
    /// in the list. An empty list is refused: it would turn the event into a success that did nothing.
    pub(super) fn required_items(
        &self,
        name: &str,
        parse: impl Fn(&str) -> Result<String, NameError>,
    ) -> Result<Vec<(String, usize)>, EventError> {
        let found = self.find(name)?.ok_or_else(|| self.wrong(name, "is missing"))?;
        let Json::List(values) = found.value else {
            return Err(self.wrong(name, "must be a list"));
        };
        if values.len() > MOST_ENTRIES {
            return Err(self.wrong(name, &format!("has more than {MOST_ENTRIES} entries")));
        }
        let (mut items, mut known) = (Vec::with_capacity(values.len()), BTreeSet::new());
        for (place, value) in values.iter().enumerate() {
            let at = || (format!("{}/{place}", found.at()), format!("{name}[{place}]"));
            let item = item(value, &parse, at)?;
            if known.insert(item.clone()) {
                items.push((item, place));
            }
        }
        if items.is_empty() {
            return Err(self.wrong(name, "is empty"));
        }
        Ok(items)
    }

    /// A field, if it is there; `null` counts as absent, as most producers mean it. One that is pointed
    /// to has to be there.
    fn find<'n>(&self, name: &'n str) -> Result<Option<Found<'a, 'n>>, EventError> {
        let value = match self.pointers.of(name) {
            Some(pointer) => pointer.find(self.object),
            None => self.object.get(name),
        };
        match value.filter(|value| **value != Json::Null) {
            Some(value) => Ok(Some(Found { value, fields: *self, name })),
            None if self.pointers.of(name).is_some() => {
                let at = self.pointer(name);
                Err(EventError::malformed_at(at, format!("there is no {name} where it should be")))
            }
            None => Ok(None),
        }
    }

    /// Something is wrong with the fields as a whole.
    pub(super) fn malformed(&self, detail: &str) -> EventError {
        match self.at {
            "" => EventError::malformed(detail),
            at => EventError::malformed_at(at.to_owned(), detail),
        }
    }

    fn wrong(&self, name: &str, what: &str) -> EventError {
        EventError::malformed_at(self.pointer(name), format!("{name} {what}"))
    }

    /// The JSON Pointer to the place of a field. The names of ours have nothing in them that a pointer would escape.
    pub(super) fn pointer(&self, name: &str) -> String {
        match self.pointers.of(name) {
            Some(pointer) => format!("{}{pointer}", self.at),
            None => format!("{}/{name}", self.at),
        }
    }
}

/// An item in its canonical form; `at` is its place and what it is called there.
fn item<T>(
    value: &Json<'_>,
    parse: impl FnOnce(&str) -> Result<T, NameError>,
    at: impl Fn() -> (String, String),
) -> Result<T, EventError> {
    let item = text(value, &at)?;
    let wrong = |what: &str| {
        let (pointer, name) = at();
        EventError::malformed_at(pointer, format!("{name} {what}"))
    };
    if item.len() > LONGEST_ITEM {
        return Err(wrong(&format!("is longer than {LONGEST_ITEM} bytes")));
    }
    parse(item).map_err(|problem| wrong(&problem.to_string()))
}

fn text<'a>(
    value: &'a Json<'a>,
    at: impl FnOnce() -> (String, String),
) -> Result<&'a str, EventError> {
    let what = match value {
        Json::Text(text) if !text.trim().is_empty() => return Ok(text),
        Json::Text(_) => "is blank",
        Json::Broken => "has half of a surrogate pair, which is no character",
        Json::Null | Json::Scalar | Json::List(_) | Json::Object(_) => "must be a string",
    };
    let (pointer, name) = at();
    Err(EventError::malformed_at(pointer, format!("{name} {what}")))
}
