//! Queues and exchanges: declared or checked at the start of every session.

use crate::amqp::{Amqp, Topology};
use crate::broker::{Broker, BrokerError, cause};
use crate::config::Lane;
use lapin::options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, ExchangeKind};

/// Makes sure that everything the lanes need is there.
///
/// # Errors
///
/// [`BrokerError::Topology`] that names each thing that is missing or different, and what to do.
pub async fn prepare(broker: &Broker, amqp: &Amqp, lanes: &[Lane]) -> Result<(), BrokerError> {
    match amqp.topology {
        Topology::Declare => declare(broker, amqp, lanes).await,
        Topology::Verify => verify(broker, amqp, lanes).await,
    }
}

async fn declare(broker: &Broker, amqp: &Amqp, lanes: &[Lane]) -> Result<(), BrokerError> {
    let channel = broker.channel().await?;
    let durable = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
    for exchange in [&amqp.exchange, &amqp.dead_letter_exchange] {
        exchange_declare(&channel, exchange, durable).await.map_err(differs)?;
    }
    let dead_letters = arguments([("x-queue-type", text("quorum"))]);
    queue(&channel, &amqp.dead_letter_queue, dead_letters).await?;
    bind(&channel, &amqp.dead_letter_queue, &amqp.dead_letter_exchange, "#").await?;
    for lane in lanes {
        queue(&channel, &lane.queue, lane_arguments(lane, amqp)).await?;
        bind(&channel, &lane.queue, &amqp.exchange, lane.event_type.name()).await?;
    }
    Ok(())
}

/// A lane's queue. At-least-once dead-lettering by the broker needs all of a quorum queue, this
/// strategy and this overflow; with one of them missing it is silently at most once (RabbitMQ,
/// "Quorum Queues: At-Least-Once Dead Lettering").
fn lane_arguments(lane: &Lane, amqp: &Amqp) -> FieldTable {
    arguments([
        ("x-queue-type", text("quorum")),
        ("x-delivery-limit", AMQPValue::LongInt(lane.delivery_limit.into())),
        ("x-dead-letter-exchange", text(&amqp.dead_letter_exchange)),
        ("x-dead-letter-strategy", text("at-least-once")),
        ("x-overflow", text("reject-publish")),
    ])
}

/// Checks everything and creates nothing. A failed check costs its channel, so each has its own.
async fn verify(broker: &Broker, amqp: &Amqp, lanes: &[Lane]) -> Result<(), BrokerError> {
    let mut missing = Vec::new();
    let passive = ExchangeDeclareOptions { passive: true, ..ExchangeDeclareOptions::default() };
    for exchange in [&amqp.exchange, &amqp.dead_letter_exchange] {
        let channel = broker.channel().await?;
        if let Err(error) = exchange_declare(&channel, exchange, passive).await {
            missing.push(cause(&error));
        }
    }
    let queues = lanes.iter().map(|lane| &lane.queue).chain([&amqp.dead_letter_queue]);
    for queue in queues {
        let channel = broker.channel().await?;
        let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        let name = queue.as_str().into();
        if let Err(error) = channel.queue_declare(name, passive, FieldTable::default()).await {
            missing.push(cause(&error));
        }
    }
    match missing.is_empty() {
        true => Ok(()),
        false => Err(BrokerError::Topology(format!(
            "{}; create what is missing, or set amqp.topology to declare",
            missing.join("; ")
        ))),
    }
}

async fn exchange_declare(
    channel: &Channel,
    name: &str,
    options: ExchangeDeclareOptions,
) -> Result<(), lapin::Error> {
    channel.exchange_declare(name.into(), ExchangeKind::Topic, options, FieldTable::default()).await
}

async fn queue(channel: &Channel, name: &str, arguments: FieldTable) -> Result<(), BrokerError> {
    let durable = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
    match channel.queue_declare(name.into(), durable, arguments).await {
        Ok(_) => Ok(()),
        Err(error) => Err(differs(error)),
    }
}

async fn bind(
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

/// The broker's own message names the argument and both values.
#[expect(clippy::needless_pass_by_value, reason = "it is the whole of a map_err")]
fn differs(error: lapin::Error) -> BrokerError {
    BrokerError::Topology(format!(
        "{}; arguments of what exists cannot change: set the daemon to what is there, \
         or move the messages, delete it and let the daemon declare it again",
        cause(&error)
    ))
}

fn arguments<const N: usize>(pairs: [(&str, AMQPValue); N]) -> FieldTable {
    let mut table = FieldTable::default();
    for (name, value) in pairs {
        table.insert(name.into(), value);
    }
    table
}

fn text(text: &str) -> AMQPValue {
    AMQPValue::LongString(text.into())
}
