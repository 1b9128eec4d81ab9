//! The vendor's edge: the only room that names `reqwest`.
//!
//! In come commands. Out comes what carrying them out came to. A [`Vendor`] is for the settings of one moment, and the
//! `current` one is replaced by a reload; what belongs to one set of credentials is in its `tenant`. It makes attempt after attempt:
//! given a `permit` by the `command_limit`, let through by [`quota`], signed by [`sign`] or with a token of `token` by the `caller`, sent by `transport`. What
//! a reply means, and when to stop trying, is decided in the verdict's room. What an event calls by name
//! is resolved by `paging` through a list, one `list_page` after the other: a `group`, remembered by the `directory`, or the `url_entries`, of which a
//! `url_scan` reads each `url_entry`. A `removal` removes a member by every spelling. The `policy` asks as well: a `group_policy`
//! says which groups may be left. A `health` call shows whether Mimecast takes an operation from us.

mod asking;
mod caller;
mod command_limit;
mod current;
mod directory;
mod fingerprints;
mod group;
mod group_policy;
mod health;
mod intent;
mod known;
mod list_page;
mod page_sizes;
mod paging;
mod permit;
mod policy;
pub mod quota;
mod removal;
pub mod sign;
mod tenant;
mod throttle;
mod token;
mod transport;
mod url_entries;
mod url_entry;
mod url_scan;
mod vendor;

pub use current::CurrentVendor;
pub use quota::{Priority, Quota};
pub use sign::Stamp;
pub use transport::TransportError;
pub use vendor::{Effort, Vendor};
