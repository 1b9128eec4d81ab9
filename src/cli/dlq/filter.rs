//! Which dead letters are meant.

use super::letter::Letter;
use crate::event::EventType;
use crate::verdict::Grounds;
use std::time::Duration;

/// Which dead letters are meant: those that every part of it allows. A part that is empty allows all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Why it is there.
    pub reasons: Vec<Grounds>,
    /// The code that says more.
    pub codes: Vec<String>,
    /// The type of its event.
    pub types: Vec<EventType>,
    /// It is there for longer. One of unknown age is neither older nor newer.
    pub older_than: Option<Duration>,
    /// It is not there for so long yet.
    pub newer_than: Option<Duration>,
    /// Its id, or the digest that stands for one.
    pub ids: Vec<String>,
    /// A text in its body or its detail, whatever the case.
    pub text: Option<String>,
}

impl Filter {
    /// Whether `letter` is meant.
    pub fn allows(&self, letter: &Letter) -> bool {
        let (found, age) = (&letter.found, letter.age);
        let is_one = |code: &String| found.code.as_ref() == Some(code);
        (self.reasons.is_empty() || self.reasons.contains(&found.grounds))
            && (self.codes.is_empty() || self.codes.iter().any(is_one))
            && (self.types.is_empty()
                || letter.event_type.is_some_and(|it| self.types.contains(&it)))
            && self.older_than.is_none_or(|than| age.is_some_and(|age| age > than))
            && self.newer_than.is_none_or(|than| age.is_some_and(|age| age < than))
            && (self.ids.is_empty() || letter.is_called(&self.ids))
            && self.text.as_deref().is_none_or(|text| letter.has(text))
    }
}
