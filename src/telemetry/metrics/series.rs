//! Every series, there from the start: what was never counted is 0 and not missing.

use super::Metrics;
use crate::command::{Operation, Rule};
use crate::event::EventType;
use crate::telemetry::LaneState;
use crate::verdict::{CommandResult, Disposition, Outcome, Reason};

impl Metrics {
    pub(super) fn touch_all(&self) {
        for event in EventType::ALL {
            let name = event.name();
            self.received.with_label_values(&[name]);
            self.guard_active.with_label_values(&[name]);
            self.in_flight.with_label_values(&[name]);
            self.event_to_effect.with_label_values(&[name]);
            self.last_success.with_label_values(&[name]);
            self.amqp_connected.with_label_values(&[name]);
            self.amqp_connections.with_label_values(&[name]);
            self.settle_lost.with_label_values(&[name]);
            for disposition in Disposition::LABELS {
                self.settled.with_label_values(&[name, disposition]);
                self.processing.with_label_values(&[name, disposition]);
            }
            for reason in Reason::ALL {
                self.dead_lettered.with_label_values(&[name, reason.label()]);
            }
            for state in LaneState::ALL {
                self.lane_state.with_label_values(&[name, state.label()]);
            }
        }
        for rule in Rule::ALL {
            self.policy_decisions.with_label_values(&[rule.label()]);
        }
        for operation in Operation::ALL {
            for outcome in Outcome::LABELS {
                let labels = [operation.label(), outcome];
                self.api_requests.with_label_values(&labels);
                self.api_request_time.with_label_values(&labels);
                self.api_retries.with_label_values(&labels);
            }
        }
        for operation in Operation::CHANGES {
            for result in CommandResult::ALL {
                self.commands.with_label_values(&[operation.label(), result.label()]);
            }
        }
    }
}
