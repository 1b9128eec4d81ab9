//! The types of event.

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

    /// The type that is called so.
    pub(super) fn named(name: &str) -> Option<EventType> {
        EventType::ALL.into_iter().find(|event_type| event_type.name() == name)
    }
}
