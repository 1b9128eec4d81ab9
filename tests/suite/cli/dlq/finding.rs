//! What a letter is called and shows, and which letters a filter means, without a broker.

use chrono::DateTime;
use lapin::BasicProperties;
use lapin::message::Delivery;
use lapin::types::{AMQPValue, FieldTable};
use mimecast_eventd::broker::{Authorship, DeadLetter};
use mimecast_eventd::cli::dlq::{Filter, Letter};
use mimecast_eventd::event::EventType;
use mimecast_eventd::settings::Contract;
use mimecast_eventd::verdict::Grounds;
use std::time::Duration;

fn letter(body: &str) -> Letter {
    read(Delivery::mock(1, "".into(), "".into(), false, body.into()))
}

fn read(delivery: Delivery) -> Letter {
    Letter::read(
        DeadLetter::read(delivery, &Authorship::default()),
        &Contract::default(),
        DateTime::UNIX_EPOCH,
    )
}

#[test]
fn a_text_is_found_whatever_its_case_and_whatever_stands_around_it() {
    let means = |text: &str, body: &str| {
        Filter { text: Some(text.into()), ..Filter::default() }.allows(&letter(body))
    };
    assert!(means("ADA@", "mail of ada@example.com"));
    assert!(means("müller", "MÜLLER"));
    // In lower case a sigma is another one at the end of a word.
    assert!(means("ΟΔΟΣ", "ΟΔΟΣΗΜΑ"));
    assert!(!means("bob@", "mail of ada@example.com"));
}

#[test]
fn a_letter_is_found_by_its_id_as_it_is_and_as_it_is_shown() {
    let letter = letter(r#"{"specversion":"1.0","id":"e\u001b[2J"}"#);
    let means = |ids: &[&str]| {
        let ids = ids.iter().map(|id| (*id).to_owned()).collect();
        Filter { ids, ..Filter::default() }.allows(&letter)
    };
    assert!(means(&["e\u{1b}[2J"]) && means(&["e?[2J"]) && means(&["other", "e?[2J"]));
    assert!(!means(&["e", "other"]) && means(&[]));
}

#[test]
fn every_part_of_a_filter_has_to_allow_a_letter_and_an_empty_one_allows_all() {
    let letter = || {
        let mut letter =
            letter(r#"{"specversion":"1.0","id":"e-1","type":"url.unblock","source":"/soc"}"#);
        std::sync::Arc::get_mut(&mut letter.found).unwrap().code = Some("malformed".into());
        letter.age = Some(Duration::from_mins(5));
        letter
    };
    let all = Filter::default;
    let (minutes, event_type) =
        (|minutes| Some(Duration::from_mins(minutes)), EventType::UrlUnblock);
    let (grounds, other) = (letter().found.grounds, Grounds::DeliveryLimit);
    for (filter, is_allowed) in [
        (all(), true),
        (Filter { reasons: vec![other, grounds], ..all() }, true),
        (Filter { reasons: vec![other], ..all() }, false),
        (Filter { codes: vec!["other".into(), "malformed".into()], ..all() }, true),
        (Filter { codes: vec!["other".into()], ..all() }, false),
        (Filter { types: vec![event_type], ..all() }, true),
        (Filter { types: vec![EventType::UserOffboarded], ..all() }, false),
        (Filter { older_than: minutes(4), ..all() }, true),
        (Filter { older_than: minutes(5), ..all() }, false),
        (Filter { newer_than: minutes(6), ..all() }, true),
        (Filter { newer_than: minutes(5), ..all() }, false),
        (Filter { codes: vec!["malformed".into()], text: Some("bob".into()), ..all() }, false),
    ] {
        assert_eq!(filter.allows(&letter()), is_allowed, "{filter:?}");
    }
    let mut of_unknown_age = letter();
    of_unknown_age.age = None;
    for filter in [
        Filter { older_than: minutes(0), ..all() },
        Filter { newer_than: Some(Duration::MAX), ..all() },
    ] {
        assert!(!filter.allows(&of_unknown_age), "{filter:?}");
    }
}

#[test]
fn of_a_large_body_the_beginning_is_shown() {
    let shown = |length: usize| {
        let text = letter(&"y".repeat(length)).explained();
        let body = text.split("bytes\n").nth(1).unwrap();
        (body.matches('y').count(), body.contains("`dlq export` has all of it"))
    };
    assert_eq!(shown(64 * 1024), (64 * 1024, false));
    assert_eq!(shown(64 * 1024 + 1), (64 * 1024, true));
}

#[test]
fn a_letter_with_a_body_that_is_no_event_is_called_as_its_attributes_say() {
    let mut delivery = Delivery::mock(1, "".into(), "".into(), false, b"nonsense".into());
    let mut headers = FieldTable::default();
    for (name, value) in [("specversion", "1.0"), ("id", "e-1"), ("type", "url.unblock")] {
        headers.insert(format!("cloudEvents:{name}").into(), AMQPValue::LongString(value.into()));
    }
    delivery.properties = BasicProperties::default().with_headers(headers);
    let letter = read(delivery);
    assert_eq!((letter.id.as_str(), letter.event_type), ("e-1", Some(EventType::UrlUnblock)));
}
