//! What can be set: read once at the start, checked, and typed from then on.
//!
//! In come flags, the environment and a file. Out go [`Settings`], or every [`Mistake`] at once, each
//! with its key and its source. [`SETTINGS`] is the one table of keys, defaults and help. Only this
//! room reads the environment.

mod amqp;
mod contract;
mod mimecast;
mod policy;
mod reader;
mod settings;
mod source;
mod table;

pub use amqp::{Address, Amqp, ClientCertificate, Node, TopologyMode};
pub use contract::Contract;
pub use mimecast::{Client, Credentials, Keys, Mimecast, SigningKey, is_loopback};
pub use settings::{Breaker, LaneSettings, Log, Queues, Settings};
pub use source::{Given, Mistake, Origin, Sources};
pub use table::{SETTINGS, Setting};
