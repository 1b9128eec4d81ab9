//! What must not be seen: secrets, and people's addresses.
//!
//! In come texts from anywhere. Out goes what may be shown: a [`Secret`] shows only that it is there,
//! [`Hidden`] takes secrets out of what strangers say, and [`redact`] makes one short line of a text, without e-mail addresses or with the [`Pseudonyms`]
//! that they have. A [`Seal`] shows whether a line was changed, and a [`CopyKey`] whether a copy is ours. It knows nothing else of the daemon, because
//! everything else of it needs this.

mod copy_key;
mod hidden;
mod pseudonym;
pub mod redact;
mod seal;
mod secret;
pub mod steering;

pub use copy_key::CopyKey;
pub use hidden::Hidden;
pub use pseudonym::Pseudonyms;
pub use seal::Seal;
pub use secret::Secret;
