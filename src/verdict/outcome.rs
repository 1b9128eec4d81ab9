//! What one attempt came to: an [`Outcome`], read from the reply's body, because the vendor answers
//! HTTP 200 for failures (vendor page "Response Codes": the status speaks for the HTTP call only).

use super::code::{self, Class};
use super::fault::Fault;
use crate::command::Operation;
use crate::secrecy::Secret;
use serde_json::Value;
use std::time::Duration;

/// How long to wait after a 429 that does not say: the vendor's window as recorded.
const DEFAULT_THROTTLE: Duration = Duration::from_secs(5);

/// One reply of the vendor, or of whatever stands in front of it.
#[derive(Clone, Copy, Debug)]
pub struct Reply<'a> {
    /// The HTTP status.
    pub status: u16,
    /// The body, which may be anything.
    pub body: &'a [u8],
    /// How long the headers ask to wait.
    pub wait: Option<Duration>,
    /// What must not be repeated even if the vendor echoes it.
    pub hide: &'a [Secret],
}

/// What one attempt came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Done now.
    Applied,
    /// Was so already.
    AlreadyGone,
    /// The item is refused for good.
    Rejected(Fault),
    /// The caller is refused.
    Unauthorised(Fault),
    /// Not executed; the vendor asks to wait this long.
    Throttled(Duration),
    /// A passing fault; whether the call was executed is not known.
    Unavailable(Fault),
}

impl Outcome {
    /// The labels of every outcome, for metrics.
    pub const LABELS: [&'static str; 6] =
        ["applied", "already_gone", "rejected", "unauthorised", "throttled", "unavailable"];

    /// The name in metrics and logs.
    pub fn label(&self) -> &'static str {
        match self {
            Outcome::Applied => "applied",
            Outcome::AlreadyGone => "already_gone",
            Outcome::Rejected(_) => "rejected",
            Outcome::Unauthorised(_) => "unauthorised",
            Outcome::Throttled(_) => "throttled",
            Outcome::Unavailable(_) => "unavailable",
        }
    }

    /// Whether it is a failure; to be asked to wait is none.
    pub fn is_failure(&self) -> bool {
        match self {
            Outcome::Rejected(_) | Outcome::Unauthorised(_) | Outcome::Unavailable(_) => true,
            Outcome::Applied | Outcome::AlreadyGone | Outcome::Throttled(_) => false,
        }
    }

    /// Reads the verdict on a call of `operation`. Success is a status of success *and* an empty `fail`.
    pub fn of_reply(operation: Operation, reply: Reply<'_>) -> Outcome {
        let body = serde_json::from_slice(reply.body).unwrap_or(Value::Null);
        let status = effective_status(reply.status, &body);
        if status == 429 {
            return Outcome::Throttled(reply.wait.unwrap_or(DEFAULT_THROTTLE));
        }
        let failures = failures(&body, reply.hide);
        let worst = failures
            .iter()
            .map(|failure| failure.outcome(operation, status))
            .max_by_key(Outcome::severity);
        match worst {
            Some(outcome) => outcome,
            None if !succeeded(status) => by_status(status, http_fault(status)),
            None if says_nothing_failed(&body) => Outcome::Applied,
            None => Outcome::Unavailable(Fault::new(
                "no_verdict",
                &format!("HTTP {status}, but the body has no verdict"),
            )),
        }
    }

    /// Which of several failures in one reply decides.
    fn severity(&self) -> u8 {
        match self {
            Outcome::Applied => 0,
            Outcome::AlreadyGone => 1,
            Outcome::Rejected(_) => 2,
            Outcome::Unavailable(_) => 3,
            Outcome::Throttled(_) => 4,
            Outcome::Unauthorised(_) => 5,
        }
    }
}

/// One entry of the reply's list of failures.
struct Failure {
    code: String,
    text: String,
}

impl Failure {
    fn read(error: &Value, hide: &[Secret]) -> Failure {
        let part = |name: &str| error.get(name).and_then(Value::as_str).unwrap_or_default();
        let code = match error.get("code").or_else(|| error.get("error")) {
            Some(Value::String(code)) => code.clone(),
            Some(Value::Number(code)) => code.to_string(),
            // Anything else as text would have its quotes escaped, and a secret in it unrecognised.
            Some(_) | None => "no_code".into(),
        };
        let message = [part("message"), part("error_description")].concat();
        let text = match part("field") {
            "" => message,
            field => format!("{message} (field {field})"),
        };
        Failure { code: Secret::hide_all(hide, code), text: Secret::hide_all(hide, text) }
    }

    fn outcome(&self, operation: Operation, status: u16) -> Outcome {
        let fault = Fault::new(&self.code, &self.text);
        match code::class(&self.code) {
            Some(Class::AlreadyGone(of)) if of == operation && speaks_of_the_item(status) => {
                Outcome::AlreadyGone
            }
            Some(Class::AlreadyGone(_)) | None if succeeded(status) => Outcome::Rejected(fault),
            Some(Class::AlreadyGone(_)) | None => by_status(status, fault),
            Some(Class::Rejected) => Outcome::Rejected(fault),
            Some(Class::Unauthorised) => Outcome::Unauthorised(fault),
            Some(Class::Unavailable) => Outcome::Unavailable(fault),
        }
    }
}

/// The failures of a reply in any of the four shapes that the vendor uses: `fail[].errors[]` (API 1.0
/// and functions of 2.0), flat `fail[]` (the 2.0 gateway), `errors[]` (newer endpoints of 2.0) and
/// `error` with `error_description` (OAuth).
fn failures(body: &Value, hide: &[Secret]) -> Vec<Failure> {
    let read = |error: &Value| Failure::read(error, hide);
    let mut found = Vec::new();
    for entry in entries(body.get("fail")) {
        match entry.get("errors").and_then(Value::as_array) {
            Some(errors) if !errors.is_empty() => found.extend(errors.iter().map(read)),
            Some(_) | None => found.push(read(entry)),
        }
    }
    found.extend(entries(body.get("errors")).iter().map(read));
    if body.get("error").is_some_and(|error| !error.is_null()) {
        found.push(read(body));
    }
    found
}

fn entries(list: Option<&Value>) -> &[Value] {
    match list {
        None | Some(Value::Null) => &[],
        Some(Value::Array(entries)) => entries,
        Some(other) => std::slice::from_ref(other),
    }
}

fn says_nothing_failed(body: &Value) -> bool {
    // A function status that cannot be read may be one of failure.
    let readable = match body.pointer("/meta/status") {
        None | Some(Value::Null) => true,
        Some(status) => status.as_u64().is_some_and(|status| (200..300).contains(&status)),
    };
    readable && body.get("fail").and_then(Value::as_array).is_some_and(Vec::is_empty)
}

/// The HTTP status, unless that is one of success and `meta.status` is not.
fn effective_status(status: u16, body: &Value) -> u16 {
    let function_status = body
        .pointer("/meta/status")
        .and_then(Value::as_u64)
        .and_then(|status| u16::try_from(status).ok());
    match function_status {
        Some(function_status) if succeeded(status) => function_status,
        Some(_) | None => status,
    }
}

/// Whether a code under this status can be about the item, rather than the caller or the vendor.
fn speaks_of_the_item(status: u16) -> bool {
    succeeded(status) || matches!(status, 400 | 404 | 409 | 410)
}

fn succeeded(status: u16) -> bool {
    (200..300).contains(&status)
}

fn by_status(status: u16, fault: Fault) -> Outcome {
    match status {
        401 | 403 | 407 | 418 => Outcome::Unauthorised(fault),
        408 => Outcome::Unavailable(fault),
        400..=499 => Outcome::Rejected(fault),
        _ => Outcome::Unavailable(fault),
    }
}

fn http_fault(status: u16) -> Fault {
    Fault::new(&format!("http_{status}"), &format!("HTTP {status} without a code"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_and_a_passing_fault_are_failures_and_to_be_asked_to_wait_is_none() {
        let fault = || Fault::new("code", "");
        let failures = [
            Outcome::Rejected(fault()),
            Outcome::Unauthorised(fault()),
            Outcome::Unavailable(fault()),
        ];
        assert!(failures.iter().all(Outcome::is_failure));
        let others = [Outcome::Applied, Outcome::AlreadyGone, Outcome::Throttled(DEFAULT_THROTTLE)];
        assert!(!others.iter().any(Outcome::is_failure));
        let labels = others[..2].iter().chain(&failures[..2]).chain([&others[2], &failures[2]]);
        assert_eq!(labels.map(Outcome::label).collect::<Vec<_>>(), Outcome::LABELS);
    }
}
