//! Settings: files of many lines, and long values.

use super::{Make, Shape, numbered, repeated};
use mimecast_eventd::settings::{Settings, Sources};
use std::ffi::OsString;
use std::fs;
use std::hint::black_box;

pub(super) fn all() -> Vec<(&'static str, Make)> {
    let mut all: Vec<(&'static str, Make)> = files()
        .into_iter()
        .map(|(name, text)| (name, Box::new(move |size| file(text(size))) as Make))
        .collect();
    all.push(("settings: many nodes of a cluster", Box::new(nodes)));
    all.push(("settings: many variables", Box::new(variables)));
    all
}

type Text = fn(usize) -> String;

/// A name that is not known is compared with every one that is: that takes so long that fewer will do.
const UNKNOWN: usize = 16;

fn files() -> Vec<(&'static str, Text)> {
    vec![
        ("settings: many keys", |size| numbered(size / UNKNOWN, "\n", |it| format!("k{it} = 1"))),
        ("settings: many tables", |size| {
            numbered(size / UNKNOWN, "\n", |it| format!("[t{it}]\nk = 1"))
        }),
        ("settings: many deep keys", |size| {
            numbered(size / UNKNOWN, "\n", |it| format!("k{it}{} = 1", ".k".repeat(20)))
        }),
        ("settings: a long key", |size| format!("{} = 1", repeated(size / UNKNOWN, "mimecast_"))),
        ("settings: a long value", |size| format!("amqp.exchange = \"{}\"", repeated(size, "x"))),
        ("settings: a mistake in the last of many lines", |size| {
            format!("{}\n!", numbered(size, "\n", |it| format!("k{it} = 1")))
        }),
        ("settings: mistakes in all of many lines", |size| repeated(size, "a = = \"\\x\n")),
        ("settings: lists in lists", |size| format!("a = {}", repeated(size, "["))),
        ("settings: many further names", |size| lane("types", &list(size, "com.example."))),
        ("settings: many binding keys", |size| lane("binding_keys", &list(size, "hr.*."))),
        ("settings: many default groups", |size| lane("default_groups", &list(size, "g"))),
        ("settings: many pointers", |size| {
            let entries = numbered(size, ", ", |it| format!("f{it} = \"/a\""));
            lane("map", &format!("{{ {entries} }}"))
        }),
        ("settings: a long pointer", |size| {
            lane("map", &format!("{{ id = \"{}\" }}", repeated(size, "/a~1")))
        }),
        ("settings: many protected addresses", |size| {
            policy("protected_addresses", &list(size, "ü"))
        }),
        ("settings: many protected groups", |size| policy("protected_groups", &list(size, "g"))),
        ("settings: a long ladder", |size| {
            format!("[retry]\nladder = [{}]", numbered(size, ", ", |it| format!("\"{}s\"", it + 1)))
        }),
        ("settings: a long duration", |size| {
            format!("drain_timeout = \"{}\"", repeated(size, "1ns "))
        }),
    ]
}

fn list(size: usize, beginning: &str) -> String {
    format!("[{}]", numbered(size, ", ", |it| format!("\"{beginning}{it}\"")))
}

fn lane(key: &str, value: &str) -> String {
    format!("[events.\"user.offboarded\"]\n{key} = {value}\n")
}

fn policy(key: &str, value: &str) -> String {
    format!("[policy]\n{key} = {value}\n")
}

fn file(text: String) -> Shape {
    let bytes = text.len();
    let folder = std::env::temp_dir();
    let path = folder.join(format!("mimecast-eventd-growth-{}.toml", std::process::id()));
    fs::write(&path, text).expect("the folder for temporary files can be written to");
    let read = move || {
        let sources = Sources::gather([], secrets(), Some(&path));
        black_box(Settings::read(sources)).map(drop).unwrap_or_default();
    };
    Shape { bytes, read: Box::new(read) }
}

/// What is required beside the file.
fn secrets() -> Vec<(OsString, OsString)> {
    let named = ["AUTH", "REGION", "ACCESS_KEY", "SECRET_KEY", "APP_ID", "APP_KEY"];
    let values = ["hmac", "eu", "access", "c2VjcmV0", "id", "key"];
    let variables = named.into_iter().zip(values);
    variables
        .map(|(name, value)| (format!("EVENTD_MIMECAST__{name}").into(), value.into()))
        .collect()
}

fn of(environment: Vec<(OsString, OsString)>) -> Shape {
    let bytes = environment.iter().map(|(name, value)| name.len() + value.len()).sum();
    let read = move || {
        let all = environment.iter().cloned().chain(secrets());
        black_box(Settings::read(Sources::gather([], all, None))).map(drop).unwrap_or_default();
    };
    Shape { bytes, read: Box::new(read) }
}

fn nodes(size: usize) -> Shape {
    let url = numbered(size, ",", |it| format!("amqp://u:p@n{it}/v"));
    of(vec![("EVENTD_AMQP__URL".into(), url.into())])
}

fn variables(size: usize) -> Shape {
    of((0..size / UNKNOWN / 16)
        .map(|number| (format!("EVENTD_{number:0>8}").into(), "x".into()))
        .collect())
}
