//! The messages of a run: each says by its text what it is, wherever it turns up again.

use serde_json::json;
use std::fmt;

/// The kind of a message, and so where it may end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Its commands succeed as soon as everybody is well: it ends applied.
    Good,
    /// The same for a domain.
    Domain,
    /// The same, with groups by their names.
    Named,
    /// The same, with a URL that two entries block.
    Url,
    /// The same, with a body of almost 256 KiB.
    Large,
    /// The API fails over its items and over no others: it passes all retry delays to their end, or is
    /// applied if the API works again in time.
    Poison,
    /// Not an event: it ends as a dead letter, as do all that follow.
    Malformed,
    /// The API rejects its items for good.
    Refused,
    /// An event of an unknown type.
    Unsupported,
    /// Two groups have the name that it gives.
    Ambiguous,
    /// The policy of [`POLICY`] protects its address.
    Denied,
    /// The same policy finds it too old.
    Expired,
    /// Its body is larger than 256 KiB: the broker dead-letters it.
    TooLarge,
}

/// The settings by which messages are denied or expired.
pub const POLICY: [(&str, &str); 3] = [
    ("POLICY__PROTECTED_ADDRESSES", r#"["denied-*@example.com"]"#),
    ("POLICY__MAX_EVENT_AGE", "6h"),
    ("POLICY__ALLOW_UNDATED", "true"),
];

/// The ids of all groups; the name of each is `Group {id}`.
pub const GROUPS: [&str; 8] =
    ["group-0", "group-1", "group-2", "group-3", "group-4", "group-5", "group-6", "group-7"];

/// The name that two groups have.
pub const AMBIGUOUS_NAME: &str = "Group of two ids";

impl Kind {
    /// Every kind.
    pub const ALL: [Kind; 13] = [
        Kind::Good,
        Kind::Domain,
        Kind::Named,
        Kind::Url,
        Kind::Large,
        Kind::Poison,
        Kind::Malformed,
        Kind::Refused,
        Kind::Unsupported,
        Kind::Ambiguous,
        Kind::Denied,
        Kind::Expired,
        Kind::TooLarge,
    ];

    /// The beginning of the ids of such messages. No other text of a run has it.
    pub fn label(self) -> &'static str {
        match self {
            Kind::Good => "good-",
            Kind::Domain => "domain-",
            Kind::Named => "named-",
            Kind::Url => "url-",
            Kind::Large => "large-",
            Kind::Poison => "poison-",
            Kind::Malformed => "malformed-",
            Kind::Refused => "refused-",
            Kind::Unsupported => "unsupported-",
            Kind::Ambiguous => "ambiguous-",
            Kind::Denied => "denied-",
            Kind::Expired => "expired-",
            Kind::TooLarge => "huge-",
        }
    }

    /// The one reason for which the daemon may dead-letter such a message, if there is one.
    pub fn reason(self) -> Option<&'static str> {
        match self {
            Kind::Good | Kind::Domain | Kind::Named | Kind::Url | Kind::Large => None,
            Kind::TooLarge => None,
            Kind::Malformed => Some("malformed"),
            Kind::Refused => Some("rejected"),
            Kind::Poison => Some("retries_exhausted"),
            Kind::Unsupported => Some("unsupported"),
            Kind::Ambiguous => Some("ambiguous"),
            Kind::Denied => Some("denied"),
            Kind::Expired => Some("expired"),
        }
    }

    /// True if the API may ever apply the commands of such a message.
    pub fn may_be_applied(self) -> bool {
        self == Kind::Poison || (self.reason().is_none() && self != Kind::TooLarge)
    }
}

/// One message. The even ones are unblockings, the odd ones offboardings, unless the kind is of one of
/// them only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message {
    /// The kind.
    pub kind: Kind,
    /// Its place in the order of publishing.
    pub number: usize,
}

impl Message {
    /// The message that `text` is, or is of.
    pub fn in_text(text: &str) -> Option<Message> {
        Kind::ALL.into_iter().find_map(|kind| {
            let (_, rest) = text.split_once(kind.label())?;
            Some(Message { kind, number: rest.get(..6)?.parse().ok()? })
        })
    }

    /// The routing key, which is the event type.
    pub fn routing_key(&self) -> &'static str {
        if self.is_unblocking() { "url.unblock" } else { "user.offboarded" }
    }

    /// The body.
    pub fn body(&self) -> String {
        let groups = self.groups();
        let mut data = match (self.kind, self.is_unblocking()) {
            (Kind::Url, _) => json!({ "url": self.url() }),
            (_, true) => json!({ "ids": self.items() }),
            (Kind::Domain, _) => json!({ "domain": self.member(), "groupIds": groups }),
            (Kind::Named, _) => {
                let names = groups.map(|group| format!("Group {group}"));
                json!({ "emailAddress": self.member(), "groups": names })
            }
            (Kind::Ambiguous, _) => {
                json!({ "emailAddress": self.member(), "groups": [AMBIGUOUS_NAME] })
            }
            _ => json!({ "emailAddress": self.member(), "groupIds": groups }),
        };
        let unsupported = self.kind == Kind::Unsupported;
        let event_type = if unsupported { "user.renamed" } else { self.routing_key() };
        for (kind, size) in [(Kind::Large, 240_000), (Kind::TooLarge, 300_000)] {
            if self.kind == kind {
                data["note"] = "x".repeat(size).into();
            }
        }
        let mut event = json!({
            "specversion": "1.0", "id": self.to_string(), "source": "/", "type": event_type,
            "data": data,
        });
        if self.kind == Kind::Expired {
            event["time"] = "2020-01-01T00:00:00Z".into();
        }
        let body = event.to_string();
        if self.kind == Kind::Malformed { body.replace('}', "") } else { body }
    }

    /// The commands of the message, by texts that no other message has: ids of entries, or a member
    /// and a group.
    pub fn items(&self) -> Vec<String> {
        match self.is_unblocking() {
            true => vec![format!("{self}/1"), format!("{self}/2")],
            false => self.groups().map(|group| command(group, &self.member())).to_vec(),
        }
    }

    /// The URL that its two entries block.
    pub fn url(&self) -> String {
        format!("https://{self}.example/path")
    }

    /// The address or domain that is offboarded.
    pub fn member(&self) -> String {
        let at = if self.kind == Kind::Domain { '.' } else { '@' };
        format!("{self}{at}example.com")
    }

    /// The ids of the groups that the member is removed from.
    pub fn groups(&self) -> [&'static str; 2] {
        [self.number, self.number + 3].map(|number| GROUPS[number % GROUPS.len()])
    }

    /// True for an unblock event, false for a leaver event.
    pub fn is_unblocking(&self) -> bool {
        let leaver =
            matches!(self.kind, Kind::Domain | Kind::Named | Kind::Ambiguous | Kind::Denied);
        self.kind == Kind::Url || (self.number.is_multiple_of(2) && !leaver)
    }
}

/// The removal of a member from a group.
pub fn command(group: &str, member: &str) -> String {
    format!("{member} {group}")
}

impl fmt::Display for Message {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}{:06}", self.kind.label(), self.number)
    }
}

#[test]
fn a_message_is_known_by_any_text_of_it() {
    for (number, kind) in Kind::ALL.into_iter().enumerate() {
        let message = Message { kind, number };
        assert_eq!(Message::in_text(&message.body()), Some(message));
        assert_eq!(Message::in_text(&message.items()[1]), Some(message));
        assert_eq!(Message::in_text(&message.member()), Some(message));
    }
    assert_eq!(Message::in_text("good-x"), None);
}
