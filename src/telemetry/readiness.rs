//! Whether each lane does its work, for `/readyz` and the metric of lane states.

use super::metrics::Metrics;
use super::state::LaneState;
use crate::event::EventType;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Notify;

/// The state of every enabled lane.
#[derive(Debug)]
pub struct Readiness {
    lanes: Mutex<BTreeMap<EventType, (LaneState, String)>>,
    blocked: Mutex<BTreeMap<EventType, String>>,
    changed: Notify,
    metrics: Arc<Metrics>,
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
        self.metrics.lane_entered(lane, state);
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        lanes.insert(lane, (state, why.to_owned()));
        self.changed.notify_one();
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
        let lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        lanes.get(&lane).map(|(state, why)| said(*state, why))
    }

    /// What every lane does, and why.
    pub fn lanes(&self) -> Vec<(EventType, LaneState, String)> {
        let lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        lanes.iter().map(|(lane, (state, why))| (*lane, *state, why.clone())).collect()
    }

    /// Why the broker takes no messages, while it does not: it says so of each connection, and is one broker.
    pub fn broker_blocked(&self) -> Option<String> {
        let blocked = self.blocked.lock().unwrap_or_else(PoisonError::into_inner);
        blocked.values().next().cloned()
    }

    /// Whether every enabled lane is consuming, and what is the matter, line by line.
    pub fn report(&self) -> (bool, String) {
        let lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        let mut text = String::new();
        for (lane, (state, why)) in lanes.iter() {
            writeln!(text, "{} {}", lane.name(), said(*state, why))
                .expect("writing to a string cannot fail");
        }
        if let Some(reason) = self.broker_blocked() {
            writeln!(text, "the broker takes no messages: {reason}")
                .expect("writing to a string cannot fail");
        }
        (lanes.values().all(|(state, _)| *state == LaneState::Consuming), text)
    }
}

fn said(state: LaneState, why: &str) -> String {
    let separator = if why.is_empty() { "" } else { ": " };
    format!("{}{separator}{why}", state.label())
}
