//! One line of the audit trail: a JSON object that says where in its chain it stands, and ends with its seal.
//!
//! `{"chain":"…","line":7,"at":"…","kind":"…", …,"prev":"the seal of line 6","seal":"…"}`: the seal is that of
//! all bytes before `,"seal":`. A line that is changed does not fit its seal, one that is left out, put in or
//! moved does not fit its neighbours.

use crate::secrecy::Seal;
use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Map, Value};
use uuid::Uuid;

/// What stands before the 64 digits of the seal, and what after them.
const SEAL: (&str, &str) = (",\"seal\":\"", "\"}");
const DIGITS: usize = 64;

/// Bytes of what a line says, at most, so that it has less than 1 MiB.
pub(super) const LONGEST_ENTRY: usize = (1 << 20) - 1024;

/// What every line begins with.
pub(super) const BEGIN: &str = "{\"chain\":\"";

/// Where a chain is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// The chain's id.
    pub chain: String,
    /// How many lines it has, over all its files.
    pub lines: u64,
    /// The seal of the last one.
    pub seal: String,
}

impl Head {
    /// A chain without a line.
    pub(super) fn new(id: Uuid) -> Head {
        Head { chain: id.simple().to_string(), lines: 0, seal: "0".repeat(DIGITS) }
    }

    /// The next line of the chain, with its line break; `entry` is an object in JSON with at least one name.
    pub(super) fn next(&mut self, at: DateTime<Utc>, entry: &str, seal: &Seal) -> String {
        self.lines += 1;
        let (chain, number, prev) = (&self.chain, self.lines, &self.seal);
        let at = at.to_rfc3339_opts(SecondsFormat::Micros, true);
        // No entry of ours is so long; what is could be read by nobody.
        let too_long = (entry.len() > LONGEST_ENTRY).then(|| {
            let (bytes, sum) = (entry.len(), Seal::default().of(entry.as_bytes()));
            format!(r#"{{"kind":"too_long","bytes":{bytes},"sha256":"{sum}"}}"#)
        });
        let entry = too_long.as_deref().unwrap_or(entry);
        let entry = entry.trim_start_matches('{');
        let entry = entry.strip_suffix('}').unwrap_or(entry);
        let sealed =
            format!(r#"{BEGIN}{chain}","line":{number},"at":"{at}",{entry},"prev":"{prev}""#);
        self.seal = seal.of(sealed.as_bytes());
        format!("{sealed}{}{}{}\n", SEAL.0, self.seal, SEAL.1)
    }
}

/// A line that was read.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// Where its chain is with it.
    pub head: Head,
    /// The seal of the line before it.
    pub prev: String,
    /// When it was written.
    pub at: DateTime<Utc>,
    /// What it says.
    pub entry: Map<String, Value>,
}

impl Line {
    /// Reads a line, without its line break. Whether the seal is right has to be [asked](Line::is_sealed).
    pub fn read(text: &str) -> Option<Line> {
        let seal = seal_of(text)?.to_owned();
        let mut entry: Map<String, Value> = serde_json::from_str(text).ok()?;
        let taken = |entry: &mut Map<String, Value>, name: &str| entry.remove(name);
        let text = |value: Option<Value>| match value {
            Some(Value::String(text)) => Some(text),
            Some(_) | None => None,
        };
        let head = Head {
            chain: text(taken(&mut entry, "chain"))?,
            lines: taken(&mut entry, "line")?.as_u64()?,
            seal,
        };
        entry.remove("seal");
        let prev = text(taken(&mut entry, "prev"))?;
        let at = text(taken(&mut entry, "at"))?.parse().ok()?;
        Some(Line { head, prev, at, entry })
    }

    /// Whether the seal at the end of `text` is that of what stands before it.
    pub fn is_sealed(text: &str, seal: &Seal) -> bool {
        let sealed = text.len().saturating_sub(SEAL.0.len() + DIGITS + SEAL.1.len());
        let sealed = text.as_bytes().get(..sealed).unwrap_or_default();
        seal_of(text).is_some_and(|found| found == seal.of(sealed))
    }

    /// What it says under `name`, if that is a text.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.entry.get(name)?.as_str()
    }

    /// The kind of what it says.
    pub fn kind(&self) -> &str {
        self.text("kind").unwrap_or_default()
    }
}

fn seal_of(text: &str) -> Option<&str> {
    let rest = text.strip_suffix(SEAL.1)?;
    let (before, seal) = rest.split_at_checked(rest.len().checked_sub(DIGITS)?)?;
    let is_one = before.ends_with(SEAL.0) && seal.bytes().all(|it| it.is_ascii_hexdigit());
    is_one.then_some(seal)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn two_lines(seal: &Seal) -> (Head, [String; 2]) {
        let mut head = Head::new(Uuid::from_u128(1));
        let at = "2026-11-26T04:00:00.5Z".parse().unwrap();
        let lines = [r#"{"kind":"one"}"#, r#"{"kind":"two","deep":{"a":[1,"}"]}}"#]
            .map(|entry| head.next(at, entry, seal).trim_end_matches('\n').to_owned());
        (head, lines)
    }

    #[test]
    fn a_line_says_where_it_stands_and_what_it_is_about() {
        let (head, [first, second]) = two_lines(&Seal::default());
        let begin = r#"{"chain":"00000000000000000000000000000001","line":1,"at":"2026-11-26T04:00:00.500000Z","kind":"one","prev":"0000"#;
        assert!(first.starts_with(begin), "{first}");
        let (first, second) = (Line::read(&first).unwrap(), Line::read(&second).unwrap());
        assert_eq!((second.head, &second.prev), (head, &first.head.seal));
        assert_eq!(first.prev, "0".repeat(64));
        assert_eq!(
            Value::Object(second.entry),
            serde_json::json!({"kind": "two", "deep": {"a": [1, "}"]}})
        );
    }

    #[test]
    fn who_has_another_key_or_none_makes_other_seals() {
        let (_, [line, _]) = two_lines(&Seal::by(b"a key of enough bytes"));
        assert!(Line::is_sealed(&line, &Seal::by(b"a key of enough bytes")));
        assert!(!Line::is_sealed(&line, &Seal::by(b"another key of bytes")));
        assert!(!Line::is_sealed(&line, &Seal::default()));
    }

    #[test]
    fn an_entry_that_is_too_long_for_a_line_leaves_its_size_and_its_hash() {
        let mut head = Head::new(Uuid::from_u128(1));
        let entry = format!(r#"{{"kind":"{}"}}"#, "x".repeat(1 << 20));
        let line = head.next(DateTime::UNIX_EPOCH, &entry, &Seal::default());
        let line = Line::read(line.trim_end()).unwrap();
        let sum = Seal::default().of(entry.as_bytes());
        assert_eq!((line.kind(), line.text("sha256")), ("too_long", Some(sum.as_str())));
    }

    #[test]
    fn what_is_no_line_is_not_read() {
        let (_, [line, _]) = two_lines(&Seal::default());
        for wrong in ["", "{}", "\"}", &line[1..], &line[..line.len() - 1], &format!("{line} ")] {
            assert_eq!(Line::read(wrong), None, "{wrong}");
            assert!(!Line::is_sealed(wrong, &Seal::default()), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn a_line_with_any_byte_changed_does_not_fit_its_seal(place in 0_usize..200, byte in 0_u8..128) {
            for seal in [Seal::default(), Seal::by(b"a key of enough bytes")] {
                let (_, [_, line]) = two_lines(&seal);
                let mut bytes = line.clone().into_bytes();
                let place = place % bytes.len();
                prop_assume!(bytes[place] != byte);
                bytes[place] = byte;
                let changed = String::from_utf8(bytes).unwrap();
                prop_assert!(Line::is_sealed(&line, &seal));
                prop_assert!(!Line::is_sealed(&changed, &seal), "{}", changed);
            }
        }
    }
}
