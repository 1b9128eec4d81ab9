//! What went wrong, in words that are safe to show.

use crate::secrecy::redact;
use std::fmt::{self, Display, Formatter};

/// What went wrong, for dead letters, logs and people.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Fault {
    /// The vendor's code, or a word of ours such as `http_502` or `timeout`.
    pub code: String,
    /// One line, at most 1 KiB, without e-mail addresses in clear.
    pub detail: String,
}

impl Display for Fault {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        let separator = if self.detail.is_empty() { "" } else { ": " };
        write!(formatter, "{}{separator}{}", self.code, self.detail)
    }
}

impl Fault {
    /// A fault whose texts are safe to show: one line, bounded, without addresses.
    pub fn new(code: &str, detail: &str) -> Fault {
        Fault { code: redact::line(code, 128), detail: redact::line(detail, 1024) }
    }
}
