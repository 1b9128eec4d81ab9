//! The story from outside: messages, outages, pauses, sessions and the life of the process.

mod held;
mod messages;
mod outage;
mod probing;
mod process;
mod session;
