//! What the thread that writes the audit trail is given to do, and what is shown of it.

use super::error::AuditError;
use super::line::Head;
use super::written::Written;
use chrono::{DateTime, Utc};
use tokio::sync::oneshot;
use uuid::Uuid;

/// What time it is, and an id that nobody has.
pub type Fresh = Box<dyn Fn() -> (DateTime<Utc>, Uuid) + Send + Sync>;

/// What is shown of it.
#[derive(Clone, Debug)]
pub struct Shown {
    /// Where the chain is.
    pub head: Head,
    /// Why nothing can be written, while nothing can.
    pub failure: Option<String>,
    /// Lines that nobody waits for, and that could not be written yet.
    pub owed: usize,
}

/// What is said of one message, before it has its place in the chain: a line, or several that belong together.
#[derive(Debug)]
pub(super) struct New {
    pub at: DateTime<Utc>,
    pub entries: Vec<String>,
    pub written: Written,
}

pub(super) type Done = oneshot::Sender<Result<(), AuditError>>;

#[derive(Debug)]
pub(super) enum Order {
    Append(New, Done),
    Owe(Vec<String>, Written),
    Follow,
    Sync(Done),
}
