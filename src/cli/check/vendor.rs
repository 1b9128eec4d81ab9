//! The vendor: whether it takes our calls, what time it has, and how many calls are left.

use super::verdict::{Gravity, Group, Verdict};
use crate::cli::terminal::plain;
use crate::command::{Guards, Operation};
use crate::settings::Settings;
use crate::telemetry::Metrics;
use crate::vendor::{Effort, Stamp, Vendor};
use crate::verdict::code::explained;
use crate::verdict::{Fault, Health, History, Policy};
use chrono::TimeDelta;
use std::sync::Arc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// A clock that differs by more than this is worth a word: dates are part of what is signed.
const CLOCK_TOLERANCE: TimeDelta = TimeDelta::seconds(30);

pub(super) async fn check(settings: &Settings, fresh: fn() -> Stamp) -> Vec<Verdict> {
    let policy = Policy { attempts: 1, ..settings.retry };
    let (guards, metrics) = (Guards::default(), Arc::new(Metrics::new("")));
    let vendor = match Vendor::new(&settings.mimecast, policy, guards, fresh, metrics) {
        Ok(vendor) => vendor,
        Err(error) => {
            let subject = (Group::Vendor, "client");
            return vec![Verdict::new(Gravity::Failure, subject, error.to_string())];
        }
    };
    let mut verdicts = Vec::new();
    let never = CancellationToken::new();
    let effort = || Effort::new(false, Instant::now() + settings.timings.check);
    for lane in &settings.lanes {
        let operations = Operation::ALL.into_iter().filter(|it| it.event_type() == lane.event_type);
        for operation in operations {
            let health = vendor.health_call(operation, None, effort(), &never).await;
            verdicts.push(on_health(operation, &health));
        }
    }
    verdicts.extend(groups(settings, &vendor).await);
    verdicts.push(on_clock(vendor.clock_ahead()));
    verdicts.push(on_quota(vendor.quota_left()));
    verdicts
}

fn on_health(operation: Operation, health: &Health) -> Verdict {
    let subject = (Group::Vendor, operation.label());
    let found = |fault: &Fault| format!("{}: {}", fault.code, fault.detail).replace("; ", ", ");
    match health {
        Health::Answered => Verdict::new(Gravity::Ok, subject, "reachable, credentials accepted"),
        Health::Forbidden(fault) | Health::Unclear(fault) | Health::NotAnswered(fault) => {
            let unknown = "see mimecast.base_url and the credentials";
            let (gravity, hint) = match needed_for(operation) {
                None => (Gravity::Failure, explained(&fault.code).map_or(unknown, |it| it.1)),
                Some(purpose) => (Gravity::Warning, purpose),
            };
            Verdict::new(gravity, subject, format!("{}; {hint}", found(fault)))
        }
        Health::OutOfTime => {
            let text = "reachable, but its quota is used up; try again later";
            Verdict::new(Gravity::Warning, subject, text)
        }
    }
}

/// Whether the groups that the settings name are groups of this tenant: those of another one would be "not found"
/// for every event.
async fn groups(settings: &Settings, vendor: &Vendor) -> Option<Verdict> {
    let contract = &settings.contract;
    let defaults = settings.lanes.iter().flat_map(|it| contract.default_groups(it.event_type));
    let named = contract.guards.allowed_groups.iter().chain(&contract.guards.protected_groups);
    let ids: Vec<String> = defaults.cloned().collect();
    let texts: Vec<String> = named.cloned().collect();
    let all = ids.len() + texts.len();
    if all == 0 {
        return None;
    }
    let (mut history, never) = (History::default(), CancellationToken::new());
    let effort = Effort::new(false, Instant::now() + settings.timings.check);
    let unknown = vendor.unknown_groups((&ids, &texts), &mut history, effort, &never).await;
    let subject = (Group::Vendor, "groups");
    Some(match unknown {
        Ok(unknown) => on_groups(all, &unknown),
        Err(_) => {
            Verdict::new(Gravity::Warning, subject, "the groups of the tenant cannot be read")
        }
    })
}

fn on_groups(all: usize, unknown: &[String]) -> Verdict {
    let subject = (Group::Vendor, "groups");
    let Some(first) = unknown.first() else {
        let text = format!("the settings name {all}, and the tenant has each of them");
        return Verdict::new(Gravity::Ok, subject, text);
    };
    let text = format!(
        "{} of {all} in the settings are no groups of this tenant, such as {}; \
         see default_groups (ids) and policy (ids or names), and whether the credentials are those of the right tenant",
        unknown.len(),
        plain(first, 64),
    );
    Verdict::new(Gravity::Failure, subject, text)
}

/// What a question is asked for; nothing for what every event of its lane needs.
fn needed_for(operation: Operation) -> Option<&'static str> {
    match operation {
        Operation::RemoveGroupMember | Operation::DeleteManagedUrl => None,
        Operation::FindGroups => Some("it is needed for groups by name and for rules about groups"),
        Operation::GetGroupMembers => {
            Some("it is needed for policy.verify_effect and for rules about groups by id")
        }
        Operation::GetAllManagedUrls => Some("it is needed for `url` and for policy.only_blocked"),
    }
}

fn on_clock(ahead: Option<TimeDelta>) -> Verdict {
    let subject = (Group::Vendor, "clock");
    match ahead {
        None => Verdict::new(Gravity::Warning, subject, "the vendor did not say what time it is"),
        Some(ahead) if ahead.abs() > CLOCK_TOLERANCE => {
            let text = format!(
                "differs from the vendor's by {} s; dates are signed, so keep it right by NTP",
                ahead.num_seconds()
            );
            Verdict::new(Gravity::Failure, subject, text)
        }
        Some(_) => Verdict::new(Gravity::Ok, subject, "agrees with the vendor's"),
    }
}

fn on_quota(left: Option<u64>) -> Verdict {
    let subject = (Group::Vendor, "quota");
    match left {
        None => {
            Verdict::new(Gravity::Ok, subject, "the vendor did not say how many calls are left")
        }
        Some(0) => {
            let text = "no call is left in this window; see who else uses the same application";
            Verdict::new(Gravity::Warning, subject, text)
        }
        Some(left) => {
            Verdict::new(Gravity::Ok, subject, format!("{left} calls left in this window"))
        }
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

    #[test]
    fn a_group_of_the_settings_that_the_tenant_does_not_have_is_a_failure_that_names_it() {
        assert_eq!(on_groups(2, &[]).gravity, Gravity::Ok);
        let verdict = on_groups(2, &["eNo-elsewhere".into()]);
        assert_eq!(verdict.gravity, Gravity::Failure);
        assert!(verdict.reason.contains("1 of 2") && verdict.reason.contains("eNo-elsewhere"));
    }

    #[test]
    fn a_quota_that_is_used_up_is_a_warning() {
        let gravity = |left| on_quota(left).gravity;
        assert_eq!(
            [None, Some(0), Some(1)].map(gravity),
            [Gravity::Ok, Gravity::Warning, Gravity::Ok]
        );
    }
}
