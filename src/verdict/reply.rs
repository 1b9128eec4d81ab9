//! Reads a reply: its body, because the vendor answers HTTP 200 for failures (vendor page "Response
//! Codes": the status speaks for the HTTP call only).

use super::body::Body;
use super::failure::failures;
use super::fault::Fault;
use super::outcome::Outcome;
use super::status::{by_status, http_fault, is_of_the_way, succeeded};
use super::voice::is_voice;
use crate::command::Operation;
use crate::secrecy::Hidden;
use serde_json::Value;
use std::time::Duration;

/// One reply of the vendor, or of whatever stands in front of it.
#[derive(Clone, Copy, Debug)]
pub struct Reply<'a> {
    /// The HTTP status.
    pub status: u16,
    /// The body, which may be anything.
    pub body: &'a [u8],
    /// How long to wait after a 429.
    pub wait: Duration,
    /// What must not be repeated even if the vendor echoes it.
    pub hide: &'a Hidden,
    /// The id that the vendor gave the request, for a talk with its support.
    pub request_id: Option<&'a str>,
}

impl Reply<'_> {
    /// A 400 with an empty body, which API 2.0 gives to an id that is cut short (recorded by an
    /// administrator): it says nothing of who wrote it.
    pub fn is_mute(&self) -> bool {
        self.status == 400 && self.body.trim_ascii().is_empty()
    }

    /// Whether it is the vendor's own voice, whatever it says.
    pub fn is_voice(&self) -> bool {
        is_voice(self.status, &Body::read(self.body))
    }
}

impl Outcome {
    /// Reads the verdict on a call of `operation`. Success is a status of success *and* an empty `fail`;
    /// what is not the vendor's voice counts as no answer. A reply that [is mute](Reply::is_mute)
    /// counts as a refusal of the item: whoever asks has to hear the voice first.
    pub fn of_reply(operation: Operation, reply: Reply<'_>) -> Outcome {
        let body = Body::read(reply.body);
        let status = effective_status(reply.status, &body);
        if status == 429 {
            return Outcome::Throttled(reply.wait);
        }
        let is_voice = is_voice(reply.status, &body);
        let worst = failures(&body, reply.hide)
            .iter()
            .map(|failure| failure.outcome(operation, reply.status, status))
            .max_by_key(Outcome::severity);
        let http_fault = |status| http_fault(status, &reply.hide.hide(body.words()));
        let outcome = match worst {
            // Whoever words it: it costs no item anything.
            Some(outcome @ Outcome::Unauthorized(_)) => outcome,
            Some(outcome) if is_voice => outcome,
            Some(outcome) => outcome.into_weather(),
            None if reply.is_mute() => Outcome::Rejected(http_fault(status)),
            None if !succeeded(status) && (!is_voice || is_of_the_way(reply.status)) => {
                Outcome::Unavailable(http_fault(status))
            }
            None if !succeeded(status) => by_status(status, http_fault(status)),
            None if says_nothing_failed(&body) => Outcome::Applied,
            None => Outcome::Unavailable(Fault::new(
                "no_verdict",
                &format!("HTTP {status}, but the body has no verdict"),
            )),
        };
        outcome.naming(reply.request_id)
    }
}

fn says_nothing_failed(body: &Body) -> bool {
    // A function status that cannot be read may be one of failure.
    let readable = match body.function_status() {
        None | Some(Value::Null) => true,
        Some(status) => status.as_u64().is_some_and(|status| (200..300).contains(&status)),
    };
    let nothing_failed = body.fail.as_ref().and_then(Value::as_array).is_some_and(Vec::is_empty);
    readable && nothing_failed && body.error.is_none()
}

/// The HTTP status, unless that is one of success and `meta.status` is not.
fn effective_status(status: u16, body: &Body) -> u16 {
    let of_function = body.function_status().and_then(Value::as_u64);
    match of_function.and_then(|status| u16::try_from(status).ok()) {
        Some(function_status) if succeeded(status) => function_status,
        Some(_) | None => status,
    }
}
