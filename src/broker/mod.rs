//! The broker's edge: the only room that names `lapin`.
//!
//! In come the settings and, for each message, one disposition. Out come deliveries. [`Broker`] is one
//! connection, a [`sieve`] makes harmless what strangers sent before the client reads it, [`topology`] declares or checks what there has to be, a [`Consumer`] hands out
//! deliveries, a [`Publisher`] sends copies and knows whether they are safe, a [`Settler`] tells
//! the broker what becomes of a message: nothing else does, an [`Authorship`] shows which messages are copies of ours, and an [`Announcer`] tells it to whoever listens. It decides nothing about messages.

mod acks;
mod announcement;
mod authorship;
mod connection;
mod consumer;
mod copy;
mod dead_letter;
mod dead_letters;
mod death;
mod delivery;
mod depths;
mod header;
mod management;
mod outgoing;
mod permissions;
mod problem;
mod publication;
mod publisher;
mod reduction;
mod round;
mod settler;
pub mod sieve;
mod signed;
mod stream;
mod tail;
pub mod topology;

pub use announcement::{Announcement, Announcer, Answers};
pub use authorship::Authorship;
pub use connection::{Broker, BrokerError};
pub use consumer::Consumer;
pub use dead_letter::DeadLetter;
pub use dead_letters::{COPIES, DeadLetters};
pub use delivery::Delivery;
pub use depths::{Depth, Depths};
pub use problem::Problem;
pub use publisher::Publisher;
pub use settler::Settler;
pub use topology::Route;
