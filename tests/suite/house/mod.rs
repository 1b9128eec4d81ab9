//! The house itself: its rules, its pages, and that its tests leave nothing behind.

mod architecture;
mod bounds;
mod killed;
mod promises;
pub mod readme;
