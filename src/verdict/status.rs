//! What an HTTP status alone says of a call.

use super::fault::Fault;
use super::outcome::Outcome;

/// Whether a code under this status can be about the item, rather than the caller or the vendor.
pub(super) fn speaks_of_the_item(status: u16) -> bool {
    succeeded(status) || matches!(status, 400 | 404 | 409 | 410)
}

/// Whether a status can come from a wrong address rather than from the vendor's functions: both paths
/// are fixed, so whoever says that there is nothing stands in front of them, in JSON or not.
pub(super) fn is_of_the_way(http: u16) -> bool {
    matches!(http, 404 | 405 | 410)
}

pub(super) fn succeeded(status: u16) -> bool {
    (200..300).contains(&status)
}

pub(super) fn by_status(status: u16, fault: Fault) -> Outcome {
    match status {
        401 | 403 | 407 | 418 => Outcome::Unauthorized(fault),
        // Too slow, in conflict with another change, locked, too early: it may pass.
        408 | 409 | 423 | 425 => Outcome::Unavailable(fault),
        // Nobody knows whether it is about the item or about everybody.
        200..=299 | 400..=499 => Outcome::Forbidden(fault),
        _ => Outcome::Unavailable(fault),
    }
}

/// A status without a code, and the words that came with it, if any did.
pub(super) fn http_fault(status: u16, words: &str) -> Fault {
    let detail = match words {
        "" => format!("HTTP {status} without a code"),
        words => format!("HTTP {status} without a code: {words}"),
    };
    Fault::new(&format!("http_{status}"), &detail)
}
