//! What each event comes to, by golden files: `NAME.json` is what arrives, `NAME.expected.json` the
//! commands or the refusal that must follow. A new case is two files and no code.

use chrono::{DateTime, Utc};
use mimecast_eventd::command::Intent;
use mimecast_eventd::event::{
    Envelope, Event, EventError, EventType, Member, Names, Pointer, Pointers, Reading,
};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// A folder that was not found, or a filter gone wrong, must not pass for success.
const AT_LEAST: usize = 150;

#[test]
fn every_golden_event_comes_to_the_commands_or_the_refusal_beside_it() {
    let mut differences = Vec::new();
    let names = names();
    for name in &names {
        let (case, expected) = (read(name, "json"), read(name, "expected.json"));
        let found = interpret(&case);
        if found != expected {
            differences.push(format!("{name}:\n  expected {expected}\n  found    {found}"));
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
    assert!(names.len() >= AT_LEAST, "only {} cases were found", names.len());
}

#[test]
fn a_body_that_is_not_utf8_is_not_json() {
    let body = b"{\"emailAddress\":\"ada\xff@example.com\"}".to_vec();
    let envelope = Envelope { body, ..Envelope::default() };
    let error =
        Event::parse(&envelope, EventType::UserOffboarded, &Reading::default()).unwrap_err();
    assert!(matches!(error, EventError::Malformed { .. }), "{error:?}");
}

/// The names of the cases: what both files of a pair are called.
fn names() -> BTreeSet<String> {
    let folder = fs::read_dir(folder()).unwrap();
    let files: BTreeSet<String> =
        folder.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    files
        .iter()
        .map(|file| {
            let name = file.strip_suffix(".expected.json").or_else(|| file.strip_suffix(".json"));
            let name = name.unwrap_or_else(|| panic!("{file} is no part of a case"));
            for partner in [format!("{name}.json"), format!("{name}.expected.json")] {
                assert!(files.contains(&partner), "{file} has no {partner} beside it");
            }
            name.to_owned()
        })
        .collect()
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/events")
}

fn read(name: &str, ending: &str) -> Value {
    let text = fs::read_to_string(folder().join(format!("{name}.{ending}"))).unwrap();
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{name}.{ending}: {error}"))
}

/// What the daemon makes of a case, in the form of an `expected.json`.
fn interpret(case: &Value) -> Value {
    only(case, &["lane", "types", "binding_keys", "map", "default_groups", "envelope"]);
    let default_groups: Vec<String> = case.get("default_groups").map(texts).unwrap_or_default();
    let lane = case["lane"].as_str().unwrap();
    let lane = Names::default().event_type(lane).unwrap();
    let event = Event::parse(&envelope(&case["envelope"]), lane, &reading(case, lane));
    let commands = event.and_then(|event| {
        let commands = Intent::of_event(&event, &default_groups)?;
        Ok((event, commands))
    });
    match commands {
        Ok((event, commands)) => {
            let time = |time: DateTime<Utc>| time.to_rfc3339().replace("+00:00", "Z");
            let mut found = json!({
                "commands": commands.iter().map(shown).collect::<Vec<_>>(),
                "id": event.id,
                "time": event.time.map(time),
            });
            if let Some(due) = event.due {
                found["due"] = json!(time(due.at));
            }
            found
        }
        Err(error @ EventError::Malformed { .. }) => {
            json!({"refused": "malformed", "detail": error.to_string()})
        }
        Err(error @ EventError::Unsupported { .. }) => {
            json!({"refused": "unsupported", "detail": error.to_string()})
        }
        Err(error @ EventError::TooLarge(_)) => {
            json!({"refused": "too_large", "detail": error.to_string()})
        }
    }
}

/// Further names, each with the type that it means; binding keys and pointers of the lane.
fn reading(case: &Value, lane: EventType) -> Reading {
    let entries = |name: &str| case.get(name).and_then(Value::as_object).into_iter().flatten();
    let mut names = Names::default();
    for (name, event_type) in entries("types") {
        let event_type = names.event_type(event_type.as_str().unwrap()).unwrap();
        assert!(names.add(name.clone(), event_type));
    }
    for key in case.get("binding_keys").map(texts).unwrap_or_default() {
        names.bind(key, lane);
    }
    let mut pointers = Pointers::default();
    for (field, pointer) in entries("map") {
        pointers.point(field, Pointer::parse(pointer.as_str().unwrap()).unwrap());
    }
    let mut reading = Reading::by(names);
    reading.point(lane, pointers);
    reading
}

fn envelope(envelope: &Value) -> Envelope {
    only(
        envelope,
        &[
            "content_type",
            "content_encoding",
            "attributes",
            "type",
            "message_id",
            "routing_key",
            "body",
        ],
    );
    let text = |name: &str| envelope.get(name).map(|text| text.as_str().unwrap().to_owned());
    Envelope {
        body: match envelope["body"].as_str() {
            Some(raw) => raw.into(),
            None => envelope["body"].to_string().into(),
        },
        content_type: text("content_type"),
        content_encoding: text("content_encoding"),
        attributes: envelope.get("attributes").map(attributes).unwrap_or_default(),
        message_type: text("type"),
        message_id: text("message_id"),
        routing_key: text("routing_key").unwrap_or_default(),
        ..Envelope::default()
    }
}

/// A list of names and values, since a name can stand there twice.
fn attributes(list: &Value) -> Vec<(String, Option<String>)> {
    let pair =
        |pair: &Value| (pair[0].as_str().unwrap().to_owned(), pair[1].as_str().map(str::to_owned));
    list.as_array().unwrap().iter().map(pair).collect()
}

fn shown(intent: &Intent) -> Value {
    match intent {
        Intent::Command(command) => {
            let call = command.call();
            assert_eq!(call.operation, command.operation());
            let body: Value = serde_json::from_str(&call.body).expect("strict JSON");
            json!({"operation": call.operation.label(), "path": call.operation.path(), "body": body})
        }
        Intent::Leave { name, place, member } => {
            let kind = match member {
                Member::EmailAddress(_) => "address",
                Member::Domain(_) => "domain",
            };
            json!({"leave": name, "place": place, "member": format!("{kind} {}", member.as_str())})
        }
        Intent::Unblock(url) => json!({"unblock": url.to_string()}),
    }
}

/// A mistyped key would quietly take its case's point away.
fn only(object: &Value, known: &[&str]) {
    let object: &Map<String, Value> = object.as_object().unwrap();
    let unknown = object.keys().find(|key| !known.contains(&key.as_str()));
    assert_eq!(unknown, None, "a case has {known:?} and nothing else");
}

fn texts(list: &Value) -> Vec<String> {
    list.as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect()
}
