//! Whether it is working right now, in facts: from the metrics, the readiness and what was settled lately.

mod board;
mod hour;
pub(super) mod page;

use super::audit::{AuditShown, Head};
use super::metrics::{Metrics, Sample};
use super::readiness::{LaneReport, Paused, Readiness};
use crate::command::Operation;
use crate::secrecy::steering;
pub use board::{Board, Settled};
use chrono::{DateTime, Utc};
use hour::MINUTES;
use serde::{Serialize, Serializer};
use std::time::Duration;

/// Whether it is working right now.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Status {
    /// When this was so.
    pub at: DateTime<Utc>,
    /// The version of the program.
    pub version: &'static str,
    /// The source revision that it was built from.
    pub revision: String,
    /// Whether every enabled lane consumes.
    pub ready: bool,
    /// Why the broker takes no messages, while it does not.
    pub broker_blocked: Option<String>,
    /// The enabled lanes.
    pub lanes: Vec<Lane>,
    /// Messages dead-lettered since the start, by event and reason.
    pub dead_letters: Vec<Count>,
    /// The daemon's own queues.
    pub queues: Vec<Queue>,
    /// Calls left in the rate limit window, by operation, where Mimecast has said so.
    pub quota_remaining: Vec<Count>,
    /// Seconds that calls waited for a quota since the start.
    pub throttled_seconds: f64,
    /// Requests to the vendor since the start, by operation and outcome.
    pub outcomes: Vec<Count>,
    /// What rules of the policy kept from being carried out since the start.
    pub policy_decisions: Vec<Count>,
    /// Whether the settings that were read last are in force.
    pub settings_current: bool,
    /// Where the audit trail is, if there is one.
    pub audit: Option<Trail>,
    /// The last messages, the newest first.
    pub recent: Vec<Recent>,
}

/// Where the audit trail is.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Trail {
    /// The chain's id.
    pub chain: String,
    /// Lines of the chain, over all its files.
    pub lines: u64,
    /// The seal of the last one.
    pub head: String,
    /// Why nothing can be written, while nothing can.
    pub failure: Option<String>,
}

/// A message that was settled lately.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Recent {
    /// When.
    pub at: DateTime<Utc>,
    /// What became of it.
    #[serde(flatten)]
    pub message: Settled,
}

/// A lane.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Lane {
    /// Its event.
    pub event: &'static str,
    /// What it does.
    pub state: &'static str,
    /// Since when.
    pub since: DateTime<Utc>,
    /// Why it does not consume; empty where it does.
    pub why: String,
    /// The id of the event that it has paused for first.
    pub paused_for_event: Option<String>,
    /// When it makes its next health call, or began with the one under way.
    pub next_health_call: Option<DateTime<Utc>>,
    /// When it tries its next message, or began with the one that is being tried.
    pub next_message: Option<DateTime<Utc>>,
    /// Messages that wait in its queue and in this process, where it is paused and that is known.
    pub waiting: Option<u64>,
    /// Whether a person has paused it.
    pub paused_by_hand: bool,
    /// Whether it is slowed down by the policy.
    pub slowed_down: bool,
    /// Commands since the last one that was applied which ended `not_found`.
    pub not_found_streak: u64,
    /// Seconds from the first of them to the last.
    pub not_found_streak_seconds: f64,
    /// Messages in work.
    pub in_flight: u64,
    /// Messages settled since the start, by disposition.
    pub settled: Vec<Count>,
    /// When an effect was confirmed last.
    pub last_success: Option<DateTime<Utc>>,
    /// The time from event to effect that half of them kept to in the last hour.
    #[serde(rename = "event_to_effect_p50_seconds", serialize_with = "seconds")]
    pub half: Option<Duration>,
    /// The time that nineteen of twenty kept to.
    #[serde(rename = "event_to_effect_p95_seconds", serialize_with = "seconds")]
    pub most: Option<Duration>,
    /// The same for each minute of the last hour, the oldest first.
    #[serde(rename = "event_to_effect_p95_seconds_by_minute", serialize_with = "each_in_seconds")]
    pub lags: Vec<Option<Duration>>,
    /// Messages settled in each minute of the last hour, the oldest first.
    pub throughput: Vec<u32>,
}

/// How often something happened.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Count {
    /// What.
    pub of: String,
    /// How often.
    pub count: u64,
}

/// A queue.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Queue {
    /// Its name.
    pub queue: String,
    /// What it is for.
    pub purpose: String,
    /// Messages ready in it, if that is known.
    pub messages: Option<u64>,
}

impl Lane {
    /// Whether the events of this lane name what Mimecast does not know: at least 20 commands over at least a day,
    /// as in the alert.
    pub(super) fn names_unknown_things(&self) -> bool {
        self.not_found_streak >= 20 && self.not_found_streak_seconds >= 86_400.0
    }
}

impl Status {
    /// As it is at `now`.
    pub fn of(
        metrics: &Metrics,
        readiness: &Readiness,
        board: &Board,
        audit: Option<AuditShown>,
        now: DateTime<Utc>,
    ) -> Status {
        let samples = metrics.samples();
        let all = |name: &'static str| samples.iter().filter(move |it| it.name == name);
        let (ready, _) = readiness.report();
        let lanes = readiness.reports().into_iter().map(|report| {
            let LaneReport { lane, state, paused, waiting, .. } = report;
            let Paused { why, event_id, tries_messages } = paused;
            let next = report.next_probe.map(|left| now + left);
            let event = lane.name();
            let of_lane = |name| all(name).filter(move |it: &&Sample| it.label("event") == event);
            let value = |name| of_lane(name).map(|it| it.value).next().unwrap_or_default();
            let operation = Operation::of(lane).label();
            let of_operation = |name| {
                let mut samples = all(name).filter(|it| it.label("operation") == operation);
                samples.next().map(|it| it.value).unwrap_or_default()
            };
            Lane {
                event,
                state: state.label(),
                since: now - report.for_so_long,
                why,
                paused_for_event: event_id,
                next_health_call: next.filter(|_| !tries_messages),
                next_message: next.filter(|_| tries_messages),
                waiting,
                paused_by_hand: value("eventd_lane_paused_by_hand") > 0.0,
                slowed_down: value("eventd_guard_active") > 0.0,
                not_found_streak: of_operation("eventd_commands_not_found_streak") as u64,
                not_found_streak_seconds: of_operation("eventd_commands_not_found_streak_seconds"),
                in_flight: value("eventd_messages_in_flight") as u64,
                settled: counts(of_lane("eventd_messages_settled_total"), &["disposition"]),
                last_success: time(value("eventd_last_success_timestamp_seconds")),
                half: board.quantile(lane, 0.5),
                most: board.quantile(lane, 0.95),
                lags: board.quantiles(lane, 0.95),
                throughput: board.throughput(lane),
            }
        });
        let lanes = lanes.collect();
        let only = |name| all(name).map(|it| it.value).next().unwrap_or_default();
        let build = all("eventd_build_info").next();
        Status {
            at: now,
            version: env!("CARGO_PKG_VERSION"),
            revision: build.map(|it| it.label("revision").to_owned()).unwrap_or_default(),
            ready,
            broker_blocked: readiness.broker_blocked(),
            lanes,
            dead_letters: counts(all("eventd_messages_dead_lettered_total"), &["event", "reason"]),
            queues: queues(&samples),
            quota_remaining: known(all("eventd_api_quota_remaining"), &["operation"]),
            throttled_seconds: only("eventd_api_throttled_seconds_total"),
            outcomes: counts(all("eventd_api_requests_total"), &["operation", "outcome"]),
            policy_decisions: counts(all("eventd_policy_decisions_total"), &["rule"]),
            settings_current: only("eventd_settings_last_reload_successful") > 0.0,
            audit: audit.map(|AuditShown { head, failure, .. }| {
                let Head { chain, lines, seal } = head;
                Trail { chain, lines, head: seal, failure }
            }),
            recent: recent(board, now),
        }
    }

    /// One line of JSON.
    pub fn json(&self) -> String {
        let json = serde_json::to_string(self).expect("a status has nothing that JSON has not");
        steering::escaped(&json).into_owned()
    }
}

fn recent(board: &Board, now: DateTime<Utc>) -> Vec<Recent> {
    let recent = board.recent().into_iter();
    recent.map(|(ago, message)| Recent { at: now - ago, message }).collect()
}

/// What has happened at all, by these labels.
fn counts<'a>(samples: impl Iterator<Item = &'a Sample>, labels: &[&str]) -> Vec<Count> {
    known(samples.filter(|it| it.value > 0.0), labels)
}

/// What has a value, by these labels.
fn known<'a>(samples: impl Iterator<Item = &'a Sample>, labels: &[&str]) -> Vec<Count> {
    let count = |it: &Sample| {
        let of: Vec<&str> = labels.iter().map(|label| it.label(label)).collect();
        Some(Count { of: of.join(" "), count: whole(it.value)? })
    };
    samples.filter_map(count).collect()
}

fn queues(samples: &[Sample]) -> Vec<Queue> {
    let info = samples.iter().filter(|it| it.name == "eventd_queue_info");
    let mut queues: Vec<Queue> = info
        .map(|it| {
            let queue = it.label("queue").to_owned();
            let depth = samples
                .iter()
                .find(|one| one.name == "eventd_queue_messages" && one.label("queue") == queue);
            let messages = depth.and_then(|it| whole(it.value));
            Queue { queue, purpose: it.label("purpose").to_owned(), messages }
        })
        .collect();
    queues.sort_by(|one, other| one.queue.cmp(&other.queue));
    queues
}

fn whole(value: f64) -> Option<u64> {
    (!value.is_nan()).then_some(value as u64)
}

/// Nothing has been confirmed at the beginning of the time.
fn time(seconds: f64) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp_micros((seconds * 1e6) as i64).filter(|_| seconds > 0.0)
}

fn seconds<S: Serializer>(lag: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    lag.map(|lag| lag.as_secs_f64()).serialize(serializer)
}

fn each_in_seconds<S: Serializer>(
    lags: &[Option<Duration>],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(lags.iter().map(|lag| lag.map(|lag| lag.as_secs_f64())))
}

#[cfg(test)]
mod tests {
    use super::board::tests::settled;
    use super::*;
    use crate::event::EventType;
    use std::sync::Arc;

    #[tokio::test(start_paused = true)]
    async fn it_says_what_is_in_work_how_late_effects_were_and_when_each_message_was_settled() {
        let (url, metrics) = (EventType::UrlUnblock, Arc::new(Metrics::new("test")));
        let readiness = Readiness::new(EventType::ALL, Arc::clone(&metrics));
        let (board, now) = (Board::new(), DateTime::UNIX_EPOCH);
        let status = || Status::of(&metrics, &readiness, &board, None, now);
        let in_flight = || status().lanes.iter().map(|lane| lane.in_flight).collect::<Vec<_>>();
        let held = metrics.received(url);
        assert_eq!(in_flight(), [0, 1]);
        drop(held);
        assert_eq!(in_flight(), [0, 0]);
        // One of ten comes late.
        for lag in [1, 1, 1, 1, 1, 1, 1, 1, 1, 1000] {
            board.settled(url, settled(), Some(Duration::from_secs(lag)));
        }
        let lane = status().lanes.pop().unwrap();
        assert!(lane.half.is_some_and(|it| it.as_secs() < 2), "{lane:?}");
        assert!(lane.most.is_some_and(|it| it.as_secs() > 900), "{lane:?}");
        tokio::time::advance(Duration::from_secs(90)).await;
        board.settled(url, settled(), None);
        let ago: Vec<i64> = status().recent.iter().map(|it| (now - it.at).num_seconds()).collect();
        assert_eq!(ago[..2], [0, 90]);
    }
}
