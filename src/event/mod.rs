//! What arrives: an [`Event`], read from the [`Envelope`] that a delivery comes in.
//!
//! In come bytes, properties and a routing key from strangers. Out goes an event that is understood,
//! or an [`EventError`] that says in words what is wrong and where, without a word of the payload. It
//! knows neither the broker's types nor what becomes of the message.

mod address;
mod attributes;
mod data;
mod due;
mod envelope;
mod error;
mod event;
mod event_type;
mod field;
mod json;
mod managed_url;
mod pointer;
mod reading;
mod trace;

pub use data::{Data, Entries, Group, Member};
pub use due::Due;
pub use envelope::{Envelope, MAX_BODY};
pub use error::EventError;
pub use event::Event;
pub use event_type::{EventType, Names};
pub use managed_url::ManagedUrl;
pub use pointer::{Pointer, Pointers};
pub use reading::Reading;
pub use trace::TraceId;
