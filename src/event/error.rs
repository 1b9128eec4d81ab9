//! Why a message is not an event to act on.

/// Why a message is not an event that this daemon can act on. The texts name the place and never
/// quote a value of the payload; the pointer to a key that stands twice names that key, and
/// a disposition hashes an address in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EventError {
    /// Not an event, or a field is wrong or missing.
    #[error("{detail}{}", at(pointer.as_deref()))]
    Malformed {
        /// What is wrong.
        detail: String,
        /// Where in the body, as a JSON Pointer (RFC 6901), if it is at one place of it.
        pointer: Option<String>,
    },
    /// An event, but of a type or kind that the daemon does not handle.
    #[error("{detail}{}", at(pointer.as_deref()))]
    Unsupported {
        /// What is not handled.
        detail: String,
        /// Where in the body it is asked for, as a JSON Pointer.
        pointer: Option<String>,
    },
    /// The body is too large to be looked at.
    #[error("the body has {0} bytes, and {limit} are the most", limit = super::MAX_BODY)]
    TooLarge(u64),
}

impl EventError {
    /// Something is wrong that is at no place of the body.
    pub fn malformed(detail: impl Into<String>) -> EventError {
        EventError::Malformed { detail: detail.into(), pointer: None }
    }

    /// Where in the body it is, as a JSON Pointer.
    pub fn pointer(&self) -> Option<&str> {
        match self {
            EventError::Malformed { pointer, .. } | EventError::Unsupported { pointer, .. } => {
                pointer.as_deref()
            }
            EventError::TooLarge(_) => None,
        }
    }

    pub(super) fn malformed_at(pointer: String, detail: impl Into<String>) -> EventError {
        EventError::Malformed { detail: detail.into(), pointer: Some(pointer) }
    }

    /// Something is not handled that is at no place of the body.
    pub fn unsupported(detail: impl Into<String>) -> EventError {
        EventError::Unsupported { detail: detail.into(), pointer: None }
    }
}

fn at(pointer: Option<&str>) -> String {
    pointer.map(|pointer| format!(" (at {pointer})")).unwrap_or_default()
}
