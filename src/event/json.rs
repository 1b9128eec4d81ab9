//! JSON in which every key stands once: two readers of one that stands twice would disagree about who is
//! offboarded.

use super::error::EventError;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use std::cell::RefCell;
use std::fmt;

/// Reads a body that is one JSON object.
///
/// # Errors
///
/// With the line and column of what is not JSON, or the JSON Pointer to a key that stands twice.
pub(super) fn object(body: &[u8]) -> Result<Map<String, Value>, EventError> {
    let repeated = RefCell::default();
    let whole = Strict { at: &Place::Whole, repeated: &repeated };
    let mut reader = serde_json::Deserializer::from_slice(body);
    let read = whole.deserialize(&mut reader).and_then(|value| reader.end().map(|()| value));
    match read {
        Ok(Value::Object(object)) => Ok(object),
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
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Value, D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        loop {
            let at = &Place::Index(self.at, values.len());
            match entries.next_element_seed(Strict { at, ..self })? {
                Some(value) => values.push(value),
                None => return Ok(values.into()),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            let at = &Place::Key(self.at, &key);
            if object.contains_key(&key) {
                self.repeated.replace(Some(at.to_string()));
                return Err(A::Error::custom("a key stands twice"));
            }
            let value = entries.next_value_seed(Strict { at, ..self })?;
            object.insert(key, value);
        }
        Ok(object.into())
    }
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
                let everybody = serde_json::from_slice::<Value>(body).ok();
                match object(body) {
                    Ok(read) => prop_assert_eq!(Some(Value::Object(read)), everybody),
                    Err(EventError::Malformed { pointer: Some(_), .. }) => {}
                    Err(_) => prop_assert!(everybody.is_none_or(|value| !value.is_object())),
                }
            }
        }
    }
}
