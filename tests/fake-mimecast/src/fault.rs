//! Faults on order: which calls they meet, and how often.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::call::Operation;
use crate::kind::FaultKind;
use crate::protocol::Asked;

/// One fault. Of all faults, the first that matches a call is used for it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// The calls that this fault meets.
    #[serde(default)]
    pub matches: Matches,
    /// How many of them.
    #[serde(default)]
    pub times: Times,
    /// What happens to them.
    pub kind: FaultKind,
}

/// Which calls a fault meets.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Matches {
    /// None stands for both operations, but not for the token endpoint, which must be named: so
    /// the same fault meets the same calls in either generation of the API.
    pub operation: Option<Operation>,
    /// Text that must occur in one of the item's values.
    pub item_containing: Option<String>,
    /// Whether only calls for a page of a list that is not the first one.
    pub later_page: bool,
}

/// How many calls a fault meets.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Times {
    /// All, until the faults are healed.
    Always,
    /// So many.
    Exactly(u32),
}

impl Default for Times {
    fn default() -> Self {
        Self::Exactly(1)
    }
}

impl Fault {
    /// Meets the next call.
    pub fn next(kind: FaultKind) -> Self {
        Self { matches: Matches::default(), times: Times::default(), kind }
    }

    /// Meets every call.
    pub fn always(kind: FaultKind) -> Self {
        Self { times: Times::Always, ..Self::next(kind) }
    }

    /// Meets so many calls.
    #[must_use]
    pub fn times(self, calls: u32) -> Self {
        Self { times: Times::Exactly(calls), ..self }
    }

    /// Meets only calls with this text in one of the item's values.
    #[must_use]
    pub fn for_item_containing(mut self, text: impl Into<String>) -> Self {
        self.matches.item_containing = Some(text.into());
        self
    }

    /// Meets only calls for a page of a list that is not the first one.
    #[must_use]
    pub fn for_later_page(mut self) -> Self {
        self.matches.later_page = true;
        self
    }

    /// Meets only calls of this operation.
    #[must_use]
    pub fn for_operation(mut self, operation: Operation) -> Self {
        self.matches.operation = Some(operation);
        self
    }

    fn meets(&self, asked: &Asked) -> bool {
        let operation = match self.matches.operation {
            Some(operation) => operation == asked.operation,
            None => asked.operation != Operation::Token,
        };
        let item = match &self.matches.item_containing {
            Some(text) => asked.item.as_object().is_some_and(|item| {
                item.values().filter_map(Value::as_str).any(|value| value.contains(text))
            }),
            None => true,
        };
        let page = !self.matches.later_page || !asked.page.is_first();
        operation && item && page
    }
}

/// The faults that are still to come, in the order in which they were ordered.
#[derive(Default)]
pub(crate) struct Faults(Vec<Fault>);

impl Faults {
    pub(crate) fn add(&mut self, fault: Fault) {
        self.0.push(fault);
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// Uses up one time of the first fault that meets the call, if `wanted` wants that fault.
    pub(crate) fn take(
        &mut self,
        asked: &Asked,
        wanted: impl FnOnce(&FaultKind) -> bool,
    ) -> Option<FaultKind> {
        self.0.retain(|fault| fault.times != Times::Exactly(0));
        let fault = self.0.iter_mut().find(|fault| fault.meets(asked))?;
        if !wanted(&fault.kind) {
            return None;
        }
        if let Times::Exactly(left) = &mut fault.times {
            *left -= 1;
        }
        Some(fault.kind.clone())
    }
}
