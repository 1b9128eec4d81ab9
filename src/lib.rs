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
//! 1. [`broker`]: a consumer hands out a delivery to its lane.
//! 2. [`daemon`]: a worker processes it; its `process` is the whole story, and every other module is called
//!    from there.
//! 3. [`event`]: the envelope is read: what happened, or why it is not an event.
//! 4. [`command`]: what it asks for, and whether a rule of the policy is against it. What is not due
//!    yet, goes back to wait.
//! 5. [`vendor`]: names are looked up, and the commands that it comes to are carried out, attempt by
//!    attempt: let through by the quota, signed, sent, and tried again after a wait.
//! 6. [`verdict`]: each reply is read as an outcome, by the one table of codes, and in the end it is
//!    decided what becomes of the message. When its attempts are used up, a health call shows whether
//!    Mimecast takes the operation from us. If it does, the message is at fault, and takes its next
//!    retry delay; else its lane pauses until a health call is answered.
//! 7. [`telemetry`]: the audit trail says what becomes of it, if there is one: what cannot be written down is
//!    not done. Then whoever listens is told by an event.
//! 8. [`broker`]: the disposition is carried out by one function that settles. Nothing else acks,
//!    rejects or returns a message. A copy is safe in its queue before the original is acked.
//! 9. [`telemetry`]: one line of the log says what became of it, and the metrics count it.
//!
//! Around it, the daemon gives each lane sessions with the broker, one after the other until a stop;
//! whatever goes wrong with one ends it, and the next one starts with nothing of it. Nothing that goes
//! wrong in one lane reaches the other.
//!
//! # Words
//!
//! An *event* is what happened, an *intent* what it asks for by whatever names, a *command* what the
//! vendor shall do, a *call* its unsigned HTTP form, an *attempt* one signed request, an *outcome* what
//! one attempt came to, read from the vendor's own *voice* and from nobody else's, a *fault* what went
//! wrong in it, a *conclusion* what one intent came to in the end. A command whose attempts are used up
//! leaves its message *stuck*: a *health call*, the operation on what cannot exist, says whether the
//! message is at fault. A *disposition* is what becomes of a message; to *settle* is to tell the broker. What cannot be
//! settled is *held*: its *lane*, which is one event type's queue and consumer, makes a *pause*, and
//! *probes* at growing intervals, by a health call or with its oldest message.
//!
//! # The rooms
//!
//! Each room is a folder, and its first page says what it is for. A room knows only of rooms above it
//! in this table, and only those that are named. A test reads the table and holds the code to it.
//!
//! | room | what it is | knows of |
//! | --- | --- | --- |
//! | `secrecy` | what must not be seen; pure | |
//! | `event` | what arrives; pure | |
//! | `command` | what the vendor shall do; pure | `secrecy` `event` |
//! | `verdict` | what an answer means and what becomes of the message; pure | `secrecy` `event` `command` |
//! | `settings` | what can be set | `secrecy` `event` `command` `verdict` |
//! | `telemetry` | what it shows | `secrecy` `event` `command` `verdict` `settings` |
//! | `vendor` | the vendor's edge | `secrecy` `event` `command` `verdict` `settings` `telemetry` |
//! | `broker` | the broker's edge | `secrecy` `event` `verdict` `settings` |
//! | `daemon` | the story | `secrecy` `event` `command` `verdict` `settings` `telemetry` `vendor` `broker` |
//! | `cli` | the commands for people | `secrecy` `event` `command` `verdict` `settings` `telemetry` `vendor` `broker` `daemon` |

pub mod broker;
pub mod cli;
pub mod command;
pub mod daemon;
pub mod event;
pub mod secrecy;
pub mod settings;
pub mod telemetry;
pub mod vendor;
pub mod verdict;
