//! Whether each lane does its work, for `/readyz` and the metric of lane states.

use super::metrics::Metrics;
use super::state::LaneState;
use crate::event::EventType;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};

/// The state of every enabled lane.
#[derive(Debug)]
pub struct Readiness {
    lanes: Mutex<BTreeMap<EventType, (LaneState, String)>>,
    blocked: Mutex<Option<String>>,
    metrics: Arc<Metrics>,
}

impl Readiness {
    /// All `lanes` disconnected, as they are before the first session.
    pub fn new(lanes: impl IntoIterator<Item = EventType>, metrics: Arc<Metrics>) -> Readiness {
        let readiness = Readiness { lanes: Mutex::default(), blocked: Mutex::default(), metrics };
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
    }

    /// The broker takes no messages, for the reason it gives; or takes them again.
    pub fn blocked(&self, reason: Option<&str>) {
        let mut blocked = self.blocked.lock().unwrap_or_else(PoisonError::into_inner);
        *blocked = reason.map(str::to_owned);
    }

    /// Every lane lost its consumer, for the reason `why`.
    pub fn disconnect_all(&self, why: &str) {
        let lanes: Vec<EventType> =
            self.lanes.lock().unwrap_or_else(PoisonError::into_inner).keys().copied().collect();
        for lane in lanes {
            self.enter(lane, LaneState::Disconnected, why);
        }
    }

    /// Whether every enabled lane is consuming, and what is the matter, line by line.
    pub fn report(&self) -> (bool, String) {
        let lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        let mut text = String::new();
        for (lane, (state, why)) in lanes.iter() {
            let separator = if why.is_empty() { "" } else { ": " };
            writeln!(text, "{} {}{separator}{why}", lane.name(), state.label())
                .expect("writing to a string cannot fail");
        }
        if let Some(reason) = &*self.blocked.lock().unwrap_or_else(PoisonError::into_inner) {
            writeln!(text, "the broker takes no messages: {reason}")
                .expect("writing to a string cannot fail");
        }
        (lanes.values().all(|(state, _)| *state == LaneState::Consuming), text)
    }
}
