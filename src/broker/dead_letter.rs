//! A dead letter: why it is there, and the message that it was.

use super::authorship::{Authorship, CLAIMED, publisher};
use super::death::Death;
use super::delivery;
use super::header::{number, short, text};
use super::sieve;
use crate::event::{Envelope, MAX_BODY};
use crate::verdict::Grounds;
use chrono::{DateTime, Utc};
use lapin::types::FieldTable;
use lapin::{BasicProperties, message};

/// A message in the dead-letter queue.
#[derive(Clone, Debug)]
pub struct DeadLetter {
    /// The message as it was published, with the exchange and routing key that it had then.
    pub envelope: Envelope,
    /// Why it is there.
    pub grounds: Grounds,
    /// The code that says more.
    pub code: Option<String>,
    /// What was wrong, in one line.
    pub detail: Option<String>,
    /// Requests that were sent for it.
    pub attempts: u32,
    /// When the first of them failed.
    pub first_failed_at: Option<DateTime<Utc>>,
    /// Since when it is there; of what an older daemon sent nothing but the first failure may be known.
    pub since: Option<DateTime<Utc>>,
    /// The id of the last request.
    pub request_id: Option<String>,
    /// The queue that it came from, as its headers claim.
    pub queue: Option<String>,
    /// How often it was sent back to a lane.
    pub replays: u32,
    /// Whether it is known to be from a daemon of ours. Otherwise anybody who may write to the queue can have made up
    /// all of it but the user, whom the broker has checked.
    pub is_proven: bool,
    /// Whether it has the MAC of somebody with another key, which a copy would lose.
    pub is_of_another_key: bool,
    /// Whether its headers say anything of it: what the broker has dead-lettered came with those of its producer.
    pub(super) is_said: bool,
    /// Whose reading put it to the end of the queue.
    pub(super) reader: Option<String>,
    pub(super) properties: BasicProperties,
    pub(super) delivery_tag: u64,
}

impl DeadLetter {
    /// Reads what was delivered from the dead-letter queue.
    ///
    /// Who may write there can make up a whole letter. Of one that the broker has dead-lettered, our headers count in
    /// copies of ours alone: it came as somebody had published it.
    pub fn read(delivery: message::Delivery, authorship: &Authorship) -> DeadLetter {
        let message::Delivery { delivery_tag, exchange, routing_key, properties, data, .. } =
            delivery;
        let empty = FieldTable::default();
        let headers = properties.headers().as_ref().unwrap_or(&empty);
        let is_copy = authorship.is_of(&properties, &data);
        let is_of_another_key = authorship.is_of_another_key(&properties, &data);
        let death = Death::last(headers);
        let is_said = is_copy || death.is_none();
        let said = if is_said { headers } else { &empty };
        let published = death.as_ref().filter(|_| !is_copy);
        let grounds = match &death {
            Some(death) => grounds(death, number(headers, sieve::BODY_SIZE).unwrap_or(data.len())),
            None => text(said, "x-eventd-reason")
                .and_then(|reason| Grounds::named(&reason))
                .unwrap_or(Grounds::Unknown),
        };
        let user_id = publisher(&properties, is_copy);
        let exchange = short(said, "x-eventd-exchange")
            .or_else(|| published?.exchange.clone())
            .unwrap_or(exchange.to_string());
        let routing_key = short(said, "x-eventd-routing-key")
            .or_else(|| published?.routing_key.clone())
            .unwrap_or(routing_key.to_string());
        let first_failed_at = time(said, "x-eventd-first-failed-at");
        let since = match &death {
            Some(death) => death.at,
            None => time(said, "x-eventd-dead-lettered-at"),
        };
        let priority = number(said, "x-eventd-priority");
        DeadLetter {
            envelope: delivery::envelope(&properties, data, user_id, exchange, routing_key),
            grounds,
            code: text(said, "x-eventd-code"),
            detail: text(said, "x-eventd-detail"),
            attempts: number(said, "x-eventd-attempts").unwrap_or_default(),
            first_failed_at,
            since: since.or(first_failed_at),
            request_id: text(said, "x-eventd-request-id"),
            queue: match death {
                Some(death) => death.queue,
                None => text(said, "x-eventd-queue"),
            },
            replays: number(said, "x-eventd-replays").unwrap_or_default(),
            is_of_another_key,
            is_proven: is_copy && !said.contains_key(CLAIMED),
            is_said,
            reader: text(said, "x-eventd-reader"),
            properties: match priority {
                Some(priority) => properties.with_priority(priority),
                None => properties,
            },
            delivery_tag,
        }
    }
}

/// Why the broker put it there. A lane rejects what is too large, and nothing else, without keeping it.
fn grounds(death: &Death, size: usize) -> Grounds {
    match death.reason.as_deref() {
        Some("delivery_limit") => Grounds::DeliveryLimit,
        Some("rejected") if size > MAX_BODY => Grounds::TooLarge,
        Some("rejected") => Grounds::Rejected,
        Some("expired") => Grounds::Expired,
        Some("maxlen") => Grounds::QueueFull,
        Some(_) | None => Grounds::Unknown,
    }
}

fn time(headers: &FieldTable, name: &str) -> Option<DateTime<Utc>> {
    let time = DateTime::parse_from_rfc3339(&text(headers, name)?).ok()?;
    Some(time.to_utc())
}

#[cfg(test)]
mod tests {
    use super::*;
    use lapin::types::AMQPValue;

    fn table(entries: &[(&str, AMQPValue)]) -> FieldTable {
        let mut table = FieldTable::default();
        for (name, value) in entries {
            table.insert((*name).into(), value.clone());
        }
        table
    }

    fn value(text: &str) -> AMQPValue {
        AMQPValue::LongString(text.into())
    }

    /// What is read of a letter with these headers that this user has published.
    fn read_of(headers: &[(&str, AMQPValue)], user: Option<&str>) -> DeadLetter {
        let mut letter =
            message::Delivery::mock(1, "dead-letters".into(), "key".into(), false, Vec::new());
        letter.properties = BasicProperties::default().with_headers(table(headers));
        if let Some(user) = user {
            letter.properties = letter.properties.with_user_id(user.into());
        }
        DeadLetter::read(letter, &ours())
    }

    fn read(headers: &[(&str, AMQPValue)]) -> DeadLetter {
        read_of(headers, None)
    }

    fn ours() -> Authorship {
        Authorship::by(None, Some("eventd".into()))
    }

    #[test]
    fn a_letter_is_there_since_its_end_and_not_since_its_first_failure_where_both_are_known() {
        let at = |time: &str| Some(time.parse::<DateTime<Utc>>().unwrap());
        let (failed, ended) = ("2026-11-21T00:00:00Z", "2026-11-21T09:00:00Z");
        let first = ("x-eventd-first-failed-at", value(failed));
        assert_eq!(read(std::slice::from_ref(&first)).since, at(failed));
        let both = read(&[first, ("x-eventd-dead-lettered-at", value(ended))]);
        assert_eq!((both.first_failed_at, both.since), (at(failed), at(ended)));
    }

    #[test]
    fn what_is_put_back_says_what_it_said_before_and_proves_no_more() {
        let death = table(&[
            ("reason", value("rejected")),
            ("queue", value("lane")),
            ("exchange", value("events")),
            ("routing-keys", AMQPValue::FieldArray(vec![value("url.unblock")].into())),
            ("time", AMQPValue::Timestamp(1_800_000_000)),
        ]);
        let deaths = AMQPValue::FieldArray(vec![AMQPValue::FieldTable(death)].into());
        let said = [
            ("x-eventd-exchange", value("events")),
            ("x-eventd-user-id", value("admin")),
            ("x-eventd-reason", value("denied")),
            ("x-eventd-code", value("user_id")),
            ("x-eventd-attempts", AMQPValue::LongLongInt(3)),
            ("x-eventd-replays", AMQPValue::LongLongInt(2)),
            ("x-eventd-priority", AMQPValue::LongLongInt(7)),
            ("x-eventd-rung", AMQPValue::LongLongInt(7)),
            ("x-eventd-done", value("all")),
            ("x-delivery-count", AMQPValue::LongLongInt(7)),
            ("CC", AMQPValue::FieldArray(vec![value("elsewhere")].into())),
            ("own", value("kept")),
        ];
        for (user, by_the_broker) in
            [("ada", false), ("ada", true), ("eventd", false), ("eventd", true)]
        {
            let death = by_the_broker.then(|| ("x-death", deaths.clone()));
            let headers: Vec<_> = said.iter().cloned().chain(death).collect();
            let letter = read_of(&headers, Some(user));
            let mut copy =
                message::Delivery::mock(2, "".into(), "dead-letters".into(), false, Vec::new());
            copy.properties = super::super::copy::put_back(&letter, "reader");
            let headers = copy.properties.headers().clone().unwrap();
            for gone in ["x-death", "x-delivery-count", "CC", "x-eventd-rung", "x-eventd-done"] {
                assert!(!headers.inner().contains_key(gone), "{gone}");
            }
            assert_eq!(headers.inner().get("own"), Some(&value("kept")));
            assert!(copy.properties.priority().is_none() && copy.properties.user_id().is_none());
            copy.properties = copy.properties.with_user_id("eventd".into());
            let copy = DeadLetter::read(copy, &ours());
            let is_copy = user == "eventd";
            assert_eq!((letter.is_proven, copy.is_proven), (is_copy, is_copy));
            assert_eq!(copy.properties.priority().is_some(), is_copy || !by_the_broker);
            assert_eq!(copy.reader.as_deref(), Some("reader"));
            let user = if is_copy { "admin" } else { "ada" };
            assert_eq!(copy.envelope.user_id.as_deref(), Some(user));
            let said = |letter: &DeadLetter| {
                let DeadLetter { envelope, grounds, code, attempts, since, queue, .. } = letter;
                let where_to = (envelope.exchange.clone(), envelope.routing_key.clone());
                let user = envelope.user_id.clone();
                let (code, queue) = (code.clone(), queue.clone());
                (where_to, user, *grounds, code, *attempts, *since, queue, letter.replays)
            };
            assert_eq!(said(&copy), said(&letter), "{user} {by_the_broker}");
            assert_eq!(copy.grounds == Grounds::Rejected, by_the_broker);
            assert_eq!(copy.code.is_none(), by_the_broker && !is_copy);
        }
    }

    #[test]
    fn what_the_broker_dead_lettered_is_there_for_its_reason_and_was_published_where_it_says() {
        for (reason, grounds) in [
            ("delivery_limit", Grounds::DeliveryLimit),
            ("expired", Grounds::Expired),
            ("maxlen", Grounds::QueueFull),
            ("rejected", Grounds::Rejected),
            ("another", Grounds::Unknown),
        ] {
            let death = table(&[
                ("reason", value(reason)),
                ("exchange", value("events")),
                ("routing-keys", AMQPValue::FieldArray(vec![value("url.unblock")].into())),
            ]);
            let deaths = AMQPValue::FieldArray(vec![AMQPValue::FieldTable(death)].into());
            let letter = read(&[("x-death", deaths)]);
            assert_eq!(letter.grounds, grounds, "{reason}");
            let Envelope { exchange, routing_key, .. } = letter.envelope;
            assert_eq!((exchange.as_str(), routing_key.as_str()), ("events", "url.unblock"));
        }
    }
}
