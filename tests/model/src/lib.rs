//! A small world in which every order of events is tried: a broker with the queue of one lane, Mimecast, and one or
//! two replicas of the daemon, which decide by the program's own functions. `docs/proof.md` has its rules and limits.
//!
//! A [`Protocol`] says how the world begins and what may go wrong in it. A [`State`] is the world at one moment,
//! an [`Action`] what happens next. The checker visits every state that can come about and tests it against the
//! rules in `rules`; a state that breaks one is told as a [`story`]. [`endings`] tries that without
//! further faults everything ends. The [`worlds`] are those that are tried.

mod action;
mod broker;
mod effect;
pub mod endings;
pub mod exploration;
mod job;
mod mimecast;
mod pause;
mod processing;
mod protocol;
mod quota;
mod replica;
mod rules;
mod state;
pub mod story;
pub mod walk;
pub mod worlds;

pub use action::{Action, Step};
pub use job::{Due, Item, Job, Kind, Letter, Settling, Stage};
pub use mimecast::Mimecast;
pub use protocol::{Faults, Mistake, Protocol};
pub use quota::Known;
pub use replica::{LanePause, Replica, Start};
pub use state::{Breach, State};
