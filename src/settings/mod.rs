//! What can be set: read once at the start, checked, and typed from then on.
//!
//! In come flags, the environment and a file. Out go [`Settings`], or every [`Mistake`] at once, each
//! with its key and its source. [`SETTINGS`] is the one table of keys, defaults and help. Only this
//! room reads the environment. [`Running`] reads everything once more when its files change.

mod amqp;
mod audit;
mod certificate;
mod change;
mod contract;
mod control;
mod exposed;
mod management;
mod mimecast;
mod mistake;
mod origin;
mod policy;
mod pseudonym;
mod queues;
mod reader;
mod running;
mod settings;
mod small_file;
mod source;
mod source_file;
mod table;
mod timings;
mod truncation;

pub use amqp::{Address, Amqp, Node, TopologyMode};
pub use audit::{Audit, Fsync};
pub use certificate::ClientCertificate;
pub use change::Change;
pub use contract::Contract;
pub use control::Control;
pub use exposed::exposed;
pub use management::Management;
pub use mimecast::{Client, Credentials, Keys, Mimecast, SigningKey, is_loopback};
pub use mistake::Mistake;
pub use origin::Origin;
pub use pseudonym::pseudonyms;
pub use queues::Queues;
pub use running::{Reloaded, Running};
pub use settings::{LaneSettings, Log, Settings};
pub use source::{Given, Sources};
pub use source_file::SourceFile;
pub use table::{SETTINGS, Setting};
pub use timings::Timings;
