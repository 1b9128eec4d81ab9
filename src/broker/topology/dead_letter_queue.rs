//! The queue for dead letters: it has to keep them however often people look at them.

use super::super::connection::{Broker, BrokerError};
use super::super::problem::Problem;
use super::thing::{Found, absent, arguments, queue, text};
use lapin::options::QueueDeclareOptions;
use lapin::types::{AMQPValue, FieldTable};

/// More looks than anybody takes. Without a limit RabbitMQ 4 drops a dead letter after 20 of them, and
/// with -1, which means no limit there, RabbitMQ 3.10 drops it at the first (tried on 3.10.8, 4.0.5 and
/// 4.3.6).
const DELIVERY_LIMIT: i32 = 1_000_000;

/// Declares it. One that is there with another limit can be lived with, and is told of.
///
/// # Errors
///
/// [`BrokerError::Topology`] for anything else that differs.
pub(super) async fn declare(broker: &Broker, name: &str) -> Result<Option<Problem>, BrokerError> {
    let limit = ("x-delivery-limit", AMQPValue::LongInt(DELIVERY_LIMIT));
    let with_limit = arguments([("x-queue-type", text("quorum")), limit]);
    match queue(&broker.channel().await?, name, with_limit).await {
        Ok(()) => Ok(None),
        Err(BrokerError::Topology(says)) if says.contains("'x-delivery-limit'") => {
            let without = arguments([("x-queue-type", text("quorum"))]);
            match queue(&broker.channel().await?, name, without).await {
                // Its type is wrong, and the limit was only what the broker looked at first.
                Err(BrokerError::Topology(says)) if !says.contains("'x-delivery-limit'") => {
                    Err(BrokerError::Topology(says))
                }
                Ok(()) | Err(BrokerError::Topology(_)) => Ok(Some(limit_missing(name, &says))),
                Err(error) => Err(error),
            }
        }
        Err(error) => Err(error),
    }
}

/// Checks it and creates nothing: what is there is declared once more, which changes nothing.
///
/// # Errors
///
/// When the broker is lost on the way.
pub async fn verify(broker: &Broker, name: &str) -> Result<Found, BrokerError> {
    let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
    let channel = broker.channel().await?;
    if let Err(error) = channel.queue_declare(name.into(), passive, FieldTable::default()).await {
        return Ok(Found::Wrong(absent(name, &error)));
    }
    match declare(broker, name).await {
        Ok(problem) => Ok(problem.map_or(Found::Right, Found::Wrong)),
        Err(BrokerError::Topology(says)) => Ok(Found::of_refusal(says)),
        Err(error) => Err(error),
    }
}

fn limit_missing(name: &str, says: &str) -> Problem {
    let says = says.split(';').next().unwrap_or_default();
    Problem::Risky(format!(
        "{name} has not the x-delivery-limit of {DELIVERY_LIMIT} ({says}); without one RabbitMQ 4 drops \
         each dead letter after 20 looks at it. A policy can set it: rabbitmqctl set_policy \
         mimecast-eventd-dead-letter '^{}$' '{{\"delivery-limit\":{DELIVERY_LIMIT}}}' --apply-to queues \
         (with --vhost); if one does already, all is well",
        name.replace('.', "\\\\.")
    ))
}
