//! How much room the JSON of a reply would take as a tree, counted before one is made of it.

use serde::Deserializer;
use serde::de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor};
use std::cell::Cell;
use std::fmt;

/// Units that a reply may take, each of about 32 bytes: 4 MiB. The largest page that Mimecast gives has 500 entries,
/// and would take a tenth of it.
const MOST_UNITS: usize = 1 << 17;

/// Units of one value in its place, without what is in it.
const VALUE: usize = 2;

/// Units of an array: it begins with room for four values.
const ARRAY: usize = 4;

/// Units of an object: it begins with room for eleven values.
const OBJECT: usize = 20;

/// Whether `text` is JSON, and small enough as a tree.
pub fn fits(text: &[u8]) -> bool {
    let left = Cell::new(MOST_UNITS);
    let mut json = serde_json::Deserializer::from_slice(text);
    Size(&left).deserialize(&mut json).is_ok() && json.end().is_ok()
}

/// Counts down what is left.
#[derive(Clone, Copy)]
struct Size<'a>(&'a Cell<usize>);

impl Size<'_> {
    fn take<E: Error>(self, units: usize) -> Result<(), E> {
        let left = self.0.get().checked_sub(units).ok_or_else(|| E::custom("too large"))?;
        self.0.set(left);
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for Size<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Size<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("any value")
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.take(VALUE)
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        self.take(VALUE)
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<(), E> {
        self.take(VALUE)
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<(), E> {
        self.take(VALUE)
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<(), E> {
        self.take(VALUE)
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<(), E> {
        self.take(VALUE)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<(), A::Error> {
        self.take(VALUE + ARRAY)?;
        while array.next_element_seed(self)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<(), A::Error> {
        self.take(VALUE + OBJECT)?;
        // A key takes as much as a value, besides its own.
        while object.next_key_seed(self)?.is_some() {
            object.next_value_seed(self)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_is_as_large_as_its_tree_may_be_and_no_larger() {
        let numbers = |count: usize| format!("[{}]", vec!["0"; count].join(","));
        let most = (MOST_UNITS - VALUE - ARRAY) / VALUE;
        assert!(fits(numbers(most).as_bytes()));
        assert!(!fits(numbers(most + 1).as_bytes()));
        let objects = |count: usize| format!("[{}]", vec![r#"{"":0}"#; count].join(","));
        let most = (MOST_UNITS - VALUE - ARRAY) / (VALUE + OBJECT + 2 * VALUE);
        assert!(fits(objects(most).as_bytes()));
        assert!(!fits(objects(most + 1).as_bytes()));
        // However long its texts are, a page that Mimecast gives fits.
        let entry =
            format!(r#"{{"id":"{}",{}"z":1}}"#, "x".repeat(1024), r#""key":["a"],"#.repeat(20));
        assert!(fits(format!("[{}]", vec![entry; 500].join(",")).as_bytes()));
    }

    #[test]
    fn what_is_no_json_does_not_fit() {
        for text in ["", "{", "{} {}", "nul", "[1,]", &"[".repeat(1000)] {
            assert!(!fits(text.as_bytes()), "{text}");
        }
        assert!(fits(br#" {"a": [null, true, -1, 1.5, 1e9, "\ud83d\ude00", "x\n"]} "#));
    }
}
