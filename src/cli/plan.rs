//! `plan`: what the daemon would do with an event, or why it is none. It asks nobody, so that a producer
//! can hold its own events to it.

use crate::command::{Call, Command};
use crate::event::{Envelope, Event, EventError, EventType};
use crate::settings::Contract;
use crate::verdict::Disposition;
use serde::de::IgnoredAny;
use serde_json::{Value, json};
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// A file that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("{}: {cause}", file.display())]
pub struct PlanError {
    file: PathBuf,
    cause: io::Error,
}

/// What would be published beside the body.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Properties {
    /// The routing key, which tells the type of a bare body.
    pub routing_key: String,
    /// The content type.
    pub content_type: Option<String>,
}

/// What the daemon would do with one event.
#[derive(Debug)]
pub enum Plan {
    /// All of it would be carried out.
    CarriedOut(Known, Vec<Call>),
    /// It would be dead-lettered; what is known of it depends on what is wrong.
    Refused(Option<Known>, EventError),
}

/// What is known of an event that could be read.
#[derive(Debug)]
pub struct Known {
    id: Option<String>,
    event_type: EventType,
}

/// The events in a file, `-` being standard input: one, or one on each line.
///
/// # Errors
///
/// [`PlanError`], when it cannot be read.
pub fn bodies(file: &Path) -> Result<Vec<Vec<u8>>, PlanError> {
    let failed = |cause| PlanError { file: file.to_owned(), cause };
    let mut text = Vec::new();
    if file == Path::new("-") {
        io::stdin().lock().read_to_end(&mut text).map_err(failed)?;
    } else {
        File::open(file).map_err(failed)?.read_to_end(&mut text).map_err(failed)?;
    }
    Ok(split(&text))
}

/// One event can go over several lines; several have a line each, and each of them is whole. Nothing
/// at all is an event too, and a malformed one.
fn split(text: &[u8]) -> Vec<Vec<u8>> {
    let is_whole = |line: &[u8]| serde_json::from_slice::<IgnoredAny>(line).is_ok();
    let lines = text.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty());
    let lines: Vec<Vec<u8>> = lines.map(<[u8]>::to_vec).collect();
    match lines.first() {
        Some(first) if is_whole(first) => lines,
        Some(_) | None => vec![text.to_vec()],
    }
}

impl Plan {
    /// What would become of `body`, published with these properties.
    pub fn of(body: Vec<u8>, published: &Properties, contract: &Contract) -> Plan {
        let Properties { routing_key, content_type } = published.clone();
        let envelope = Envelope { body, content_type, routing_key, ..Envelope::default() };
        // Who names the routing key of a lane sees what a wrong one does.
        let read = match contract.names.event_type(&envelope.routing_key) {
            Some(lane) => Event::parse(&envelope, lane, &contract.names),
            None => Event::read(&envelope, &contract.names),
        };
        let event = match read {
            Ok(event) => event,
            Err(error) => return Plan::Refused(None, error),
        };
        let event_type = event.data.event_type();
        let commands = Command::of_event(&event, contract.default_groups(event_type));
        let known = Known { id: event.id, event_type };
        match commands {
            Ok(commands) => Plan::CarriedOut(known, commands.iter().map(Command::call).collect()),
            Err(error) => Plan::Refused(Some(known), error),
        }
    }

    /// Whether all would be carried out.
    pub fn is_carried_out(&self) -> bool {
        matches!(self, Plan::CarriedOut(..))
    }

    /// One JSON object, on one line.
    pub fn json(&self) -> String {
        let (known, refused, calls) = match self {
            Plan::CarriedOut(known, calls) => (Some(known), None, calls.as_slice()),
            Plan::Refused(known, error) => (known.as_ref(), Some(error), &[][..]),
        };
        let disposition = refused.map_or(Disposition::Ack, Disposition::of_event_error);
        let shown = |call: &Call| {
            let body: Value = serde_json::from_str(&call.body).expect("a call's body is JSON");
            json!({"path": call.operation.path(), "body": body})
        };
        json!({
            "id": known.and_then(|known| known.id.as_deref()),
            "type": known.map(|known| known.event_type.name()),
            "disposition": disposition.label(),
            "reason": disposition.reason().map(|reason| reason.label()),
            "detail": refused.map(ToString::to_string),
            "pointer": refused.and_then(EventError::pointer),
            "calls": calls.iter().map(shown).collect::<Vec<_>>(),
        })
        .to_string()
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Plan::CarriedOut(Known { id, event_type }, calls) => {
                let id = id.as_deref().unwrap_or("without an id");
                let noun = if calls.len() == 1 { "call" } else { "calls" };
                write!(formatter, "{} {id}: {} {noun}", event_type.name(), calls.len())?;
                for call in calls {
                    write!(formatter, "\n  POST {} {}", call.operation.path(), call.body)?;
                    write!(formatter, "\n    authorization: (made anew for each attempt)")?;
                }
                Ok(())
            }
            Plan::Refused(_, error) => {
                let disposition = Disposition::of_event_error(error);
                let reason = disposition.reason().map_or("", |reason| reason.label());
                write!(formatter, "dead letter, {reason}: {error}")
            }
        }
    }
}
