//! What the daemon shows: numbers and lines of the log.

mod log;
mod metrics;
mod pseudonyms;
mod queues;
mod spans;
mod status;
