//! The commands for people, as they run them.

mod check;
mod plan;
mod shapes;
