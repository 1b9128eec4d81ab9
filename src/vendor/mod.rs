//! The vendor's edge: the only room that names `reqwest`.
//!
//! In come commands. Out comes what carrying them out came to. A [`Vendor`] makes attempt after attempt:
//! let through by [`quota`], signed by [`sign`] or with a token of `token` by the `caller`, sent by `transport`. What
//! a reply means, and when to stop trying, is decided in the verdict's room.

mod caller;
pub mod quota;
pub mod sign;
mod token;
mod transport;
mod vendor;

pub use quota::{Priority, Quota};
pub use sign::Stamp;
pub use transport::TransportError;
pub use vendor::{Effort, Vendor};
