//! JSON in which every key stands once: two readers of one that stands twice would disagree about who is
//! offboarded.

use super::error::EventError;
use serde::de::IgnoredAny;
use std::borrow::Cow;
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
    /// A text that has half of a surrogate pair, which is no character.
    Broken,
    List(Vec<Json<'a>>),
    Object(Object<'a>),
}

/// The entries of an object.
pub(super) type Object<'a> = BTreeMap<Cow<'a, str>, Json<'a>>;

/// The mark that .NET and other writers put before a text in UTF-8. JSON allows readers to skip it (RFC 8259,
/// section 8.1).
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// An object or list within more others is refused, so that no body takes much of the stack.
const MOST_LEVELS: usize = 127;

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
    let body = without_mark(body);
    // The parser's own message can quote the payload; the place is enough.
    serde_json::from_slice::<IgnoredAny>(body).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        EventError::malformed(format!("the body is not JSON (line {line}, column {column})"))
    })?;
    let text = std::str::from_utf8(body)
        .map_err(|_| EventError::malformed("the body is not JSON: it is not in UTF-8"))?;
    let mut walk = Walk { rest: text };
    let token = walk.token();
    let Json::Object(object) = walk.value(token, &Place::Whole, 0)? else {
        return Err(EventError::malformed("the body is JSON, but not an object"));
    };
    Ok(object)
}

/// A walk through a text that is known to be JSON. A parser into values would refuse all of a body for one text or
/// number in it that has no value, even where nobody reads it.
struct Walk<'a> {
    rest: &'a str,
}

/// A place in the body; it is written down only when something is wrong there.
enum Place<'a> {
    Whole,
    Key(&'a Place<'a>, &'a str),
    Index(&'a Place<'a>, usize),
}

impl<'a> Walk<'a> {
    /// Takes the next bracket, text, number or word; nothing at the end.
    fn token(&mut self) -> &'a str {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\r', '\n', ',', ':']);
        let bytes = self.rest.as_bytes();
        let length = match bytes.first() {
            Some(b'{' | b'}' | b'[' | b']') => 1,
            Some(b'"') => text_length(bytes),
            Some(_) => {
                let ends =
                    |byte: &u8| matches!(byte, b' ' | b'\t' | b'\r' | b'\n' | b',' | b']' | b'}');
                bytes.iter().position(ends).unwrap_or(bytes.len())
            }
            None => 0,
        };
        let (token, rest) = self.rest.split_at(length);
        self.rest = rest;
        token
    }

    /// Reads the value that begins with `token`, within so many others.
    fn value(
        &mut self,
        token: &'a str,
        at: &Place<'_>,
        level: usize,
    ) -> Result<Json<'a>, EventError> {
        match token.as_bytes().first() {
            Some(b'{' | b'[') if level == MOST_LEVELS => {
                let detail = format!("the body is nested in more than {MOST_LEVELS} levels");
                Err(EventError::malformed(detail))
            }
            Some(b'{') => self.entries(at, level).map(Json::Object),
            Some(b'[') => self.list(at, level).map(Json::List),
            Some(b'"') => Ok(text(token).map_or(Json::Broken, Json::Text)),
            Some(b'n') => Ok(Json::Null),
            Some(_) | None => Ok(Json::Scalar),
        }
    }

    fn entries(&mut self, at: &Place<'_>, level: usize) -> Result<Object<'a>, EventError> {
        let mut object = Object::new();
        loop {
            let key = self.token();
            if !key.starts_with('"') {
                return Ok(object);
            }
            // A key that is no text differs from others as they are written.
            match object.entry(text(key).unwrap_or(Cow::Borrowed(key))) {
                Entry::Occupied(known) => {
                    let at = Place::Key(at, known.key()).to_string();
                    return Err(EventError::malformed_at(at, "a key stands twice"));
                }
                Entry::Vacant(place) => {
                    let token = self.token();
                    let value = self.value(token, &Place::Key(at, place.key()), level + 1)?;
                    place.insert(value);
                }
            }
        }
    }

    fn list(&mut self, at: &Place<'_>, level: usize) -> Result<Vec<Json<'a>>, EventError> {
        let mut values = Vec::new();
        loop {
            let token = self.token();
            if matches!(token, "" | "]") {
                return Ok(values);
            }
            values.push(self.value(token, &Place::Index(at, values.len()), level + 1)?);
        }
    }
}

/// The bytes of the text in quotation marks that `bytes` begin with.
fn text_length(bytes: &[u8]) -> usize {
    let mut at = 1;
    loop {
        match bytes.get(at) {
            Some(b'"') => return at + 1,
            Some(b'\\') => at += 2,
            Some(_) => at += 1,
            None => return bytes.len(),
        }
    }
}

/// What stands in quotation marks, unless it has half of a surrogate pair: `\ud83d` is JSON, but no text.
fn text(token: &str) -> Option<Cow<'_, str>> {
    let plain = token.strip_prefix('"')?.strip_suffix('"')?;
    if plain.contains('\\') {
        return serde_json::from_str(token).ok().map(Cow::Owned);
    }
    Some(Cow::Borrowed(plain))
}

impl<'a> Json<'a> {
    /// The text that it is, if it is one.
    pub(super) fn as_text(&self) -> Option<&str> {
        match self {
            Json::Text(text) => Some(text),
            Json::Null | Json::Scalar | Json::Broken | Json::List(_) | Json::Object(_) => None,
        }
    }

    /// What stands at `pointer`, without its first slash, in an object.
    pub(super) fn find<'j>(object: &'j Object<'a>, pointer: &str) -> Option<&'j Json<'a>> {
        let mut keys = pointer.split('/').map(|key| key.replace("~1", "/").replace("~0", "~"));
        let first = object.get(keys.next()?.as_str())?;
        keys.try_fold(first, |within, key| match within {
            Json::Object(object) => object.get(key.as_str()),
            Json::List(values) => values.get(index(&key)?),
            Json::Null | Json::Scalar | Json::Text(_) | Json::Broken => None,
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
        for (open, close) in [("[", "]"), (r#"{"a":"#, "}")] {
            let nested = |levels: usize| {
                let (open, close) = (open.repeat(levels - 1), close.repeat(levels - 1));
                object(format!(r#"{{"a":{open}1{close}}}"#).as_bytes()).map(|_| ())
            };
            assert_eq!(nested(127), Ok(()));
            for levels in [128, 10_000] {
                let error = nested(levels).unwrap_err();
                assert_eq!(error.to_string(), "the body is nested in more than 127 levels");
            }
        }
    }

    #[test]
    fn half_of_a_surrogate_pair_breaks_no_text_but_its_own() {
        for (text, expected) in [
            (r"\ud800", None),
            (r"\uDFFF", None),
            (r"ada\ud83d@example.com", None),
            (r"\ud83d\ud83d\ude00", None),
            (r"\ude00\ud83d", None),
            (r"\ud83dx\ude00", None),
            (r"\ud83d\u0041", None),
            (r"\ud83d\ude00", Some("😀")),
            (r"\\ud800", Some(r"\ud800")),
            (r"\\\ud83d\ude00", Some("\\😀")),
            (r#"\"\\"#, Some(r#""\"#)),
        ] {
            let body = format!(r#"{{"a":["{text}",{{"{text}":1}}],"b":"{text}","c":"good"}}"#);
            let read = object(body.as_bytes()).unwrap();
            let expected = expected.map_or(Json::Broken, |text| Json::Text(text.into()));
            assert_eq!(read["b"], expected, "{text}");
            assert_eq!(read["c"], Json::Text("good".into()), "{text}");
            let Json::List(list) = &read["a"] else { panic!("{text}") };
            assert_eq!(list[0], expected, "{text}");
        }
        assert!(object(br#"{"\ud800":1,"\ud801":2,"\ud800x":3}"#).is_ok(), "three keys");
        let twice = pointer(r#"{"\ud800":{"a":1,"a":2}}"#);
        assert_eq!(twice.as_deref(), Some(r#"/"\ud800"/a"#));
        for body in [r#"{"a":"\ud8"}"#, r#"{"a":"\ud80g"}"#, r#"{"a":"\ud800}"#] {
            assert!(object(body.as_bytes()).is_err(), "{body}");
        }
    }

    #[test]
    fn a_number_may_be_as_large_as_json_has_them() {
        let digits = "9".repeat(400);
        for number in ["1e999", "-1E+400", "1e-999", &digits, &format!("0.{digits}")] {
            let body = format!(r#"{{"a":{number},"b":[{number}],"c":"good"}}"#);
            let read = object(body.as_bytes()).unwrap();
            assert_eq!(read["a"], Json::Scalar);
            assert_eq!(read["c"], Json::Text("good".into()));
        }
        for number in ["01", "1e", "+1", ".5", "0x10", "NaN", "Infinity", "1.", "-"] {
            assert!(object(format!(r#"{{"a":{number}}}"#).as_bytes()).is_err(), "{number}");
        }
    }

    /// JSON in which `HALF` can stand anywhere in texts and keys.
    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::Bool),
            any::<i64>().prop_map(Value::from),
            r#"(HALF|[a"\\/: ,\[\]\{\}\n€😀]){0,4}"#.prop_map(Value::String),
        ];
        leaf.prop_recursive(4, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
                prop::collection::btree_map("[ab]?(HALF)?", inner, 0..4)
                    .prop_map(|entries| Value::Object(entries.into_iter().collect())),
            ]
        })
    }

    /// What is read where `HALF` is half of a surrogate pair.
    fn halved(value: &Value) -> Json<'_> {
        let key = |key: &str| match key.contains("HALF") {
            true => format!("\"{}\"", key.replace("HALF", r"\ud83d")),
            false => key.to_owned(),
        };
        match value {
            Value::String(text) if text.contains("HALF") => Json::Broken,
            Value::Array(values) => Json::List(values.iter().map(halved).collect()),
            Value::Object(entries) => {
                let entry = |(name, value): (&String, _)| (Cow::Owned(key(name)), halved(value));
                Json::Object(entries.iter().map(entry).collect())
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => of(value),
        }
    }

    proptest! {
        #[test]
        fn whatever_has_half_of_a_surrogate_pair_the_rest_is_read(value in values(), is_pretty: bool) {
            let value = serde_json::json!({ "all": value });
            let text = match is_pretty {
                true => serde_json::to_string_pretty(&value).unwrap(),
                false => value.to_string(),
            };
            let text = text.replace("HALF", r"\ud83d");
            prop_assert_eq!(Json::Object(object(text.as_bytes()).unwrap()), halved(&value));
        }

        #[test]
        fn without_repetitions_it_reads_what_everybody_reads(
            body in proptest::collection::vec(any::<u8>(), 0..64),
            text in r#"[\{\}\[\]":,a0-9 truefalsn\.\-\\]{0,40}"#,
        ) {
            for body in [&body[..], text.as_bytes(), format!(r#"{{"a":{text}}}"#).as_bytes()] {
                let everybody = serde_json::from_slice::<Value>(without_mark(body)).ok();
                match object(body) {
                    // A number can be out of everybody's range.
                    Ok(_) if everybody.is_none() => prop_assert!(body.contains(&b'e')),
                    Ok(read) => prop_assert_eq!(Some(Json::Object(read)), everybody.as_ref().map(of)),
                    Err(EventError::Malformed { pointer: Some(_), .. }) => {}
                    Err(_) => prop_assert!(everybody.is_none_or(|value| !value.is_object())),
                }
            }
        }
    }
}
