//! What the user may do, asked by questions that change nothing.
//!
//! The broker looks at the permission before it looks at what is asked: a message whose expiration is
//! no number is refused as such (406) where one may write, and with 403 where one may not; a consumer
//! with a priority that is no number likewise where one may read. Tried on RabbitMQ 3.10, 4.0 and 4.3.

use super::authorship::is_of_user;
use super::connection::{Broker, BrokerError, cause, lost};
use super::problem::{Problem, REFUSED};
use crate::event::EventType;
use crate::settings::Amqp;
use lapin::options::{BasicConsumeOptions, BasicPublishOptions, ConfirmSelectOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel};

/// A queue that nobody has: what goes there goes nowhere.
pub(super) const NOWHERE: &str = "mimecast-eventd.nowhere";

/// What is missing to publish copies: to the exchange for dead letters, and to the default exchange for
/// what comes back to its lane. Nothing, if the broker does not say.
///
/// # Errors
///
/// When the broker is lost on the way.
pub(super) async fn missing_for_copies(
    amqp: &Amqp,
    lane: EventType,
) -> Result<Vec<Problem>, BrokerError> {
    let asked = ask_aside(amqp, async |broker| ask_for_copies(broker, amqp, lane).await).await;
    asked.unwrap_or(Ok(Vec::new()))
}

/// Asks by publishing, on a connection of its own: a broker that is short of memory or disk reads no
/// more from whoever publishes, be it a question, and the lane could not even ack. `None` if it does
/// not answer, or lets us have no further connection: a question is not worth a lane.
pub(super) async fn ask_aside<T>(
    amqp: &Amqp,
    ask: impl AsyncFnOnce(&Broker) -> Result<T, BrokerError>,
) -> Option<Result<T, BrokerError>> {
    let broker = match Broker::connect(amqp, |_| {}).await {
        Ok(broker) => broker,
        Err(error) => {
            tracing::debug!(%error, "what may be published cannot be asked");
            return None;
        }
    };
    let asked = tokio::time::timeout(amqp.timings.inspect, ask(&broker)).await;
    broker.close().await;
    if asked.is_err() {
        tracing::debug!("the broker does not say what may be published");
    }
    asked.ok()
}

async fn ask_for_copies(
    broker: &Broker,
    amqp: &Amqp,
    lane: EventType,
) -> Result<Vec<Problem>, BrokerError> {
    let mut problems = Vec::new();
    // With routing keys as they will be: a topic exchange can be open for some of them (RabbitMQ, "Topic Authorisation").
    let key = lane.name();
    let mut copies = vec![
        ("", "copies for the delay ladder and of what a paused lane holds", NOWHERE.to_owned()),
        (&*amqp.dead_letter_exchange, "dead letters", key.to_owned()),
    ];
    let outcomes = amqp.outcome_exchange.as_deref();
    copies.extend(outcomes.map(|exchange| (exchange, "outcome events", format!("{key}.failed"))));
    for (exchange, copies, routing_key) in copies {
        let channel = broker.channel().await?;
        let Some(refusal) =
            may_write(&channel, exchange, &routing_key, BasicProperties::default()).await?
        else {
            continue;
        };
        let name = if exchange.is_empty() { "amq.default" } else { exchange };
        let grant = match refusal.contains(" topic ") {
            true => {
                format!("grant the routing key {routing_key} among the topic permissions of {name}")
            }
            false => format!("grant write on {name}"),
        };
        problems.push(Problem::Forbidden(format!(
            "{copies} cannot be published, and their lanes would pause: {refusal}; {grant}"
        )));
    }
    Ok(problems)
}

/// What is missing to consume from `queue`.
///
/// # Errors
///
/// When the broker is lost on the way.
pub(super) async fn missing_to_consume(
    broker: &Broker,
    queue: &str,
) -> Result<Option<Problem>, BrokerError> {
    let channel = broker.channel().await?;
    let mut arguments = FieldTable::default();
    arguments.insert("x-priority".into(), AMQPValue::LongString("x".into()));
    let options = BasicConsumeOptions::default();
    let asked = channel.basic_consume(queue.into(), "".into(), options, arguments).await;
    Ok(refusal(asked.map(|_| ()))?.map(|refusal| {
        Problem::Forbidden(format!("{queue} cannot be consumed: {refusal}; grant read on it"))
    }))
}

/// The refusal, when the user may not publish to `exchange` with this key and these properties.
///
/// # Errors
///
/// When the broker is lost on the way.
pub(super) async fn may_write(
    channel: &Channel,
    exchange: &str,
    routing_key: &str,
    properties: BasicProperties,
) -> Result<Option<String>, BrokerError> {
    channel.confirm_select(ConfirmSelectOptions::default()).await.map_err(lost)?;
    let nonsense = properties.with_expiration("x".into());
    let options = BasicPublishOptions::default();
    let asked = async {
        let (exchange, routing_key) = (exchange.into(), routing_key.into());
        channel.basic_publish(exchange, routing_key, options, b"", nonsense).await?.await
    };
    refusal(asked.await.map(|_| ()))
}

/// The broker's words when it refuses for want of a permission, or knows the user by another name. Every other refusal is the one that
/// was asked for, or is of something that is not there, which is told elsewhere.
fn refusal(asked: Result<(), lapin::Error>) -> Result<Option<String>, BrokerError> {
    match asked {
        Ok(()) => Ok(None),
        Err(error) if error.is_amqp_soft_error() => {
            let is_refusal = |cause: &String| cause.starts_with(REFUSED) || is_of_user(cause);
            Ok(Some(cause(&error)).filter(is_refusal))
        }
        Err(error) => Err(lost(error)),
    }
}
