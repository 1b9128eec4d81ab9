//! The commands for people, as they run them.

mod check;
mod codes;
mod dlq;
mod plan;
mod send;
mod shapes;
