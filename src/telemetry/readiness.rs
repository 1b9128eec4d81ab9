//! Whether each lane does its work, for `/readyz` and the metric of lane states.

use super::metrics::Metrics;
use super::state::LaneState;
use crate::event::EventType;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;

/// The state of every enabled lane.
#[derive(Debug)]
pub struct Readiness {
    lanes: Mutex<BTreeMap<EventType, Entered>>,
    blocked: Mutex<BTreeMap<EventType, String>>,
    changed: Notify,
    metrics: Arc<Metrics>,
}

/// The state that a lane is in.
#[derive(Clone, Debug)]
struct Entered {
    state: LaneState,
    since: Instant,
    paused: Paused,
    next_probe: Option<Instant>,
}

/// Why a lane does not consume.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Paused {
    /// Why; empty where it does consume.
    pub why: String,
    /// The id of the event that it paused for first.
    pub event_id: Option<String>,
    /// Whether it tries messages, rather than makes health calls.
    pub tries_messages: bool,
}

/// What a lane does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LaneReport {
    /// The lane.
    pub lane: EventType,
    /// Its state.
    pub state: LaneState,
    /// How long it has been in this state.
    pub for_so_long: Duration,
    /// Why it does not consume.
    pub paused: Paused,
    /// The time until the next health call, or the next try with a message.
    pub next_probe: Option<Duration>,
    /// Messages that wait in its queue and in this process, where the lane is paused and that is known.
    pub waiting: Option<u64>,
}

impl Readiness {
    /// All `lanes` disconnected, as they are before the first session.
    pub fn new(lanes: impl IntoIterator<Item = EventType>, metrics: Arc<Metrics>) -> Readiness {
        let (states, blocked, changed) = (Mutex::default(), Mutex::default(), Notify::new());
        let readiness = Readiness { lanes: states, blocked, changed, metrics };
        for lane in lanes {
            readiness.enter(lane, LaneState::Disconnected, "not connected yet");
        }
        readiness
    }

    /// A lane came into `state`, for the reason `why`.
    pub fn enter(&self, lane: EventType, state: LaneState, why: &str) {
        if state == LaneState::Paused {
            // By a person: whatever the lane has paused itself for is over.
            self.lanes().remove(&lane);
        }
        self.enter_as(lane, state, Paused { why: why.to_owned(), ..Paused::default() });
    }

    /// A lane has paused itself, or the cause of its pause has changed. The event that it paused for first stays.
    pub fn pause(&self, lane: EventType, paused: Paused) {
        self.enter_as(lane, LaneState::Paused, paused);
    }

    fn enter_as(&self, lane: EventType, state: LaneState, mut paused: Paused) {
        self.metrics.lane_entered(lane, state);
        let mut lanes = self.lanes();
        let before = lanes.get(&lane).filter(|before| before.state == state);
        let since = before.map_or_else(Instant::now, |before| before.since);
        let first_event = before.and_then(|before| before.paused.event_id.clone());
        paused.event_id = first_event.or(paused.event_id);
        let next_probe = before.and_then(|before| before.next_probe);
        lanes.insert(lane, Entered { state, since, paused, next_probe });
        drop(lanes);
        self.changed.notify_one();
    }

    /// When a paused lane makes its next health call, or tries its next message.
    pub fn next_probe(&self, lane: EventType, at: Instant) {
        if let Some(entered) = self.lanes().get_mut(&lane) {
            entered.next_probe = Some(at);
        }
    }

    /// The broker takes no messages of a lane, for the reason it gives; or takes them again.
    pub fn blocked(&self, lane: EventType, reason: Option<&str>) {
        let mut blocked = self.blocked.lock().unwrap_or_else(PoisonError::into_inner);
        match reason {
            Some(reason) => blocked.insert(lane, reason.to_owned()),
            None => blocked.remove(&lane),
        };
        self.changed.notify_one();
    }

    /// Comes when something of the report is another than the last time that this came. One may wait for it.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }

    /// What a lane does, and why.
    pub fn of(&self, lane: EventType) -> Option<String> {
        let report = self.reports().into_iter().find(|report| report.lane == lane);
        report.map(|report| report.said())
    }

    /// What every lane does, and why.
    pub fn reports(&self) -> Vec<LaneReport> {
        let lanes = self.lanes().clone();
        let report = |(lane, entered): (EventType, Entered)| {
            let Entered { state, since, paused, next_probe } = entered;
            let is_paused = state == LaneState::Paused;
            LaneReport {
                lane,
                state,
                for_so_long: since.elapsed(),
                paused,
                next_probe: next_probe
                    .filter(|_| is_paused)
                    .map(|at| at.saturating_duration_since(Instant::now())),
                waiting: is_paused.then(|| self.metrics.waiting(lane)).flatten(),
            }
        };
        lanes.into_iter().map(report).collect()
    }

    /// Why the broker takes no messages, while it does not: it says so of each connection, and is one broker.
    pub fn broker_blocked(&self) -> Option<String> {
        let blocked = self.blocked.lock().unwrap_or_else(PoisonError::into_inner);
        blocked.values().next().cloned()
    }

    /// Whether every enabled lane is consuming, and what is the matter, line by line.
    pub fn report(&self) -> (bool, String) {
        let reports = self.reports();
        let mut text = String::new();
        for report in &reports {
            writeln!(text, "{} {}", report.lane.name(), report.said())
                .expect("writing to a string cannot fail");
        }
        if let Some(reason) = self.broker_blocked() {
            writeln!(text, "the broker takes no messages: {reason}")
                .expect("writing to a string cannot fail");
        }
        (reports.iter().all(|report| report.state == LaneState::Consuming), text)
    }

    fn lanes(&self) -> MutexGuard<'_, BTreeMap<EventType, Entered>> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LaneReport {
    /// In words, such as `paused for 12s: http_503: HTTP 503 without a code, first for event e-1; next health call in
    /// 5s; 3 waiting`.
    fn said(&self) -> String {
        let Paused { why, event_id, tries_messages } = &self.paused;
        let mut text = self.state.label().to_owned();
        let mut add = |part: std::fmt::Arguments<'_>| {
            text.write_fmt(part).expect("writing to a string cannot fail");
        };
        if self.state == LaneState::Paused {
            add(format_args!(" for {}", in_seconds(self.for_so_long)));
        }
        if !why.is_empty() {
            add(format_args!(": {why}"));
        }
        if let Some(event_id) = event_id {
            add(format_args!(", first for event {event_id}"));
        }
        if let Some(next_probe) = self.next_probe {
            let (what, now) = match tries_messages {
                true => ("message is tried", "a message is being tried"),
                false => ("health call", "a health call is under way"),
            };
            match next_probe.is_zero() {
                true => add(format_args!("; {now}")),
                false => add(format_args!("; next {what} in {}", in_seconds(next_probe))),
            }
        }
        if let Some(waiting) = self.waiting {
            add(format_args!("; {waiting} waiting"));
        }
        text
    }
}

fn in_seconds(duration: Duration) -> humantime::FormattedDuration {
    humantime::format_duration(Duration::from_secs(duration.as_secs()))
}
