//! What an answer of the vendor means, and what becomes of the message. All of it is pure: nothing
//! here waits, asks what time it is or talks to anybody.
//!
//! In come a [`Reply`], what the commands of a message came to, and the [`Evidence`] of other calls.
//! Out goes an [`Outcome`] for each attempt, by the one table in [`code`], and in the end a
//! [`Disposition`]: when a message's attempts are used up, the evidence says whose fault that is, and a
//! message whose own fault it is climbs the [`Ladder`] with its [`History`].

pub mod code;
mod disposition;
mod evidence;
mod history;
mod ladder;
mod outcome;
pub mod retry;

pub use code::Class;
pub use disposition::{Conclusion, Decision, Disposition, Reason, Stuck};
pub use evidence::{Cause, Evidence, Failed, Judgement, Mark, Pause, Sent, Turn};
pub use history::History;
pub use ladder::{Ladder, Rung};
pub use outcome::{Fault, Outcome, Reply};
pub use retry::{Delays, Policy};
