//! Files with events, as `plan` and `send` read them: events as they would be published, or the dead letters that
//! `dlq export` wrote.

use crate::event::{Envelope, without_mark};
use base64::{Engine, engine::general_purpose::STANDARD};
use chrono::DateTime;
use serde::de::IgnoredAny;
use serde_json::Value;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// What a line has under `format` that `dlq export` wrote. An event may have any other field.
pub(super) const EXPORTED: &str = "mimecast-eventd/dead-letter";

/// A file that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("{}: {cause}", file.display())]
pub struct EventsFileError {
    file: PathBuf,
    cause: io::Error,
}

/// What is published beside the body of an event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Properties {
    /// The routing key, which tells the type of a bare body.
    pub routing_key: String,
    /// The content type.
    pub content_type: Option<String>,
    /// The user of the broker.
    pub user_id: Option<String>,
}

impl Properties {
    /// The envelope of `body` that is published with these.
    pub(super) fn envelope(&self, body: Vec<u8>) -> Envelope {
        let Properties { routing_key, content_type, user_id } = self.clone();
        Envelope { body, content_type, user_id, routing_key, ..Envelope::default() }
    }
}

/// The messages in a file, `-` being standard input: one event, or one on each line. An event is published with
/// `published`, a dead letter with what it was published with before.
///
/// # Errors
///
/// [`EventsFileError`], when the file cannot be read.
pub fn messages(file: &Path, published: &Properties) -> Result<Vec<Envelope>, EventsFileError> {
    let failed = |cause| EventsFileError { file: file.to_owned(), cause };
    let mut text = Vec::new();
    if file == Path::new("-") {
        io::stdin().lock().read_to_end(&mut text).map_err(failed)?;
    } else {
        File::open(file).map_err(failed)?.read_to_end(&mut text).map_err(failed)?;
    }
    Ok(split(&text).into_iter().map(|body| message(body, published)).collect())
}

/// One event can go over several lines; several have a line each, and each of them is whole. Nothing
/// at all is an event too, and a malformed one.
fn split(text: &[u8]) -> Vec<Vec<u8>> {
    let is_whole = |line: &[u8]| serde_json::from_slice::<IgnoredAny>(without_mark(line)).is_ok();
    let lines = text.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty());
    let lines: Vec<Vec<u8>> = lines.map(<[u8]>::to_vec).collect();
    match lines.first() {
        Some(first) if is_whole(first) => lines,
        Some(_) | None => vec![text.to_vec()],
    }
}

fn message(line: Vec<u8>, published: &Properties) -> Envelope {
    match dead_letter(&line) {
        // Who published it then is not believed: the broker knows who does so now.
        Some(letter) => Envelope { user_id: published.user_id.clone(), ..letter },
        None => published.envelope(line),
    }
}

/// The message in a line that `dlq export` wrote.
fn dead_letter(line: &[u8]) -> Option<Envelope> {
    let line: Value = serde_json::from_slice(without_mark(line)).ok()?;
    let message = line.get("message").filter(|_| line.get("format") == Some(&EXPORTED.into()))?;
    let text = |name: &str| message.get(name).and_then(Value::as_str).map(str::to_owned);
    let body = match text("body") {
        Some(body) => body.into_bytes(),
        None => STANDARD.decode(text("body_base64")?).ok()?,
    };
    let attributes = message.get("attributes").and_then(Value::as_object);
    let attribute =
        |(name, value): (&String, &Value)| (name.clone(), value.as_str().map(str::to_owned));
    Some(Envelope {
        body,
        content_type: text("content_type"),
        content_encoding: text("content_encoding"),
        attributes: attributes.into_iter().flatten().map(attribute).collect(),
        message_type: text("type"),
        message_id: text("message_id"),
        traceparent: text("traceparent"),
        timestamp: text("timestamp")
            .and_then(|at| DateTime::parse_from_rfc3339(&at).ok().map(|at| at.to_utc())),
        routing_key: text("routing_key")?,
        ..Envelope::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_file_has_one_event_over_several_lines_or_one_on_each() {
        for (text, bodies) in [
            ("{\n\"a\": 1}\n", vec!["{\n\"a\": 1}\n"]),
            ("{\"a\":1}\r\n\n{\"b\":2}", vec!["{\"a\":1}\r", "{\"b\":2}"]),
            ("\u{feff}{\"a\":1}\n{\"b\":", vec!["\u{feff}{\"a\":1}", "{\"b\":"]),
            ("", vec![""]),
            ("no JSON\nat all", vec!["no JSON\nat all"]),
        ] {
            assert_eq!(
                split(text.as_bytes()),
                bodies.iter().map(|it| it.as_bytes()).collect::<Vec<_>>()
            );
        }
    }

    #[test]
    fn only_a_line_that_says_so_is_a_dead_letter_and_keeps_its_properties() {
        let user_id = Some("now".to_owned());
        let published = Properties { routing_key: "key".into(), user_id, content_type: None };
        let letter = |format: &str| {
            let message = json!({"routing_key": "hr.left", "body": "{}", "user_id": "then",
                "timestamp": "2026-11-25T12:00:00Z", "type": "user.offboarded"});
            json!({"format": format, "message": message}).to_string().into_bytes()
        };
        let read = message(letter(EXPORTED), &published);
        assert_eq!((&*read.body, &*read.routing_key), (&b"{}"[..], "hr.left"));
        assert_eq!(read.user_id.as_deref(), Some("now"));
        assert!(read.timestamp.is_some() && read.message_type.is_some());
        // An event of somebody's may have a field of this name.
        let event = letter("something else");
        let read = message(event.clone(), &published);
        assert_eq!((read.body, &*read.routing_key), (event, "key"));
    }
}
