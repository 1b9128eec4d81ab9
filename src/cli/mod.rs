//! The commands for people.
//!
//! In come the words of the command line. Out go a [`Request`] for `main` and, for the commands that
//! do not run the daemon, what they have to say. They change nothing.

pub mod arguments;
pub mod check;
pub mod healthcheck;
pub mod look_up;
pub mod plan;

pub use arguments::Request;
