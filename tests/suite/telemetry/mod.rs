//! What the daemon shows and keeps: numbers, lines of the log, and the audit trail.

mod admin;
mod audit;
mod interrupted;
mod log;
mod metrics;
mod pseudonyms;
mod queues;
mod spans;
mod status;
mod unread;
