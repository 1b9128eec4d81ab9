//! The audit trail: proof of what was done, and when, months later.
//!
//! One line of JSON for each settled message, each sealed and chained to the one before it (`line`), in a file
//! that only this process writes (`trail`). Lines are written before the broker is told; a message that comes
//! again has a second one. What people do by hand has a chain of its own ([`ByHand`]). [`Files`] reads chains
//! back and says whether they are whole.

mod audit;
mod by_hand;
pub(super) mod entry;
mod error;
mod files;
mod left;
mod line;
mod place;
mod scribe;
mod tail;
mod trail;
mod written;

pub use audit::Audit;
pub use by_hand::{Action, ByHand, Letter};
pub use entry::subject;
pub use error::AuditError;
pub use files::{Broken, Chain, Files, FilesError};
pub use left::left_at;
pub use line::{Head, Line};
pub use scribe::{Fresh, Shown as AuditShown};
pub use written::Written;
