//! What the daemon shows: metrics, readiness, the log, and the endpoints where they are asked for.
//!
//! In comes what happened, from the rooms above. Out go numbers for Prometheus, a word about each lane
//! for `/readyz`, one line of the log for each settled message, one of the [`audit`] trail before it is settled,
//! an [`OutcomeEvent`] for whoever listens, and each [`span`] for a collector. It changes nothing and decides
//! nothing. Only [`Metrics`] names the crate `prometheus`.

mod admin;
pub mod audit;
pub mod descriptors;
pub mod log;
mod log_line;
mod log_queue;
mod metrics;
mod outcome_event;
mod queue;
mod readiness;
mod report;
pub mod span;
mod state;
mod status;
#[cfg(feature = "otel")]
mod traces;

pub use admin::{Admin, Shown};
pub use audit::{Audit, AuditError, WriteAhead};
pub use log::LogLevel;
pub use metrics::{CONTENT_TYPE, InFlight, Metrics, Sample};
pub use outcome_event::OutcomeEvent;
pub use queue::{Purpose, QueueLabels};
pub use readiness::{Paused, Readiness};
pub use report::Report;
pub use state::LaneState;
pub use status::{Board, Settled, Status};
