//! One queue, exchange or binding: declared or checked, and what the broker says to it in words for people.

use super::super::connection::{Broker, BrokerError, cause, lost};
use super::super::problem::{Problem, REFUSED};
use crate::settings::TopologyMode;
use lapin::options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, ExchangeKind};

/// What a check of a queue found.
#[derive(Debug)]
pub enum Found {
    /// It is as it should be.
    Right,
    /// It is not.
    Wrong(Problem),
    /// It is there, and the user may not see what it is like.
    Unseen,
}

impl Found {
    /// What a refused declaration with the arguments that it should have says. Nothing can be said where the
    /// user may not declare, which is usual: the chart recommends it.
    pub(super) fn of_refusal(says: String) -> Found {
        if says.starts_with(REFUSED) { Found::Unseen } else { Found::Wrong(Problem::Differs(says)) }
    }
}

/// What is wrong with a queue, if anything. A queue that is there is declared once more with the
/// arguments that it should have: that changes nothing, and the broker names what differs.
pub(super) async fn verify_queue(
    broker: &Broker,
    name: &str,
    arguments: FieldTable,
) -> Result<Found, BrokerError> {
    let channel = broker.channel().await?;
    let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
    if let Err(error) = channel.queue_declare(name.into(), passive, FieldTable::default()).await {
        return Ok(Found::Wrong(absent(name, &error)));
    }
    match queue(&channel, name, arguments).await {
        Ok(()) => Ok(Found::Right),
        Err(BrokerError::Topology(says)) => Ok(Found::of_refusal(says)),
        Err(error) => Err(error),
    }
}

/// What is wrong with an exchange, if anything. Where the daemon declares, one that is there is declared once more:
/// that changes nothing, and the broker names what differs.
pub(super) async fn verify_exchange(
    broker: &Broker,
    name: &str,
    topology: TopologyMode,
) -> Result<Found, BrokerError> {
    let channel = broker.channel().await?;
    let passive = ExchangeDeclareOptions { passive: true, ..ExchangeDeclareOptions::default() };
    if let Err(error) = exchange_declare(&channel, name, passive).await {
        return Ok(Found::Wrong(absent(name, &error)));
    }
    match topology {
        TopologyMode::Verify => Ok(Found::Right),
        TopologyMode::Declare => match exchange_declare(&channel, name, durable()).await {
            Ok(()) => Ok(Found::Right),
            Err(error) if error.is_amqp_soft_error() => {
                Ok(Found::of_refusal(differs(error).to_string()))
            }
            Err(error) => Err(lost(error)),
        },
    }
}

/// How the daemon declares an exchange.
pub(super) fn durable() -> ExchangeDeclareOptions {
    ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() }
}

pub(super) async fn exchange_declare(
    channel: &Channel,
    name: &str,
    options: ExchangeDeclareOptions,
) -> Result<(), lapin::Error> {
    channel.exchange_declare(name.into(), ExchangeKind::Topic, options, FieldTable::default()).await
}

pub(super) async fn queue(
    channel: &Channel,
    name: &str,
    arguments: FieldTable,
) -> Result<(), BrokerError> {
    let durable = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
    match channel.queue_declare(name.into(), durable, arguments).await {
        Ok(_) => Ok(()),
        Err(error) => Err(differs(error)),
    }
}

pub(super) async fn bind(
    channel: &Channel,
    queue: &str,
    exchange: &str,
    routing_key: &str,
) -> Result<(), BrokerError> {
    channel
        .queue_bind(
            queue.into(),
            exchange.into(),
            routing_key.into(),
            QueueBindOptions::default(),
            FieldTable::default(),
        )
        .await
        .map_err(differs)
}

/// What a passive declaration that was refused says. RabbitMQ 4.3 refuses it for a name on which one
/// has no permission at all, be it there or not.
pub(super) fn absent(name: &str, error: &lapin::Error) -> Problem {
    let cause = cause(error);
    if cause.starts_with(REFUSED) {
        let grant = "grant the user a permission on it, and it can be checked";
        return Problem::Unknown(format!("whether {name} is there: {cause}; {grant}"));
    }
    Problem::Missing(cause)
}

/// The broker's own message names the argument and both values, or the permission.
pub(super) fn differs(error: lapin::Error) -> BrokerError {
    if !error.is_amqp_soft_error() {
        return lost(error);
    }
    let cause = cause(&error);
    let what_to_do = if cause.starts_with(REFUSED) {
        "grant it, or set amqp.topology to verify and create everything in another way"
    } else if cause.contains("for exchange") {
        "what exists cannot change: name another exchange, or set amqp.topology to verify and bind the \
         queues to this one yourself"
    } else if cause.contains("inequivalent arg") {
        "arguments of what exists cannot change: set the daemon to what is there, \
         or move the messages, delete it and let the daemon declare it again"
    } else {
        "put that right at the broker"
    };
    BrokerError::Topology(format!("{cause}; {what_to_do}"))
}

pub(super) fn arguments<const N: usize>(pairs: [(&str, AMQPValue); N]) -> FieldTable {
    let mut table = FieldTable::default();
    for (name, value) in pairs {
        table.insert(name.into(), value);
    }
    table
}

pub(super) fn text(text: &str) -> AMQPValue {
    AMQPValue::LongString(text.into())
}
