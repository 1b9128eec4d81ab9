//! What each reply of the vendor comes to, by golden files: one file of `tests/golden/replies` is one
//! reply that another client recorded or handles, with what to conclude from it. They hold this
//! daemon to what was seen elsewhere, not only to what its authors thought of.
//!
//! Where the daemon concludes something else today, the file says so in `today` (or `detail_today`)
//! and why in `because`. Such a mark has to go as soon as it is no longer true.

use chrono::DateTime;
use mimecast_eventd::command::Operation;
use mimecast_eventd::secrecy::Hidden;
use mimecast_eventd::settings::Timings;
use mimecast_eventd::vendor::quota::Headers;
use mimecast_eventd::verdict::{Outcome, Reply};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// A folder that was not found, or a filter gone wrong, must not pass for success.
const AT_LEAST: usize = 20;

/// One file of `tests/golden/replies`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    #[expect(dead_code, reason = "it tells whoever reads the file who met the reply")]
    source: String,
    #[expect(dead_code, reason = "it tells whoever reads the file how far to trust it")]
    kind: Kind,
    operation: String,
    status: u16,
    headers: BTreeMap<String, String>,
    body: String,
    conclude: String,
    /// What one may conclude as well, with good reason.
    #[serde(default)]
    also_defensible: Vec<String>,
    /// How long to wait, where it is to be throttled.
    wait_milliseconds: Option<u64>,
    /// What the fault has to tell whoever reads the log.
    #[serde(default)]
    detail_tells: Vec<String>,
    /// What the daemon concludes instead today.
    today: Option<String>,
    /// What the fault tells instead today.
    detail_today: Option<String>,
    /// Why the daemon differs today.
    because: Option<String>,
}

/// How a reply became known.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    /// Off the wire, by a tool that records.
    Recorded,
    /// Off the wire, retold by somebody who met it.
    Field,
    /// In the tests of a client, in the form of a real reply.
    Fixture,
    /// What the code of a client handles.
    Code,
    /// In the tests of a client, made up.
    Mock,
    /// Put together from others.
    Derived,
    /// On the vendor's pages.
    Doc,
}

/// What the daemon makes of a reply.
#[derive(Clone, Debug)]
struct Found {
    label: String,
    wait_milliseconds: Option<u64>,
    detail: String,
}

#[test]
fn every_golden_reply_comes_to_its_conclusion_or_to_the_one_marked_as_todays() {
    let cases = cases();
    let wrong: Vec<String> = cases
        .iter()
        .flat_map(|(name, case)| {
            differences(case, &found(case)).into_iter().map(move |it| format!("{name}: {it}"))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(cases.len() >= AT_LEAST, "only {} replies were found", cases.len());
}

#[test]
fn a_mark_that_is_not_true_or_not_needed_is_found() {
    let plain = Case {
        conclude: "rejected".into(),
        also_defensible: vec!["not_found".into()],
        detail_tells: Vec::new(),
        today: None,
        detail_today: None,
        because: None,
        ..cases().into_values().next().unwrap()
    };
    let came_to =
        |label: &str| Found { label: label.into(), wait_milliseconds: None, detail: "a".into() };
    let marked = |today: &str| Case {
        today: Some(today.into()),
        because: Some("Of something.".into()),
        ..plain.clone()
    };
    let told = |detail_today: Option<&str>| Case {
        detail_tells: vec!["b".into()],
        detail_today: detail_today.map(str::to_owned),
        because: detail_today.map(|_| "Of something.".into()),
        ..plain.clone()
    };
    for (case, label, right) in [
        (plain.clone(), "rejected", true),
        (plain.clone(), "not_found", true),
        (plain.clone(), "applied", false),
        (marked("applied"), "applied", true),
        (marked("applied"), "rejected", false),
        (marked("rejected"), "rejected", false),
        (marked("not_found"), "not_found", false),
        (Case { because: None, ..marked("applied") }, "applied", false),
        (Case { because: Some("Of nothing.".into()), ..plain.clone() }, "rejected", false),
        (told(None), "rejected", false),
        (told(Some("a")), "rejected", true),
        (told(Some("b")), "rejected", false),
        (Case { detail_tells: vec!["a".into()], ..told(Some("a")) }, "rejected", false),
        (Case { wait_milliseconds: Some(1), ..plain.clone() }, "rejected", false),
    ] {
        let found = differences(&case, &came_to(label));
        assert_eq!(found.is_empty(), right, "{case:?} came to {label}: {found:?}");
    }
}

/// The cases by the names of their files.
fn cases() -> BTreeMap<String, Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/replies");
    fs::read_dir(folder)
        .unwrap()
        .map(|file| {
            let path = file.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            let text = fs::read_to_string(&path).unwrap();
            let case =
                serde_json::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
            (name, case)
        })
        .collect()
}

fn found(case: &Case) -> Found {
    let operation = Operation::ALL.into_iter().find(|known| known.label() == case.operation);
    let headers = case.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    // No wait here is told as a date, so that any time will do.
    let wait = Headers::read(headers, None, DateTime::UNIX_EPOCH).wait(&Timings::default());
    let reply = Reply {
        status: case.status,
        body: case.body.as_bytes(),
        wait,
        hide: &Hidden::default(),
        request_id: None,
    };
    let outcome = Outcome::of_reply(operation.expect("the operation is known"), reply);
    let (wait, detail) = match &outcome {
        Outcome::Applied | Outcome::NotFound => (None, String::new()),
        Outcome::Throttled(wait) => (Some(u64::try_from(wait.as_millis()).unwrap()), String::new()),
        Outcome::Rejected(fault)
        | Outcome::Forbidden(fault)
        | Outcome::Unauthorized(fault)
        | Outcome::Unavailable(fault) => (None, fault.detail.clone()),
    };
    Found { label: outcome.label().into(), wait_milliseconds: wait, detail }
}

/// Where `found` is not as `case` says, and where the marks of `case` are wrong.
fn differences(case: &Case, found: &Found) -> Vec<String> {
    let mut wrong = Vec::new();
    let right = |label: &String| *label == case.conclude || case.also_defensible.contains(label);
    for label in case.also_defensible.iter().chain([&case.conclude]).chain(&case.today) {
        if !Outcome::LABELS.contains(&label.as_str()) {
            wrong.push(format!("{label} is no outcome"));
        }
    }
    match &case.today {
        Some(today) if right(today) => wrong.push(format!("{today} is right: it is no mark")),
        Some(today) if *today != found.label => {
            wrong.push(format!("is marked as {today} today, and comes to {}", found.label));
        }
        None if !right(&found.label) => {
            wrong.push(format!("is to come to {}, and comes to {}", case.conclude, found.label));
        }
        Some(_) | None => {}
    }
    let told = |detail: &String| case.detail_tells.iter().all(|part| detail.contains(part));
    match &case.detail_today {
        Some(today) if told(today) => wrong.push(format!("{today:?} tells all: it is no mark")),
        Some(today) if *today != found.detail => {
            wrong.push(format!("is marked as telling {today:?} today, tells {:?}", found.detail));
        }
        None if !told(&found.detail) => {
            wrong.push(format!("is to tell {:?}, and tells {:?}", case.detail_tells, found.detail));
        }
        Some(_) | None => {}
    }
    if found.wait_milliseconds != case.wait_milliseconds {
        let (expected, found) = (case.wait_milliseconds, found.wait_milliseconds);
        wrong.push(format!("is to wait {expected:?} ms, and waits {found:?} ms"));
    }
    if (case.today.is_some() || case.detail_today.is_some()) != case.because.is_some() {
        wrong.push("has a mark without a reason, or a reason without a mark".into());
    }
    wrong
}
