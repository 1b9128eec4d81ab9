//! What the vendor shall do: the [`Command`]s of an event, and the unsigned [`Call`] of each.
//!
//! In comes an event. Out go one or more commands, one item each, and paths and bodies as the vendor's
//! pages have them. It knows nothing of signatures, tokens and replies.

mod call;
mod command;
mod operation;

pub use call::Call;
pub use command::Command;
pub use operation::Operation;
