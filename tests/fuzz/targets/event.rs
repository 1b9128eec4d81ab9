//! A message of any bytes, properties and headers: it is an event, or it is told in one line what is wrong
//! and where; and what `plan` says of it moves nothing on a terminal.

#![no_main]

mod case;

use case::{Case, is_one_line};
use chrono::{DateTime, Utc};
use libfuzzer_sys::fuzz_target;
use mimecast_eventd::cli::plan::Plan;
use mimecast_eventd::command::Intent;
use mimecast_eventd::event::{
    Envelope, Event, EventError, EventType, Names, Pointer, Pointers, Reading,
};
use mimecast_eventd::settings::Contract;
use mimecast_eventd::verdict::Disposition;
use serde_json::Value;

fuzz_target!(|bytes: &[u8]| {
    let case = Case::of(bytes);
    let (envelope, is_mapped) = (envelope(&case), case.all("map").next().is_some());
    let contract = contract(&case);
    let groups: Vec<String> = case.texts("default").map(Into::into).collect();
    for lane in EventType::ALL {
        let parsed = Event::parse(&envelope, lane, &contract.reading);
        assert_eq!(parsed, Event::parse(&envelope, lane, &contract.reading), "it is read anew");
        match parsed {
            Ok(event) => is_understood(&event, lane, &groups),
            Err(error) => is_told(&error, &envelope.body, is_mapped),
        }
    }
    let plan = Plan::of(&envelope, &contract, now());
    plan.to_string().lines().for_each(|line| is_one_line(line, usize::MAX));
    assert!(serde_json::from_str::<Value>(&plan.json()).is_ok_and(|plan| plan.is_object()));
});

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_795_687_200, 0).expect("it is a time in 2026")
}

fn envelope(case: &Case<'_>) -> Envelope {
    Envelope {
        body: case.rest.to_vec(),
        passed_over: case.text("passed-over").and_then(|size| size.parse().ok()),
        content_type: case.text("content-type"),
        content_encoding: case.text("content-encoding"),
        attributes: case.pairs("attribute").collect(),
        message_type: case.text("type"),
        message_id: case.text("message-id"),
        user_id: case.text("user-id"),
        traceparent: case.text("traceparent"),
        timestamp: None,
        exchange: "events".into(),
        routing_key: case.text("routing-key").unwrap_or_default(),
    }
}

fn contract(case: &Case<'_>) -> Contract {
    let mut contract = Contract::default();
    contract.reading = reading(case);
    contract
}

/// Further names, binding keys and pointers, for both lanes.
fn reading(case: &Case<'_>) -> Reading {
    let [first, ..] = EventType::ALL;
    let mut names = Names::default();
    for (event_type, name) in case.pairs("name") {
        names.add(name.unwrap_or_default(), names.event_type(&event_type).unwrap_or(first));
    }
    for (event_type, key) in case.pairs("binding") {
        names.bind(key.unwrap_or_default(), names.event_type(&event_type).unwrap_or(first));
    }
    let mut pointers = Pointers::default();
    for (field, pointer) in case.pairs("map") {
        if let Ok(pointer) = Pointer::parse(&pointer.unwrap_or_default()) {
            pointers.point(&field, pointer);
        }
    }
    let mut reading = Reading::by(names);
    for event_type in EventType::ALL {
        reading.point(event_type, pointers.clone());
    }
    reading
}

/// An event asks for something, the same each time, of its own lane alone, in calls that are JSON.
fn is_understood(event: &Event, lane: EventType, groups: &[String]) {
    assert_eq!(event.data.event_type(), lane, "it came through the queue of another");
    let Ok(intents) = Intent::of_event(event, groups) else {
        assert!(groups.is_empty(), "with default groups there is always one to leave");
        return;
    };
    assert!(!intents.is_empty(), "it would be acked, and nothing done");
    assert_eq!(Intent::digest(&intents), Intent::digest(&intents.clone()));
    for intent in intents {
        if let Intent::Command(command) = intent {
            let call = command.call();
            assert_eq!(call.operation.event_type(), lane);
            assert!(serde_json::from_str::<Value>(&call.body).is_ok(), "{}", call.body);
        }
    }
    if let Ok(Some(left)) = event.left(now()) {
        assert!(!left.is_zero() && left.as_secs() <= 400 * 24 * 3600, "{left:?}");
    }
}

/// What is wrong is one short line without addresses, and where it is a place that there is.
fn is_told(error: &EventError, body: &[u8], is_mapped: bool) {
    let told = Disposition::of_event_error(error);
    let fault = told.fault().expect("it says what is wrong");
    is_one_line(&fault.detail, 1024);
    assert!(!fault.detail.contains('@') && told.reason().is_some(), "{}", fault.detail);
    let Some(pointer) = error.pointer() else { return };
    assert!(Pointer::parse(pointer).is_ok(), "{pointer:?} is no JSON Pointer");
    // Where a field is pointed to that is not there, there need not be anything that could hold it.
    if let Ok(body) = serde_json::from_slice::<Value>(body)
        && !is_mapped
    {
        let (within, _) = pointer.rsplit_once('/').expect("a pointer has a slash");
        assert!(body.pointer(within).is_some(), "there is no {within:?}");
    }
}
