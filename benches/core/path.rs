//! What the pure core does with one message, step by step.

use chrono::DateTime;
use mimecast_eventd::command::{Call, Command, Intent, Operation};
use mimecast_eventd::event::{Envelope, Event, EventType, Reading};
use mimecast_eventd::secrecy::{Hidden, Secret};
use mimecast_eventd::vendor::Stamp;
use mimecast_eventd::vendor::sign::{self, Signer};
use mimecast_eventd::verdict::{Conclusion, Disposition, Outcome, Reply};
use std::time::Duration;
use uuid::Uuid;

const BODY: &str = r#"{"specversion":"1.0","id":"e-1","source":"/hr","type":"user.offboarded",
"time":"2026-11-21T10:00:00Z","data":{"emailAddress":"ada@example.com","groupIds":["eNoVzr0group0001"]}}"#;

const APPLIED: &str = r#"{"meta":{"status":200},"data":[{"id":"eNoVzr0group0001","emailAddress":"ada@example.com"}],"fail":[]}"#;

/// What is there before the first message.
pub(crate) struct Core {
    envelope: Envelope,
    reading: Reading,
    signer: Signer,
    stamp: Stamp,
    hidden: Hidden,
}

impl Core {
    pub(crate) fn new() -> Core {
        Core {
            envelope: Envelope {
                body: BODY.into(),
                content_type: Some("application/cloudevents+json".into()),
                routing_key: "user.offboarded".into(),
                ..Envelope::default()
            },
            reading: Reading::default(),
            signer: Signer::new(b"secret"),
            stamp: Stamp { at: DateTime::UNIX_EPOCH, request_id: Uuid::nil() },
            hidden: Hidden::of(&["access-key", "secret-key", "app-id", "app-key"].map(Secret::new)),
        }
    }

    pub(crate) fn parse(&self) -> Event {
        let event = Event::parse(&self.envelope, EventType::UserOffboarded, &self.reading);
        event.expect("it is an event")
    }

    pub(crate) fn plan(&self, event: &Event) -> Call {
        let intents = Intent::of_event(event, &[]).expect("it names a group");
        match intents.as_slice() {
            [Intent::Command(command @ Command::RemoveGroupMember { .. })] => command.call(),
            _ => unreachable!("it asks for one removal"),
        }
    }

    pub(crate) fn sign(&self, call: &Call) -> String {
        let (date, id) = (self.stamp.date(), self.stamp.request_id.to_string());
        let text = sign::string_to_sign(&date, &id, call.operation.path(), "app-key");
        sign::authorization("access-key", &self.signer.signature(&text))
    }

    pub(crate) fn verdict(&self) -> Outcome {
        let (body, hide) = (APPLIED.as_bytes(), &self.hidden);
        let reply = Reply { status: 200, body, wait: Duration::ZERO, hide, request_id: None };
        Outcome::of_reply(Operation::RemoveGroupMember, reply)
    }

    pub(crate) fn settle(&self, outcome: Outcome) -> Disposition {
        assert_eq!(outcome, Outcome::Applied);
        let decided = Disposition::of_conclusions(vec![Conclusion::Applied]);
        decided.expect("what is applied is acked")
    }

    /// All of it.
    pub(crate) fn path(&self) -> Disposition {
        let call = self.plan(&self.parse());
        assert!(self.sign(&call).starts_with("MC access-key:"));
        self.settle(self.verdict())
    }
}
