//! What an answer of the vendor means, and what becomes of the message. All of it is pure: nothing
//! here waits, asks what time it is or talks to anybody.
//!
//! In come replies. Out goes, in this order: an [`Outcome`] for each attempt, by the one table in
//! [`code`] and only if it is the vendor's own voice, or the [`Fault`] in it; a [`Conclusion`] for each command, after its [`Attempts`]; a
//! [`Disposition`] for the message. A message is [`Stuck`] when the attempts at a command are used up:
//! the [`Evidence`] of other calls says whose fault that is. A message whose own fault it is climbs the
//! [`Ladder`] with its [`History`]; else its lane pauses, and its [`Holding`] says until when. Each disposition is
//! a few [`Step`]s at the broker.

mod attempts;
mod body;
pub mod code;
mod command_result;
mod conclusion;
mod disposition;
mod done;
mod evidence;
mod execution;
mod failure;
mod fault;
mod grounds;
mod history;
mod holding;
mod hop;
mod ladder;
mod outcome;
mod probing;
mod reason;
mod reply;
pub mod retry;
mod settlement;
mod status;
mod voice;
mod word;

pub use attempts::Attempts;
pub use code::Class;
pub use command_result::CommandResult;
pub use conclusion::Conclusion;
pub use disposition::Disposition;
pub use done::Done;
pub use evidence::{Cause, Evidence, Mark, Sent, Stuck};
pub use execution::{Execution, Request};
pub use fault::Fault;
pub use grounds::Grounds;
pub use history::History;
pub use holding::Holding;
pub use hop::Hop;
pub use ladder::{Ladder, Rung};
pub use outcome::Outcome;
pub use probing::{Probing, Turn};
pub use reason::Reason;
pub use reply::Reply;
pub use retry::{Delays, Policy};
pub use settlement::{Answer, Place, Step};
