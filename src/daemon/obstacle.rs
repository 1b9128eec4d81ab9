//! Why a message could not be settled.

use crate::broker::BrokerError;
use crate::telemetry::AuditError;

/// What keeps a message from being settled, while it is still ours.
#[derive(Debug, thiserror::Error)]
pub(super) enum Obstacle {
    /// The broker does not take the copy that settling needs.
    #[error(transparent)]
    Copy(BrokerError),
    /// What was done cannot be written down.
    #[error(transparent)]
    Audit(#[from] AuditError),
}

/// Why a message was not settled.
#[derive(Debug)]
pub(super) enum NotSettled {
    /// It is still ours.
    Ours(Obstacle),
    /// It is no longer: it comes again.
    Lost(BrokerError),
}

impl From<Obstacle> for NotSettled {
    fn from(obstacle: Obstacle) -> NotSettled {
        NotSettled::Ours(obstacle)
    }
}

impl From<BrokerError> for NotSettled {
    fn from(error: BrokerError) -> NotSettled {
        match error {
            BrokerError::NotTaken { .. } => NotSettled::Ours(Obstacle::Copy(error)),
            BrokerError::Connect(_)
            | BrokerError::Topology(_)
            | BrokerError::Lost(_)
            | BrokerError::Cancelled(_)
            | BrokerError::SettleLost => NotSettled::Lost(error),
        }
    }
}
