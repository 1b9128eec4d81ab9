//! Replies: what the vendor says, or whoever stands in front of it.

use super::{Make, Shape, numbered, repeated};
use chrono::DateTime;
use mimecast_eventd::command::Operation;
use mimecast_eventd::secrecy::{Hidden, Secret};
use mimecast_eventd::settings::Timings;
use mimecast_eventd::vendor::quota::Headers;
use mimecast_eventd::verdict::{Outcome, Reply};
use std::hint::black_box;

pub(super) fn all() -> Vec<(&'static str, Make)> {
    let mut all: Vec<(&'static str, Make)> = bodies()
        .into_iter()
        .map(|(name, body)| (name, Box::new(move |size| reply(body(size), Vec::new())) as Make))
        .collect();
    all.push(("reply: many headers", Box::new(many_headers)));
    all
}

type Body = fn(usize) -> String;

const ERROR: &str = r#"{"code":"err_x","message":"m","field":"f"}"#;

fn bodies() -> Vec<(&'static str, Body)> {
    vec![
        ("reply: many entries in fail", |size| fail(&numbered(size, ",", |_| ERROR.into()))),
        ("reply: many errors in one entry", |size| {
            fail(&format!("{{\"errors\":[{}]}}", numbered(size, ",", |_| ERROR.into())))
        }),
        ("reply: many texts in fail", |size| fail(&numbered(size, ",", |it| format!("\"{it}\"")))),
        ("reply: many keys", |size| object(&numbered(size, ",", |it| format!("\"{it}\":[]")))),
        ("reply: many keys in fail", |size| {
            fail(&format!("{{{}}}", numbered(size, ",", |it| format!("\"{it}\":0"))))
        }),
        ("reply: a long message of addresses", |size| fail(&error("m", &repeated(size, "a@b ")))),
        ("reply: a long code", |size| fail(&error(&repeated(size, "unauthorized "), "m"))),
        ("reply: a message that echoes a secret", |size| {
            fail(&error("m", &repeated(size, "cAnAry+bird/77=sings")))
        }),
        ("reply: a message that nearly echoes a secret", |size| {
            fail(&error("m", &repeated(size, "cAnAry+bird/77=sing")))
        }),
        ("reply: nested without end", |size| fail(&repeated(size, "["))),
        ("reply: data that is nested deep", |size| {
            let deep = format!("{}{}", "[".repeat(99), "]".repeat(99));
            object(&format!("\"data\":[{}]", numbered(size, ",", |_| deep.clone())))
        }),
        ("reply: a page of somebody else", |size| repeated(size, "<p>Forbidden</p>\n")),
    ]
}

fn object(entries: &str) -> String {
    format!("{{{entries},\"fail\":[]}}")
}

fn fail(entries: &str) -> String {
    format!("{{\"meta\":{{\"status\":200}},\"fail\":[{entries}]}}")
}

fn error(code: &str, message: &str) -> String {
    format!("{{\"code\":\"{code}\",\"message\":\"{message}\"}}")
}

fn many_headers(size: usize) -> Shape {
    let name = "X-Mimecast-RateLimit-Remaining";
    reply(
        "{}".into(),
        (0..size / (name.len() + 2)).map(|_| (name.to_owned(), "12".to_owned())).collect(),
    )
}

fn reply(body: String, headers: Vec<(String, String)>) -> Shape {
    let hide = Hidden::of(&[Secret::new("cAnAry+bird/77=sings")]);
    let of_headers: usize = headers.iter().map(|(name, value)| name.len() + value.len()).sum();
    let bytes = body.len() + of_headers;
    let read = move || {
        let pairs = headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let wait = Headers::read(pairs, None, DateTime::UNIX_EPOCH).wait(&Timings::default());
        for status in [200, 403] {
            let body = body.as_bytes();
            let reply = Reply { status, body, wait, hide: &hide, request_id: Some("r-1") };
            black_box(Outcome::of_reply(Operation::RemoveGroupMember, reply));
            black_box(reply.is_voice());
        }
    };
    Shape { bytes, read: Box::new(read) }
}
