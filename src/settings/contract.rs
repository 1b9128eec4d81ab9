//! What events mean, as far as it can be set. Neither broker nor vendor nor a secret is needed for it.

use super::reader::Reader;
use super::source::{Mistake, Sources};
use crate::event::{EventType, Names};
use std::collections::BTreeMap;

/// What events mean.
#[derive(Clone, Debug, Default)]
pub struct Contract {
    /// What types are called.
    pub names: Names,
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
        Contract { names: names(reader), default_groups }
    }
}

fn groups(reader: &mut Reader, event_type: EventType) -> Vec<String> {
    let key = format!("events.\"{}\".default_groups", event_type.name());
    let groups = reader.list(&key);
    if groups.iter().any(|group| group.trim().is_empty()) {
        reader.mistake(&key, "has a blank entry");
    }
    groups
}

/// Each further name is a routing key too, and must be as short as those are.
fn names(reader: &mut Reader) -> Names {
    let mut names = Names::default();
    for event_type in EventType::ALL {
        let key = format!("events.\"{}\".types", event_type.name());
        for name in reader.list(&key) {
            if name.trim().is_empty() {
                reader.mistake(&key, "has a blank entry");
            } else if name.len() > 255 {
                reader.mistake(&key, "has an entry of more than 255 bytes");
            } else if name.contains(['*', '#']) {
                reader.mistake(&key, "has an entry with * or #, which would bind other names too");
            } else if !names.add(name, event_type) {
                reader.mistake(&key, "has an entry that is the name of a type already");
            }
        }
    }
    names
}
