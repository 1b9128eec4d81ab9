//! Reads a request, and finds what a well-behaved client would never send.

use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};
use hyper::body::Bytes;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE};
use hyper::{Method, Request};
use serde_json::Value;

use crate::call::{AuthorizationKind, Operation};
use crate::generation::Generation;
use crate::page;
use crate::violation::Violation;

const DATE_FORMAT: &str = "%a, %d %b %Y %H:%M:%S UTC";
/// The vendor publishes no figure; this one is often quoted. Nor is the answer to an older date
/// known: it is taken to be that to any other signature that does not hold.
const SKEW: TimeDelta = TimeDelta::minutes(15);

/// A request to one of the endpoints, taken apart.
pub(crate) struct Asked {
    pub(crate) generation: Generation,
    pub(crate) operation: Operation,
    pub(crate) item: Value,
    pub(crate) page: page::Asked,
    pub(crate) authorization: Authorization,
    pub(crate) app_id: Option<String>,
    pub(crate) request_id: Option<String>,
    pub(crate) date: Option<String>,
    form: Vec<(String, String)>,
}

pub(crate) enum Authorization {
    /// The whole header.
    Signature(String),
    /// The token alone.
    Bearer(String),
    None,
}

impl Asked {
    /// Takes the request apart; the violation is the first that was found.
    pub(crate) fn read(
        generation: Generation,
        operation: Operation,
        request: &Request<Bytes>,
    ) -> (Self, Option<Violation>) {
        let body = serde_json::from_slice::<Value>(request.body()).ok();
        let item =
            body.as_ref().and_then(|body| body.pointer("/data/0")).cloned().unwrap_or(Value::Null);
        let asked = Self {
            generation,
            operation,
            item,
            page: page::Asked::read(body.as_ref()),
            authorization: Authorization::of(request),
            app_id: header(request, "x-mc-app-id"),
            // API 2.0 asks for none; clients send theirs under either name.
            request_id: header(request, "x-mc-req-id").or_else(|| header(request, "x-request-id")),
            date: header(request, "x-mc-date"),
            form: match operation {
                Operation::Token => form_urlencoded::parse(request.body()).into_owned().collect(),
                Operation::RemoveGroupMember
                | Operation::DeleteManagedUrl
                | Operation::FindGroups
                | Operation::GetGroupMembers
                | Operation::GetAllManagedUrls => Vec::new(),
            },
        };
        let violation = asked.check(request, body.as_ref()).err();
        (asked, violation)
    }

    pub(crate) fn form_field(&self, name: &str) -> Option<&String> {
        self.form.iter().find(|(field, _)| field == name).map(|(_, value)| value)
    }

    /// Whether `x-mc-date` is near enough to the present for a signature to count.
    pub(crate) fn is_timely(&self, now: DateTime<Utc>) -> bool {
        self.date.as_deref().and_then(parse).is_some_and(|sent| (sent - now).abs() <= SKEW)
    }

    fn check(&self, request: &Request<Bytes>, body: Option<&Value>) -> Result<(), Violation> {
        if request.method() != Method::POST {
            return Err(Violation::new("the method is not POST"));
        }
        if self.generation.is_foreign(self.authorization.kind()) {
            return Err(Violation::foreign(self.generation));
        }
        match self.operation {
            Operation::Token => {
                check_content_type(request, "application/x-www-form-urlencoded")?;
                self.check_form()
            }
            Operation::RemoveGroupMember
            | Operation::DeleteManagedUrl
            | Operation::FindGroups
            | Operation::GetGroupMembers
            | Operation::GetAllManagedUrls => {
                check_content_type(request, "application/json")?;
                if check_envelope(self.operation, body)? == 1 {
                    check_item(self.operation, &self.item)?;
                }
                self.check_stamp()
            }
        }
    }

    fn check_form(&self) -> Result<(), Violation> {
        if self.form_field("grant_type").map(String::as_str) != Some("client_credentials") {
            return Err(Violation::new("grant_type is not client_credentials"));
        }
        for field in ["client_id", "client_secret"] {
            if self.form_field(field).is_none() {
                return Err(Violation::new(format!("the form has no {field}")));
            }
        }
        Ok(())
    }

    /// API 2.0 needs no stamp, but one that is sent must be well-formed all the same. How late it is
    /// is no matter of manners: that is the clock of the client's host.
    fn check_stamp(&self) -> Result<(), Violation> {
        if let Authorization::Signature(_) = self.authorization {
            for (name, value) in [
                ("x-mc-app-id", &self.app_id),
                ("x-mc-req-id", &self.request_id),
                ("x-mc-date", &self.date),
            ] {
                if value.is_none() {
                    return Err(Violation::null(name));
                }
            }
        }
        let Some(date) = &self.date else {
            return Ok(());
        };
        if parse(date).is_none() {
            return Err(Violation::new(format!("x-mc-date {date:?} has another format")));
        }
        Ok(())
    }
}

impl Authorization {
    fn of(request: &Request<Bytes>) -> Self {
        let Some(value) = header(request, AUTHORIZATION.as_str()) else {
            return Self::None;
        };
        if value.starts_with("MC ") {
            Self::Signature(value)
        } else if let Some(token) = value.strip_prefix("Bearer ") {
            Self::Bearer(token.to_owned())
        } else {
            Self::None
        }
    }

    pub(crate) fn kind(&self) -> AuthorizationKind {
        match self {
            Self::Signature(_) => AuthorizationKind::Signature,
            Self::Bearer(_) => AuthorizationKind::Bearer,
            Self::None => AuthorizationKind::None,
        }
    }
}

fn parse(date: &str) -> Option<DateTime<Utc>> {
    NaiveDateTime::parse_from_str(date, DATE_FORMAT)
        .ok()
        // The parser is lenient about padding and blanks; the way back is not.
        .filter(|sent| sent.format(DATE_FORMAT).to_string() == date)
        .map(|sent| sent.and_utc())
}

fn check_content_type(request: &Request<Bytes>, expected: &str) -> Result<(), Violation> {
    let content_type = header(request, CONTENT_TYPE.as_str()).unwrap_or_default();
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    if media_type.eq_ignore_ascii_case(expected) {
        Ok(())
    } else {
        Err(Violation::new(format!("Content-Type is {content_type:?}, not {expected}")))
    }
}

/// How many items there are. One is the most, because a reply to several could be half a success; all
/// of the managed URLs are asked for with none.
fn check_envelope(operation: Operation, body: Option<&Value>) -> Result<usize, Violation> {
    let body = body.ok_or_else(|| Violation::undeserialisable("the body is not JSON"))?;
    let object = body
        .as_object()
        .ok_or_else(|| Violation::undeserialisable("the body is not a JSON object"))?;
    if let Some(name) = object.keys().find(|name| *name != "data" && *name != "meta") {
        return Err(Violation::new(format!("the body has a field {name:?}")));
    }
    match object.get("data").and_then(Value::as_array).map(Vec::len) {
        Some(1) => Ok(1),
        Some(0) if operation == Operation::GetAllManagedUrls => Ok(0),
        Some(items) => Err(Violation::new(format!("data has {items} items, not one"))),
        None => Err(Violation::undeserialisable("data is not a list")),
    }
}

fn check_item(operation: Operation, item: &Value) -> Result<(), Violation> {
    let item =
        item.as_object().ok_or_else(|| Violation::undeserialisable("the item is not an object"))?;
    let known: &[&str] = match operation {
        Operation::RemoveGroupMember => &["id", "emailAddress", "domain"],
        Operation::DeleteManagedUrl => &["id"],
        Operation::FindGroups => &["query", "source"],
        Operation::GetGroupMembers => &["id"],
        Operation::GetAllManagedUrls => &["domainOrUrl"],
        Operation::Token => &[],
    };
    for (name, value) in item {
        if !known.contains(&name.as_str()) {
            return Err(Violation::new(format!("the item has a field {name:?}")));
        }
        if !value.is_string() {
            return Err(Violation::undeserialisable(format!("{name} is not text")));
        }
    }
    let needs_id = operation.is_change() || operation == Operation::GetGroupMembers;
    if needs_id && !item.contains_key("id") {
        return Err(Violation::null("id"));
    }
    if operation == Operation::RemoveGroupMember {
        match (item.contains_key("emailAddress"), item.contains_key("domain")) {
            (true, false) | (false, true) => {}
            (true, true) => {
                return Err(Violation::new("the item has both emailAddress and domain"));
            }
            (false, false) => return Err(Violation::null("emailAddress")),
        }
    }
    Ok(())
}

/// An empty header counts as none.
fn header(request: &Request<Bytes>, name: &str) -> Option<String> {
    let value = request.headers().get(name)?;
    let text = String::from_utf8_lossy(value.as_bytes()).into_owned();
    (!text.is_empty()).then_some(text)
}
