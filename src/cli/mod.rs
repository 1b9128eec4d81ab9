//! The commands for people.
//!
//! In come the words of the command line. Out go a [`Request`] for `main` and, for the commands that
//! do not run the daemon, what they have to say, on a terminal. Only [`send`] and [`dlq`] change
//! anything, and only messages: they say so, and can say beforehand what they would do.

pub mod arguments;
pub mod audit;
pub mod check;
pub mod codes;
pub mod config;
pub mod control;
pub mod dlq;
pub mod events_file;
pub mod healthcheck;
pub mod look_up;
pub mod manual;
pub mod plan;
pub mod run;
pub mod send;
pub mod status;
mod terminal;

pub use arguments::Request;
pub use terminal::{OutputError, unless_closed};
