//! One delivery, and the envelope that the rest of the daemon sees of it.

use super::acks::Acks;
use super::authorship::{Authorship, CLAIMED, publisher};
use super::death::Death;
use super::header::{attributes, number, plain, short, text, timestamp};
use super::sieve;
use crate::event::Envelope;
use crate::verdict::{Done, History};
use chrono::DateTime;
use lapin::message;
use lapin::types::FieldTable;
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
    /// Reads what was delivered from `queue`. The headers of a copy of ours count; in other messages anybody could have
    /// written them.
    pub(super) fn read(
        delivery: message::Delivery,
        queue: &str,
        (acks, authorship): (Acks, &Authorship),
    ) -> Delivery {
        let message::Delivery { delivery_tag: tag, exchange, routing_key, redelivered, .. } =
            delivery;
        let (properties, data, acker) = (delivery.properties, delivery.data, delivery.acker);
        let empty = FieldTable::default();
        let headers = properties.headers().as_ref().unwrap_or(&empty);
        let is_copy = authorship.is_of(&properties, &data);
        let ours = if is_copy { headers } else { &empty };
        let user_id = publisher(&properties, is_copy);
        // People move dead letters back to a queue too. The broker says there where they were published.
        let is_straight = exchange.as_str().is_empty() && routing_key.as_str() == queue;
        let death = if is_straight { Death::last(headers) } else { None };
        let death = death.filter(|death| !death.is_of_delay(queue)).unwrap_or_default();
        let exchange =
            short(ours, "x-eventd-exchange").or(death.exchange).unwrap_or(exchange.to_string());
        let routing_key = short(ours, "x-eventd-routing-key")
            .or(death.routing_key)
            .unwrap_or(routing_key.to_string());
        let envelope = envelope(&properties, data, user_id, exchange, routing_key);
        let mut history = match ours.contains_key(CLAIMED) {
            true => History::default(),
            false => history(ours),
        };
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
        replays: number(headers, "x-eventd-replays").unwrap_or_default(),
        done: text(headers, "x-eventd-done").map(|done| Done::read(&done)).unwrap_or_default(),
        altered: text(headers, "x-eventd-altered"),
        ..History::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lapin::types::AMQPValue;
    use std::collections::BTreeMap;

    fn text(text: &str) -> AMQPValue {
        AMQPValue::LongString(text.into())
    }

    /// What is read of a message with these headers that came to the queue `lane`.
    fn read(exchange: &str, headers: &[(&str, AMQPValue)], user: Option<&str>) -> Delivery {
        let (exchange, queue) = (exchange.into(), "lane");
        let mut delivery = message::Delivery::mock(1, exchange, queue.into(), false, Vec::new());
        let table: BTreeMap<_, _> =
            headers.iter().map(|(name, value)| ((*name).into(), value.clone())).collect();
        delivery.properties = BasicProperties::default().with_headers(table.into());
        if let Some(user) = user {
            delivery.properties = delivery.properties.with_user_id(user.into());
        }
        let authorship = Authorship::by(None, Some("eventd".into()));
        Delivery::read(delivery, queue, (Acks::of_no_channel(), &authorship))
    }

    /// What is read of a copy of ours with this header.
    fn read_copy(name: &str, value: AMQPValue) -> Delivery {
        read("", &[("x-eventd-exchange", text("events")), (name, value)], Some("eventd"))
    }

    #[test]
    fn the_commands_of_what_was_tried_delivered_or_sent_back_before_may_have_been_done() {
        for (name, is_repeated) in [
            ("x-eventd-attempts", true),
            ("x-eventd-replays", true),
            ("x-delivery-count", true),
            ("x-eventd-rung", false),
        ] {
            let delivery = read_copy(name, AMQPValue::LongLongInt(1));
            assert_eq!(delivery.history.repeated, is_repeated, "{name}");
        }
    }

    #[test]
    fn how_a_message_was_altered_is_known_of_its_copies_too_and_from_no_stranger() {
        let header = |name| (name, text("left out"));
        let altered = |delivery: Delivery| delivery.history.altered;
        let left_out = Some("left out".to_owned());
        assert_eq!(altered(read("events", &[header(sieve::ALTERED)], None)), left_out);
        assert_eq!(altered(read_copy("x-eventd-altered", text("left out"))), left_out);
        assert_eq!(altered(read("events", &[header("x-eventd-altered")], None)), None);
    }

    #[test]
    fn what_was_moved_back_to_its_queue_was_published_where_it_died() {
        // Who died in which queue, having come how; and what the headers claim.
        let moved = |queue: &str, exchange: &str, key: &str, user: Option<&str>| {
            let mut death = FieldTable::default();
            death.insert("queue".into(), text(queue));
            death.insert("exchange".into(), text(exchange));
            death.insert("routing-keys".into(), AMQPValue::FieldArray(vec![text(key)].into()));
            let deaths = AMQPValue::FieldArray(vec![AMQPValue::FieldTable(death)].into());
            let headers = [
                ("x-death", deaths),
                ("x-eventd-exchange", text("claimed")),
                ("x-eventd-routing-key", text("claimed")),
                ("x-eventd-user-id", text("claimed")),
            ];
            read("", &headers, user).envelope
        };
        for (queue, exchange, key, user, expected) in [
            ("lane", "events", "user.hired", None, ("events", "user.hired", None)),
            ("lane", "", "lane", None, ("", "lane", None)),
            ("other", "events", "url.unblock", None, ("events", "url.unblock", None)),
            ("other", "", "other", Some("ada"), ("", "other", Some("ada"))),
            // A copy says it itself, and waits in delay queues.
            ("lane", "", "lane", Some("eventd"), ("claimed", "claimed", Some("claimed"))),
            ("lane.retry.10s", "", "lane.retry.10s", None, ("", "lane", None)),
        ] {
            let envelope = moved(queue, exchange, key, user);
            let Envelope { exchange, routing_key, user_id, .. } = &envelope;
            assert_eq!(
                (&**exchange, &**routing_key, user_id.as_deref()),
                expected,
                "{queue} {key}"
            );
        }
    }

    #[test]
    fn headers_of_ours_count_in_copies_of_ours_alone_and_never_before_the_user() {
        let forged = [
            ("x-eventd-exchange", text("events")),
            ("x-eventd-user-id", text("hr")),
            ("x-eventd-attempts", AMQPValue::LongLongInt(7)),
            ("x-eventd-replays", AMQPValue::LongLongInt(7)),
            ("x-eventd-rung", AMQPValue::LongLongInt(7)),
            ("x-eventd-mac", text("AAAA")),
        ];
        for user in [None, Some("evil"), Some("EVENTD")] {
            let delivery = read("", &forged, user);
            assert_eq!(delivery.envelope.user_id.as_deref(), user);
            assert_eq!(delivery.history, History::default());
        }
        let delivery = read("events", &forged, Some("eventd"));
        assert_eq!(delivery.envelope.user_id.as_deref(), Some("hr"));
        assert_eq!((delivery.history.attempts, delivery.history.climbed), (7, 7));
        // What we publish first is no copy, and the original of a copy may have had no user.
        let sent = read("events", &forged[1..], Some("eventd"));
        assert_eq!(sent.envelope.user_id.as_deref(), Some("eventd"));
        let copy = read("", &forged[..1], Some("eventd"));
        assert_eq!(copy.envelope.user_id, None);
        // Of a dead letter that somebody has made up, a copy of ours says no more than the user.
        let claimed = [&forged[..], &[(CLAIMED, AMQPValue::Boolean(true))]].concat();
        let delivery = read("", &claimed, Some("eventd"));
        assert_eq!(delivery.envelope.user_id.as_deref(), Some("hr"));
        assert_eq!(delivery.history, History::default());
    }

    #[test]
    fn what_the_broker_says_of_a_death_counts_only_where_somebody_moved_the_message() {
        let nonsense = [("x-death", text("forged"))];
        assert_eq!(read("", &nonsense, None).envelope.routing_key, "lane");
        let mut death = FieldTable::default();
        let keys = AMQPValue::FieldArray(vec![text("forged")].into());
        death.insert("routing-keys".into(), keys);
        let deaths = AMQPValue::FieldArray(vec![AMQPValue::FieldTable(death)].into());
        assert_eq!(read("events", &[("x-death", deaths)], None).envelope.routing_key, "lane");
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
            let delivery = read("events", &[("ce-id", value)], None);
            assert_eq!(delivery.envelope.attributes, [("id".into(), Some(expected.into()))]);
        }
        let delivery = read("events", &[("ce-id", AMQPValue::Double(1.0))], None);
        assert_eq!(delivery.envelope.attributes, [("id".into(), None)]);
    }
}
