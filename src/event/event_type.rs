//! The types of event.

use std::collections::BTreeMap;

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

/// What events are called: each type has its own name, and may have further ones that mean the same,
/// and further routing keys by which it comes.
#[derive(Clone, Debug, Default)]
pub struct Names {
    further: BTreeMap<String, EventType>,
    patterns: BTreeMap<String, EventType>,
    queues: BTreeMap<String, EventType>,
    binding_keys: Vec<(String, EventType)>,
}

impl Names {
    /// Adds a further name of a type, or a pattern of names with `*` for anything; `false` if something is called so
    /// already.
    pub fn add(&mut self, name: String, event_type: EventType) -> bool {
        let names = if name.contains('*') { &mut self.patterns } else { &mut self.further };
        let is_own = EventType::ALL.into_iter().any(|event_type| event_type.name() == name);
        let is_new = !is_own && !names.contains_key(&name);
        if is_new {
            names.insert(name, event_type);
        }
        is_new
    }

    /// The type that is called so: by a name, or else by a pattern that is not also one of another type.
    pub fn event_type(&self, name: &str) -> Option<EventType> {
        self.named(name).or_else(|| {
            let fits = |(pattern, _): &(&String, &EventType)| fits(pattern, name);
            let mut fitting = self.patterns.iter().filter(fits).map(|(_, event_type)| *event_type);
            let first = fitting.next()?;
            fitting.all(|event_type| event_type == first).then_some(first)
        })
    }

    /// The type that is called exactly so.
    fn named(&self, name: &str) -> Option<EventType> {
        let own = EventType::ALL.into_iter().find(|event_type| event_type.name() == name);
        own.or_else(|| self.further.get(name).copied())
    }

    /// Adds a binding key, as topic exchanges have them: what comes by it and has no type of its own is
    /// of this type.
    pub fn bind(&mut self, key: String, event_type: EventType) {
        self.binding_keys.push((key, event_type));
    }

    /// Adds the name of a type's queue: what comes by it was published straight to the queue.
    pub fn queue(&mut self, queue: String, event_type: EventType) {
        self.queues.insert(queue, event_type);
    }

    /// The type of what has none of its own and came by this routing key, through the lane of `lane` if
    /// that is known.
    pub fn by_routing_key(&self, routing_key: &str, lane: Option<EventType>) -> Option<EventType> {
        let by_queue = || self.queues.get(routing_key).copied();
        let by_binding = || self.by_binding(routing_key, lane);
        self.named(routing_key).or_else(by_queue).or_else(by_binding)
    }

    /// The same of what came through the exchange of events, where a queue is known by its bindings alone.
    pub fn by_binding(&self, routing_key: &str, lane: Option<EventType>) -> Option<EventType> {
        let bound = |event_type| {
            let keys = self.binding_keys.iter().filter(move |(_, bound)| *bound == event_type);
            keys.map(|(key, _)| key).any(|key| is_bound(key, routing_key)).then_some(event_type)
        };
        self.named(routing_key).or_else(|| lane.into_iter().chain(EventType::ALL).find_map(bound))
    }

    /// Every key that the queue of a type is bound by: its names, and its binding keys.
    pub fn bindings(&self, event_type: EventType) -> impl Iterator<Item = &str> {
        let further = self.binding_keys.iter().filter(move |(_, bound)| *bound == event_type);
        self.of(event_type).chain(further.map(|(key, _)| key.as_str()))
    }

    /// Every name of a type, its own first. A pattern is none: as a binding key it would mean something else.
    pub fn of(&self, event_type: EventType) -> impl Iterator<Item = &str> {
        let further = self.further.iter().filter(move |(_, named)| **named == event_type);
        std::iter::once(event_type.name()).chain(further.map(|(name, _)| name.as_str()))
    }
}

/// Whether a name is as the pattern says: `*` is any number of characters.
fn fits(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = name.strip_prefix(first) else { return false };
    let Some(last) = parts.next_back() else { return rest.is_empty() };
    for part in parts {
        match rest.split_once(part) {
            Some((_, behind)) => rest = behind,
            None => return false,
        }
    }
    rest.ends_with(last)
}

/// Whether a topic exchange routes `routing_key` by the binding key: `*` is one word, `#` any number of
/// words (RabbitMQ, "Topics").
fn is_bound(binding_key: &str, routing_key: &str) -> bool {
    let words = |text: &str| match text {
        "" => Vec::new(),
        text => text.split('.').map(str::to_owned).collect(),
    };
    let routed = words(routing_key);
    // Whether what was read of the binding key can end before the word of this number.
    let mut ends = vec![false; routed.len() + 1];
    ends[0] = true;
    for word in words(binding_key) {
        let mut next = vec![false; ends.len()];
        let mut reached = false;
        for (place, ended) in ends.iter().enumerate() {
            reached |= ended;
            if word == "#" {
                next[place] = reached;
            } else if *ended && routed.get(place).is_some_and(|it| word == "*" || word == *it) {
                next[place + 1] = true;
            }
        }
        ends = next;
    }
    ends[routed.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_binding_key_takes_what_a_topic_exchange_would_route_by_it() {
        for (key, routed, others) in [
            ("a.b", &["a.b"][..], &["a", "a.b.c", "", "a.B", "a.b."][..]),
            ("hr.*.left", &["hr.de.left", "hr..left"], &["hr.left", "hr.a.b.left", "hr.de.left.x"]),
            ("hr.#", &["hr", "hr.a", "hr.a.b"], &["x.hr", "hrx", ""]),
            ("#.left", &["left", "a.left", "a.b.left"], &["left.a", ""]),
            ("#", &["", "a", "a.b"], &[]),
            ("*", &["a"], &["", "a.b"]),
            ("#.a.#.a.#", &["a.a", "x.a.y.a.z"], &["a", "x.a.y"]),
            ("", &[""], &["a"]),
        ] {
            assert!(routed.iter().all(|it| is_bound(key, it)), "{key}");
            assert!(!others.iter().any(|it| is_bound(key, it)), "{key}");
        }
        let long = vec!["a"; 120].join(".");
        assert!(!is_bound(&vec!["#.a"; 60].join("."), &long.replace('a', "b")), "at once");
    }

    #[test]
    fn a_type_has_its_own_names_and_keys_and_no_name_means_two() {
        let (left, harmless) = (EventType::UserOffboarded, EventType::UrlUnblock);
        let mut names = Names::default();
        assert!(names.add("com.example.left".into(), left));
        assert!(!names.add("com.example.left".into(), harmless));
        assert!(!names.add("url.unblock".into(), left));
        names.bind("hr.#".into(), left);
        names.bind("payroll.#".into(), left);
        names.bind("soc.#".into(), harmless);
        assert_eq!(names.event_type("com.example.left"), Some(left));
        assert_eq!(names.event_type("url.unblock"), Some(harmless));
        assert_eq!(names.event_type("user.hired"), None);
        let of = |event_type| names.of(event_type).collect::<Vec<_>>();
        assert_eq!(of(left), ["user.offboarded", "com.example.left"]);
        assert_eq!(of(harmless), ["url.unblock"]);
        let bindings = |event_type| names.bindings(event_type).collect::<Vec<_>>();
        assert_eq!(bindings(left), ["user.offboarded", "com.example.left", "hr.#", "payroll.#"]);
        assert_eq!(bindings(harmless), ["url.unblock", "soc.#"]);
    }

    #[test]
    fn a_pattern_takes_every_version_of_a_name_and_no_other_name() {
        const USER: &str = "Company.Identity.UserOffboarded, Company.Identity";
        for (pattern, name, expected) in [
            (
                format!("{USER}, Version=*"),
                format!("{USER}, Version=1.2.3.0, Culture=neutral"),
                true,
            ),
            (format!("{USER}, Version=*"), format!("{USER}, Version="), true),
            (format!("{USER}, Version=*"), USER.to_owned(), false),
            (format!("{USER}*"), USER.to_owned(), true),
            ("urn:message:*:UserOffboarded".into(), "urn:message:A.B:UserOffboarded".into(), true),
            ("urn:message:*:UserOffboarded".into(), "urn:message:A:UserOffboarded2".into(), false),
            ("urn:message:*:UserOffboarded".into(), "urn:message:UserOffboarded".into(), false),
            ("*.UserOffboarded, *".into(), "A.UserOffboarded, B, Version=2".into(), true),
            ("*.UserOffboarded, *".into(), "A.UserOffboardedBack, B".into(), false),
            ("*.UserOffboarded, *".into(), "a.useroffboarded, b".into(), false),
            ("a*b*c".into(), "abbc".into(), true),
            ("a*b*c".into(), "acb".into(), false),
            ("a*a".into(), "a".into(), false),
            ("a**a".into(), "aé😀a".into(), true),
            ("a*".into(), String::new(), false),
        ] {
            let mut names = Names::default();
            assert!(names.add(pattern.clone(), EventType::UserOffboarded));
            let expected = expected.then_some(EventType::UserOffboarded);
            assert_eq!(names.event_type(&name), expected, "{pattern}: {name}");
        }
    }

    #[test]
    fn a_name_is_stronger_than_a_pattern_and_two_types_patterns_are_none() {
        let (left, harmless) = (EventType::UserOffboarded, EventType::UrlUnblock);
        let mut names = Names::default();
        assert!(names.add("com.example.*".into(), left));
        assert!(names.add("com.example.u*".into(), left));
        assert!(names.add("com.example.unblock".into(), harmless));
        assert!(names.add("*.v1".into(), harmless));
        assert!(!names.add("*.v1".into(), left));
        assert!(names.add("url*".into(), left));
        for (name, expected) in [
            ("com.example.unblock", Some(harmless)),
            ("com.example.user", Some(left)),
            ("com.example.user.v1", None),
            ("org.example.v1", Some(harmless)),
            ("url.unblock", Some(harmless)),
        ] {
            assert_eq!(names.event_type(name), expected, "{name}");
        }
        // A pattern is neither bound nor told by a routing key.
        assert_eq!(names.by_routing_key("com.example.user", Some(left)), None);
        assert_eq!(names.bindings(left).collect::<Vec<_>>(), ["user.offboarded"]);
    }

    #[test]
    fn what_comes_by_two_lanes_keys_is_of_the_lane_that_it_came_through() {
        let mut names = Names::default();
        names.bind("#".into(), EventType::UserOffboarded);
        names.bind("soc.#".into(), EventType::UrlUnblock);
        let by = |key, lane| names.by_routing_key(key, lane);
        assert_eq!(by("soc.x", Some(EventType::UrlUnblock)), Some(EventType::UrlUnblock));
        assert_eq!(by("soc.x", Some(EventType::UserOffboarded)), Some(EventType::UserOffboarded));
        assert_eq!(by("url.unblock", Some(EventType::UserOffboarded)), Some(EventType::UrlUnblock));
        assert_eq!(by("hr.x", None), Some(EventType::UserOffboarded));
        assert_eq!(Names::default().by_routing_key("hr.x", None), None);
    }

    #[test]
    fn what_comes_by_the_name_of_a_queue_is_of_its_lanes_type() {
        let (left, harmless) = (EventType::UserOffboarded, EventType::UrlUnblock);
        let mut names = Names::default();
        names.bind("#".into(), left);
        names.queue("identity.left".into(), left);
        names.queue("soc.harmless".into(), harmless);
        names.queue("url.unblock".into(), left);
        for lane in [None, Some(left), Some(harmless)] {
            let by = |key| names.by_routing_key(key, lane);
            assert_eq!(by("identity.left"), Some(left));
            assert_eq!(by("soc.harmless"), Some(harmless), "whatever else is bound");
            assert_eq!(by("soc.harmless.retry.10s"), Some(left));
            assert_eq!(by("url.unblock"), Some(harmless), "a name is stronger");
            assert_eq!(names.by_binding("soc.harmless", lane), Some(left), "as an exchange has it");
        }
    }
}
