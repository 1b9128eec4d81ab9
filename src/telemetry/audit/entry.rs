//! What the audit trail says of a settled message: who it was about, in clear, and all that was done for it.

use super::mark::json;
use crate::command::Command;
use crate::event::{Data, Entries, Envelope, Event, Group, TraceId};
use crate::verdict::{CommandResult, Disposition, Execution, History, Reason};
use chrono::{DateTime, Utc};
use serde::Serialize;
use std::time::Duration;
use uuid::Uuid;

/// Requests in one line, at most: of those for each command the first one and the last ones.
const MOST_REQUESTS: usize = 1000;

/// Bytes of commands in one line, at most. An event that comes to more has several lines.
const MOST_OF_COMMANDS: usize = 384 * 1024;

/// Bytes of a word of the event, at most; its body has 256 KiB, and its headers may have more.
const LONGEST_OF_EVENT: usize = 1024;

/// Bytes of a word of Mimecast, at most: nobody knows how long it is.
const LONGEST_OF_MIMECAST: usize = 128;

/// What a line about a message says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::telemetry) enum Kind {
    /// Mimecast is about to be asked for a change.
    Asked,
    /// The message is about to be settled.
    Settled,
    /// The daemon lost the message after a change was asked for.
    Interrupted,
}

/// The message that a line is about.
#[derive(Clone, Copy, Debug)]
pub(in crate::telemetry) struct About<'a> {
    /// The name of its lane's events.
    pub lane: &'a str,
    pub envelope: &'a Envelope,
    /// The SHA-256 of its body.
    pub body_sha256: &'a str,
    /// What it holds, if that could be read.
    pub event: Option<&'a Event>,
    pub trace: Option<&'a TraceId>,
    /// The same in all lines of one delivery.
    pub delivery: Uuid,
}

/// What is said of a message.
#[derive(Serialize)]
pub(in crate::telemetry) struct Settled<'a> {
    kind: Kind,
    delivery: String,
    event: &'a str,
    event_id: Option<&'a str>,
    source: Option<&'a str>,
    /// The user of the broker who published it, as far as the broker has checked that.
    user: Option<&'a str>,
    /// The address, domain or URL that it is about.
    subject: Option<String>,
    /// All that the event names; not in a line that is written ahead, of which an event has one for each command.
    #[serde(skip_serializing_if = "Option::is_none")]
    groups: Option<Vec<&'a str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    entries: Option<Vec<&'a str>>,
    /// Which of several lines this is, where one would be too long; and how many there are.
    #[serde(skip_serializing_if = "Option::is_none")]
    part: Option<[usize; 2]>,
    time: Option<DateTime<Utc>>,
    effective_at: Option<DateTime<Utc>>,
    trace_id: Option<String>,
    message_id: Option<&'a str>,
    body_sha256: &'a str,
    commands: Vec<Carried<'a>>,
    attempts: u32,
    first_failed_at: Option<DateTime<Utc>>,
    replays: u32,
    /// Whether it was delivered before: then an earlier delivery may have done what is gone already.
    repeated: bool,
    /// Nothing where the daemon was interrupted before that was decided, or before it could do it.
    disposition: Option<&'static str>,
    reason: Option<&'static str>,
    code: Option<&'a str>,
    detail: Option<&'a str>,
    /// The best result of its commands, as far as one has one.
    result: Option<CommandResult>,
    duration_ms: u64,
    version: &'static str,
}

/// A command as it was carried out.
#[derive(Serialize)]
struct Carried<'a> {
    operation: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    group_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    member: Option<&'a str>,
    /// How Mimecast spells the member, where it was removed by another spelling than the canonical one.
    #[serde(skip_serializing_if = "Option::is_none")]
    listed_as: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    entry_id: Option<&'a str>,
    result: Option<CommandResult>,
    seen_gone_at: Option<DateTime<Utc>>,
    requests: Vec<Asked<'a>>,
    /// How many there were, where they are not all there.
    #[serde(skip_serializing_if = "Option::is_none")]
    requests_in_all: Option<usize>,
}

/// A request of a command.
#[derive(Serialize)]
struct Asked<'a> {
    at: DateTime<Utc>,
    id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    vendor_id: Option<&'a str>,
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'a str>,
}

/// Whether a line is needed: for what ends a message or sends it another way, and else where Mimecast was asked for a
/// change on the way. To be parked or given back is no news.
pub(in crate::telemetry) fn is_needed(disposition: &Disposition, history: &History) -> bool {
    match disposition {
        Disposition::Ack
        | Disposition::Retry(..)
        | Disposition::Defer(..)
        | Disposition::DeadLetter(..)
        | Disposition::PassOver(_) => true,
        Disposition::Wait(..)
        | Disposition::Park(_)
        | Disposition::Requeue(_)
        | Disposition::Return => history.has_asked(),
    }
}

impl<'a> Settled<'a> {
    /// A line of this kind.
    pub(in crate::telemetry) fn of(
        kind: Kind,
        About { lane, envelope, body_sha256, event, trace, delivery }: About<'a>,
        (disposition, history): (Option<&'a Disposition>, &'a History),
        took: Duration,
    ) -> Settled<'a> {
        let named = || event.map(|event| asked(&event.data)).unwrap_or_default();
        let (groups, entries) = match kind {
            Kind::Asked => (None, None),
            Kind::Settled | Kind::Interrupted => {
                let (groups, entries) = named();
                (Some(groups), Some(entries))
            }
        };
        let fault = disposition.and_then(Disposition::fault);
        // Two for each command are worth more than a hundred for one.
        let most = MOST_REQUESTS / history.executions.len().max(1);
        let cut = |text: &'a str| cut(text, LONGEST_OF_EVENT);
        Settled {
            kind,
            delivery: delivery.to_string(),
            event: lane,
            event_id: event.and_then(|it| it.id.as_deref()).map(cut),
            source: event.and_then(|it| it.source.as_deref()).map(cut),
            user: envelope.user_id.as_deref().map(cut),
            subject: event.and_then(|it| subject(&it.data)),
            groups,
            entries,
            part: None,
            time: event.and_then(|it| it.time),
            effective_at: event.and_then(|it| it.due.as_ref()).map(|due| due.at),
            trace_id: trace.map(ToString::to_string),
            message_id: envelope.message_id.as_deref().map(cut),
            body_sha256,
            commands: history.executions.iter().map(|it| Carried::of(it, most)).collect(),
            attempts: history.attempts,
            first_failed_at: history.first_failed_at,
            replays: history.replays,
            repeated: history.repeated,
            disposition: disposition.map(Disposition::label),
            reason: disposition.and_then(Disposition::reason).map(Reason::label),
            code: fault.map(|fault| fault.code.as_str()),
            detail: fault.map(|fault| fault.detail.as_str()),
            result: history.result,
            duration_ms: took.as_millis() as u64,
            version: env!("CARGO_PKG_VERSION"),
        }
    }
}

impl<'a> Settled<'a> {
    /// As the trail takes it: one line, or several where the commands of one would be too long.
    pub(in crate::telemetry) fn lines(mut self) -> Vec<String> {
        let (mut parts, mut size) = (vec![Vec::new()], 0);
        for command in std::mem::take(&mut self.commands) {
            size += json(&command).len();
            if size > MOST_OF_COMMANDS {
                size = 0;
                parts.push(Vec::new());
            }
            parts.last_mut().expect("there is one from the start").push(command);
        }
        let count = parts.len();
        let line = |(number, commands): (usize, Vec<Carried<'a>>)| {
            self.part = (count > 1).then_some([number, count]);
            self.commands = commands;
            json(&self)
        };
        (1..).zip(parts).map(line).collect()
    }
}

impl Carried<'_> {
    fn of(execution: &Execution, most: usize) -> Carried<'_> {
        let (group_id, member, listed_as, entry_id) = match &execution.command {
            Command::RemoveGroupMember { group_id, member, listed_as } => (
                Some(group_id.as_str()),
                Some(member.as_str()),
                listed_as.as_deref().map(|it| cut(it, LONGEST_OF_MIMECAST)),
                None,
            ),
            Command::DeleteManagedUrl { id } => (None, None, None, Some(id.as_str())),
        };
        let requests = &execution.requests;
        let last = requests.len().saturating_sub(most.max(2) - 1).max(1);
        let kept = requests.iter().take(1).chain(requests.iter().skip(last));
        let kept = kept.map(|request| Asked {
            at: request.at,
            id: request.id.to_string(),
            vendor_id: request.vendor_id.as_deref().map(|it| cut(it, LONGEST_OF_MIMECAST)),
            outcome: request.outcome,
            code: request.code.as_deref(),
        });
        Carried {
            operation: execution.command.operation().label(),
            group_id,
            member,
            listed_as,
            entry_id,
            result: execution.result,
            seen_gone_at: execution.seen_gone_at,
            requests: kept.collect(),
            requests_in_all: (execution.sent > most.max(2).min(requests.len()))
                .then_some(execution.sent),
        }
    }
}

/// The beginning of `text`, of at most so many bytes.
fn cut(text: &str, most: usize) -> &str {
    &text[..text.floor_char_boundary(most)]
}

/// Whom or what an event is about, in clear.
pub fn subject(data: &Data) -> Option<String> {
    match data {
        Data::UserOffboarded { member, .. } => Some(member.as_str().to_owned()),
        Data::UrlUnblock { entries: Entries::Url(url) } => Some(url.to_string()),
        Data::UrlUnblock { entries: Entries::Ids(_) } => None,
    }
}

/// The groups and the entries that an event names.
fn asked(data: &Data) -> (Vec<&str>, Vec<&str>) {
    match data {
        Data::UserOffboarded { groups, .. } => {
            let groups = groups.iter().flatten().map(|group| match group {
                Group::Id(name) | Group::Name(name, _) => name.as_str(),
            });
            (groups.collect(), Vec::new())
        }
        Data::UrlUnblock { entries: Entries::Ids(ids) } => {
            (Vec::new(), ids.iter().map(String::as_str).collect())
        }
        Data::UrlUnblock { entries: Entries::Url(_) } => (Vec::new(), Vec::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{EventType, Reading};
    use crate::verdict::Request;
    use crate::verdict::{Conclusion, Fault, Hop, Rung};
    use serde_json::{Value, json};

    fn about<'a>(lane: EventType, envelope: &'a Envelope, event: &'a Event) -> About<'a> {
        let (delivery, body_sha256) = (Uuid::from_u128(1), "of the body");
        About {
            lane: lane.name(),
            envelope,
            body_sha256,
            event: Some(event),
            trace: None,
            delivery,
        }
    }

    #[test]
    fn a_line_is_needed_where_a_message_ends_or_goes_another_way_or_a_change_was_asked_for() {
        let fault = || Fault::new("code", "detail");
        let (hop, rung) = (Hop::ALL[0], Rung { number: 1, delay: Duration::from_secs(10) });
        let mut done = History::default();
        done.begin(&Command::DeleteManagedUrl { id: "one".into() });
        done.keep(Request::sent(DateTime::UNIX_EPOCH, Uuid::from_u128(1)));
        done.conclude(Conclusion::Applied);
        for (disposition, expected) in [
            (Disposition::Ack, true),
            (Disposition::Retry(rung, fault()), true),
            (Disposition::Defer(hop, fault()), true),
            (Disposition::DeadLetter(Reason::Malformed, fault()), true),
            (Disposition::PassOver(fault()), true),
            (Disposition::Wait(hop, fault()), false),
            (Disposition::Park(fault()), false),
            (Disposition::Requeue(fault()), false),
            (Disposition::Return, false),
        ] {
            assert_eq!(is_needed(&disposition, &History::default()), expected, "{disposition:?}");
            assert!(is_needed(&disposition, &done), "{disposition:?}");
        }
    }

    #[test]
    fn a_line_says_what_an_event_is_about_and_when_it_was_to_take_effect() {
        let said = |lane: EventType, data: &Value| -> Value {
            let (body, routing_key) = (data.to_string().into(), lane.name().into());
            let envelope = Envelope { body, routing_key, ..Envelope::default() };
            let event = Event::parse(&envelope, lane, &Reading::default()).unwrap();
            let about = about(lane, &envelope, &event);
            let came_to = (Some(&Disposition::Ack), &History::default());
            let lines = Settled::of(Kind::Settled, about, came_to, Duration::ZERO).lines();
            serde_json::from_str(&lines[0]).unwrap()
        };
        let (user, url, none) = (EventType::UserOffboarded, EventType::UrlUnblock, Value::Null);
        for (lane, data, subject, entries, effective_at) in [
            (
                user,
                json!({"emailAddress": "Ada@example.com", "effectiveAt": "2026-11-30T18:00:00+01:00"}),
                json!("ada@example.com"),
                json!([]),
                json!("2026-11-30T17:00:00Z"),
            ),
            (
                url,
                json!({"url": "https://EXAMPLE.com/a"}),
                json!("https://example.com/a"),
                json!([]),
                none.clone(),
            ),
            (url, json!({"ids": ["one", "two"]}), none.clone(), json!(["one", "two"]), none),
        ] {
            let line = said(lane, &data);
            let told = [&line["subject"], &line["entries"], &line["effective_at"]];
            assert_eq!(told, [&subject, &entries, &effective_at], "{line}");
        }
    }

    #[test]
    fn no_line_is_longer_than_a_mebibyte_and_none_of_its_commands_is_missing() {
        let (member, long) = (format!("{}@example.com", "a".repeat(300)), "\"".repeat(100_000));
        let groups: Vec<String> = (0..1000).map(|it| format!("{it:0>240}")).collect();
        let body = json!({"emailAddress": member, "groupIds": groups}).to_string();
        let lane = EventType::UserOffboarded;
        let mut envelope =
            Envelope { body: body.into(), routing_key: lane.name().into(), ..Envelope::default() };
        envelope.message_id = Some(long.clone());
        let event = Event::parse(&envelope, lane, &Reading::default()).unwrap();
        let Data::UserOffboarded { member, .. } = &event.data else { panic!("{event:?}") };
        let mut history = History::default();
        for (number, group) in groups.iter().enumerate() {
            history.begin(&Command::remove(group, member));
            for attempt in 0..150 {
                let id = Uuid::from_u128((number * 1000 + attempt) as u128);
                let sent = Request::sent(DateTime::UNIX_EPOCH, id);
                history.keep(sent.clone());
                history.keep(Request { vendor_id: Some(long.clone()), outcome: "applied", ..sent });
            }
            history.conclude(Conclusion::Applied);
        }
        let came_to = (Some(&Disposition::Ack), &history);
        let about = about(lane, &envelope, &event);
        let lines = Settled::of(Kind::Settled, about, came_to, Duration::ZERO).lines();
        assert!(lines.len() > 1 && lines.iter().all(|line| line.len() < (1 << 20) - 1024));
        let lines: Vec<Value> = lines.iter().map(|it| serde_json::from_str(it).unwrap()).collect();
        assert_eq!(lines[1]["part"], json!([2, lines.len()]));
        let commands = lines.iter().flat_map(|line| line["commands"].as_array().unwrap());
        let commands: Vec<&Value> = commands.collect();
        assert_eq!(commands.len(), 1000);
        for (number, command) in commands.iter().enumerate() {
            assert_eq!(
                (&command["group_id"], &command["requests_in_all"]),
                (&json!(groups[number]), &json!(150))
            );
            let ids: Vec<&Value> =
                command["requests"].as_array().unwrap().iter().map(|it| &it["id"]).collect();
            let expected =
                [0, 149].map(|it| json!(Uuid::from_u128((number * 1000 + it) as u128).to_string()));
            assert_eq!(ids, [&expected[0], &expected[1]]);
        }
    }

    #[test]
    fn a_word_of_the_event_and_one_of_mimecast_are_cut_at_their_bounds() {
        let lane = EventType::UserOffboarded;
        let said = |bytes: usize| {
            let body = json!({"emailAddress": "ada@example.com", "groupIds": ["a"]}).to_string();
            let envelope = Envelope {
                body: body.into(),
                routing_key: lane.name().into(),
                message_id: Some("m".repeat(bytes)),
                ..Envelope::default()
            };
            let event = Event::parse(&envelope, lane, &Reading::default()).unwrap();
            let Data::UserOffboarded { member, .. } = &event.data else { panic!("{event:?}") };
            let mut history = History::default();
            history.begin(&Command::remove("a", member));
            let sent = Request::sent(DateTime::UNIX_EPOCH, Uuid::nil());
            history.keep(Request { vendor_id: Some("v".repeat(bytes)), ..sent });
            history.conclude(Conclusion::Applied);
            let came_to = (Some(&Disposition::Ack), &history);
            let about = about(lane, &envelope, &event);
            let lines = Settled::of(Kind::Settled, about, came_to, Duration::ZERO).lines();
            let line: Value = serde_json::from_str(&lines[0]).unwrap();
            let bytes = |text: &Value| text.as_str().unwrap().len();
            (bytes(&line["message_id"]), bytes(&line["commands"][0]["requests"][0]["vendor_id"]))
        };
        assert_eq!(said(LONGEST_OF_MIMECAST), (LONGEST_OF_MIMECAST, LONGEST_OF_MIMECAST));
        assert_eq!(said(LONGEST_OF_EVENT), (LONGEST_OF_EVENT, LONGEST_OF_MIMECAST));
        assert_eq!(said(LONGEST_OF_EVENT + 1), (LONGEST_OF_EVENT, LONGEST_OF_MIMECAST));
    }
}
