//! JSON in which every key stands once: two readers of one that stands twice would disagree about who is
//! offboarded.

use super::error::EventError;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;

/// A value. Its texts are those of the body, where nothing in them is escaped: most of what a body says is
/// looked at once and not kept.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Json<'a> {
    Null,
    /// A number, `true` or `false`: no field of an event is one.
    Scalar,
    Text(Cow<'a, str>),
    List(Vec<Json<'a>>),
    Object(Object<'a>),
}

/// The entries of an object.
pub(super) type Object<'a> = BTreeMap<Cow<'a, str>, Json<'a>>;

/// The mark that .NET and other writers put before a text in UTF-8. JSON allows readers to skip it (RFC 8259,
/// section 8.1).
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Returns the text behind a byte order mark, if it begins with one.
pub fn without_mark(text: &[u8]) -> &[u8] {
    text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text)
}

/// Reads a body that is one JSON object.
///
/// # Errors
///
/// With the line and column of what is not JSON, or the JSON Pointer to a key that stands twice.
pub(super) fn object(body: &[u8]) -> Result<Object<'_>, EventError> {
    let repeated = RefCell::default();
    let whole = Strict { at: &Place::Whole, repeated: &repeated };
    let mut reader = serde_json::Deserializer::from_slice(without_mark(body));
    let read = whole.deserialize(&mut reader).and_then(|value| reader.end().map(|()| value));
    match read {
        Ok(Json::Object(object)) => Ok(object),
        Ok(_) => Err(EventError::malformed("the body is JSON, but not an object")),
        Err(error) => match repeated.into_inner() {
            Some(pointer) => Err(EventError::malformed_at(pointer, "a key stands twice")),
            // The parser's own message can quote the payload; the place is enough.
            None => Err(EventError::malformed(format!(
                "the body is not JSON (line {}, column {})",
                error.line(),
                error.column()
            ))),
        },
    }
}

/// Reads a value at a place, and notes there the first key that stands twice.
#[derive(Clone, Copy)]
struct Strict<'a> {
    at: &'a Place<'a>,
    repeated: &'a RefCell<Option<String>>,
}

/// A place in the body; it is written down only when something is wrong there.
enum Place<'a> {
    Whole,
    Key(&'a Place<'a>, &'a str),
    Index(&'a Place<'a>, usize),
}

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Json<'de>;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Json<'de>, D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Json<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Json<'de>, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Json<'de>, E> {
        Ok(Json::Scalar)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Json<'de>, E> {
        Ok(Json::Scalar)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Json<'de>, E> {
        Ok(Json::Scalar)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Json<'de>, E> {
        Ok(Json::Scalar)
    }

    fn visit_borrowed_str<E>(self, value: &'de str) -> Result<Json<'de>, E> {
        Ok(Json::Text(Cow::Borrowed(value)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Json<'de>, E> {
        Ok(Json::Text(Cow::Owned(value.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<Json<'de>, A::Error> {
        let mut values = Vec::new();
        loop {
            let at = &Place::Index(self.at, values.len());
            match entries.next_element_seed(Strict { at, ..self })? {
                Some(value) => values.push(value),
                None => return Ok(Json::List(values)),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Json<'de>, A::Error> {
        let mut object = Object::new();
        while let Some(key) = entries.next_key_seed(Key)? {
            match object.entry(key) {
                Entry::Occupied(known) => {
                    let at = Place::Key(self.at, known.key());
                    self.repeated.replace(Some(at.to_string()));
                    return Err(A::Error::custom("a key stands twice"));
                }
                Entry::Vacant(place) => {
                    let at = &Place::Key(self.at, place.key());
                    let value = entries.next_value_seed(Strict { at, ..self })?;
                    place.insert(value);
                }
            }
        }
        Ok(Json::Object(object))
    }
}

/// Reads a key.
struct Key;

impl<'de> DeserializeSeed<'de> for Key {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Cow<'de, str>, D::Error> {
        reader.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Key {
    type Value = Cow<'de, str>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a key")
    }

    fn visit_borrowed_str<E>(self, key: &'de str) -> Result<Cow<'de, str>, E> {
        Ok(Cow::Borrowed(key))
    }

    fn visit_str<E>(self, key: &str) -> Result<Cow<'de, str>, E> {
        Ok(Cow::Owned(key.to_owned()))
    }
}

impl<'a> Json<'a> {
    /// The text that it is, if it is one.
    pub(super) fn as_text(&self) -> Option<&str> {
        match self {
            Json::Text(text) => Some(text),
            Json::Null | Json::Scalar | Json::List(_) | Json::Object(_) => None,
        }
    }

    /// What stands at `pointer`, without its first slash, in an object.
    pub(super) fn find<'j>(object: &'j Object<'a>, pointer: &str) -> Option<&'j Json<'a>> {
        let mut keys = pointer.split('/').map(|key| key.replace("~1", "/").replace("~0", "~"));
        let first = object.get(keys.next()?.as_str())?;
        keys.try_fold(first, |within, key| match within {
            Json::Object(object) => object.get(key.as_str()),
            Json::List(values) => values.get(index(&key)?),
            Json::Null | Json::Scalar | Json::Text(_) => None,
        })
    }
}

/// A place in a list, which has one spelling (RFC 6901, section 4).
fn index(key: &str) -> Option<usize> {
    let is_padded = key.starts_with('+') || (key.starts_with('0') && key.len() > 1);
    if is_padded { None } else { key.parse().ok() }
}

/// As a JSON Pointer (RFC 6901, section 3).
impl fmt::Display for Place<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Whole => Ok(()),
            Place::Key(within, key) => {
                write!(formatter, "{within}/{}", key.replace('~', "~0").replace('/', "~1"))
            }
            Place::Index(within, index) => write!(formatter, "{within}/{index}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    /// What everybody reads, as far as it is of interest here.
    fn of(value: &Value) -> Json<'_> {
        match value {
            Value::Null => Json::Null,
            Value::Bool(_) | Value::Number(_) => Json::Scalar,
            Value::String(text) => Json::Text(Cow::Borrowed(text)),
            Value::Array(values) => Json::List(values.iter().map(of).collect()),
            Value::Object(entries) => {
                let entry = |(key, value)| (Cow::Borrowed(String::as_str(key)), of(value));
                Json::Object(entries.iter().map(entry).collect())
            }
        }
    }

    fn pointer(body: &str) -> Option<String> {
        match object(body.as_bytes()) {
            Err(EventError::Malformed { pointer, .. }) => pointer,
            Err(EventError::Unsupported { .. } | EventError::TooLarge(_)) | Ok(_) => None,
        }
    }

    #[test]
    fn a_key_that_stands_twice_is_named_wherever_it_is() {
        for (body, expected) in [
            (r#"{"a":1,"a":1}"#, "/a"),
            (r#"{"b":[{}, {"a/b":{"c~d":1,"c~d":2}}]}"#, "/b/1/a~1b/c~0d"),
            (r#"{"a":1,"\u0061":2}"#, "/a"),
            (r#"{"":1,"":2}"#, "/"),
        ] {
            assert_eq!(pointer(body).as_deref(), Some(expected), "{body}");
        }
        assert!(object(br#"{"a":{"a":1},"b":{"a":1}}"#).is_ok());
    }

    #[test]
    fn one_byte_order_mark_before_the_object_is_skipped() {
        assert!(object(b"\xef\xbb\xbf{\"a\":1}").is_ok());
        for body in ["\u{feff}\u{feff}{}", "{\u{feff}}", "{}\u{feff}", "\u{feff}"] {
            assert!(object(body.as_bytes()).is_err(), "{body:?}");
        }
    }

    #[test]
    fn what_is_nested_too_deep_or_goes_on_after_its_end_is_refused() {
        for body in ["[".repeat(100_000), r#"{"a":"#.repeat(40_000), r#"{"a":1} {"a":1}"#.into()] {
            let error = object(body.as_bytes()).unwrap_err();
            assert!(error.to_string().starts_with("the body is not JSON (line 1"), "{error}");
        }
    }

    proptest! {
        #[test]
        fn without_repetitions_it_reads_what_everybody_reads(
            body in proptest::collection::vec(any::<u8>(), 0..64),
            text in r#"[\{\}\[\]":,a0-9 truefalsn\.\-\\]{0,40}"#,
        ) {
            for body in [&body[..], text.as_bytes(), format!(r#"{{"a":{text}}}"#).as_bytes()] {
                let everybody = serde_json::from_slice::<Value>(without_mark(body)).ok();
                match object(body) {
                    Ok(read) => prop_assert_eq!(Some(Json::Object(read)), everybody.as_ref().map(of)),
                    Err(EventError::Malformed { pointer: Some(_), .. }) => {}
                    Err(_) => prop_assert!(everybody.is_none_or(|value| !value.is_object())),
                }
            }
        }
    }
}
