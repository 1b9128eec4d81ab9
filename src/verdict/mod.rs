//! What an answer of Mimecast means, and what becomes of the message. All of it is pure: nothing
//! here waits, asks what time it is or talks to anybody.
//!
//! In come replies. Out goes, in this order: an [`Outcome`] for each attempt, by the one table in
//! [`code`] and only if Mimecast itself has written it, or the [`Fault`] in it; a [`Conclusion`] for each command,
//! after its [`Attempts`]; a [`Disposition`] for the message. A message is [`Stuck`] when the attempts at a call are
//! used up: [`Health`] says whether it is at fault. If it is, it climbs the [`Ladder`] with its [`History`], and the
//! [`Streak`] of such messages may pause the lane; else the lane pauses at once. [`Pause`] says until when. Each
//! disposition is a few [`Step`]s at the broker.

mod attempts;
mod body;
pub mod code;
mod command_result;
mod conclusion;
mod disposition;
mod done;
mod execution;
mod failure;
mod fault;
mod grounds;
mod health;
mod history;
mod hop;
mod json_size;
mod judgment;
mod ladder;
mod outcome;
mod pausing;
mod reason;
mod reply;
pub mod retry;
mod settlement;
mod status;
mod streak;
mod stuck;
mod voice;
mod word;

pub use attempts::Attempts;
pub use code::Class;
pub use command_result::CommandResult;
pub use conclusion::Conclusion;
pub use disposition::Disposition;
pub use done::Done;
pub use execution::{Execution, Request};
pub use fault::Fault;
pub use grounds::Grounds;
pub use health::Health;
pub use history::History;
pub use hop::Hop;
pub use json_size::fits as json_fits;
pub use judgment::Judgment;
pub use ladder::{Ladder, Rung};
pub use outcome::Outcome;
pub use pausing::{Breaker, Pause, Pausing, Until};
pub use reason::Reason;
pub use reply::Reply;
pub use retry::{Delays, Policy};
pub use settlement::{Answer, Place, Step};
pub use streak::{Blame, Streak};
pub use stuck::{Cause, Stuck};
