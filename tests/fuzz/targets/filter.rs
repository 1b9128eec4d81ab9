//! Any words of `dlq`, and a dead letter of any properties, headers and body: the words are read or
//! refused, each part of a filter says yes or no by itself, a letter is found by what is shown of it, and
//! nothing that a stranger wrote moves the cursor.

#![no_main]

mod case;
mod dead_letter;

use case::{Case, is_one_line};
use chrono::{DateTime, Utc};
use libfuzzer_sys::fuzz_target;
use mimecast_eventd::cli::arguments::{self, Request};
use mimecast_eventd::cli::dlq::{Filter, Letter};
use mimecast_eventd::settings::Contract;
use serde_json::Value;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

fuzz_target!(|bytes: &[u8]| {
    let case = Case::of(bytes);
    let letter = Letter::read(dead_letter::of(&case), &Contract::default(), now());
    is_shown(&letter);
    is_found_by_what_it_is(&letter);
    if let Some(filter) = filter(&case) {
        let parts = parts(&filter);
        let by_each = parts.iter().all(|part| part.allows(&letter));
        assert_eq!(filter.allows(&letter), by_each, "{filter:?}");
    }
});

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_795_687_200, 0).expect("it is a time in 2026")
}

/// The filter that the words of the input come to, if they are right.
fn filter(case: &Case<'_>) -> Option<Filter> {
    // To read words takes as long as hundreds of letters do, and most inputs differ in the letter.
    type Known = BTreeMap<Vec<OsString>, Option<Filter>>;
    thread_local!(static KNOWN: RefCell<Known> = RefCell::default());
    let words = case.all("word").map(|word| OsStr::from_bytes(word).to_owned());
    let words = ["mimecast-eventd", "dlq"].map(OsString::from).into_iter().chain(words).collect();
    KNOWN.with_borrow_mut(|known| {
        if known.len() > 10_000 {
            known.clear();
        }
        known.entry(words).or_insert_with_key(|words| read(words)).clone()
    })
}

fn read(words: &[OsString]) -> Option<Filter> {
    match arguments::parse(words.to_vec()) {
        Ok(Request::Dlq(_, dlq)) => Some(dlq.filter),
        Ok(other) => panic!("dlq came to {other:?}"),
        Err(error) => {
            assert!(!error.to_string().is_empty());
            None
        }
    }
}

/// A filter for each part of `whole`.
fn parts(whole: &Filter) -> [Filter; 7] {
    let Filter { reasons, codes, types, older_than, newer_than, ids, text } = whole.clone();
    [
        Filter { reasons, ..Filter::default() },
        Filter { codes, ..Filter::default() },
        Filter { types, ..Filter::default() },
        Filter { older_than, ..Filter::default() },
        Filter { newer_than, ..Filter::default() },
        Filter { ids, ..Filter::default() },
        Filter { text, ..Filter::default() },
    ]
}

fn is_shown(letter: &Letter) {
    is_one_line(&letter.row(), 2048);
    letter.explained().lines().for_each(|line| is_one_line(line, usize::MAX));
    let exported = letter.exported();
    let text = |value: &Value| value.as_str().map(str::to_owned);
    assert_eq!(exported.get("id").and_then(text).as_ref(), Some(&letter.id));
    let body = exported.get("message").and_then(|message| message.get("body")).and_then(text);
    let envelope = &letter.found.envelope;
    assert_eq!(body.as_deref(), std::str::from_utf8(&envelope.body).ok());
}

fn is_found_by_what_it_is(letter: &Letter) {
    assert!(!letter.id.is_empty() && Filter::default().allows(letter));
    let found = &letter.found;
    let own = Filter {
        reasons: vec![found.grounds],
        codes: found.code.iter().cloned().collect(),
        types: letter.event_type.into_iter().collect(),
        ids: vec![letter.id.clone()],
        // Whatever the case.
        text: std::str::from_utf8(&found.envelope.body).ok().map(str::to_ascii_uppercase),
        ..Filter::default()
    };
    assert!(own.allows(letter), "{own:?}");
    let (older_than, newer_than) = (letter.age, letter.age);
    assert!(
        !Filter { older_than, newer_than, ..Filter::default() }.allows(letter)
            || letter.age.is_none()
    );
}
