//! The queue for dead letters: it has to keep them however often people look at them.

use super::super::connection::{Broker, BrokerError};
use super::super::problem::Problem;
use super::thing::{Found, absent, arguments, queue, text};
use lapin::options::QueueDeclareOptions;
use lapin::types::{AMQPValue, FieldTable};

/// More looks than anybody takes. Without a limit RabbitMQ 4 drops a dead letter after 20 of them, and
/// with -1, which means no limit there, RabbitMQ 3.10 drops it at the first (tried on 3.10.8, 4.0.5 and
/// 4.3.6).
pub(in super::super) const DELIVERY_LIMIT: i32 = 1_000_000;

/// With a policy that limits the length, RabbitMQ drops the oldest dead letter for the newest. With this it
/// refuses the newest, whose original the lane keeps. An argument wins over a policy.
pub(in super::super) const OVERFLOW: &str = "reject-publish";

/// Declares it. One that is there without a delivery limit or an overflow of ours can be lived with, and is
/// told of.
///
/// # Errors
///
/// [`BrokerError::Topology`] for anything else that differs.
pub(super) async fn declare(broker: &Broker, name: &str) -> Result<Option<Problem>, BrokerError> {
    let mut wanted = vec![
        ("x-delivery-limit", AMQPValue::LongInt(DELIVERY_LIMIT)),
        ("x-overflow", text(OVERFLOW)),
    ];
    let mut differing: Vec<(&str, String)> = Vec::new();
    loop {
        let mut table = arguments([("x-queue-type", text("quorum"))]);
        for (key, value) in &wanted {
            table.insert((*key).into(), value.clone());
        }
        let says = match queue(&broker.channel().await?, name, table).await {
            Ok(()) => break,
            Err(BrokerError::Topology(says)) => says,
            Err(error) => return Err(error),
        };
        // The broker names the first argument that differs, and the next one once that is left out.
        let is_named = |key: &str| says.contains(&format!("inequivalent arg '{key}'"));
        if let Some(place) = wanted.iter().position(|(key, _)| is_named(key)) {
            differing.push((wanted.remove(place).0, says));
        } else if differing.iter().any(|(key, _)| is_named(key)) {
            // It has a value of its own, and the broker looks no further.
            break;
        } else {
            return Err(BrokerError::Topology(says));
        }
    }
    Ok((!differing.is_empty()).then(|| Problem::Risky(risk(name, &differing))))
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

/// What is not as it should be, and what mends it. A policy mends all of it at once: of several that match
/// a queue only one counts, so that a second one with the rest would take the first away.
fn risk(name: &str, differing: &[(&str, String)]) -> String {
    let refusal = |says: &str| says.split(';').next().unwrap_or_default().to_owned();
    let says: Vec<String> = differing.iter().map(|(_, says)| refusal(says)).collect();
    let is_missing = |says: &String| says.ends_with("current is none");
    let next_step = if says.iter().all(is_missing) {
        let policy = mending_policy(name);
        format!("if a policy has both, all is well, else set one: {policy}")
    } else {
        "no policy wins over an argument: move its messages, delete it and declare it again".into()
    };
    format!(
        "{name} may lose dead letters ({}): without a delivery limit RabbitMQ 4 drops each after 20 looks, and \
         without this overflow a policy with max-length drops the oldest; {next_step}",
        says.join(", ")
    )
}

/// The command for the one policy that gives a queue for dead letters what its arguments do not.
pub(in super::super) fn mending_policy(name: &str) -> String {
    format!(
        "rabbitmqctl set_policy mimecast-eventd-dead-letter '^{}$' \
         '{{\"delivery-limit\":{DELIVERY_LIMIT},\"overflow\":\"{OVERFLOW}\"}}' --priority 1000 --apply-to queues \
         (with --vhost). Only one policy counts for a queue, the one with the highest priority",
        pattern(name)
    )
}

/// A regular expression for exactly this name, between the single quotes of a shell.
fn pattern(name: &str) -> String {
    let mut pattern = String::new();
    for character in name.chars() {
        match character {
            '\'' => pattern.push_str(r"'\''"),
            '-' | '_' => pattern.push(character),
            _ if character.is_ascii_punctuation() => pattern.extend(['\\', character]),
            _ => pattern.push(character),
        }
    }
    pattern
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_is_for_exactly_the_queue_whatever_its_name() {
        for (name, expected) in [
            ("mimecast-eventd.dead-letter", r"mimecast-eventd\.dead-letter"),
            ("a+b (c)'d", r"a\+b \(c\)'\''d"),
        ] {
            assert_eq!(pattern(name), expected);
        }
    }
}
