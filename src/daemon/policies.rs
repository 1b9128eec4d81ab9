//! Policies that lose messages and bindings that are not in the settings are logged once, after the start.

use crate::broker::{Problem, topology};
use crate::settings::Settings;
use std::sync::Arc;

/// RabbitMQ knows the policy of a new queue after some seconds.
const MOST_ATTEMPTS: usize = 6;

/// Logs what `check` reports of them, if `amqp.management_url` is set. It begins after an interval, when the lanes have
/// declared their queues, and asks again while something is not seen.
pub(super) async fn log_once(settings: Arc<Settings>) {
    let mut problems = Vec::new();
    for _ in 0..MOST_ATTEMPTS {
        tokio::time::sleep(settings.timings.queue_depths).await;
        let Some(found) = topology::inspect_policies(&settings).await else { return };
        problems = found;
        if !problems.iter().any(|problem| matches!(problem, Problem::Unknown(_))) {
            break;
        }
    }
    for problem in problems {
        if matches!(problem, Problem::Loses(_)) {
            tracing::error!(%problem, "a policy loses or delays messages");
        } else {
            tracing::warn!(%problem, "trouble ahead");
        }
    }
}
