//! The audit trail: proof of what was done, and when, months later.
//!
//! One line of JSON before each change and one for each settled message, each sealed and chained to the one before
//! it (`line`), in a file that only this process writes (`trail`). A line is written before Mimecast is asked for a
//! change (`write_ahead`), and one before the broker is told; a message that comes again has more. Where a process
//! was killed in between, the next start says so (`unfinished`). What people do by hand has a chain of its own ([`ByHand`]). [`Files`] reads chains
//! back and says whether they are whole.

mod audit;
mod by_hand;
pub(super) mod entry;
mod error;
mod files;
mod left;
mod line;
mod mark;
mod order;
mod place;
mod scribe;
mod tail;
mod trail;
mod unfinished;
mod write_ahead;
mod written;

pub use audit::Audit;
pub use by_hand::{Action, ByHand, Letter};
pub use entry::subject;
pub use error::AuditError;
pub use files::{Broken, Chain, Files, FilesError};
pub use left::{is_left, left_at};
pub use line::{Head, Line};
pub use order::{Fresh, Shown as AuditShown};
pub use tail::expect_fit;
pub use write_ahead::WriteAhead;
pub use written::Written;
