//! The vendor's edge: the only room that names `reqwest`.
//!
//! In come commands. Out comes what carrying them out came to. A [`Vendor`] makes attempt after attempt:
//! let through by [`quota`], signed by [`sign`] or with a token of `token` by the `caller`, sent by `transport`. What
//! a reply means, and when to stop trying, is decided in the verdict's room. What an event calls by name
//! is looked up, page by page of a `list`: a `group`, remembered by the `directory`, or each `managed_url`
//! of the `inventory`. What the `policy` is against is not carried out, and for that too the vendor is asked:
//! a `fence` says which groups may be left.

mod asking;
mod caller;
mod directory;
mod fence;
mod group;
mod intent;
mod inventory;
mod list;
mod managed_url;
mod means;
mod policy;
pub mod quota;
pub mod sign;
mod throttle;
mod token;
mod transport;
mod vendor;

pub use quota::{Priority, Quota};
pub use sign::Stamp;
pub use transport::TransportError;
pub use vendor::{Effort, Vendor};
