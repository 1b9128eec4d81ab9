//! What Prometheus sees: names and labels of metrics, and what counts as what.

mod family;
mod in_flight;
mod measured;
mod not_found;
mod operation;
mod process;
mod sample;
mod series;

use super::log;
use super::state::LaneState;
use crate::command::{Operation, Rule};
use crate::event::EventType;
use crate::verdict::{Conclusion, Disposition, Outcome};
use chrono::{DateTime, Utc};
use family::Families;
pub use in_flight::InFlight;
use measured::Measured;
use not_found::NotFound;
use prometheus::{
    Counter, GaugeVec, HistogramVec, IntCounterVec, IntGaugeVec, Registry, TextEncoder,
};
pub use sample::Sample;
use std::time::Duration;

/// The content type of [`Metrics::text`]; Prometheus refuses a scrape without it.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Seconds for work that takes from milliseconds to the longest time a delivery is held.
const WORK_SECONDS: &[f64] =
    &[0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 1800.0];

/// Seconds for the way from event to effect, which an outage stretches to hours.
const LAG_SECONDS: &[f64] = &[
    0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 1800.0, 3600.0, 7200.0, 14400.0,
    28800.0, 86400.0,
];

/// Every metric of the daemon, in a registry of its own. All series exist from the start.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    received: IntCounterVec,
    settled: IntCounterVec,
    dead_lettered: IntCounterVec,
    policy_decisions: IntCounterVec,
    guard_active: IntGaugeVec,
    in_flight: IntGaugeVec,
    processing: HistogramVec,
    event_to_effect: HistogramVec,
    commands: IntCounterVec,
    api_requests: IntCounterVec,
    api_request_time: HistogramVec,
    api_retries: IntCounterVec,
    api_throttled: Counter,
    quota_remaining: GaugeVec,
    lane_state: IntGaugeVec,
    amqp_connected: IntGaugeVec,
    amqp_connections: IntCounterVec,
    settle_lost: IntCounterVec,
    last_success: GaugeVec,
    not_found: NotFound,
    operation: operation::Operation,
    started: process::Started,
}

impl Metrics {
    /// Makes and registers every series. `revision` is the source revision the binary was built from.
    pub fn new(revision: &str) -> Metrics {
        let registry = Registry::new();
        let families = Families(registry.clone());
        let metrics = Metrics {
            received: families.counters(
                "eventd_messages_received_total",
                "Messages delivered by the broker.",
                &["event"],
            ),
            settled: families.counters(
                "eventd_messages_settled_total",
                "Messages settled, by what became of them.",
                &["event", "disposition"],
            ),
            dead_lettered: families.counters(
                "eventd_messages_dead_lettered_total",
                "Messages dead-lettered, by reason.",
                &["event", "reason"],
            ),
            policy_decisions: families.counters(
                "eventd_policy_decisions_total",
                "What a rule of the policy kept from being carried out, or believed.",
                &["rule"],
            ),
            guard_active: families.gauges(
                "eventd_guard_active",
                "1 while the lane is slowed down to policy.max_commands.",
                &["event"],
            ),
            in_flight: families.gauges(
                "eventd_messages_in_flight",
                "Messages delivered and not settled yet.",
                &["event"],
            ),
            processing: families.histograms(
                "eventd_message_processing_seconds",
                "Seconds from delivery to settlement.",
                &["event", "disposition"],
                WORK_SECONDS,
            ),
            event_to_effect: families.histograms(
                "eventd_event_to_effect_seconds",
                "Seconds from the time in the event to the confirmed effect; none for a time before 2000 or over 5 minutes ahead.",
                &["event"],
                LAG_SECONDS,
            ),
            commands: families.counters(
                "eventd_commands_total",
                "Commands concluded, by result.",
                &["operation", "result"],
            ),
            api_requests: families.counters(
                "eventd_api_requests_total",
                "Requests to the vendor, by outcome.",
                &["operation", "outcome"],
            ),
            api_request_time: families.histograms(
                "eventd_api_request_seconds",
                "Seconds that a request to the vendor took.",
                &["operation", "outcome"],
                WORK_SECONDS,
            ),
            api_retries: families.counters(
                "eventd_api_retries_total",
                "Requests sent again, by the outcome that was the cause.",
                &["operation", "outcome"],
            ),
            api_throttled: families.seconds_counter(
                "eventd_api_throttled_seconds_total",
                "Seconds spent waiting for the vendor's quota.",
            ),
            quota_remaining: families.real_gauges(
                "eventd_api_quota_remaining",
                "Calls left in the rate limit window of the operation, as Mimecast last said; NaN while unknown.",
                &["operation"],
            ),
            lane_state: families.gauges(
                "eventd_lane_state",
                "1 for the state that the lane is in.",
                &["event", "state"],
            ),
            amqp_connected: families.gauges(
                "eventd_amqp_connected",
                "1 while the lane is connected to the broker.",
                &["event"],
            ),
            amqp_connections: families.counters(
                "eventd_amqp_connections_total",
                "Connections that the lane made to the broker.",
                &["event"],
            ),
            settle_lost: families.counters(
                "eventd_settle_lost_total",
                "Settlements that did not reach the broker; the message comes again.",
                &["event"],
            ),
            last_success: families.real_gauges(
                "eventd_last_success_timestamp_seconds",
                "Unix time of the last message whose effect was confirmed; 0 if none.",
                &["event"],
            ),
            not_found: NotFound::new(&families),
            operation: operation::Operation::new(&families),
            started: process::Started::default(),
            registry,
        };
        for operation in Operation::ALL {
            metrics.quota_remaining(operation, None);
        }
        let build = families.gauges(
            "eventd_build_info",
            "1, with what was built from what.",
            &["version", "revision"],
        );
        build.with_label_values(&[env!("CARGO_PKG_VERSION"), revision]).set(1);
        process::register(&metrics.registry, &metrics.started);
        Measured::counter(
            &metrics.registry,
            "eventd_log_lines_dropped_total",
            "Log lines that were dropped because nobody read standard error.",
            || Some(log::dropped_lines() as f64),
        );
        metrics.touch_all();
        metrics
    }

    /// Everything in the text format 0.0.4.
    pub fn text(&self) -> String {
        TextEncoder::new()
            .encode_to_string(&self.registry.gather())
            .expect("registered metrics are valid and can be written to a string")
    }

    /// The process started at this time. Only the first call counts.
    pub fn process_started(&self, at: DateTime<Utc>) {
        self.started.get_or_init(|| at);
    }

    /// The broker delivered a message; it is in flight until the guard is dropped.
    pub fn received(&self, event: EventType) -> InFlight {
        self.received.with_label_values(&[event.name()]).inc();
        InFlight::of(self.in_flight.with_label_values(&[event.name()]))
    }

    /// The broker took the settlement of a message that was in work for `took`.
    pub fn settled(&self, event: EventType, disposition: &Disposition, took: Duration) {
        let labels = [event.name(), disposition.label()];
        self.settled.with_label_values(&labels).inc();
        self.processing.with_label_values(&labels).observe(took.as_secs_f64());
        if let Some(reason) = disposition.reason() {
            self.dead_lettered.with_label_values(&[event.name(), reason.label()]).inc();
        }
        if let Some(rule) = disposition.rule() {
            self.decided(rule);
        }
    }

    /// A rule of the policy kept something from being carried out, or from being believed.
    pub fn decided(&self, rule: Rule) {
        self.policy_decisions.with_label_values(&[rule.label()]).inc();
    }

    /// Whether the lane of `event` is slowed down to what the policy allows.
    pub fn limited(&self, event: EventType, limited: bool) {
        self.guard_active.with_label_values(&[event.name()]).set(limited.into());
    }

    /// The effect of an event was confirmed at `at` (Unix time in seconds), `lag` after it happened.
    pub fn succeeded(&self, event: EventType, at: f64, lag: Option<Duration>) {
        self.last_success.with_label_values(&[event.name()]).set(at);
        if let Some(lag) = lag {
            self.event_to_effect.with_label_values(&[event.name()]).observe(lag.as_secs_f64());
        }
    }

    /// One request came to `outcome`.
    pub fn attempted(&self, operation: Operation, outcome: &Outcome, took: Duration) {
        let labels = [operation.label(), outcome.label()];
        self.api_requests.with_label_values(&labels).inc();
        self.api_request_time.with_label_values(&labels).observe(took.as_secs_f64());
    }

    /// A request is sent again because of `outcome`.
    pub fn retried(&self, operation: Operation, outcome: &Outcome) {
        self.api_retries.with_label_values(&[operation.label(), outcome.label()]).inc();
    }

    /// A command was concluded at `at`; one that a stop ended has no result.
    pub fn concluded(&self, operation: Operation, conclusion: &Conclusion, at: DateTime<Utc>) {
        if let Some(result) = conclusion.result() {
            self.not_found.concluded(operation, result, at);
            self.commands.with_label_values(&[operation.label(), result.label()]).inc();
        }
    }

    /// A call waited for the vendor's quota.
    pub fn throttled(&self, waited: Duration) {
        self.api_throttled.inc_by(waited.as_secs_f64());
    }

    /// Mimecast said how many calls of the operation are left.
    pub fn quota_remaining(&self, operation: Operation, remaining: Option<u64>) {
        let gauge = self.quota_remaining.with_label_values(&[operation.label()]);
        gauge.set(remaining.map_or(f64::NAN, |remaining| remaining as f64));
    }

    /// A lane came into `state`.
    pub fn lane_entered(&self, event: EventType, state: LaneState) {
        for other in LaneState::ALL {
            let gauge = self.lane_state.with_label_values(&[event.name(), other.label()]);
            gauge.set(i64::from(other == state));
        }
    }

    /// The lane of `event` connected to the broker.
    pub fn connected(&self, event: EventType) {
        self.amqp_connections.with_label_values(&[event.name()]).inc();
        self.amqp_connected.with_label_values(&[event.name()]).set(1);
    }

    /// Its connection is gone.
    pub fn disconnected(&self, event: EventType) {
        self.amqp_connected.with_label_values(&[event.name()]).set(0);
    }

    /// A settlement of its messages did not reach the broker.
    pub fn settle_lost(&self, event: EventType) {
        self.settle_lost.with_label_values(&[event.name()]).inc();
    }
}
