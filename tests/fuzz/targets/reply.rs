//! A reply of any status, headers and body: it counts as done only where the body says that nothing
//! failed, condemns an item only in the vendor's own voice, and repeats no secret.

#![no_main]

mod case;

use case::{Case, is_one_line};
use chrono::DateTime;
use libfuzzer_sys::fuzz_target;
use mimecast_eventd::command::Operation;
use mimecast_eventd::secrecy::{Hidden, Secret};
use mimecast_eventd::settings::Timings;
use mimecast_eventd::vendor::quota::{Headers, Priority, Quota};
use mimecast_eventd::verdict::{Outcome, Reply};
use serde::Deserialize;
use serde_json::Value;
use std::sync::LazyLock;
use std::time::Instant;

/// It looks otherwise in a form than in a text, and is long enough to be known in base64.
const CANARY: &str = "cAnAry+bird/77=sings";

/// How whoever echoes it may write it: as it is, as a form has it, and what is sure to stand in base64
/// that begins none, one or two bytes before it. The seeds have them too.
const FORMS: [&str; 6] = [
    CANARY,
    "cAnAry%2Bbird%2F77%3Dsings",
    "cAnAry%2bbird%2f77%3dsings",
    "Y0FuQXJ5K2JpcmQvNzc9c2luZ3",
    "NBbkFyeStiaXJkLzc3PXNpbmdz",
    "jQW5BcnkrYmlyZC83Nz1zaW5nc",
];

static HIDDEN: LazyLock<Hidden> = LazyLock::new(|| Hidden::of(&[Secret::new(CANARY)]));

/// What a body says of failures; the rest of it need not make sense, since nobody looks at it.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Said {
    fail: Option<Value>,
    errors: Option<Value>,
    error: Option<Value>,
}

fuzz_target!(|bytes: &[u8]| {
    let case = Case::of(bytes);
    let headers: Vec<(String, Option<String>)> = case.pairs("header").collect();
    let read = headers.iter().map(|(name, value)| (&**name, value.as_deref().unwrap_or_default()));
    let headers = Headers::read(read, None, DateTime::UNIX_EPOCH);
    are_waited_for(&headers);
    // As whoever asks does: that is a word of the vendor's too.
    let request_id = case.text("request-id").map(|id| HIDDEN.hide(id));
    let reply = Reply {
        status: case.text("status").and_then(|it| it.parse().ok()).unwrap_or(200),
        body: case.rest,
        wait: headers.wait(&Timings::default()),
        hide: &HIDDEN,
        request_id: request_id.as_deref(),
    };
    for operation in Operation::ALL {
        let outcome = Outcome::of_reply(operation, reply);
        is_justified(&outcome, operation, reply);
        if let Some(fault) = outcome.fault() {
            is_one_line(&fault.code, 128);
            is_one_line(&fault.detail, 1024);
            let told = format!("{} {}", fault.code, fault.detail);
            assert!(!told.contains('@'), "{told}");
            assert!(!FORMS.iter().any(|form| told.contains(form)), "{told}");
        }
    }
});

/// Nobody waits for ever, and what is learned of the quota lets a call through in the end.
fn are_waited_for(headers: &Headers) {
    let timings = Timings::default();
    let (wait, longest) = (headers.wait(&timings), timings.longest_throttle);
    assert!(wait <= longest);
    let (mut quota, now) = (Quota::new(timings), Instant::now());
    quota.learn(headers, now);
    quota.close(wait, now);
    if let Err(wait) = quota.take(Priority::Low, now) {
        assert!(wait <= longest);
        assert_eq!(quota.take(Priority::Low, now + longest), Ok(()));
    }
}

fn is_justified(outcome: &Outcome, operation: Operation, reply: Reply<'_>) {
    let said: Said = serde_json::from_str(&String::from_utf8_lossy(reply.body)).unwrap_or_default();
    match outcome {
        Outcome::Applied => {
            let nothing_failed = said.fail.is_some_and(|fail| fail == Value::Array(Vec::new()));
            let is_success = (200..300).contains(&reply.status);
            assert!(is_success && nothing_failed, "it counts as done, and nobody said so");
        }
        Outcome::NotFound => {
            assert!(operation.is_change() && reply.is_voice(), "it counts as done, and is not");
            let is_said = said.fail.or(said.errors).or(said.error).is_some();
            assert!(is_said, "nobody said that it is gone");
        }
        Outcome::Rejected(_) | Outcome::Forbidden(_) => {
            assert!(reply.is_voice() || reply.is_mute(), "somebody else condemns the item");
        }
        Outcome::Throttled(wait) => assert!(*wait <= Timings::default().longest_throttle),
        Outcome::Unauthorized(_) | Outcome::Unavailable(_) => {}
    }
}
