//! What arrives, by golden files.

mod golden;
mod schema;
