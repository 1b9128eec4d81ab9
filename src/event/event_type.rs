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
}

/// What events are called: each type has its own name, and may have further ones that mean the same.
#[derive(Clone, Debug, Default)]
pub struct Names {
    further: Vec<(String, EventType)>,
}

impl Names {
    /// Adds a further name of a type; `false` if something is called so already.
    pub fn add(&mut self, name: String, event_type: EventType) -> bool {
        let is_new = self.event_type(&name).is_none();
        if is_new {
            self.further.push((name, event_type));
        }
        is_new
    }

    /// The type that is called exactly so.
    pub fn event_type(&self, name: &str) -> Option<EventType> {
        let own = EventType::ALL.into_iter().find(|event_type| event_type.name() == name);
        let further = || self.further.iter().find(|(known, _)| known == name).map(|(_, it)| *it);
        own.or_else(further)
    }

    /// Every name of a type, its own first.
    pub fn of(&self, event_type: EventType) -> impl Iterator<Item = &str> {
        let further = self.further.iter().filter(move |(_, named)| *named == event_type);
        std::iter::once(event_type.name()).chain(further.map(|(name, _)| name.as_str()))
    }
}
