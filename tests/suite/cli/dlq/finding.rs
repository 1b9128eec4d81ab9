//! Which letters a filter means, without a broker.

use chrono::DateTime;
use lapin::message::Delivery;
use mimecast_eventd::broker::DeadLetter;
use mimecast_eventd::cli::dlq::{Filter, Letter};
use mimecast_eventd::settings::Contract;

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
