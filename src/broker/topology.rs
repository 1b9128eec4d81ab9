//! Queues and exchanges: declared or checked at the start of every session.

use super::connection::{Broker, BrokerError, cause, lost};
use super::permissions;
use super::problem::{Problem, REFUSED};
use super::publisher::{Publication, Publisher};
use crate::settings::{Amqp, LaneSettings, Settings, TopologyMode};
use crate::verdict::{Hop, Ladder};
use lapin::options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, ExchangeKind};
use std::time::Duration;

/// Makes sure that everything a lane needs is there, and names what the user may not do.
///
/// # Errors
///
/// [`BrokerError::Topology`] that names each thing that is missing or different, and what to do.
pub async fn prepare(
    broker: &Broker,
    settings: &Settings,
    lane: &LaneSettings,
) -> Result<(), BrokerError> {
    let problems = match settings.amqp.topology {
        TopologyMode::Declare if settings.contract.guards.dry_run => {
            declare_aside(broker, settings, lane).await?;
            Vec::new()
        }
        TopologyMode::Declare => {
            declare(broker, settings, lane).await?;
            permissions::missing_for_copies(&settings.amqp).await?
        }
        TopologyMode::Verify => verify(broker, settings, lane).await?,
    };
    let (grave, others): (Vec<_>, Vec<_>) = problems.iter().partition(|it| it.is_grave());
    for problem in others {
        tracing::warn!(event = lane.event_type.name(), %problem, "trouble ahead");
    }
    if grave.is_empty() {
        return Ok(());
    }
    let grave: Vec<String> = grave.iter().map(ToString::to_string).collect();
    Err(BrokerError::Topology(grave.join("; ")))
}

/// What a dry run has beside the queues of those at work: a queue that takes copies of the same events.
async fn declare_aside(
    broker: &Broker,
    settings: &Settings,
    lane: &LaneSettings,
) -> Result<(), BrokerError> {
    let channel = broker.channel().await?;
    let durable = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
    exchange_declare(&channel, &settings.amqp.exchange, durable).await.map_err(differs)?;
    queue(&channel, &lane.queue, aside_arguments()).await?;
    for name in settings.contract.reading.names.bindings(lane.event_type) {
        bind(&channel, &lane.queue, &settings.amqp.exchange, name).await?;
    }
    Ok(())
}

/// A queue that is forgotten must neither fill nor refuse what producers publish: the oldest goes for the
/// newest, and the queue goes when nobody has used it for a week.
fn aside_arguments() -> FieldTable {
    arguments([
        ("x-queue-type", text("quorum")),
        ("x-max-length", AMQPValue::LongInt(10_000)),
        ("x-overflow", text("drop-head")),
        ("x-expires", AMQPValue::LongLongInt(7 * 24 * 3600 * 1000)),
    ])
}

async fn declare(
    broker: &Broker,
    settings: &Settings,
    lane: &LaneSettings,
) -> Result<(), BrokerError> {
    let Settings { amqp, ladder, .. } = settings;
    let channel = broker.channel().await?;
    let durable = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
    for exchange in [&amqp.exchange, &amqp.dead_letter_exchange] {
        exchange_declare(&channel, exchange, durable).await.map_err(differs)?;
    }
    queue(&channel, &amqp.dead_letter_queue, dead_letter_arguments()).await?;
    bind(&channel, &amqp.dead_letter_queue, &amqp.dead_letter_exchange, "#").await?;
    queue(&channel, &lane.queue, lane_arguments(lane, amqp)).await?;
    for name in settings.contract.reading.names.bindings(lane.event_type) {
        bind(&channel, &lane.queue, &amqp.exchange, name).await?;
    }
    for (name, delay) in delay_queues(lane, ladder) {
        queue(&channel, &name, delay_arguments(delay, lane)).await?;
    }
    Ok(())
}

fn dead_letter_arguments() -> FieldTable {
    arguments([("x-queue-type", text("quorum"))])
}

/// A lane's queue. At-least-once dead-lettering by the broker needs all of a quorum queue, this
/// strategy and this overflow; with one of them missing it is silently at most once (RabbitMQ,
/// "Quorum Queues: At-Least-Once Dead Lettering").
fn lane_arguments(lane: &LaneSettings, amqp: &Amqp) -> FieldTable {
    arguments([
        ("x-queue-type", text("quorum")),
        ("x-delivery-limit", AMQPValue::LongInt(lane.delivery_limit.into())),
        ("x-dead-letter-exchange", text(&amqp.dead_letter_exchange)),
        ("x-dead-letter-strategy", text("at-least-once")),
        ("x-overflow", text("reject-publish")),
    ])
}

/// The delay queues of a lane and their delays: of its ladder, and of what is not due yet.
fn delay_queues(lane: &LaneSettings, ladder: &Ladder) -> impl Iterator<Item = (String, Duration)> {
    let rungs = ladder.rungs().map(|rung| (rung.queue(&lane.queue), rung.delay));
    rungs.chain(Hop::ALL.map(|hop| (hop.queue(&lane.queue), hop.delay)))
}

/// A delay queue: what has waited long enough goes back to the lane's queue, through the default
/// exchange, and at least once like there.
fn delay_arguments(delay: Duration, lane: &LaneSettings) -> FieldTable {
    let milliseconds = i64::try_from(delay.as_millis()).unwrap_or(i64::MAX);
    arguments([
        ("x-queue-type", text("quorum")),
        ("x-message-ttl", AMQPValue::LongLongInt(milliseconds)),
        ("x-dead-letter-exchange", text("")),
        ("x-dead-letter-routing-key", text(&lane.queue)),
        ("x-dead-letter-strategy", text("at-least-once")),
        ("x-overflow", text("reject-publish")),
    ])
}

/// Checks everything that a lane needs and creates nothing. A failed check costs its channel, so each
/// has its own.
///
/// # Errors
///
/// When the broker is lost on the way.
pub async fn verify(
    broker: &Broker,
    settings: &Settings,
    lane: &LaneSettings,
) -> Result<Vec<Problem>, BrokerError> {
    let Settings { amqp, ladder, .. } = settings;
    if settings.contract.guards.dry_run {
        return Ok(verify_queue(broker, &lane.queue, aside_arguments())
            .await?
            .into_iter()
            .collect());
    }
    let mut problems = Vec::new();
    let passive = ExchangeDeclareOptions { passive: true, ..ExchangeDeclareOptions::default() };
    for exchange in [&amqp.exchange, &amqp.dead_letter_exchange] {
        let channel = broker.channel().await?;
        let there = exchange_declare(&channel, exchange, passive).await;
        problems.extend(there.err().map(|error| absent(exchange, &error)));
    }
    let mut queues = vec![(amqp.dead_letter_queue.clone(), dead_letter_arguments())];
    queues.push((lane.queue.clone(), lane_arguments(lane, amqp)));
    for (name, delay) in delay_queues(lane, ladder) {
        queues.push((name, delay_arguments(delay, lane)));
    }
    for (name, arguments) in queues {
        problems.extend(verify_queue(broker, &name, arguments).await?);
    }
    problems.extend(permissions::missing_for_copies(amqp).await?);
    problems.extend(permissions::missing_to_consume(broker, &lane.queue).await?);
    if problems.is_empty() {
        problems.extend(verify_dead_letter_route(broker, amqp, lane).await?);
    }
    Ok(problems)
}

/// What is wrong with a queue, if anything. A queue that is there is declared once more with the
/// arguments that it should have: that changes nothing, and the broker names what differs.
async fn verify_queue(
    broker: &Broker,
    name: &str,
    arguments: FieldTable,
) -> Result<Option<Problem>, BrokerError> {
    let channel = broker.channel().await?;
    let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
    if let Err(error) = channel.queue_declare(name.into(), passive, FieldTable::default()).await {
        return Ok(Some(absent(name, &error)));
    }
    match queue(&channel, name, arguments).await {
        Ok(()) => Ok(None),
        Err(BrokerError::Topology(problem)) if problem.starts_with(REFUSED) => {
            // Usual: the chart recommends a user that may not configure.
            tracing::debug!(queue = name, problem, "its arguments cannot be checked");
            Ok(None)
        }
        Err(BrokerError::Topology(problem)) => Ok(Some(Problem::Differs(problem))),
        Err(error) => Err(error),
    }
}

/// Whether dead letters of a lane would reach a queue. Only a message can tell: one that expires at
/// once, and only while the dead-letter queue is empty and unwatched, so that nobody meets it.
async fn verify_dead_letter_route(
    broker: &Broker,
    amqp: &Amqp,
    lane: &LaneSettings,
) -> Result<Option<Problem>, BrokerError> {
    let channel = broker.channel().await?;
    let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
    let name = amqp.dead_letter_queue.as_str().into();
    let queue = channel.queue_declare(name, passive, FieldTable::default()).await.map_err(lost)?;
    if queue.message_count() > 0 || queue.consumer_count() > 0 {
        return Ok(None);
    }
    let (exchange, key) = (amqp.dead_letter_exchange.as_str(), lane.event_type.name());
    let probe = BasicProperties::default().with_expiration("0".into());
    let copy = Publication { of: None, exchange, routing_key: key, body: b"" };
    let asked = permissions::ask_aside(amqp, async |broker| {
        Publisher::open(broker).await?.publish(copy, probe).await
    });
    match asked.await {
        None | Some(Ok(())) => Ok(None),
        Some(Err(BrokerError::NotTaken { cause, .. })) => {
            let problem = format!("dead letters of {key} would be lost in {exchange}: {cause}");
            Ok(Some(Problem::NoRoute(problem)))
        }
        Some(Err(error)) => Err(error),
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

/// What a passive declaration that was refused says. RabbitMQ 4.3 refuses it for a name on which one
/// has no permission at all, be it there or not.
fn absent(name: &str, error: &lapin::Error) -> Problem {
    let cause = cause(error);
    if cause.starts_with(REFUSED) {
        let grant = "grant the user a permission on it, and it can be checked";
        return Problem::Unknown(format!("whether {name} is there: {cause}; {grant}"));
    }
    Problem::Missing(cause)
}

/// The broker's own message names the argument and both values, or the permission.
#[expect(clippy::needless_pass_by_value, reason = "it is the whole of a map_err")]
fn differs(error: lapin::Error) -> BrokerError {
    let cause = cause(&error);
    let what_to_do = if cause.starts_with(REFUSED) {
        "grant it, or set amqp.topology to verify and create everything in another way"
    } else {
        "arguments of what exists cannot change: set the daemon to what is there, \
         or move the messages, delete it and let the daemon declare it again"
    };
    BrokerError::Topology(format!("{cause}; {what_to_do}"))
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
