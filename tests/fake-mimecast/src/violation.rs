//! What a well-behaved client never sends, and how it is answered.

use crate::call::Operation;
use crate::generation::Generation;
use crate::reply::{Problem, Reply};

/// For breaches whose answer nobody has recorded. It is not the vendor's.
const UNRECORDED: &str = "err_fake_violation";

/// Something that a well-behaved client never does.
pub(crate) struct Violation {
    pub(crate) text: String,
    breach: Breach,
}

enum Breach {
    /// A request that cannot be understood.
    Malformed { code: &'static str, field: Option<&'static str> },
    /// A request to the address of this generation that asks to be let in to the other.
    Foreign(Generation),
}

impl Violation {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self::malformed(text, UNRECORDED, None)
    }

    pub(crate) fn null(field: &'static str) -> Self {
        Self::malformed(format!("{field} is missing"), "err_validation_null", Some(field))
    }

    pub(crate) fn undeserialisable(text: impl Into<String>) -> Self {
        Self::malformed(text, "err_deserialise", None)
    }

    pub(crate) fn foreign(generation: Generation) -> Self {
        let text = match generation {
            Generation::One => "API 1.0 takes no bearer token",
            Generation::Two => "API 2.0 takes no signature",
        };
        Self { text: text.to_owned(), breach: Breach::Foreign(generation) }
    }

    pub(crate) fn reply(&self, operation: Option<Operation>) -> Reply {
        match self.breach {
            Breach::Malformed { code, field } => self.bad_request(operation, code, field),
            // Nobody has recorded this one. Of API 1.0 it is known that it answers all wrong
            // credentials alike.
            Breach::Foreign(Generation::One) => Reply::invalid_signature(),
            Breach::Foreign(Generation::Two) => Reply::unauthorized(),
        }
    }

    fn malformed(text: impl Into<String>, code: &'static str, field: Option<&'static str>) -> Self {
        Self { text: text.into(), breach: Breach::Malformed { code, field } }
    }

    fn bad_request(
        &self,
        operation: Option<Operation>,
        code: &'static str,
        field: Option<&'static str>,
    ) -> Reply {
        match operation {
            Some(Operation::Token) => Reply::oauth(400, "invalid_request", &self.text),
            Some(
                Operation::RemoveGroupMember
                | Operation::DeleteManagedUrl
                | Operation::FindGroups
                | Operation::GetGroupMembers
                | Operation::GetAllManagedUrls,
            )
            | None => {
                let problem = Problem::new(code, &self.text);
                let problem = match field {
                    Some(field) => problem.in_field(field),
                    None => problem,
                };
                Reply::fail(400, None, problem)
            }
        }
    }
}
