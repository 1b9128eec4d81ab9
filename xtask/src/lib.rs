//! Tasks of this repository: private RabbitMQ nodes, other versions of RabbitMQ, tools for the checks, the
//! built programs, tags and notes of releases. It uses the standard library only, so that a cold build takes seconds.

pub mod failure;
pub mod faults;
pub mod later;
pub mod node;
pub mod packages;
pub mod process;
pub mod programs;
pub mod release;
pub mod tools;
pub mod unit;

use std::path::Path;

/// Returns the root of the repository.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."))
}
