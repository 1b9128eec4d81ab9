//! What people on call do to the daemon, and what it sees of its queues for them.

use super::Metrics;
use super::family::Families;
use crate::event::EventType;
use crate::telemetry::{Purpose, QueueLabels};
use prometheus::{GaugeVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The series of it.
#[derive(Debug)]
pub(super) struct Operation {
    paused_by_hand: IntGaugeVec,
    reloads: IntCounterVec,
    last_reload: IntGauge,
    queue_info: IntGaugeVec,
    queue_messages: GaugeVec,
    /// The queues of the lanes.
    lane_queues: Mutex<BTreeMap<EventType, String>>,
    audit_lines: IntGauge,
    audit_failures: IntCounter,
}

impl Operation {
    fn lane_queues(&self) -> MutexGuard<'_, BTreeMap<EventType, String>> {
        self.lane_queues.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn new(families: &Families) -> Operation {
        let made = Operation {
            paused_by_hand: families.gauges(
                "eventd_lane_paused_by_hand",
                "1 while a person has paused the lane of this process.",
                &["event"],
            ),
            reloads: families.counters(
                "eventd_settings_reloads_total",
                "Times that the settings were read once more, by what came of it.",
                &["result"],
            ),
            last_reload: families.gauge(
                "eventd_settings_last_reload_successful",
                "0 while the last settings that were read were refused, and older ones are in force.",
            ),
            queue_info: families.gauges(
                "eventd_queue_info",
                "1, with what the queue is for: lane, delay or dead_letter.",
                &["queue", "event", "purpose"],
            ),
            queue_messages: families.real_gauges(
                "eventd_queue_messages",
                "Messages ready in the queue, as a look every ten seconds says; NaN while unknown.",
                &["queue"],
            ),
            lane_queues: Mutex::default(),
            audit_lines: families.gauge(
                "eventd_audit_lines",
                "Lines of the audit trail's chain, over all its files; 0 without one.",
            ),
            audit_failures: families.counter(
                "eventd_audit_failures_total",
                "Times that the audit trail could not be written.",
            ),
        };
        made.last_reload.set(1);
        for event in EventType::ALL {
            made.paused_by_hand.with_label_values(&[event.name()]);
        }
        for result in ["applied", "refused"] {
            made.reloads.with_label_values(&[result]);
        }
        made
    }
}

impl Metrics {
    /// A person has paused a lane, or set it going again.
    pub fn paused_by_hand(&self, event: EventType, paused: bool) {
        self.operation.paused_by_hand.with_label_values(&[event.name()]).set(paused.into());
    }

    /// The settings were read once more, and taken over or refused.
    pub fn reloaded(&self, applied: bool) {
        let result = if applied { "applied" } else { "refused" };
        self.operation.reloads.with_label_values(&[result]).inc();
        self.operation.last_reload.set(applied.into());
    }

    /// The audit trail has so many lines now; or more were to come and could not be written.
    pub fn audited(&self, lines: u64, failed: bool) {
        self.operation.audit_lines.set(i64::try_from(lines).unwrap_or(i64::MAX));
        self.operation.audit_failures.inc_by(failed.into());
    }

    /// There is this queue.
    pub fn queue(&self, QueueLabels { queue, event, purpose }: &QueueLabels) {
        if let Some(lane) = event.filter(|_| *purpose == Purpose::Lane) {
            self.operation.lane_queues().insert(lane, queue.clone());
        }
        let event = event.map_or("", EventType::name);
        self.operation.queue_info.with_label_values(&[queue, event, purpose.label()]).set(1);
    }

    /// Messages that wait in the queue of a lane and in this process, if that is known.
    pub fn waiting(&self, lane: EventType) -> Option<u64> {
        let queue = self.operation.lane_queues().get(&lane).cloned()?;
        let ready = self.operation.queue_messages.with_label_values(&[queue]).get();
        let held = u64::try_from(self.in_flight.with_label_values(&[lane.name()]).get());
        (!ready.is_nan()).then(|| ready as u64 + held.unwrap_or_default())
    }

    /// So many messages are ready in a queue, if that is known. Returns how many there were, if that was known.
    pub fn queue_messages(&self, queue: &str, messages: Option<u32>) -> Option<u64> {
        let gauge = self.operation.queue_messages.with_label_values(&[queue]);
        let before = gauge.get();
        gauge.set(messages.map_or(f64::NAN, f64::from));
        (!before.is_nan()).then_some(before as u64)
    }
}
