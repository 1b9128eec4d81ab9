//! Dead letters, and what says which of them are meant. How its words are read is no matter here: whoever
//! types them is no stranger, and no system lets many through.

use super::{Make, Shape, repeated};
use chrono::DateTime;
use lapin::BasicProperties;
use lapin::message::Delivery;
use lapin::types::{AMQPValue, FieldTable};
use mimecast_eventd::broker::{Authorship, DeadLetter};
use mimecast_eventd::cli::dlq::{Filter, Letter};
use mimecast_eventd::settings::Contract;
use std::hint::black_box;
use std::time::Duration;

pub(super) fn all() -> Vec<(&'static str, Make)> {
    vec![
        ("filter: many ids and a long one", Box::new(ids)),
        ("filter: a text that is nearly in the body", Box::new(text)),
        ("letter: a body that is nested deep", Box::new(nested)),
        ("letter: a body of what moves the cursor", Box::new(cursor)),
    ]
}

/// Half of it are ids, of which the last is the one; and half the letter's own.
fn ids(size: usize) -> Shape {
    let own = repeated(size / 2, "i");
    let ids = (0..size / 16).map(|number| format!("{number:0>8}"));
    let filter = Filter { ids: ids.chain([own.clone()]).collect(), ..Filter::default() };
    let body = format!("{{\"specversion\":\"1.0\",\"id\":\"{own}\"}}");
    letter(body, size, filter)
}

fn text(size: usize) -> Shape {
    let text = Some(format!("{}b", repeated(size / 2, "a")));
    letter(repeated(size / 2, "a"), size, Filter { text, ..Filter::default() })
}

fn nested(size: usize) -> Shape {
    let deep = format!("{}1{},", "[".repeat(99), "]".repeat(99));
    letter(format!("[{}1]", repeated(size, &deep)), size, Filter::default())
}

fn cursor(size: usize) -> Shape {
    letter(repeated(size, "\u{1b}\n\u{202e}"), size, Filter::default())
}

/// What `dlq` does with a letter of this body.
fn letter(body: String, bytes: usize, filter: Filter) -> Shape {
    let filter = Filter { older_than: Some(Duration::ZERO), ..filter };
    let read = move || {
        let mut delivery = Delivery::mock(1, "".into(), "".into(), false, body.clone().into());
        let mut headers = FieldTable::default();
        let since = AMQPValue::LongString("1969-12-31T00:00:00Z".into());
        headers.insert("x-eventd-dead-lettered-at".into(), since);
        delivery.properties = BasicProperties::default().with_headers(headers);
        let found = DeadLetter::read(delivery, &Authorship::default());
        let letter = Letter::read(found, &Contract::default(), DateTime::UNIX_EPOCH);
        black_box((filter.allows(&letter), letter.row(), letter.explained(), letter.exported()));
    };
    Shape { bytes, read: Box::new(read) }
}
