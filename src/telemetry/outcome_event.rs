//! What became of an event, as an event for whoever asked for it.

use super::report::Report;
use crate::command::Command;
use crate::event::{Envelope, Event, EventType, TraceId};
use crate::secrecy::Seal;
use crate::verdict::{Disposition, Execution, Reason};
use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Value, json};

/// Who says so.
const SOURCE: &str = "/mimecast-eventd";

/// A CloudEvent that says what became of another one. No address is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutcomeEvent {
    /// Its id: the same for the same outcome of the same event, however often it is told.
    pub id: String,
    /// Its type, such as `user.offboarded.applied`.
    pub event_type: String,
    /// What it is correlated by, unless the message has something for that: the id of the event or message.
    pub correlation_id: Option<String>,
    /// The trace that the message belongs to, if it is one: it may be anything.
    pub traceparent: Option<String>,
    /// The event in structured JSON.
    pub body: String,
}

impl Report {
    /// What is published of the message in `envelope`, which came through `lane`, at `now`: the best result of
    /// its commands, or that it failed. Of a message that could not be read, or comes again, nothing is.
    pub fn outcome_event(
        &self,
        lane: EventType,
        envelope: &Envelope,
        now: DateTime<Utc>,
    ) -> Option<OutcomeEvent> {
        let event = self.event.as_deref()?;
        let outcome = match &self.disposition {
            // Without a result nothing was done, in a dry run.
            Disposition::Ack => self.history.result?.label(),
            Disposition::DeadLetter(..) => "failed",
            Disposition::PassOver(_)
            | Disposition::Retry(..)
            | Disposition::Defer(..)
            | Disposition::Wait(..)
            | Disposition::Park(_)
            | Disposition::Requeue(_)
            | Disposition::Return => return None,
        };
        let event_type = format!("{}.{outcome}", lane.name());
        let id = self.id_of(event, envelope, lane);
        let at = now.to_rfc3339_opts(SecondsFormat::Millis, true);
        let mut told = json!({
            "specversion": "1.0", "id": id, "source": SOURCE, "type": event_type, "time": at,
            "datacontenttype": "application/json", "data": self.data(event, envelope),
        });
        let traceparent = envelope.traceparent.clone().filter(|it| TraceId::of(it).is_some());
        if let Some(traceparent) = &traceparent {
            told["traceparent"] = json!(traceparent);
        }
        let correlation_id = event.id.clone().or_else(|| envelope.message_id.clone());
        Some(OutcomeEvent { id, event_type, correlation_id, traceparent, body: told.to_string() })
    }

    fn data(&self, event: &Event, envelope: &Envelope) -> Value {
        let fault = self.disposition.fault();
        let commands: Vec<Value> = self.history.executions.iter().map(command).collect();
        json!({
            "eventId": event.id, "eventSource": event.source, "messageId": envelope.message_id,
            "userId": envelope.user_id, "bodySha256": Seal::default().of(&envelope.body),
            "attempts": self.history.attempts, "replays": self.history.replays, "commands": commands,
            "result": self.history.result,
            "reason": self.disposition.reason().map(Reason::label),
            "code": fault.map(|fault| &fault.code), "detail": fault.map(|fault| &fault.detail),
        })
    }

    /// The same id for the same event, as long as it does not fail: after a crash it is published twice, the second
    /// time perhaps as `already_gone`, and listeners can tell.
    fn id_of(&self, event: &Event, envelope: &Envelope, lane: EventType) -> String {
        let digest = Seal::default().of(&envelope.body);
        let parts = json!([
            event.source,
            event.id,
            envelope.message_id,
            digest,
            envelope.user_id,
            lane.name(),
            self.disposition.reason().is_some(),
            self.history.replays,
        ]);
        Seal::default().of(parts.to_string().as_bytes())[..32].to_owned()
    }
}

fn command(execution: &Execution) -> Value {
    let operation = execution.command.operation().label();
    let result = execution.result;
    match &execution.command {
        Command::RemoveGroupMember { group_id, .. } => {
            json!({"operation": operation, "groupId": group_id, "result": result})
        }
        Command::DeleteManagedUrl { id } => {
            json!({"operation": operation, "entryId": id, "result": result})
        }
    }
}
