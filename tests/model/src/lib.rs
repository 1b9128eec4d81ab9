//! A small world in which every order of events is tried: a broker with a queue for each lane, the vendor, and
//! the daemon between them, which decides by the program's own functions. What it says and leaves out is told
//! in `docs/proof.md`.
//!
//! A [`Protocol`] says how the world begins and what may go wrong in it. A [`State`] is the world at one moment,
//! an [`Action`] what happens next. The checker visits every state that can come about and holds it to the
//! rules in `rules`; a state that breaks one is told as a [`story`]. [`endings`] sees to it that without
//! further faults everything comes to an end. The [`worlds`] are those that are tried.

mod action;
mod broker;
mod daemon;
mod effect;
pub mod endings;
pub mod exploration;
mod job;
mod lane;
mod numbers;
mod pause;
mod protocol;
mod quota;
mod rules;
mod state;
pub mod story;
mod vendor;
pub mod walk;
pub mod worlds;

pub use action::{Action, Seat};
pub use job::{Item, Job, Letter, Stage};
pub use lane::{Lane, Process};
pub use protocol::{Faults, Mistake, Protocol};
pub use state::State;
