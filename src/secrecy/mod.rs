//! What must not be seen: secrets, and people's addresses.
//!
//! In come texts from anywhere. Out goes what may be shown: a [`Secret`] shows only that it is there,
//! and [`redact`] makes one short line of a text, with its e-mail addresses hashed. It knows nothing
//! else of the daemon, because everything else of it needs this.

pub mod redact;
mod secret;

pub use secret::Secret;
