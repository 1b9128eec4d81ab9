//! Messages: what strangers publish.

use super::{Make, Shape, numbered, repeated};
use mimecast_eventd::broker::sieve::Sieve;
use mimecast_eventd::command::Intent;
use mimecast_eventd::event::{Envelope, Event, EventType, Pointer, Pointers, Reading};
use mimecast_eventd::verdict::Disposition;
use std::hint::black_box;

pub(super) fn all() -> Vec<(&'static str, Make)> {
    let mut all: Vec<(&'static str, Make)> = bodies()
        .into_iter()
        .map(|(name, body)| (name, Box::new(move |size| event(body(size))) as Make))
        .collect();
    all.push(("event: many attributes", Box::new(many_attributes)));
    all.push(("event: one attribute many times", Box::new(one_attribute)));
    all.push(("event: a long content type", Box::new(long_content_type)));
    all.push(("event: a pointer into what is wide", Box::new(mapped)));
    all.push(("sieve: many headers", Box::new(|size| sieve(size, size, b"\x01aV"))));
    all.push(("sieve: tables in tables", Box::new(|size| sieve(size, size, NESTED))));
    all.push(("sieve: texts that are not UTF-8", Box::new(|size| sieve(size, size, NOT_UTF8))));
    all.push(("sieve: byte by byte", Box::new(|size| sieve(size, 1, b"\x01aV"))));
    all
}

/// A header with a table in it, with one in it, with one in it.
const NESTED: &[u8] = b"\x01aF\0\0\0\x12\x01aF\0\0\0\x0b\x01aF\0\0\0\x04\x01at\x01";

/// A header whose name is no text.
const NOT_UTF8: &[u8] = b"\x06\xff\xfe\xff\xfe\xff\xfeV";

type Body = fn(usize) -> String;

fn bodies() -> Vec<(&'static str, Body)> {
    vec![
        ("event: many keys", |size| object(&numbered(size, ",", |it| format!("\"{it}\":0")))),
        ("event: long keys that begin alike", |size| {
            object(&numbered(size, ",", |it| format!("\"{}{it}\":0", "a".repeat(200))))
        }),
        ("event: a key that stands twice, behind many", |size| {
            let many = numbered(size, ",", |it| format!("\"{it}\":0"));
            object(&format!("{many},\"a\":1,\"a\":2"))
        }),
        ("event: nested without end", |size| object(&format!("\"a\":{}", repeated(size, "[")))),
        ("event: many that are nested deep", |size| {
            object(&numbered(size, ",", |it| {
                format!("\"{it}\":{}{}", "[".repeat(99), "]".repeat(99))
            }))
        }),
        ("event: white space", |size| object(&repeated(size, " \n"))),
        ("event: a long number", |size| object(&format!("\"a\":{}", repeated(size, "9")))),
        ("event: a long text of escapes", |size| {
            object(&format!("\"emailAddress\":\"{}\"", repeated(size, "\\u0040")))
        }),
        ("event: a long address", |size| {
            object(&format!("\"emailAddress\":\"{}\"", repeated(size, "a@")))
        }),
        ("event: a long URL", |size| {
            object(&format!("\"url\":\"https://{}\"", repeated(size, "bü.")))
        }),
        ("event: many groups", |size| groups(&numbered(size, ",", |it| format!("\"{it:0>99}\"")))),
        ("event: one group many times", |size| groups(&repeated(size, "\"a\","))),
        ("event: not JSON at its end", |size| {
            format!("{{\"a\":\"{}\"", repeated(size, "a\u{e9} "))
        }),
    ]
}

fn object(entries: &str) -> String {
    format!("{{{entries}}}")
}

fn groups(list: &str) -> String {
    let list = list.trim_end_matches(',');
    format!("{{\"emailAddress\":\"ada@example.com\",\"groupIds\":[{list}]}}")
}

fn event(body: String) -> Shape {
    of(Envelope { body: body.into(), routing_key: "user.offboarded".into(), ..Envelope::default() })
}

fn of(envelope: Envelope) -> Shape {
    let attributes: usize =
        envelope.attributes.iter().map(|(name, _)| name.len() + "1.0".len()).sum();
    let content_type = envelope.content_type.as_ref().map_or(0, String::len);
    let bytes = envelope.body.len() + attributes + content_type;
    let mut pointers = Pointers::default();
    pointers.point("effectiveAt", Pointer::parse("/a/b/c").expect("it is a pointer"));
    let mapped = envelope.message_type.is_some();
    let mut reading = Reading::default();
    if mapped {
        reading.point(EventType::UserOffboarded, pointers);
    }
    let read = move || {
        for lane in EventType::ALL {
            match Event::parse(&envelope, lane, &reading) {
                Ok(event) => drop(black_box(Intent::of_event(&event, &[]))),
                Err(error) => drop(black_box(Disposition::of_event_error(&error))),
            }
        }
    };
    Shape { bytes, read: Box::new(read) }
}

fn with_attributes(attributes: Vec<(String, Option<String>)>) -> Shape {
    of(Envelope { attributes, body: b"{}".into(), ..Envelope::default() })
}

fn many_attributes(size: usize) -> Shape {
    let names = (0..size / 9).map(|number| (format!("{number:0>6}"), Some("1.0".into())));
    with_attributes(names.chain([("specversion".into(), Some("1.0".into()))]).collect())
}

fn one_attribute(size: usize) -> Shape {
    with_attributes(vec![("specversion".into(), Some("1.0".into())); size / 14])
}

fn long_content_type(size: usize) -> Shape {
    let content_type = Some(repeated(size, "application/cloudevents;"));
    of(Envelope { content_type, body: b"{}".into(), ..Envelope::default() })
}

/// With the type as a property the field is read from where a pointer says.
fn mapped(size: usize) -> Shape {
    let entries = numbered(size, ",", |it| format!("\"{it}\":0"));
    let body = format!("{{\"a\":{{\"b\":{{{entries}}}}}}}").into();
    of(Envelope { body, message_type: Some("user.offboarded".into()), ..Envelope::default() })
}

/// A content header with a table of the same header again and again, in pieces of so many bytes.
fn sieve(size: usize, piece: usize, header: &[u8]) -> Shape {
    // No frame is longer; the rest comes in further ones.
    let table = header.repeat(size.min(64 * 1024) / header.len());
    let length = |bytes: &[u8]| u32::try_from(bytes.len()).expect("it is short").to_be_bytes();
    let payload =
        [&[0, 60, 0, 0], &[0; 8][..], &[0x20, 0], &length(&table), table.as_slice()].concat();
    let frame = [&[2, 0, 1], &length(&payload)[..], &payload, &[0xCE]].concat();
    let bytes = frame.len();
    let read = move || {
        let (mut sieve, mut out) = (Sieve::default(), Vec::new());
        for piece in frame.chunks(piece) {
            sieve.sift(piece, &mut out).expect("it is AMQP");
        }
        black_box(out);
    };
    Shape { bytes, read: Box::new(read) }
}
