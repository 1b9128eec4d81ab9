//! What events mean, as far as it can be set. Neither broker nor vendor nor a secret is needed for it.

use super::mistake::Mistake;
use super::policy;
use super::reader::Reader;
use super::source::Sources;
use crate::command::Guards;
use crate::event::{EventType, Names, Pointer, Pointers, Reading, secure_id};
use std::collections::BTreeMap;

/// What events mean.
#[derive(Clone, Debug, Default)]
pub struct Contract {
    /// How they are read.
    pub reading: Reading,
    /// What they have to keep to.
    pub guards: Guards,
    default_groups: BTreeMap<EventType, Vec<String>>,
}

impl Contract {
    /// Reads it from `sources`, whatever else is missing there.
    ///
    /// # Errors
    ///
    /// All mistakes that concern it, and keys that there are not.
    pub fn read(sources: Sources) -> Result<Contract, Vec<Mistake>> {
        let mut reader = Reader::new(sources);
        let contract = Contract::of(&mut reader);
        reader.finish(contract)
    }

    /// The groups to leave when an event of this type names none.
    pub fn default_groups(&self, event_type: EventType) -> &[String] {
        self.default_groups.get(&event_type).map(Vec::as_slice).unwrap_or_default()
    }

    pub(super) fn of(reader: &mut Reader) -> Contract {
        let mut default_groups = BTreeMap::new();
        for event_type in EventType::ALL {
            default_groups.insert(event_type, groups(reader, event_type));
        }
        let mut reading = Reading::by(names(reader));
        for event_type in EventType::ALL {
            if let Some(queue) = queue(reader, event_type) {
                reading.names.queue(queue, event_type);
            }
            reading.point(event_type, pointers(reader, event_type));
        }
        Contract { reading, guards: policy::guards(reader), default_groups }
    }
}

fn groups(reader: &mut Reader, event_type: EventType) -> Vec<String> {
    let key = format!("events.\"{}\".default_groups", event_type.name());
    policy::canonical(reader, &key, secure_id)
}

/// The queue of a lane, if it has a name: what is wrong with that is told where the lane is read.
fn queue(reader: &mut Reader, event_type: EventType) -> Option<String> {
    let key = format!("events.\"{}\".queue", event_type.name());
    reader.optional(&key, |name| Ok(name.to_owned()))
}

/// Each further name that is no pattern is a routing key too, and must be as short as those are.
fn names(reader: &mut Reader) -> Names {
    let mut names = Names::default();
    for event_type in EventType::ALL {
        bind(reader, event_type, &mut names);
    }
    for event_type in EventType::ALL {
        let key = format!("events.\"{}\".types", event_type.name());
        for name in reader.list(&key) {
            if name.trim().is_empty() {
                reader.mistake(&key, "has a blank entry");
            } else if name.len() > 255 {
                reader.mistake(&key, "has an entry of more than 255 bytes");
            } else if name.contains('#') {
                reader.mistake(&key, "has an entry with #, which would bind other names too");
            } else if !name.contains(char::is_alphanumeric) {
                reader.mistake(&key, "has an entry without a letter or digit, which names no type");
            } else if !names.add(name, event_type) {
                reader.mistake(&key, "has an entry that is the name of a type already");
            }
        }
    }
    names
}

fn bind(reader: &mut Reader, event_type: EventType, names: &mut Names) {
    let key = format!("events.\"{}\".binding_keys", event_type.name());
    for binding_key in reader.list(&key) {
        if binding_key.trim().is_empty() {
            reader.mistake(&key, "has a blank entry");
        } else if binding_key.len() > 255 {
            reader.mistake(&key, "has an entry of more than 255 bytes");
        } else {
            names.bind(binding_key, event_type);
        }
    }
}

fn pointers(reader: &mut Reader, event_type: EventType) -> Pointers {
    let key = format!("events.\"{}\".map", event_type.name());
    let (fields, alternatives) = match event_type {
        EventType::UserOffboarded => (
            &["emailAddress", "domain", "groupIds", "groups", "effectiveAt", "event_id", "time"][..],
            &["emailAddress", "domain"][..],
        ),
        EventType::UrlUnblock => (
            &["id", "ids", "url", "effectiveAt", "event_id", "time"][..],
            &["id", "ids", "url"][..],
        ),
    };
    let mut pointers = Pointers::default();
    for (field, pointer) in reader.table(&key) {
        if !fields.contains(&field.as_str()) {
            reader.mistake(&key, &format!("has no field {field:?}: it has {}", fields.join(", ")));
            continue;
        }
        match Pointer::parse(&pointer) {
            Ok(pointer) => pointers.point(&field, pointer),
            Err(problem) => reader.mistake(&key, &format!("{field} {problem}")),
        }
    }
    if alternatives.iter().filter(|field| pointers.of(field).is_some()).count() > 1 {
        let names = alternatives.join(", ");
        reader.mistake(&key, &format!("points to more than one of {names}: an event has one"));
    }
    pointers
}
