//! The commands for people, as they run them.

mod audit;
mod check;
mod codes;
mod config;
mod dlq;
mod events;
mod output;
mod plan;
mod runbook;
mod send;
mod shapes;
