//! What happened: an [`Event`], read from the [`Envelope`] that a delivery arrives in.

use super::attributes::Attributes;
use super::data::Data;
use super::due::Due;
use super::envelope::{Envelope, MAX_BODY};
use super::error::EventError;
use super::event_type::EventType;
use super::field::Fields;
use super::json::{self, Json, Object};
use super::lag::lag;
use super::reading::Reading;
use super::trace::TraceId;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use base64::{Engine, alphabet};
use chrono::{DateTime, TimeDelta, Utc};
use std::time::Duration;

/// Writers of CloudEvents pad, or leave the padding out.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// One event, understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The event's own id; a bare body takes it from the AMQP `message-id`.
    pub id: Option<String>,
    /// Who says so; a bare body does not tell.
    pub source: Option<String>,
    /// When it happened. Only the lag is measured by it, so a time that cannot be read is left out
    /// rather than keeping somebody's access alive.
    pub time: Option<DateTime<Utc>>,
    /// The trace that began with it (CloudEvents, "Distributed Tracing Extension").
    pub trace: Option<TraceId>,
    /// When it is to be carried out; at once if it does not say.
    pub due: Option<Due>,
    /// What it asks for.
    pub data: Data,
}

impl Event {
    /// Reads the event that came through the lane of `lane`, as `reading` says.
    ///
    /// A body is CloudEvents 1.0 in its structured JSON form when the content type says so; it is the
    /// data of one in binary mode when attributes came in the headers; it is structured all the same
    /// when it has a `specversion`. Any other object is the bare `data`, its type taken from the AMQP
    /// `type` property, else from the routing key. (CloudEvents 1.0.2, and its AMQP binding.)
    ///
    /// # Errors
    ///
    /// [`EventError`], in words for whoever looks at the dead letter.
    pub fn parse(
        envelope: &Envelope,
        lane: EventType,
        reading: &Reading,
    ) -> Result<Event, EventError> {
        let event = read(envelope, Some(lane), reading)?;
        if event.data.event_type() == lane {
            Ok(event)
        } else {
            // Brokers grant publishing by routing key: an event must not slip into another lane.
            Err(EventError::unsupported(format!(
                "an event of type {} came through the queue of {}",
                event.data.event_type().name(),
                lane.name()
            )))
        }
    }

    /// Reads the event, whatever lane it is for.
    ///
    /// # Errors
    ///
    /// The same, but that it came through the wrong queue.
    pub fn read(envelope: &Envelope, reading: &Reading) -> Result<Event, EventError> {
        read(envelope, None, reading)
    }

    /// How long before `now` it was to be so: from its time, or from when it was due if that is later.
    pub fn lag(&self, now: DateTime<Utc>) -> Option<TimeDelta> {
        lag([self.time, self.due.as_ref().map(|due| due.at)], now)
    }

    /// How long it has to wait at `now` until it is due, if it has to.
    ///
    /// # Errors
    ///
    /// When that is too far away to be meant.
    pub fn left(&self, now: DateTime<Utc>) -> Result<Option<Duration>, EventError> {
        self.due.as_ref().map_or(Ok(None), |due| due.left(now))
    }
}

fn read(
    envelope: &Envelope,
    lane: Option<EventType>,
    reading: &Reading,
) -> Result<Event, EventError> {
    if let Some(size) = envelope.passed_over {
        return Err(EventError::TooLarge(size));
    }
    if envelope.body.len() > MAX_BODY {
        return Err(EventError::TooLarge(envelope.body.len() as u64));
    }
    let content_type = envelope.content_type.as_deref().unwrap_or_default();
    if begins(content_type, "application/cloudevents-batch") {
        return Err(EventError::unsupported("a batch of events is not supported"));
    }
    expect_plain(envelope.content_encoding.as_deref())?;
    let attributes = Attributes(&envelope.attributes);
    let body = json::object(&envelope.body)?;
    if begins(content_type, "application/cloudevents") {
        structured(&body, reading)
    } else if attributes.are_given() {
        binary(&body, attributes, reading)
    } else if body.contains_key("specversion") {
        structured(&body, reading)
    } else {
        bare(&body, envelope, lane, reading)
    }
}

/// Whether a media type begins so, in whatever case (RFC 2045, section 5.1).
fn begins(media_type: &str, name: &str) -> bool {
    media_type.get(..name.len()).is_some_and(|it| it.eq_ignore_ascii_case(name))
}

/// Some clients put the character set there; a compressed body would have to be trusted to be small.
fn expect_plain(content_encoding: Option<&str>) -> Result<(), EventError> {
    let encoding = content_encoding.unwrap_or_default().trim().to_ascii_lowercase();
    let detail = match encoding.as_str() {
        "" | "identity" | "utf-8" | "utf8" | "utf_8" | "us-ascii" | "ascii" => return Ok(()),
        "gzip" | "x-gzip" | "deflate" | "zlib" | "compress" | "x-compress" | "br" | "brotli"
        | "bzip2" | "lz4" | "snappy" | "xz" | "zstd" => {
            "a compressed body is not supported: publish it as it is, without a content-encoding"
        }
        _ => "the content-encoding is not known: a body is JSON in UTF-8, as it is",
    };
    Err(EventError::unsupported(detail))
}

fn structured(body: &Object<'_>, reading: &Reading) -> Result<Event, EventError> {
    let fields = Fields::new(body, "");
    expect_version(fields.required_text("specversion")?, Some("/specversion"))?;
    let id = fields.required_text("id")?;
    let source = fields.required_text("source")?;
    let named = reading.names.event_type(fields.required_text("type")?);
    let event_type = known(named, Some("/type"))?;
    let decoded = encoded_data(fields)?;
    let encoded = decoded.as_deref().map(json::object).transpose();
    let encoded = encoded.map_err(|error| {
        let what = error.to_string().replace("the body", "the decoded text");
        EventError::malformed_at("/data_base64".into(), format!("data_base64: {what}"))
    })?;
    let data = match &encoded {
        Some(data) => Fields::new(data, "/data_base64"),
        None => Fields::new(fields.required_object("data")?, "/data"),
    };
    let data = data.pointed(reading.pointers(event_type));
    Ok(Event {
        id: Some(id.to_owned()),
        source: Some(source.to_owned()),
        time: body.get("time").and_then(Json::as_text).and_then(time),
        trace: body.get("traceparent").and_then(Json::as_text).and_then(TraceId::of),
        due: Due::read(data)?,
        data: Data::parse(event_type, data)?,
    })
}

/// The data of an event as bytes in base64 (CloudEvents JSON format, section 3.1.1), if it is there. It stands in
/// place of `data`.
fn encoded_data(fields: Fields<'_>) -> Result<Option<Vec<u8>>, EventError> {
    let text = match fields.given(["data", "data_base64"]) {
        [_, false] => return Ok(None),
        [true, true] => return Err(EventError::malformed("both data and data_base64 are given")),
        [false, true] => fields.required_text("data_base64")?,
    };
    BASE64.decode(text.trim()).map(Some).map_err(|_| {
        EventError::malformed_at("/data_base64".into(), "data_base64 must be a text in base64")
    })
}

fn binary(
    body: &Object<'_>,
    attributes: Attributes<'_>,
    reading: &Reading,
) -> Result<Event, EventError> {
    expect_version(&attributes.required_text("specversion")?, None)?;
    let id = attributes.required_text("id")?;
    let source = attributes.required_text("source")?;
    let event_type = known(reading.names.event_type(&attributes.required_text("type")?), None)?;
    let data = Fields::new(body, "").pointed(reading.pointers(event_type));
    let optional = |name: &str| attributes.optional_text(name).ok().flatten();
    Ok(Event {
        id: Some(id),
        source: Some(source),
        time: optional("time").as_deref().and_then(time),
        trace: optional("traceparent").as_deref().and_then(TraceId::of),
        due: Due::read(data)?,
        data: Data::parse(event_type, data)?,
    })
}

/// A bare body has neither id nor time of its own, unless it is said where they stand.
fn bare(
    body: &Object<'_>,
    envelope: &Envelope,
    lane: Option<EventType>,
    reading: &Reading,
) -> Result<Event, EventError> {
    let named = match envelope.message_type.as_deref().filter(|name| !name.is_empty()) {
        Some(name) => reading.names.event_type(name),
        None => reading.names.by_routing_key(&envelope.routing_key, lane),
    };
    let event_type = known(named, None)?;
    let pointers = reading.pointers(event_type);
    let data = Fields::new(body, "").pointed(pointers);
    let pointed = |name: &str| match pointers.of(name) {
        Some(_) => data.optional_text(name),
        None => Ok(None),
    };
    Ok(Event {
        id: pointed("event_id")?.map(str::to_owned).or_else(|| envelope.message_id.clone()),
        source: None,
        time: pointed("time")?.and_then(time),
        trace: None,
        due: Due::read(data)?,
        data: Data::parse(event_type, data)?,
    })
}

fn expect_version(version: &str, pointer: Option<&str>) -> Result<(), EventError> {
    if version.starts_with("1.") {
        return Ok(());
    }
    let (detail, pointer) = ("the specversion is not 1.x".into(), pointer.map(str::to_owned));
    Err(EventError::Unsupported { detail, pointer })
}

fn known(named: Option<EventType>, pointer: Option<&str>) -> Result<EventType, EventError> {
    named.ok_or_else(|| EventError::Unsupported {
        detail: "the event type is not known".into(),
        pointer: pointer.map(str::to_owned),
    })
}

fn time(text: &str) -> Option<DateTime<Utc>> {
    DateTime::parse_from_rfc3339(text).ok().map(|time| time.to_utc())
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
        Event::parse(&envelope, EventType::UserOffboarded, &Reading::default())
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
        assert_eq!(error.to_string(), "the body has 262145 bytes, and 262144 are the most");
        let passed_over = Envelope { passed_over: Some(300_000), ..Envelope::default() };
        let error =
            Event::parse(&passed_over, EventType::UserOffboarded, &Reading::default()).unwrap_err();
        assert_eq!(error, EventError::TooLarge(300_000));
        let error = parse(&" ".repeat(MAX_BODY)).unwrap_err();
        assert!(error.to_string().starts_with("the body is not JSON"), "{error}");
    }

    #[test]
    fn an_item_of_more_than_512_bytes_and_a_list_of_more_than_1000_items_are_refused() {
        let address =
            |length: usize| parse(&format!(r#"{{"emailAddress":"{}@b"}}"#, "a".repeat(length - 2)));
        assert!(address(512).is_ok());
        let refusal = address(513).unwrap_err().to_string();
        assert_eq!(refusal, "emailAddress is longer than 512 bytes (at /emailAddress)");
        let groups = |count: usize, length: usize| {
            let groups: Vec<_> = (0..count).map(|number| format!("{number:0length$}")).collect();
            parse(&format!(r#"{{"emailAddress":"a@b","groupIds":{groups:?}}}"#))
        };
        assert!(groups(1_000, 4).is_ok());
        let refusal = groups(1_001, 4).unwrap_err().to_string();
        assert_eq!(refusal, "groupIds has more than 1000 entries (at /groupIds)");
        let refusal = groups(1, 513).unwrap_err().to_string();
        assert_eq!(refusal, "groupIds[0] is longer than 512 bytes (at /groupIds/0)");
    }

    #[test]
    fn an_event_of_another_lane_is_refused() {
        let envelope = Envelope {
            body: br#"{"id":"x"}"#.to_vec(),
            message_type: Some("url.unblock".into()),
            ..Envelope::default()
        };
        let error =
            Event::parse(&envelope, EventType::UserOffboarded, &Reading::default()).unwrap_err();
        assert!(
            matches!(&error, EventError::Unsupported { detail, .. } if detail.contains("came through")),
            "{error}"
        );
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
                let _either = Event::parse(&envelope, lane, &Reading::default());
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
