//! A dead letter as people see it.

use crate::broker::DeadLetter;
use crate::cli::events_file::EXPORTED;
use crate::cli::terminal;
use crate::event::{Envelope, Event, EventType, without_mark};
use crate::secrecy::Seal;
use crate::secrecy::redact;
use crate::settings::Contract;
use crate::telemetry::audit;
use crate::verdict::code;
use base64::{Engine, engine::general_purpose::STANDARD};
use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

/// Bytes of a body that are shown.
const MOST_SHOWN: usize = 64 * 1024;

/// A dead letter, and what it is called.
#[derive(Debug)]
pub struct Letter {
    /// What was found in the queue.
    pub found: Arc<DeadLetter>,
    /// The id of its event, else its message id, else a digest of its body, or the size of one that was not read.
    pub id: String,
    /// The type of its event, as far as one can tell.
    pub event_type: Option<EventType>,
    /// Whom it is about, as far as one can tell.
    subject: Option<String>,
    /// For how long it has been a dead letter, if that is known.
    pub age: Option<Duration>,
}

/// What is said of a letter that nobody knows to be from a daemon of ours.
const NOT_PROVEN: &str = "no daemon with this key or user has published it: who may write to its queue can have made up \
                          all that stands here but the user";

impl Letter {
    /// Reads a letter with the contract that events keep to, at `now`.
    pub fn read(
        found: impl Into<Arc<DeadLetter>>,
        contract: &Contract,
        now: DateTime<Utc>,
    ) -> Letter {
        let found = found.into();
        let (event, names) =
            (Event::read(&found.envelope, &contract.reading), &contract.reading.names);
        let subject = event.as_ref().ok().and_then(|event| audit::subject(&event.data));
        let (id, event_type) = match event {
            Ok(event) => (event.id, Some(event.data.event_type())),
            Err(_) => {
                let (id, named) = searched(&found.envelope);
                let by_name = named.and_then(|name| names.event_type(&name));
                let by_key = || names.by_routing_key(&found.envelope.routing_key, None);
                (id, by_name.or_else(by_key))
            }
        };
        let id = id.or_else(|| found.envelope.message_id.clone()).filter(|id| !id.is_empty());
        let id = id.unwrap_or_else(|| match found.envelope.passed_over {
            Some(size) => format!("{size} bytes"),
            None => redact::digest_of_body(&found.envelope.body),
        });
        let age = found.since.map(|since| (now - since).to_std().unwrap_or_default());
        Letter { found, id, event_type, subject, age }
    }

    /// Whether one of `ids` is its id, as it is or as it is shown.
    pub fn is_called(&self, ids: &[impl AsRef<str>]) -> bool {
        let shown = terminal::plain(&self.id, usize::MAX - 1);
        ids.iter().map(AsRef::as_ref).any(|id| id == self.id || id == shown)
    }

    /// Whether `text` stands in its body or detail.
    pub fn has(&self, text: &str) -> bool {
        let text = small(text);
        let detail = self.found.detail.as_deref().unwrap_or_default();
        let body = String::from_utf8_lossy(&self.found.envelope.body);
        small(detail).contains(&text) || small(&body).contains(&text)
    }

    /// What the audit trail says of it.
    pub fn told(&self) -> audit::Letter<'_> {
        audit::Letter {
            id: &self.id,
            reason: self.found.grounds.label(),
            code: self.found.code.as_deref(),
            body_sha256: match self.found.envelope.passed_over {
                Some(_) => None,
                None => Some(Seal::default().of(&self.found.envelope.body)),
            },
            subject: self.subject.clone(),
        }
    }

    /// One line of a list.
    pub fn row(&self) -> String {
        let DeadLetter { grounds, code, attempts, replays, is_proven, .. } = &*self.found;
        let code = terminal::plain(code.as_deref().unwrap_or("-"), 40);
        let (id, age) = (terminal::plain(&self.id, 36), self.age.map_or("?".into(), terminal::age));
        let proven = if *is_proven { "yes" } else { "no" };
        let (event, reason) = (self.event_type.map_or("?", EventType::name), grounds.label());
        format!(
            "{id:<36}  {event:<15}  {reason:<20}  {code:<40}  {attempts:>8}  {age:>10}  {replays:>7}  {proven:>6}"
        )
    }

    /// What stands above the list.
    pub fn header() -> String {
        format!(
            "{:<36}  {:<15}  {:<20}  {:<40}  {:>8}  {:>10}  {:>7}  {:>6}",
            "ID", "TYPE", "REASON", "CODE", "ATTEMPTS", "AGE", "REPLAYS", "PROVEN"
        )
    }

    /// What programs are told of it.
    pub fn json(&self) -> Map<String, Value> {
        let found = &self.found;
        let told = [
            ("id", json!(self.id)),
            ("type", json!(self.event_type.map(EventType::name))),
            ("reason", json!(found.grounds.label())),
            ("code", json!(found.code)),
            ("detail", json!(found.detail)),
            ("attempts", json!(found.attempts)),
            ("first_failed_at", json!(found.first_failed_at.map(shown))),
            ("age_seconds", json!(self.age.map(|age| age.as_secs()))),
            ("replays", json!(found.replays)),
            ("queue", json!(found.queue)),
            ("proven", json!(found.is_proven)),
            ("request_id", json!(found.request_id)),
        ];
        told.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }

    /// The same with the message itself, as `send` takes it back.
    pub fn exported(&self) -> Map<String, Value> {
        let envelope = &self.found.envelope;
        let mut message = json!({
            "exchange": envelope.exchange,
            "routing_key": envelope.routing_key,
            "content_type": envelope.content_type,
            "content_encoding": envelope.content_encoding,
            "type": envelope.message_type,
            "message_id": envelope.message_id,
            "user_id": envelope.user_id,
            "traceparent": envelope.traceparent,
            "timestamp": envelope.timestamp.map(shown),
            "attributes": envelope.attributes.iter().cloned().collect::<BTreeMap<_, _>>(),
        });
        match (envelope.passed_over, std::str::from_utf8(&envelope.body)) {
            (Some(size), _) => message["body_bytes"] = size.into(),
            (None, Ok(body)) => message["body"] = body.into(),
            (None, Err(_)) => message["body_base64"] = STANDARD.encode(&envelope.body).into(),
        }
        let mut exported = self.json();
        exported.insert("format".into(), EXPORTED.into());
        exported.insert("message".into(), message);
        exported
    }

    /// All that there is to say about it, for people.
    pub fn explained(&self) -> String {
        let DeadLetter { envelope, grounds, attempts, replays, .. } = &*self.found;
        let (meaning, advice) = grounds.explained();
        let mut text = String::new();
        let mut line = |name: &str, said: &str| {
            writeln!(text, "{name:<12} {said}").expect("writing to a string cannot fail");
        };
        let plain = |text: &str| terminal::plain(text, 1024);
        line("id", &plain(&self.id));
        if !self.found.is_proven {
            line("not proven", NOT_PROVEN);
        }
        line("type", self.event_type.map_or("not known", EventType::name));
        line("reason", &format!("{}: {meaning}", grounds.label()));
        line("what to do", advice);
        if let Some(code) = self.found.code.as_deref() {
            match code::explained(code) {
                Some((meaning, advice)) => {
                    line("code", &format!("{}: {meaning}", plain(code)));
                    line("what to do", advice);
                }
                None => line("code", &plain(code)),
            }
        }
        if let Some(detail) = self.found.detail.as_deref() {
            line("detail", &plain(detail));
        }
        let first =
            self.found.first_failed_at.map(|at| format!(", the first failed at {}", shown(at)));
        line("attempts", &format!("{attempts}{}", first.unwrap_or_default()));
        if let (Some(since), Some(age)) = (self.found.since, self.age) {
            line("dead since", &format!("{} ({} ago)", shown(since), terminal::age(age)));
        }
        line("replays", &replays.to_string());
        line("queue", &plain(self.found.queue.as_deref().unwrap_or("not known")));
        let by = envelope.user_id.as_deref().map(|user| format!(" by {}", plain(user)));
        line(
            "published",
            &format!(
                "to the exchange {:?} with the routing key {:?}{}",
                plain(&envelope.exchange),
                plain(&envelope.routing_key),
                by.unwrap_or_default()
            ),
        );
        if let Some(request_id) = self.found.request_id.as_deref() {
            line("request id", &plain(request_id));
        }
        let kind = plain(envelope.content_type.as_deref().unwrap_or("no content type"));
        if let Some(size) = envelope.passed_over {
            line("body", &format!("{kind}, {size} bytes: too large to be read here"));
        } else {
            line("body", &format!("{kind}, {} bytes", envelope.body.len()));
            text.push_str(&body(&envelope.body));
        }
        text
    }
}

/// In small letters, each by itself: what becomes of a whole word can depend on what stands around it.
fn small(text: &str) -> String {
    text.chars().flat_map(char::to_lowercase).collect()
}

/// A body that people can read: JSON over several lines, anything else as it is but for what would move
/// the cursor.
fn body(body: &[u8]) -> String {
    let pretty =
        serde_json::from_slice(body).and_then(|it: Value| serde_json::to_string_pretty(&it));
    let text = pretty.unwrap_or_else(|_| String::from_utf8_lossy(body).into_owned());
    let end = text.floor_char_boundary(MOST_SHOWN);
    let lines = text[..end].lines().map(|line| terminal::plain(line, MOST_SHOWN));
    let mut shown = lines.collect::<Vec<_>>().join("\n");
    if end < text.len() {
        shown.push_str("\n… (`dlq export` has all of it)");
    }
    shown
}

/// The id and the type that a body names which is no event.
fn searched(envelope: &Envelope) -> (Option<String>, Option<String>) {
    let body: Value = serde_json::from_slice(without_mark(&envelope.body)).unwrap_or_default();
    let named = |name: &str| {
        let attribute = envelope.attributes.iter().find(|(attribute, _)| attribute == name);
        let attribute = attribute.and_then(|(_, value)| value.clone());
        let in_body = || Some(body.get("specversion").and(body.get(name))?.as_str()?.to_owned());
        attribute.or_else(in_body)
    };
    (named("id"), named("type").or(envelope.message_type.clone()))
}

fn shown(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}
