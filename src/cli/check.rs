//! Checks what a daemon with these settings would meet, and changes nothing.

use crate::broker::{Broker, Problem, topology};
use crate::command::{Command, Guards, Operation};
use crate::event::{EventType, Member};
use crate::settings::{Settings, TopologyMode};
use crate::telemetry::Metrics;
use crate::vendor::{Effort, Stamp, Vendor};
use crate::verdict::{Conclusion, History, Policy};
use chrono::TimeDelta;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// A clock that differs by more than this is worth a word: dates are part of what is signed.
const CLOCK_TOLERANCE: TimeDelta = TimeDelta::seconds(30);

/// How grave a verdict is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Gravity {
    /// As it should be.
    Ok,
    /// It works, or will; somebody should know.
    Warning,
    /// The daemon would not do its work.
    Failure,
}

/// One line of the check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// How grave it is.
    pub gravity: Gravity,
    /// What was looked at.
    pub subject: String,
    /// What was found, and what to do.
    pub text: String,
}

impl Verdict {
    fn new(gravity: Gravity, subject: &str, text: impl Into<String>) -> Verdict {
        Verdict { gravity, subject: subject.to_owned(), text: text.into() }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let gravity = match self.gravity {
            Gravity::Ok => "ok",
            Gravity::Warning => "warning",
            Gravity::Failure => "failure",
        };
        write!(formatter, "{gravity:<8} {}: {}", self.subject, self.text)
    }
}

/// The verdict on settings that were read without a mistake.
pub fn settings(settings: &Settings) -> Verdict {
    let lanes: Vec<&str> = settings.lanes.iter().map(|lane| lane.event_type.name()).collect();
    Verdict::new(Gravity::Ok, "settings", format!("complete, for {}", lanes.join(" and ")))
}

/// Connects to the broker and to the vendor, and says what it found.
pub async fn connections(settings: &Settings, fresh: fn() -> Stamp) -> Vec<Verdict> {
    let metrics = Arc::new(Metrics::new(""));
    let mut verdicts = broker(settings).await;
    verdicts.extend(vendor(settings, fresh, metrics).await);
    verdicts
}

async fn broker(settings: &Settings) -> Vec<Verdict> {
    let broker = match Broker::connect(&settings.amqp, |_| {}).await {
        Ok(broker) => broker,
        Err(error) => {
            let hint = "see amqp.url and what stands between";
            return vec![Verdict::new(Gravity::Failure, "broker", format!("{error}; {hint}"))];
        }
    };
    let mut verdicts = vec![Verdict::new(Gravity::Ok, "broker", "reachable, and it lets us in")];
    verdicts.extend(lanes(&broker, settings).await);
    broker.close().await;
    verdicts
}

async fn lanes(broker: &Broker, settings: &Settings) -> Vec<Verdict> {
    let mut verdicts = Vec::new();
    for lane in &settings.lanes {
        match topology::verify(broker, settings, lane).await {
            Ok(problems) => {
                for problem in problems {
                    let verdict = on_topology(&problem, settings.amqp.topology);
                    // What the lanes share is wrong for each of them.
                    if !verdicts.contains(&verdict) {
                        verdicts.push(verdict);
                    }
                }
            }
            Err(error) => {
                verdicts.push(Verdict::new(Gravity::Failure, "topology", error.to_string()));
                return verdicts;
            }
        }
    }
    if verdicts.is_empty() {
        let text = "queues, exchanges, permissions and dead-letter route are as they should be";
        verdicts.push(Verdict::new(Gravity::Ok, "topology", text));
    }
    verdicts
}

fn on_topology(problem: &Problem, topology: TopologyMode) -> Verdict {
    match (problem, topology) {
        (Problem::Missing(what), TopologyMode::Declare) => {
            let text = format!("{what}; the daemon declares it when it starts");
            Verdict::new(Gravity::Warning, "topology", text)
        }
        (Problem::Unknown(_) | Problem::Risky(_), TopologyMode::Declare | TopologyMode::Verify) => {
            Verdict::new(Gravity::Warning, "topology", problem.to_string())
        }
        (Problem::Forbidden(_), TopologyMode::Declare | TopologyMode::Verify) => {
            Verdict::new(Gravity::Failure, "permissions", problem.to_string())
        }
        (Problem::Missing(_), TopologyMode::Verify)
        | (
            Problem::Differs(_) | Problem::NoRoute(_),
            TopologyMode::Declare | TopologyMode::Verify,
        ) => Verdict::new(Gravity::Failure, "topology", problem.to_string()),
    }
}

async fn vendor(settings: &Settings, fresh: fn() -> Stamp, metrics: Arc<Metrics>) -> Vec<Verdict> {
    let policy = Policy { attempts: 1, ..settings.retry };
    let vendor = match Vendor::new(&settings.mimecast, policy, Guards::default(), fresh, metrics) {
        Ok(vendor) => vendor,
        Err(error) => return vec![Verdict::new(Gravity::Failure, "vendor", error.to_string())],
    };
    let mut verdicts = Vec::new();
    for lane in &settings.lanes {
        let effort = Effort { probe: false, deadline: Instant::now() + Duration::from_secs(30) };
        let (mut history, never) = (History::default(), CancellationToken::new());
        let command = harmless(lane.event_type, fresh);
        let conclusion = vendor.execute(&command, &mut history, effort, &never).await;
        verdicts.push(on_vendor(Operation::of(lane.event_type), &conclusion));
    }
    verdicts.push(on_clock(vendor.clock_ahead()));
    verdicts
}

/// A command for something that does not exist: it shows whether the vendor takes our calls, and
/// cannot change anything.
fn harmless(event_type: EventType, fresh: fn() -> Stamp) -> Command {
    let nothing = format!("mimecast-eventd-check-{}", fresh().request_id);
    match event_type {
        EventType::UserOffboarded => Command::RemoveGroupMember {
            group_id: nothing,
            member: Member::EmailAddress("mimecast-eventd-check@example.invalid".into()),
        },
        EventType::UrlUnblock => Command::DeleteManagedUrl { id: nothing },
    }
}

fn on_vendor(operation: Operation, conclusion: &Conclusion) -> Verdict {
    let subject = format!("vendor {}", operation.label());
    match conclusion {
        // Whatever it thinks of the item: it knows who we are, and lets us call.
        Conclusion::Applied | Conclusion::AlreadyGone | Conclusion::Refused(..) => {
            Verdict::new(Gravity::Ok, &subject, "reachable, credentials accepted")
        }
        Conclusion::Stuck(stuck) => {
            let text = format!(
                "{}: {}; see mimecast.base_url and the credentials, and the table of `codes`",
                stuck.fault.code, stuck.fault.detail
            );
            Verdict::new(Gravity::Failure, &subject, text)
        }
        Conclusion::Limited(_) | Conclusion::OutOfTime | Conclusion::Stopped => {
            let text = "reachable, but its quota is used up; try again later";
            Verdict::new(Gravity::Warning, &subject, text)
        }
    }
}

fn on_clock(ahead: Option<TimeDelta>) -> Verdict {
    match ahead {
        None => Verdict::new(Gravity::Warning, "clock", "the vendor did not say what time it is"),
        Some(ahead) if ahead.abs() > CLOCK_TOLERANCE => {
            let text = format!(
                "differs from the vendor's by {} s; dates are signed, so keep it right by NTP",
                ahead.num_seconds()
            );
            Verdict::new(Gravity::Failure, "clock", text)
        }
        Some(_) => Verdict::new(Gravity::Ok, "clock", "agrees with the vendor's"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_off_is_a_failure_and_one_that_is_unknown_a_warning() {
        let gravity = |ahead: Option<i64>| on_clock(ahead.map(TimeDelta::seconds)).gravity;
        assert_eq!(gravity(Some(-2)), Gravity::Ok);
        assert_eq!(gravity(Some(300)), Gravity::Failure);
        assert_eq!(gravity(Some(-300)), Gravity::Failure);
        assert_eq!(gravity(None), Gravity::Warning);
    }
}
