//! `plan --look-up`: asks Mimecast what events call by names, and whether it lists what they are about. It reads,
//! and changes nothing.

use super::plan::{Plan, Refusal, Resolved};
use crate::command::Intent;
use crate::settings::Settings;
use crate::telemetry::Metrics;
use crate::vendor::{Effort, Stamp, TransportError, Vendor};
use crate::verdict::{Conclusion, Disposition, History, Hop, Policy};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Looks up what the events of `plans` call by names, and holds them to the rules of the policy.
///
/// # Errors
///
/// When the HTTP client cannot be made.
pub async fn look_up(
    plans: &mut [Plan],
    settings: &Settings,
    fresh: fn() -> Stamp,
) -> Result<(), TransportError> {
    let policy = Policy { attempts: 1, ..settings.retry };
    let (guards, metrics) = (settings.contract.guards.clone(), Arc::new(Metrics::new("")));
    let vendor = Vendor::new(&settings.mimecast, policy, guards, fresh, metrics)?;
    for plan in plans {
        let found = match &plan.comes_to {
            Ok(intents) => calls(intents, &vendor, settings.timings.look_up).await,
            Err(_) => continue,
        };
        match found {
            Ok(calls) => plan.looked_up = Some(calls),
            Err(conclusion) => plan.comes_to = Err(Refusal::Vendor(disposition(conclusion))),
        }
    }
    Ok(())
}

/// A person waits for one event no longer than `patience`.
async fn calls(
    intents: &[Intent],
    vendor: &Vendor,
    patience: Duration,
) -> Result<Vec<Resolved>, Conclusion> {
    let (mut history, never) = (History::default(), CancellationToken::new());
    let effort = Effort::new(false, Instant::now() + patience);
    let all: Vec<&Intent> = intents.iter().collect();
    vendor.admit(&all, &mut history, effort, &never).await?;
    let mut calls = Vec::new();
    for intent in intents {
        for command in vendor.look_up(intent, &mut history, effort, &never).await? {
            let listed = match intent {
                // It was listed just now.
                Intent::Unblock(_) => Some(true),
                Intent::Command(_) | Intent::Leave { .. } => {
                    vendor.lists(&command, &mut history, effort, &never).await.ok()
                }
            };
            calls.push(Resolved { call: command.call(), listed });
        }
    }
    Ok(calls)
}

/// What would become of the message now.
fn disposition(conclusion: Conclusion) -> Disposition {
    let [soon, ..] = Hop::ALL;
    Disposition::of_conclusions(vec![conclusion])
        .unwrap_or_else(|stuck| Disposition::Defer(soon, stuck.fault))
}
