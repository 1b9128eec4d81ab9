//! The messages of a run: each says by its text what it is, wherever it turns up again.

use serde_json::json;
use std::fmt;

/// What a message is, and so where it may end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Its commands succeed as soon as everybody is well: it ends applied.
    Good,
    /// Not an event: it ends as a dead letter.
    Malformed,
    /// The vendor refuses its items for good: it ends as a dead letter.
    Refused,
    /// The vendor fails over its items and over no others: it climbs the ladder to its end, or is
    /// applied if the vendor learns better in time.
    Poison,
}

impl Kind {
    const ALL: [Kind; 4] = [Kind::Good, Kind::Malformed, Kind::Refused, Kind::Poison];

    /// How the ids of such messages begin. No other text of a run has it.
    pub fn label(self) -> &'static str {
        match self {
            Kind::Good => "good-",
            Kind::Malformed => "malformed-",
            Kind::Refused => "refused-",
            Kind::Poison => "poison-",
        }
    }

    /// The one reason for which such a message may be dead-lettered, if there is one.
    pub fn reason(self) -> Option<&'static str> {
        match self {
            Kind::Good => None,
            Kind::Malformed => Some("malformed"),
            Kind::Refused => Some("rejected"),
            Kind::Poison => Some("retries_exhausted"),
        }
    }

    /// Whether the vendor may ever carry out what such a message asks for.
    pub fn may_be_applied(self) -> bool {
        matches!(self, Kind::Good | Kind::Poison)
    }
}

/// One message. The even ones are unblockings, the odd ones offboardings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message {
    /// What it is.
    pub kind: Kind,
    /// Its place in the order of publishing.
    pub number: usize,
}

impl Message {
    /// The message that `text` is, or is of.
    pub fn in_text(text: &str) -> Option<Message> {
        Kind::ALL.into_iter().find_map(|kind| {
            let (_, rest) = text.split_once(kind.label())?;
            Some(Message { kind, number: rest.get(..4)?.parse().ok()? })
        })
    }

    /// The routing key, which is the event type.
    pub fn routing_key(&self) -> &'static str {
        if self.is_unblocking() { "url.unblock" } else { "user.offboarded" }
    }

    /// The body.
    pub fn body(&self) -> String {
        let (id, kind) = (self.to_string(), self.routing_key());
        let data = match self.is_unblocking() {
            true => json!({ "ids": self.items() }),
            false => json!({ "emailAddress": self.address(), "groupIds": self.items() }),
        };
        let event =
            json!({"specversion": "1.0", "id": id, "source": "/", "type": kind, "data": data});
        let body = event.to_string();
        if self.kind == Kind::Malformed { body.replace('}', "") } else { body }
    }

    /// The ids that the vendor is asked about: entries or groups, none of any other message.
    pub fn items(&self) -> Vec<String> {
        vec![format!("{self}/1"), format!("{self}/2")]
    }

    /// Who is offboarded.
    pub fn address(&self) -> String {
        format!("{self}@example.com")
    }

    /// True for an unblock event, false for a leaver event.
    pub fn is_unblocking(&self) -> bool {
        self.number.is_multiple_of(2)
    }
}

impl fmt::Display for Message {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}{:04}", self.kind.label(), self.number)
    }
}

#[test]
fn a_message_is_known_by_any_text_of_it() {
    for (number, kind) in Kind::ALL.into_iter().enumerate() {
        let message = Message { kind, number };
        assert_eq!(Message::in_text(&message.body()), Some(message));
        assert_eq!(Message::in_text(&message.items()[1]), Some(message));
        assert_eq!(Message::in_text(&message.address()), Some(message));
    }
    assert_eq!(Message::in_text("good-x"), None);
}
