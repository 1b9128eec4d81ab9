//! Which letters a filter means, without a broker.

use chrono::DateTime;
use lapin::message::Delivery;
use mimecast_eventd::broker::DeadLetter;
use mimecast_eventd::cli::dlq::{Filter, Letter};
use mimecast_eventd::event::EventType;
use mimecast_eventd::settings::Contract;
use mimecast_eventd::verdict::Grounds;
use std::time::Duration;

fn letter(body: &str) -> Letter {
    let delivery = Delivery::mock(1, "".into(), "".into(), false, body.into());
    Letter::read(DeadLetter::read(delivery), &Contract::default(), DateTime::UNIX_EPOCH)
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
        letter.found.code = Some("malformed".into());
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
