//! What arrives: an [`Event`], read from the [`Envelope`] that a delivery comes in.
//!
//! In come bytes, properties and a routing key from strangers. Out goes an event that is understood,
//! or an [`EventError`] that says in words what is wrong and where, without a word of the payload. It
//! knows neither the broker's types nor what becomes of the message.

mod attributes;
mod canonical;
mod characters;
mod data;
mod domain;
mod due;
mod email_address;
mod envelope;
mod error;
mod event;
mod event_type;
mod field;
mod group_name;
mod json;
mod lag;
mod listed;
mod managed_url;
mod pointer;
mod reading;
mod secure_id;
mod trace;

pub use canonical::canonical;
pub use characters::{NameError, has_lookalike, lower_case, without_hidden};
pub use data::{Data, Entries, Group, Member};
pub use domain::Domain;
pub use due::Due;
pub use email_address::EmailAddress;
pub use envelope::{Envelope, MAX_BODY};
pub use error::EventError;
pub use event::Event;
pub use event_type::{EventType, Names};
pub use group_name::{group_name, is_group_name, is_nearly_group_name};
pub use json::without_mark;
pub use lag::{FASTEST_CLOCK, lag};
pub use listed::Listed;
pub use managed_url::ManagedUrl;
pub use pointer::{Pointer, Pointers};
pub use reading::Reading;
pub use secure_id::secure_id;
pub use trace::TraceId;
