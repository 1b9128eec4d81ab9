//! What the vendor shall do: the [`Intent`]s of an event, the [`Command`]s that they come to, and the
//! unsigned [`Call`] of each; and what it must not do: the [`Guards`].
//!
//! In comes an event. Out go one or more intents: commands, one item each, or what comes to commands once
//! the vendor was asked what is called so. Paths and bodies are as the vendor's pages have them. It knows
//! nothing of signatures, tokens and replies.

mod call;
mod command;
mod guard;
mod intent;
mod operation;
mod pattern;
mod rule;

pub use call::{Call, Page};
pub use command::Command;
pub use guard::{Breach, Guards};
pub use intent::Intent;
pub use operation::Operation;
pub use pattern::{AddressPattern, Pattern};
pub use rule::Rule;
