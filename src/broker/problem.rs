//! What is not as it should be at the broker.

/// How the broker's refusals for want of a permission begin.
pub(super) const REFUSED: &str = "ACCESS_REFUSED";

/// Something that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// It is not there.
    #[error("{0}; create it, or set amqp.topology to declare")]
    Missing(String),
    /// It is there, and different.
    #[error("{0}")]
    Differs(String),
    /// Messages are lost or late by it.
    #[error("{0}")]
    Loses(String),
    /// Dead letters would reach nobody.
    #[error("{0}")]
    NoRoute(String),
    /// The user may not do what the daemon will have to.
    #[error("{0}")]
    Forbidden(String),
    /// The user may not see whether it is as it should be.
    #[error("{0}")]
    Unknown(String),
    /// It works, and could be better.
    #[error("{0}")]
    Risky(String),
}

impl Problem {
    /// Whether a daemon had better not consume.
    pub fn is_grave(&self) -> bool {
        match self {
            Problem::Missing(_) | Problem::Differs(_) | Problem::NoRoute(_) => true,
            Problem::Loses(_) | Problem::Forbidden(_) | Problem::Unknown(_) | Problem::Risky(_) => {
                false
            }
        }
    }
}
