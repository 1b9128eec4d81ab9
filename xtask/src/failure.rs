//! The one error of all tasks: a message and an exit status.

use std::{fmt, io};

/// A failed task.
#[derive(Debug)]
pub struct Failure {
    /// The exit status: 1 failed, 64 wrong usage, 69 something needed is missing.
    pub status: u8,
    /// The message for standard error.
    pub message: String,
}

/// The result of a task.
pub type Result<T = ()> = std::result::Result<T, Failure>;

impl Failure {
    /// A task that was tried and failed.
    pub fn failed(message: impl Into<String>) -> Failure {
        Failure { status: 1, message: message.into() }
    }

    /// Wrong arguments or settings.
    pub fn usage(message: impl Into<String>) -> Failure {
        Failure { status: 64, message: message.into() }
    }

    /// Something needed is missing and cannot be installed.
    pub fn missing(message: impl Into<String>) -> Failure {
        Failure { status: 69, message: message.into() }
    }

    /// A failed operation of the system, with what it was for.
    pub fn during(action: impl fmt::Display) -> impl FnOnce(io::Error) -> Failure {
        move |error| Failure::failed(format!("{action}: {error}"))
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        Failure::failed(error.to_string())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}
