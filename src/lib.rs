//! `mimecast-eventd` consumes `user.offboarded` and `url.unblock` events from RabbitMQ, makes a
//! Mimecast tenant agree with them, and settles every message.
//!
//! # The promise
//!
//! Every published message ends in exactly one of three places: applied and acked, in the
//! dead-letter queue with a reason, or still queued. Delivery is at least once; effects are idempotent.
//!
//! # How one message travels
//!
//! 1. [`consumer`] hands out a [`delivery`] to its [`lane`]; [`worker`] carries it, and its `carry` is
//!    the whole story.
//! 2. [`event`] reads the envelope: what happened, or why it is not an event.
//! 3. [`command`] says what the vendor shall do, and the unsigned call for each command.
//! 4. [`vendor`] carries the commands out, attempt by attempt: let through by [`quota`], signed by
//!    [`sign`] or with a token of [`token`], sent by [`transport`], read by [`outcome`] with the one
//!    table in [`code`], and tried again after the delays of [`retry`].
//! 5. [`disposition`] decides what becomes of the message. When its attempts are used up, [`breaker`]
//!    judges by evidence whose fault that is: the message's, which then climbs the [`ladder`], or not,
//!    and then [`pause`] holds the lane until the vendor answers again.
//! 6. [`settle`] carries the disposition out. Nothing else acks, rejects or returns a message. Copies
//!    are made by [`copy`], sent by [`publisher`], and carry the message's [`history`].
//! 7. [`report`] writes the one log line about it, and [`metrics`] counts it.
//!
//! Around it, [`daemon`] opens sessions with the broker, one after the other until a stop. A session
//! is a connection, a [`publisher`] and a consumer a lane; whatever goes wrong with any of them ends
//! it, and the next one starts with nothing of it.
//!
//! # Words
//!
//! An *event* is what happened, a *command* what the vendor shall do, a *call* its unsigned HTTP form,
//! an *attempt* one signed request, an *outcome* what one attempt came to, a *disposition* what becomes
//! of the message; to *settle* is to tell the broker; a *lane* is one event type's queue and consumer.
//!
//! # What may know what
//!
//! | files | kind | know |
//! | --- | --- | --- |
//! | `event command sign code outcome disposition breaker ladder history state retry quota redact secret setting` | pure core | neither time nor network nor each other's edges; time and ids come in by argument |
//! | `config reader source amqp mimecast` | settings | `config` alone reads the environment |
//! | `broker topology consumer delivery publisher copy settle` | the broker's edge | alone name lapin |
//! | `transport`, under `vendor` and `token` | the vendor's edge | alone names reqwest |
//! | `metrics`, `readiness`, `admin`, `log`, `report` | what it shows | `metrics` alone names prometheus |
//! | `worker pause lane daemon stop`, and `check healthcheck` | the story | everything above |
//!
//! A test holds these rules.

pub mod admin;
pub mod amqp;
pub mod arguments;
pub mod breaker;
pub mod broker;
pub mod check;
pub mod code;
pub mod command;
pub mod config;
pub mod consumer;
pub mod copy;
pub mod daemon;
pub mod delivery;
pub mod disposition;
pub mod event;
pub mod healthcheck;
pub mod history;
pub mod ladder;
pub mod lane;
pub mod log;
pub mod metrics;
pub mod mimecast;
pub mod outcome;
pub mod pause;
pub mod publisher;
pub mod quota;
pub mod reader;
pub mod readiness;
pub mod redact;
pub mod report;
pub mod retry;
pub mod secret;
pub mod setting;
pub mod settle;
pub mod sign;
pub mod source;
pub mod state;
pub mod stop;
pub mod token;
pub mod topology;
pub mod transport;
pub mod vendor;
pub mod worker;
