//! Queues and exchanges: declared or checked at the start of every session.

use crate::amqp::{Amqp, Topology};
use crate::broker::{Broker, BrokerError, cause};
use crate::config::{Lane, Settings};
use crate::ladder::Rung;
use lapin::options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, ExchangeKind};

/// Makes sure that everything the lanes need is there.
///
/// # Errors
///
/// [`BrokerError::Topology`] that names each thing that is missing or different, and what to do.
pub async fn prepare(broker: &Broker, settings: &Settings) -> Result<(), BrokerError> {
    match settings.amqp.topology {
        Topology::Declare => declare(broker, settings).await,
        Topology::Verify => verify(broker, settings).await,
    }
}

async fn declare(broker: &Broker, settings: &Settings) -> Result<(), BrokerError> {
    let Settings { amqp, lanes, ladder, .. } = settings;
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
        for rung in ladder.rungs() {
            queue(&channel, &rung.queue(&lane.queue), rung_arguments(rung, lane)).await?;
        }
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

/// The delay queue of a rung: what has waited long enough goes back to the lane's queue, through the
/// default exchange, and at least once like there.
fn rung_arguments(rung: Rung, lane: &Lane) -> FieldTable {
    let milliseconds = i64::try_from(rung.delay.as_millis()).unwrap_or(i64::MAX);
    arguments([
        ("x-queue-type", text("quorum")),
        ("x-message-ttl", AMQPValue::LongLongInt(milliseconds)),
        ("x-dead-letter-exchange", text("")),
        ("x-dead-letter-routing-key", text(&lane.queue)),
        ("x-dead-letter-strategy", text("at-least-once")),
        ("x-overflow", text("reject-publish")),
    ])
}

/// Checks everything and creates nothing. A failed check costs its channel, so each has its own.
async fn verify(broker: &Broker, settings: &Settings) -> Result<(), BrokerError> {
    let Settings { amqp, lanes, ladder, .. } = settings;
    let mut missing = Vec::new();
    let passive = ExchangeDeclareOptions { passive: true, ..ExchangeDeclareOptions::default() };
    for exchange in [&amqp.exchange, &amqp.dead_letter_exchange] {
        let channel = broker.channel().await?;
        if let Err(error) = exchange_declare(&channel, exchange, passive).await {
            missing.push(cause(&error));
        }
    }
    let rungs =
        |lane: &Lane| ladder.rungs().map(|rung| rung.queue(&lane.queue)).collect::<Vec<_>>();
    let queues = lanes.iter().flat_map(|lane| [vec![lane.queue.clone()], rungs(lane)].concat());
    for queue in queues.chain([amqp.dead_letter_queue.clone()]) {
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
