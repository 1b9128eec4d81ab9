//! Faults and their ledger: a `scene` has broker, API and daemon with a relay on either side, an
//! `op` is one thing that happens in it, and the `ledger` states in which place each `message` ended.

pub mod ledger;
pub mod message;
pub mod op;
pub mod scene;

mod api;
#[cfg(test)]
mod ledger_tests;
mod trail;
mod waits;
