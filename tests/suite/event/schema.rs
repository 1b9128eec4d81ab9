//! The published schemas and examples: what they allow is what the daemon takes, and nothing else.

use jsonschema::Validator;
use mimecast_eventd::event::{Envelope, Event, EventError, EventType, Reading};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

const ASYNC_API: &str = include_str!("../../../docs/asyncapi.yaml");
const SCHEMAS: [(&str, &str); 2] = [
    ("user.offboarded", include_str!("../../../docs/schemas/user.offboarded.schema.json")),
    ("url.unblock", include_str!("../../../docs/schemas/url.unblock.schema.json")),
];

const OUTCOME: &str = include_str!("../../../docs/schemas/outcome.schema.json");

/// Texts that some field takes, and texts that are nearly so.
const TEXTS: &[&str] = &[
    "ada@example.com",
    " Ada.L+x@BÜCHER.example\n",
    "Ada <ada@example.com>",
    "ada@example.com, bob@example.com",
    "ada@bob@example.com",
    "ada lovelace@example.com",
    "@example.com",
    "ada@",
    "SMTP:ada@example.com",
    "'ada@example.com'",
    "'t.hooft@example.com",
    "o\u{2019}brien@example.com",
    "o'brien+x/y=z@example.com.",
    "ada%2Bx@example.com",
    "ada@example.com\u{200b}",
    "ada@192.0.2.1",
    "ada@exam_ple.com",
    "ada@example..com",
    "eNoVzsEKgjAA-_=",
    "eNoV zsEK",
    "eNoV\u{ad}zsEK",
    "",
    "  ",
    "example.com",
    "example.com\u{3002}",
    "example.com..",
    "192.0.2.1",
    "-example.com",
    " example.com ",
    "*.example.com",
    "example.com/a",
    "VIP mailing",
    "VIP\nmailing",
    "VIP\u{200b}mailing",
    "\u{1f469}\u{200d}\u{1f4bb} VIP",
    "https://example.com./%7Euser",
    "https://example.com/\u{200b}",
    "https://exam\nple.com/",
    "https://url.us.m.mimecastprotect.com/s/x?domain=example.com",
    "https://notmimecastprotect.com/s/x",
    "https://example.com/a?b=c#d",
    " HTTPS://Example.com:8443 ",
    "http://bücher.example?a",
    "http://[::1]/",
    "https://example.com:65536/",
    "https://user:password@example.com/",
    "https://",
    "ftp://example.com/",
    "//example.com/",
    "2026-11-30T17:00:00Z",
    " 2026-11-30T17:00:00.5+01:00 ",
    "2026-11-30T17:00:00",
    "2026-11-30",
    "2026-13-30T17:00:00Z",
    "2026-11-30T25:00:00Z",
    "user.offboarded",
    "url.unblock",
    "1.0",
    "1.",
    "2.0",
    "/hr",
];

/// A schema, and the one of the data alone within it.
struct Schema {
    event_type: &'static str,
    whole: Validator,
    data: Validator,
    document: Value,
}

fn schemas() -> Vec<Schema> {
    let read = |(event_type, text): (&'static str, &str)| {
        let document: Value = serde_json::from_str(text).unwrap();
        let data = document["$defs"]["data"].clone();
        let compile = |schema: &Value| jsonschema::draft202012::new(schema).unwrap();
        Schema { event_type, whole: compile(&document), data: compile(&data), document }
    };
    SCHEMAS.into_iter().map(read).collect()
}

/// What the daemon says to a body, published by the routing key of its type.
fn parse(
    event_type: &str,
    content_type: &str,
    attributes: Vec<(String, Option<String>)>,
    body: &Value,
) -> Result<Event, EventError> {
    let lane = EventType::ALL.into_iter().find(|it| it.name() == event_type).unwrap();
    let envelope = Envelope {
        body: body.to_string().into(),
        content_type: Some(content_type.into()),
        attributes,
        routing_key: event_type.into(),
        ..Envelope::default()
    };
    Event::parse(&envelope, lane, &Reading::default())
}

#[test]
fn every_example_is_an_event_and_fits_its_schema() {
    let document: Value = serde_saphyr::from_str(ASYNC_API).unwrap();
    let schemas = schemas();
    let (mut ids, mut examples) = (BTreeSet::new(), 0);
    for message in document["components"]["messages"].as_object().unwrap().values() {
        let event_type = message["name"].as_str().unwrap();
        if event_type == "outcome" {
            // Of what the daemon itself publishes another test knows more.
            let outcome: Value = serde_json::from_str(OUTCOME).unwrap();
            let outcome = jsonschema::draft202012::new(&outcome).unwrap();
            for example in message["examples"].as_array().unwrap() {
                outcome.validate(&example["payload"]).unwrap();
            }
            continue;
        }
        let schema = schemas.iter().find(|it| it.event_type == event_type).unwrap();
        let reference = message["payload"]["$ref"].as_str().unwrap();
        let file = format!("./schemas/{event_type}.schema.json");
        let validator = match reference.strip_prefix(&file).expect("it is the type's own") {
            "" => &schema.whole,
            "#/$defs/data" => &schema.data,
            other => panic!("{other} is no schema of an event"),
        };
        for example in message["examples"].as_array().unwrap() {
            let headers = example.get("headers").and_then(Value::as_object).cloned();
            let attribute = |(name, value): (String, Value)| {
                let name = name.strip_prefix("cloudEvents:").unwrap().to_owned();
                (name, value.as_str().map(str::to_owned))
            };
            let attributes = headers.unwrap_or_default().into_iter().map(attribute).collect();
            let content_type = message["contentType"].as_str().unwrap();
            let payload = &example["payload"];
            let event = parse(event_type, content_type, attributes, payload);
            let event = event.unwrap_or_else(|error| panic!("{example}: {error}"));
            assert!(validator.is_valid(payload), "{example}");
            assert!(event.id.is_none_or(|id| ids.insert(id)), "two examples have one id");
            examples += 1;
        }
    }
    assert!(examples >= 9, "only {examples} examples");
}

#[test]
fn a_schema_allows_exactly_what_the_daemon_takes() {
    let mut runner = TestRunner::deterministic();
    for schema in schemas() {
        let (mut allowed, mut refused) = (0, 0);
        let objects = object(&schema.document["$defs"]["data"]);
        for _ in 0..2_000 {
            let data = objects.new_tree(&mut runner).unwrap().current();
            let whole = envelope(schema.event_type, data.clone());
            let whole = whole.new_tree(&mut runner).unwrap().current();
            let as_data = parse(schema.event_type, "application/json", Vec::new(), &data);
            // One that calls itself a CloudEvent is read as one.
            assert_eq!(schema.data.is_valid(&data), as_data.is_ok(), "{data}: {as_data:?}");
            let structured = "application/cloudevents+json";
            let as_whole = parse(schema.event_type, structured, Vec::new(), &whole);
            assert_eq!(schema.whole.is_valid(&whole), as_whole.is_ok(), "{whole}: {as_whole:?}");
            for taken in [as_data.is_ok(), as_whole.is_ok()] {
                *(if taken { &mut allowed } else { &mut refused }) += 1;
            }
        }
        assert!(allowed > 400 && refused > 400, "{allowed} allowed, {refused} refused");
    }
}

#[test]
fn the_limits_of_a_schema_are_those_of_the_daemon() {
    let (long, longer) = ("a".repeat(510), "a".repeat(511));
    let many = |count: usize| (0..count).map(|number| format!("{number}")).collect::<Vec<_>>();
    let url = |length: usize| format!("https://example.com/{}", "a".repeat(length - 20));
    for (event_type, data, is_allowed) in [
        ("user.offboarded", json!({"emailAddress": format!("{long}@b")}), true),
        ("user.offboarded", json!({"emailAddress": format!("{longer}@b")}), false),
        ("user.offboarded", json!({"domain": format!("{}.b", &long[..63])}), true),
        ("user.offboarded", json!({"domain": format!("{}.b", &long[..64])}), false),
        ("user.offboarded", json!({"domain": "b", "groups": many(1_000)}), true),
        ("user.offboarded", json!({"domain": "b", "groups": many(1_001)}), false),
        ("user.offboarded", json!({"domain": "b", "groupIds": many(1_001)}), false),
        ("user.offboarded", json!({"domain": "b", "groupIds": [format!("{longer}bc")]}), false),
        ("url.unblock", json!({"ids": many(1_000)}), true),
        ("url.unblock", json!({"ids": many(1_001)}), false),
        ("url.unblock", json!({"id": format!("{longer}bc")}), false),
        ("url.unblock", json!({"url": url(8_192)}), true),
        ("url.unblock", json!({"url": url(8_193)}), false),
    ] {
        let schemas = schemas();
        let schema = schemas.iter().find(|it| it.event_type == event_type).unwrap();
        let taken = parse(event_type, "application/json", Vec::new(), &data);
        let shown = data.to_string().chars().take(80).collect::<String>();
        assert_eq!(
            (schema.data.is_valid(&data), taken.is_ok()),
            (is_allowed, is_allowed),
            "{shown}"
        );
    }
}

/// An object as the schema wants it, of which one field may be another, or be wrong.
fn object(data: &Value) -> impl Strategy<Value = Value> {
    let properties = data["properties"].as_object().unwrap();
    let choices = data["oneOf"].as_array().unwrap();
    let chosen: Vec<&str> = choices.iter().map(|it| it["required"][0].as_str().unwrap()).collect();
    let fitting = |name: &str| (name.to_owned(), fitting(&properties[name]));
    let one: Vec<_> = chosen.iter().map(|name| fitting(name)).collect();
    let others = properties.keys().filter(|name| !chosen.contains(&name.as_str()));
    let others: Vec<_> = others.map(|name| fitting(name)).collect();
    let pick =
        |(name, values): (String, Vec<Value>)| (Just(name), prop::sample::select(values)).boxed();
    let one = prop::sample::select(one).prop_flat_map(pick);
    let others = proptest::collection::vec(prop::sample::select(others).prop_flat_map(pick), 0..3);
    let mut names: Vec<String> = properties.keys().cloned().collect();
    names.push("comment".into());
    let change = prop::option::weighted(0.5, (prop::sample::select(names), value()));
    (one, others, change).prop_map(|(one, others, change)| {
        Value::Object(others.into_iter().chain([one]).chain(change).collect())
    })
}

/// What fits the schema of a field, made of the texts above.
fn fitting(field: &Value) -> Vec<Value> {
    let validator = jsonschema::draft202012::new(field).unwrap();
    let texts = TEXTS.iter().map(|text| json!(text));
    let lists = TEXTS.iter().flat_map(|text| [json!([text]), json!([text, "another", text])]);
    let values: Vec<Value> = texts.chain(lists).filter(|it| validator.is_valid(it)).collect();
    assert!(values.len() > 1, "nothing fits {field}");
    values
}

/// A CloudEvent about `data`, of which one part may be wrong.
fn envelope(event_type: &str, data: Value) -> impl Strategy<Value = Value> {
    let right = json!({
        "specversion": "1.0", "id": "e-1", "source": "/hr", "type": event_type, "data": data,
    });
    let part = prop::sample::select(vec!["specversion", "id", "source", "type", "data", "time"]);
    let change =
        prop_oneof![2 => Just(None), 1 => (part, prop::option::of(value())).prop_map(Some)];
    change.prop_map(move |change| {
        let mut event: Map<String, Value> = right.as_object().unwrap().clone();
        match change {
            None => {}
            Some((part, Some(value))) => drop(event.insert(part.to_owned(), value)),
            Some((part, None)) => drop(event.remove(part)),
        }
        Value::Object(event)
    })
}

fn value() -> impl Strategy<Value = Value> {
    let text = || prop::sample::select(TEXTS).prop_map(Value::from);
    let few = proptest::collection::vec(text(), 0..3).prop_map(Value::from);
    let mixed =
        proptest::collection::vec(prop_oneof![text(), Just(Value::Null), Just(json!(7))], 1..3);
    prop_oneof![
        8 => text(),
        4 => few,
        1 => mixed.prop_map(Value::from),
        1 => Just(Value::Null),
        1 => prop_oneof![Just(json!(7)), Just(json!(true)), Just(json!({})), Just(json!({"id": "x"}))],
    ]
}
