//! The part of a delivery that an event is read from.

use chrono::{DateTime, Utc};

/// A body larger than this, in bytes, is not taken into memory: real events have a few hundred bytes.
pub const MAX_BODY: usize = 256 * 1024;

/// The part of a delivery that an event is read from, free of the broker's types.
#[derive(Clone, Debug, Default)]
pub struct Envelope {
    /// The body, untouched.
    pub body: Vec<u8>,
    /// The size in bytes of a body that was too large to be taken into memory; `body` is empty then.
    pub passed_over: Option<u64>,
    /// The AMQP property `content-type`.
    pub content_type: Option<String>,
    /// The AMQP property `content-encoding`.
    pub content_encoding: Option<String>,
    /// The attributes of a CloudEvent that came as headers, by their names in lower case and without
    /// the prefix `ce-`, `cloudEvents:` or `cloudEvents_`. A value is `None` if it is of a type that no
    /// attribute has.
    pub attributes: Vec<(String, Option<String>)>,
    /// The AMQP property `type`; names the type of a bare body.
    pub message_type: Option<String>,
    /// The AMQP property `message-id`; the id of a bare body.
    pub message_id: Option<String>,
    /// The AMQP property `user-id`, which the broker has checked.
    pub user_id: Option<String>,
    /// The header `traceparent`: the trace that the message belongs to, as far as it was read.
    pub traceparent: Option<String>,
    /// The AMQP property `timestamp`.
    pub timestamp: Option<DateTime<Utc>>,
    /// The exchange that the message was published to.
    pub exchange: String,
    /// The routing key that it was published with; names the type where nothing else does.
    pub routing_key: String,
}
