//! The failures that a reply tells of, in any of the shapes that the vendor uses.

use super::body::{Body, cut};
use super::code::{self, Class};
use super::fault::Fault;
use super::outcome::Outcome;
use super::status::{by_status, is_of_the_way, speaks_of_the_item};
use crate::command::Operation;
use crate::secrecy::Hidden;
use serde_json::Value;

/// One failure that a reply tells of.
pub(super) struct Failure {
    /// What stands where codes stand; a text in the place of a failure is one too, if it is a known one.
    code: Option<String>,
    is_text: bool,
    text: String,
    /// Whether it stands in `fail`, where the vendor's functions put theirs.
    in_fail: bool,
    /// Whether it says of itself that the same call may succeed later.
    is_retryable: bool,
}

/// The failures of a reply: in `fail[].errors[]` (API 1.0 and functions of 2.0), flat in `fail[]` (the
/// 2.0 gateway), in `errors[]` (newer endpoints of 2.0), and in `error`, which is a text beside an
/// `error_description` (OAuth), an object or a list. Entries may be texts.
pub(super) fn failures(body: &Body, hide: &Hidden) -> Vec<Failure> {
    let read =
        |error: &Value, in_fail| Failure::of(|name| error.get(name), error.as_str(), in_fail, hide);
    let mut found = Vec::new();
    for entry in entries(body.fail.as_ref()) {
        match entry.get("errors").and_then(Value::as_array) {
            Some(errors) if !errors.is_empty() => {
                found.extend(errors.iter().map(|error| read(error, true)));
            }
            Some(_) | None => found.push(read(entry, true)),
        }
    }
    found.extend(entries(body.errors.as_ref()).iter().map(|error| read(error, false)));
    match body.error.as_ref() {
        // The code stands in `error`, and the words beside it.
        Some(Value::String(_)) => {
            found.push(Failure::of(|name| body.of_error(name), None, false, hide));
        }
        error => found.extend(entries(error).iter().map(|error| read(error, false))),
    }
    found
}

impl Failure {
    /// Of an error with these parts, or one that is nothing but a text.
    fn of<'a>(
        part: impl Fn(&str) -> Option<&'a Value>,
        alone: Option<&str>,
        in_fail: bool,
        hide: &Hidden,
    ) -> Failure {
        let words = |name: &str| cut(part(name).and_then(Value::as_str).unwrap_or_default());
        let code = match part("code").or_else(|| part("error")) {
            Some(Value::String(code)) => Some(cut(code).to_owned()),
            Some(Value::Number(code)) => Some(code.to_string()),
            // Anything else as text would have its quotes escaped, and a secret in it unrecognised.
            Some(_) | None => None,
        };
        let code = code.or_else(|| alone.map(|alone| cut(alone).to_owned()));
        let message = [words("message"), words("error_description")].concat();
        let text = match words("field") {
            "" => message,
            field => format!("{message} (field {field})"),
        };
        let code = code.map(|code| hide.hide(code));
        let is_retryable = part("retryable").and_then(Value::as_bool) == Some(true);
        Failure { code, is_text: alone.is_some(), text: hide.hide(text), in_fail, is_retryable }
    }

    /// What it means for a call of `operation`, when the HTTP status is `http` and the one that counts
    /// is `status`.
    pub(super) fn outcome(&self, operation: Operation, http: u16, status: u16) -> Outcome {
        let fault = Fault::new(self.code.as_deref().unwrap_or("no_code"), &self.text);
        let class = self.code.as_deref().and_then(code::class);
        let is_known = class.is_some()
            && self.in_fail
            && self.code.as_deref().is_some_and(|code| code.starts_with("err_"));
        match class {
            Some(Class::Unauthorized) => Outcome::Unauthorized(fault),
            Some(Class::Unavailable) => Outcome::Unavailable(fault),
            _ if self.is_retryable => Outcome::Unavailable(fault),
            _ if is_of_the_way(http) && !is_known => Outcome::Unavailable(fault),
            Some(Class::NotFound(of)) if of == operation && speaks_of_the_item(status) => {
                Outcome::NotFound
            }
            Some(Class::Rejected) => Outcome::Rejected(fault),
            Some(Class::Forbidden) => Outcome::Forbidden(fault),
            None if self.code.as_deref().is_some_and(names_a_quota) => Outcome::Unavailable(fault),
            None if status == 403 && self.code.is_some() && !self.is_text => {
                Outcome::Forbidden(fault)
            }
            Some(Class::NotFound(_)) | None => by_status(status, fault),
        }
    }
}

/// True for a code that names a rate limit or a quota, in whatever spelling. It is a passing fault and no wait of
/// the whole operation: it may be a limit of this item alone.
fn names_a_quota(code: &str) -> bool {
    let letters = code.bytes().filter(u8::is_ascii_alphanumeric).map(|it| it.to_ascii_lowercase());
    let word: String = letters.map(char::from).collect();
    ["ratelimit", "quota", "throttl", "toomanyrequests"].iter().any(|known| word.contains(known))
}

fn entries(list: Option<&Value>) -> &[Value] {
    match list {
        None | Some(Value::Null) => &[],
        Some(Value::Array(entries)) => entries,
        Some(other) => std::slice::from_ref(other),
    }
}
