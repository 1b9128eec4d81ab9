//! One delivery, and the envelope that the rest of the daemon sees of it.

use super::acks::Acks;
use super::death::Death;
use super::header::{number, plain, short, spelled, text, timestamp};
use super::sieve;
use crate::event::Envelope;
use crate::verdict::{Done, History};
use chrono::DateTime;
use lapin::message;
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{Acker, BasicProperties};

/// A message that the broker has handed out and that is ours until it is settled.
#[derive(Debug)]
pub struct Delivery {
    /// What the event is read from.
    pub envelope: Envelope,
    /// What happened to it before it came here this time.
    pub history: History,
    /// How often it was handed out before. RabbitMQ 4 counts what is returned by `nack` in a header of its own.
    pub deliveries: u32,
    /// Whether it may have been delivered before, as the broker says.
    pub redelivered: bool,
    pub(super) tag: u64,
    pub(super) properties: BasicProperties,
    pub(super) acker: Acker,
    pub(super) acks: Acks,
}

impl Delivery {
    /// Reads what was delivered from `queue`. What the headers of a copy of ours say is believed if it
    /// came the way of our copies, through the default exchange to the queue; from elsewhere anybody
    /// could have written them.
    pub(super) fn read(delivery: message::Delivery, queue: &str, acks: Acks) -> Delivery {
        let message::Delivery { delivery_tag: tag, exchange, routing_key, redelivered, .. } =
            delivery;
        let (properties, data, acker) = (delivery.properties, delivery.data, delivery.acker);
        let empty = FieldTable::default();
        let headers = properties.headers().as_ref().unwrap_or(&empty);
        let is_straight = exchange.as_str().is_empty() && routing_key.as_str() == queue;
        // People move dead letters back to a queue too. The broker says there where they were published.
        let death = if is_straight { Death::last(headers) } else { None };
        let is_copy = is_straight && death.as_ref().is_none_or(Death::is_of_copy);
        let ours = if is_copy { headers } else { &empty };
        // The broker would refuse a copy of ours with the user of the original, so that a header keeps it.
        let user_id = plain(properties.user_id()).or_else(|| short(ours, "x-eventd-user-id"));
        // A copy of ours comes from a delay queue, and says in headers where it was published.
        let (died_of, died_by) =
            death.map(|death| (death.exchange, death.routing_key)).unwrap_or_default();
        let exchange = short(ours, "x-eventd-exchange").or(died_of).unwrap_or(exchange.to_string());
        let routing_key =
            short(ours, "x-eventd-routing-key").or(died_by).unwrap_or(routing_key.to_string());
        let envelope = envelope(&properties, data, user_id, exchange, routing_key);
        let mut history = history(ours);
        // Whoever forges this one has nothing from it.
        history.replays = number(headers, "x-eventd-replays").unwrap_or_default();
        history.altered = text(headers, sieve::ALTERED).or(history.altered);
        let deliveries = deliveries(headers);
        let is_ours_again = history.attempts > 0 || history.replays > 0;
        history.repeated = redelivered || deliveries > 0 || is_ours_again;
        Delivery { envelope, history, deliveries, redelivered, tag, properties, acker, acks }
    }
}

/// How often a quorum queue has handed the message out before.
fn deliveries(headers: &FieldTable) -> u32 {
    let counts = ["x-delivery-count", "x-acquired-count"].map(|name| number(headers, name));
    counts.into_iter().flatten().max().unwrap_or_default()
}

/// The envelope of a message that was published so.
pub(super) fn envelope(
    properties: &BasicProperties,
    body: Vec<u8>,
    user_id: Option<String>,
    exchange: String,
    routing_key: String,
) -> Envelope {
    let empty = FieldTable::default();
    let headers = properties.headers().as_ref().unwrap_or(&empty);
    Envelope {
        body,
        passed_over: number(headers, sieve::BODY_SIZE),
        content_type: plain(properties.content_type()),
        content_encoding: plain(properties.content_encoding()),
        attributes: attributes(headers),
        message_type: plain(properties.kind()),
        message_id: plain(properties.message_id()),
        user_id,
        traceparent: text(headers, "traceparent"),
        timestamp: properties.timestamp().and_then(timestamp),
        exchange,
        routing_key,
    }
}

/// What the headers of a copy of ours say; what is missing or makes no sense counts as nothing.
fn history(headers: &FieldTable) -> History {
    let first_failed_at = text(headers, "x-eventd-first-failed-at");
    History {
        attempts: number(headers, "x-eventd-attempts").unwrap_or_default(),
        first_failed_at: first_failed_at
            .and_then(|at| DateTime::parse_from_rfc3339(&at).ok())
            .map(|at| at.to_utc()),
        request_id: None,
        climbed: number(headers, "x-eventd-rung").unwrap_or_default(),
        done: text(headers, "x-eventd-done").map(|done| Done::read(&done)).unwrap_or_default(),
        altered: text(headers, "x-eventd-altered"),
        ..History::default()
    }
}

/// What headers say of a CloudEvent in binary mode. Its binding wants `cloudEvents:`, or `cloudEvents_`
/// where a colon is a burden (CloudEvents AMQP binding 1.0.2, section 3.1.3); who comes from HTTP keeps
/// `ce-`.
fn attributes(headers: &FieldTable) -> Vec<(String, Option<String>)> {
    let attribute = |(name, value): (&ShortString, &AMQPValue)| {
        let name = name.as_str().to_ascii_lowercase();
        let prefixes = ["ce-", "cloudevents:", "cloudevents_"];
        let name = prefixes.iter().find_map(|prefix| name.strip_prefix(prefix))?;
        Some((name.to_owned(), spelled(value)))
    };
    headers.inner().iter().filter_map(attribute).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is read of a message with this header that came to the queue `lane`.
    fn read(exchange: &str, name: &str, value: AMQPValue) -> Delivery {
        let mut headers = FieldTable::default();
        headers.insert(name.into(), value);
        read_from(exchange, headers)
    }

    fn read_from(exchange: &str, headers: FieldTable) -> Delivery {
        let (exchange, queue) = (exchange.into(), "lane");
        let mut delivery = message::Delivery::mock(1, exchange, queue.into(), false, Vec::new());
        delivery.properties = BasicProperties::default().with_headers(headers);
        Delivery::read(delivery, queue, Acks::of_no_channel())
    }

    #[test]
    fn the_commands_of_what_was_tried_delivered_or_sent_back_before_may_have_been_done() {
        for (name, is_repeated) in [
            ("x-eventd-attempts", true),
            ("x-eventd-replays", true),
            ("x-delivery-count", true),
            ("x-eventd-rung", false),
        ] {
            let delivery = read("", name, AMQPValue::LongLongInt(1));
            assert_eq!(delivery.history.repeated, is_repeated, "{name}");
        }
    }

    #[test]
    fn how_a_message_was_altered_is_known_of_its_copies_too_and_from_no_stranger() {
        let altered = |exchange, name| {
            read(exchange, name, AMQPValue::LongString("left out".into())).history.altered
        };
        assert_eq!(altered("events", sieve::ALTERED).as_deref(), Some("left out"));
        assert_eq!(altered("", "x-eventd-altered").as_deref(), Some("left out"));
        assert_eq!(altered("events", "x-eventd-altered"), None);
    }

    #[test]
    fn what_was_moved_back_to_its_queue_was_published_where_it_died() {
        let text = |text: &str| AMQPValue::LongString(text.into());
        // Who died in which queue, having come how; and what the headers claim.
        let moved = |queue: &str, exchange: &str, key: &str, claims: &[(&str, &str)]| {
            let mut death = FieldTable::default();
            death.insert("queue".into(), text(queue));
            death.insert("exchange".into(), text(exchange));
            death.insert("routing-keys".into(), AMQPValue::FieldArray(vec![text(key)].into()));
            let mut headers = FieldTable::default();
            let deaths = vec![AMQPValue::FieldTable(death)];
            headers.insert("x-death".into(), AMQPValue::FieldArray(deaths.into()));
            for (name, value) in claims {
                headers.insert((*name).into(), text(value));
            }
            read_from("", headers).envelope
        };
        let claims = [
            ("x-eventd-exchange", "events"),
            ("x-eventd-routing-key", "claimed"),
            ("x-eventd-user-id", "claimed"),
        ];
        for (queue, exchange, key, claims, expected) in [
            ("lane", "events", "user.hired", &[][..], ("events", "user.hired", None)),
            ("lane", "", "lane", &[], ("", "lane", None)),
            ("other", "events", "url.unblock", &[], ("events", "url.unblock", None)),
            ("other", "", "other", &[], ("", "other", None)),
            // Anybody can write headers, and nobody but us sends copies to the queue.
            ("lane", "events", "user.left", &claims, ("events", "user.left", None)),
            ("other", "events", "url.unblock", &claims, ("events", "url.unblock", None)),
            ("lane", "", "lane", &claims, ("events", "claimed", Some("claimed"))),
            (
                "lane.retry.10s",
                "",
                "lane.retry.10s",
                &claims,
                ("events", "claimed", Some("claimed")),
            ),
        ] {
            let envelope = moved(queue, exchange, key, claims);
            let Envelope { exchange, routing_key, user_id, .. } = &envelope;
            assert_eq!(
                (&**exchange, &**routing_key, user_id.as_deref()),
                expected,
                "{queue} {key}"
            );
        }
    }

    #[test]
    fn the_user_that_the_broker_has_checked_counts_before_a_header() {
        let mut delivery = message::Delivery::mock(1, "".into(), "lane".into(), false, Vec::new());
        let mut headers = FieldTable::default();
        headers.insert("x-eventd-user-id".into(), AMQPValue::LongString("claimed".into()));
        let properties = BasicProperties::default().with_user_id("checked".into());
        delivery.properties = properties.with_headers(headers);
        let delivery = Delivery::read(delivery, "lane", Acks::of_no_channel());
        assert_eq!(delivery.envelope.user_id.as_deref(), Some("checked"));
    }

    #[test]
    fn what_the_broker_says_of_a_death_counts_only_where_somebody_moved_the_message() {
        let mut headers = FieldTable::default();
        headers.insert("x-death".into(), AMQPValue::LongString("forged".into()));
        assert_eq!(read_from("", headers).envelope.routing_key, "lane");
        let mut death = FieldTable::default();
        let keys = vec![AMQPValue::LongString("forged".into())];
        death.insert("routing-keys".into(), AMQPValue::FieldArray(keys.into()));
        let deaths = AMQPValue::FieldArray(vec![AMQPValue::FieldTable(death)].into());
        assert_eq!(read("events", "x-death", deaths).envelope.routing_key, "lane");
    }

    #[test]
    fn an_attribute_in_a_header_may_be_of_any_type_that_cloud_events_have() {
        for (value, expected) in [
            (AMQPValue::LongString("e-1".into()), "e-1"),
            (AMQPValue::ShortString("e-1".into()), "e-1"),
            (AMQPValue::Boolean(true), "true"),
            (AMQPValue::ShortShortInt(-128), "-128"),
            (AMQPValue::ShortShortUInt(255), "255"),
            (AMQPValue::ShortInt(-300), "-300"),
            (AMQPValue::ShortUInt(65_535), "65535"),
            (AMQPValue::LongInt(4711), "4711"),
            (AMQPValue::LongUInt(u32::MAX), "4294967295"),
            (AMQPValue::LongLongInt(i64::MIN), "-9223372036854775808"),
            (AMQPValue::Timestamp(0), "1970-01-01T00:00:00+00:00"),
        ] {
            let delivery = read("events", "ce-id", value);
            assert_eq!(delivery.envelope.attributes, [("id".into(), Some(expected.into()))]);
        }
        let delivery = read("events", "ce-id", AMQPValue::Double(1.0));
        assert_eq!(delivery.envelope.attributes, [("id".into(), None)]);
    }
}
