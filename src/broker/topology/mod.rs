//! Queues and exchanges: declared or checked at the start of every session.

mod dead_letter_queue;
mod policies;
mod thing;

use super::connection::{Broker, BrokerError, lost};
use super::permissions;
use super::problem::Problem;
use super::publication::Publication;
use super::publisher::Publisher;
use crate::settings::{Amqp, LaneSettings, Settings, TopologyMode};
pub use dead_letter_queue::verify as verify_dead_letter_queue;
use lapin::BasicProperties;
use lapin::options::QueueDeclareOptions;
use lapin::types::{AMQPValue, FieldTable};
pub use policies::inspect as inspect_policies;
use std::time::Duration;
pub use thing::Found;
use thing::{
    arguments, bind, differs, durable, exchange_declare, queue, text, verify_exchange, verify_queue,
};

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
            let mut problems: Vec<_> = declare(broker, settings, lane).await?.into_iter().collect();
            problems
                .extend(permissions::missing_for_copies(&settings.amqp, lane.event_type).await?);
            problems
        }
        TopologyMode::Verify => verify(broker, settings, lane).await?.problems,
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

/// Declares everything that a lane needs once more, because something of it is gone.
///
/// # Errors
///
/// [`BrokerError::Topology`] for what cannot be declared, [`BrokerError::Lost`].
pub async fn declare_again(
    broker: &Broker,
    settings: &Settings,
    lane: &LaneSettings,
) -> Result<(), BrokerError> {
    match settings.contract.guards.dry_run {
        true => declare_aside(broker, settings, lane).await,
        false => declare(broker, settings, lane).await.map(drop),
    }
}

/// What a dry run has beside the queues of those at work: a queue that takes copies of the same events.
async fn declare_aside(
    broker: &Broker,
    settings: &Settings,
    lane: &LaneSettings,
) -> Result<(), BrokerError> {
    let channel = broker.channel().await?;
    exchange_declare(&channel, &settings.amqp.exchange, durable()).await.map_err(differs)?;
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

/// Declares everything, and gives what is there otherwise and can be lived with.
async fn declare(
    broker: &Broker,
    settings: &Settings,
    lane: &LaneSettings,
) -> Result<Option<Problem>, BrokerError> {
    let Settings { amqp, ladder, .. } = settings;
    let channel = broker.channel().await?;
    for exchange in amqp.exchanges() {
        exchange_declare(&channel, exchange, durable()).await.map_err(differs)?;
    }
    let problem = dead_letter_queue::declare(broker, &amqp.dead_letter_queue).await?;
    bind(&channel, &amqp.dead_letter_queue, &amqp.dead_letter_exchange, "#").await?;
    queue(&channel, &lane.queue, lane_arguments(lane, amqp)).await?;
    for name in settings.contract.reading.names.bindings(lane.event_type) {
        bind(&channel, &lane.queue, &amqp.exchange, name).await?;
    }
    for (name, delay) in lane.delay_queues(ladder) {
        queue(&channel, &name, delay_arguments(delay, lane)).await?;
    }
    Ok(problem)
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

/// What was found in a check.
#[derive(Debug)]
pub struct Verified {
    /// What is not as it should be.
    pub problems: Vec<Problem>,
    /// The queues whose arguments the user may not see.
    pub unseen: Vec<String>,
    /// Whether dead letters reach a queue.
    pub route: Route,
}

/// Whether dead letters of a lane would reach a queue.
#[derive(Debug)]
pub enum Route {
    /// One did, or else there is a problem that says so.
    Asked,
    /// It was not asked, for this reason.
    NotAsked(&'static str),
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
) -> Result<Verified, BrokerError> {
    let Settings { amqp, ladder, .. } = settings;
    let (mut problems, mut unseen) = (Vec::new(), Vec::new());
    if settings.contract.guards.dry_run {
        let found = verify_queue(broker, &lane.queue, aside_arguments()).await?;
        note(&lane.queue, found, &mut problems, &mut unseen);
        let route = Route::NotAsked("a dry run sends no dead letters");
        return Ok(Verified { problems, unseen, route });
    }
    for exchange in amqp.exchanges() {
        let found = verify_exchange(broker, exchange, amqp.topology).await?;
        note(exchange, found, &mut problems, &mut unseen);
    }
    let name = &amqp.dead_letter_queue;
    note(name, dead_letter_queue::verify(broker, name).await?, &mut problems, &mut unseen);
    let mut queues = vec![(lane.queue.clone(), lane_arguments(lane, amqp))];
    for (name, delay) in lane.delay_queues(ladder) {
        queues.push((name, delay_arguments(delay, lane)));
    }
    for (name, arguments) in queues {
        let found = verify_queue(broker, &name, arguments).await?;
        note(&name, found, &mut problems, &mut unseen);
    }
    problems.extend(permissions::missing_for_copies(amqp, lane.event_type).await?);
    problems.extend(permissions::missing_to_consume(broker, &lane.queue).await?);
    let route = if problems.iter().all(|problem| matches!(problem, Problem::Risky(_))) {
        verify_dead_letter_route(broker, amqp, lane, &mut problems).await?
    } else {
        Route::NotAsked("something else has to be put right first")
    };
    Ok(Verified { problems, unseen, route })
}

/// Keeps what was found of the queue or exchange of this name.
fn note(name: &str, found: Found, problems: &mut Vec<Problem>, unseen: &mut Vec<String>) {
    match found {
        Found::Right => {}
        Found::Wrong(problem) => problems.push(problem),
        Found::Unseen => unseen.push(name.to_owned()),
    }
}

/// Whether dead letters of a lane would reach a queue. Only a message can tell: one that expires at
/// once, and only while the dead-letter queue is empty and unwatched, so that nobody meets it.
async fn verify_dead_letter_route(
    broker: &Broker,
    amqp: &Amqp,
    lane: &LaneSettings,
    problems: &mut Vec<Problem>,
) -> Result<Route, BrokerError> {
    let channel = broker.channel().await?;
    let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
    let name = amqp.dead_letter_queue.as_str().into();
    let queue = channel.queue_declare(name, passive, FieldTable::default()).await.map_err(lost)?;
    if queue.message_count() > 0 || queue.consumer_count() > 0 {
        let why = "there are dead letters, or somebody waits for them, who would meet the trial";
        return Ok(Route::NotAsked(why));
    }
    let (exchange, key) = (amqp.dead_letter_exchange.as_str(), lane.event_type.name());
    let probe = BasicProperties::default().with_expiration("0".into());
    let copy = Publication { of: None, mandatory: true, exchange, routing_key: key, body: b"" };
    let asked = permissions::ask_aside(amqp, async |broker| {
        Publisher::open(broker).await?.publish(copy, probe).await
    });
    match asked.await {
        None => Ok(Route::NotAsked("the broker does not answer, or allows no further connection")),
        Some(Ok(())) => Ok(Route::Asked),
        Some(Err(BrokerError::NotTaken { cause, .. })) => {
            let problem = format!("dead letters of {key} would be lost in {exchange}: {cause}");
            problems.push(Problem::NoRoute(problem));
            Ok(Route::Asked)
        }
        Some(Err(error)) => Err(error),
    }
}
