//! Why a message is not an event to act on.

/// Why a message is not an event that this daemon can act on. The texts name the place and never
/// quote the payload.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EventError {
    /// Not an event, or a field is wrong or missing.
    #[error("{0}")]
    Malformed(String),
    /// An event, but of a type or kind that the daemon does not handle.
    #[error("{0}")]
    Unsupported(String),
    /// The body is too large to be looked at.
    #[error("the body has {0} bytes, and {limit} are the most", limit = super::MAX_BODY)]
    TooLarge(u64),
}
