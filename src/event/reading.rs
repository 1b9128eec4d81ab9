//! How events are read, as far as it can be set: what their types are called, and where their fields
//! stand in the events of pipelines that were there before.

use super::event_type::{EventType, Names};
use super::pointer::Pointers;
use std::collections::BTreeMap;

/// How events are read.
#[derive(Clone, Debug, Default)]
pub struct Reading {
    /// What types are called, and by which routing keys they come.
    pub names: Names,
    pointers: BTreeMap<EventType, Pointers>,
}

impl Reading {
    /// Reads events whose types have these names, and whose fields stand where they are called.
    pub fn by(names: Names) -> Reading {
        Reading { names, pointers: BTreeMap::new() }
    }

    /// Lets the fields of a type be read from where `pointers` say.
    pub fn point(&mut self, event_type: EventType, pointers: Pointers) {
        self.pointers.insert(event_type, pointers);
    }

    /// Where the fields of a type stand, if not where they are called.
    pub fn pointers(&self, event_type: EventType) -> &Pointers {
        self.pointers.get(&event_type).unwrap_or(Pointers::NONE)
    }
}
