//! What happened: an [`Event`], read from the [`Envelope`] that a delivery arrives in.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};

/// A body larger than this, in bytes, is refused unread: real events have a few hundred bytes.
pub const MAX_BODY: usize = 1024 * 1024;

/// The part of a delivery that an event is read from, free of the broker's types.
#[derive(Clone, Debug, Default)]
pub struct Envelope {
    /// The body, untouched.
    pub body: Vec<u8>,
    /// The AMQP property `content-type`.
    pub content_type: Option<String>,
    /// The AMQP property `type`; names the type of a bare body.
    pub message_type: Option<String>,
    /// The AMQP property `message-id`; the id of a bare body.
    pub message_id: Option<String>,
    /// The exchange that the message was published to.
    pub exchange: String,
    /// The routing key that it was published with; names the type where nothing else does.
    pub routing_key: String,
}

/// The types of event that the daemon knows. Each has a lane: a queue and a consumer of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EventType {
    /// Somebody left: the address or domain is to be in none of the groups.
    UserOffboarded,
    /// A blocked URL is harmless: its managed URL entry is to be gone.
    UrlUnblock,
}

impl EventType {
    /// Every type, in the order in which they are shown.
    pub const ALL: [EventType; 2] = [EventType::UserOffboarded, EventType::UrlUnblock];

    /// The name in events, routing keys, settings and metrics.
    pub fn name(self) -> &'static str {
        match self {
            EventType::UserOffboarded => "user.offboarded",
            EventType::UrlUnblock => "url.unblock",
        }
    }

    fn named(name: &str) -> Result<EventType, EventError> {
        EventType::ALL
            .into_iter()
            .find(|event_type| event_type.name() == name)
            .ok_or_else(|| EventError::Unsupported("the event type is not known".into()))
    }
}

/// Who leaves the groups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Member {
    /// One user, by address.
    EmailAddress(String),
    /// A whole domain.
    Domain(String),
}

/// What the event asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Data {
    /// `user.offboarded`.
    UserOffboarded {
        /// Who leaves.
        member: Member,
        /// The ids of the groups; `None` means the configured default groups.
        group_ids: Option<Vec<String>>,
    },
    /// `url.unblock`.
    UrlUnblock {
        /// The ids of the managed URL entries.
        ids: Vec<String>,
    },
}

/// One event, understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The event's own id; a bare body takes it from the AMQP `message-id`.
    pub id: Option<String>,
    /// When it happened. Only the lag is measured by it, so a time that cannot be read is left out
    /// rather than keeping somebody's access alive.
    pub time: Option<DateTime<Utc>>,
    /// What it asks for.
    pub data: Data,
}

/// Why a message is not an event that this daemon can act on. The texts name the place and never
/// quote the payload.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EventError {
    /// Not an event, or a field is wrong or missing.
    #[error("{0}")]
    Malformed(String),
    /// An event, but of a type or kind that the daemon does not handle.
    #[error("{0}")]
    Unsupported(String),
}

impl Event {
    /// Reads the event that came through the lane of `lane`.
    ///
    /// A body is CloudEvents 1.0 in its structured JSON form when the content type says so or when
    /// it has a `specversion`; any other object is the bare `data`, its type taken from the AMQP
    /// `type` property, else from the routing key. Where a JSON key stands twice, the last one counts.
    ///
    /// # Errors
    ///
    /// [`EventError`], in words for whoever looks at the dead letter.
    pub fn parse(envelope: &Envelope, lane: EventType) -> Result<Event, EventError> {
        let body = object(&envelope.body)?;
        let content_type =
            envelope.content_type.as_deref().unwrap_or_default().to_ascii_lowercase();
        if content_type.starts_with("application/cloudevents-batch") {
            return Err(EventError::Unsupported("a batch of events is not supported".into()));
        }
        let event = if content_type.starts_with("application/cloudevents")
            || body.contains_key("specversion")
        {
            cloud_event(&body)?
        } else {
            bare(&body, envelope)?
        };
        if event.data.event_type() == lane {
            Ok(event)
        } else {
            // Brokers grant publishing by routing key: an event must not slip into another lane.
            Err(EventError::Unsupported(format!(
                "an event of type {} came through the queue of {}",
                event.data.event_type().name(),
                lane.name()
            )))
        }
    }
}

impl Data {
    /// The type of the event that asked for this.
    pub fn event_type(&self) -> EventType {
        match self {
            Data::UserOffboarded { .. } => EventType::UserOffboarded,
            Data::UrlUnblock { .. } => EventType::UrlUnblock,
        }
    }

    fn parse(event_type: EventType, data: &Map<String, Value>) -> Result<Data, EventError> {
        match event_type {
            EventType::UserOffboarded => offboarding(data),
            EventType::UrlUnblock => unblocking(data),
        }
    }
}

fn object(body: &[u8]) -> Result<Map<String, Value>, EventError> {
    if body.len() > MAX_BODY {
        return Err(malformed(format!("the body is larger than {MAX_BODY} bytes")));
    }
    match serde_json::from_slice(body) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err(malformed("the body is JSON, but not an object")),
        // The parser's own message can quote the payload; the place is enough.
        Err(error) => Err(malformed(format!(
            "the body is not JSON (line {}, column {})",
            error.line(),
            error.column()
        ))),
    }
}

fn cloud_event(body: &Map<String, Value>) -> Result<Event, EventError> {
    let version = required_text(body, "specversion")?;
    if !version.starts_with("1.") {
        return Err(EventError::Unsupported("the specversion is not 1.x".into()));
    }
    let id = required_text(body, "id")?;
    required_text(body, "source")?;
    let event_type = EventType::named(&required_text(body, "type")?)?;
    let data = match present(body, "data") {
        Some(Value::Object(data)) => data,
        Some(_) => return Err(malformed("data must be an object")),
        None => return Err(malformed("data is missing")),
    };
    Ok(Event {
        id: Some(id),
        time: body.get("time").and_then(Value::as_str).and_then(time),
        data: Data::parse(event_type, data)?,
    })
}

fn bare(body: &Map<String, Value>, envelope: &Envelope) -> Result<Event, EventError> {
    let given = envelope.message_type.as_deref().filter(|name| !name.is_empty());
    let name = given.unwrap_or(&envelope.routing_key);
    Ok(Event {
        id: envelope.message_id.clone(),
        time: None,
        data: Data::parse(EventType::named(name)?, body)?,
    })
}

fn offboarding(data: &Map<String, Value>) -> Result<Data, EventError> {
    let member = match (optional_text(data, "emailAddress")?, optional_text(data, "domain")?) {
        (Some(address), None) => Member::EmailAddress(address),
        (None, Some(domain)) => Member::Domain(domain),
        (Some(_), Some(_)) => return Err(malformed("both emailAddress and domain are given")),
        (None, None) => return Err(malformed("neither emailAddress nor domain is given")),
    };
    if present(data, "groups").is_some() {
        return Err(EventError::Unsupported(
            "groups by name are not supported, give their ids in groupIds".into(),
        ));
    }
    Ok(Data::UserOffboarded { member, group_ids: optional_texts(data, "groupIds")? })
}

fn unblocking(data: &Map<String, Value>) -> Result<Data, EventError> {
    let given =
        ["id", "ids", "url"].into_iter().filter(|name| present(data, name).is_some()).count();
    if given != 1 {
        return Err(malformed("exactly one of id, ids and url must be given"));
    }
    if present(data, "url").is_some() {
        return Err(EventError::Unsupported(
            "unblocking by url is not supported, give the id of the entry".into(),
        ));
    }
    let ids = match optional_text(data, "id")? {
        Some(id) => vec![id],
        None => optional_texts(data, "ids")?.unwrap_or_default(),
    };
    Ok(Data::UrlUnblock { ids })
}

/// A field that is there; `null` counts as absent, as most producers mean it.
fn present<'a>(object: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    object.get(name).filter(|value| !value.is_null())
}

fn optional_text(object: &Map<String, Value>, name: &str) -> Result<Option<String>, EventError> {
    present(object, name).map(|value| text(value, name)).transpose()
}

fn required_text(object: &Map<String, Value>, name: &str) -> Result<String, EventError> {
    optional_text(object, name)?.ok_or_else(|| malformed(format!("{name} is missing")))
}

/// A list of texts without repetitions, in the order given. An empty list is refused: it would turn
/// the event into a success that did nothing.
fn optional_texts(
    object: &Map<String, Value>,
    name: &str,
) -> Result<Option<Vec<String>>, EventError> {
    let Some(value) = present(object, name) else { return Ok(None) };
    let values = value.as_array().ok_or_else(|| malformed(format!("{name} must be a list")))?;
    let mut texts = Vec::with_capacity(values.len());
    for (place, value) in values.iter().enumerate() {
        let text = text(value, &format!("{name}[{place}]"))?;
        if !texts.contains(&text) {
            texts.push(text);
        }
    }
    if texts.is_empty() {
        return Err(malformed(format!("{name} is empty")));
    }
    Ok(Some(texts))
}

fn text(value: &Value, name: &str) -> Result<String, EventError> {
    match value.as_str() {
        Some(text) if !text.trim().is_empty() => Ok(text.to_owned()),
        Some(_) => Err(malformed(format!("{name} is blank"))),
        None => Err(malformed(format!("{name} must be a string"))),
    }
}

fn time(text: &str) -> Option<DateTime<Utc>> {
    DateTime::parse_from_rfc3339(text).ok().map(|time| time.to_utc())
}

fn malformed(detail: impl Into<String>) -> EventError {
    EventError::Malformed(detail.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(body: &str) -> Result<Event, EventError> {
        let envelope = Envelope {
            body: body.into(),
            routing_key: "user.offboarded".into(),
            ..Envelope::default()
        };
        Event::parse(&envelope, EventType::UserOffboarded)
    }

    #[test]
    fn a_time_that_cannot_be_read_does_not_stop_an_offboarding() {
        let event = |time: &str| {
            parse(&format!(
                r#"{{"specversion":"1.0","id":"e","source":"/hr","type":"user.offboarded",
                     "time":"{time}","data":{{"emailAddress":"ada@example.com"}}}}"#
            ))
            .unwrap()
        };
        assert_eq!(event("2026-11-21T10:00:00").time, None);
        assert_eq!(
            event("2026-11-21T10:00:00+01:00").time.unwrap().to_rfc3339(),
            "2026-11-21T09:00:00+00:00"
        );
    }

    #[test]
    fn a_huge_body_is_refused_without_being_read() {
        let error = parse(&" ".repeat(MAX_BODY + 1)).unwrap_err();
        assert_eq!(error, malformed("the body is larger than 1048576 bytes"));
        let error = parse(&" ".repeat(MAX_BODY)).unwrap_err();
        assert!(error.to_string().starts_with("the body is not JSON"), "{error}");
    }

    #[test]
    fn an_event_of_another_lane_is_refused() {
        let envelope = Envelope {
            body: br#"{"id":"x"}"#.to_vec(),
            message_type: Some("url.unblock".into()),
            ..Envelope::default()
        };
        let error = Event::parse(&envelope, EventType::UserOffboarded).unwrap_err();
        assert!(matches!(error, EventError::Unsupported(text) if text.contains("came through")));
    }

    proptest! {
        #[test]
        fn any_bytes_are_parsed_without_a_panic(
            body in proptest::collection::vec(any::<u8>(), 0..512),
            content_type in proptest::option::of(".{0,40}"),
            routing_key in ".{0,20}",
        ) {
            let envelope = Envelope { body, content_type, routing_key, ..Envelope::default() };
            for lane in EventType::ALL {
                let _either = Event::parse(&envelope, lane);
            }
        }

        #[test]
        fn no_refusal_quotes_the_payload(value in "canary[a-z]{1,12}") {
            for body in [
                format!(r#"{{"emailAddress":["{value}"]}}"#),
                format!(r#"{{"emailAddress":"{value}","domain":"{value}"}}"#),
                format!(r#"{{"specversion":"{value}"}}"#),
                format!(r#"{{"emailAddress":"{value}" {value}"#),
                format!(r#""{value}""#),
            ] {
                let error = parse(&body).unwrap_err();
                prop_assert!(!error.to_string().contains("canary"), "{}", error);
            }
        }
    }
}
