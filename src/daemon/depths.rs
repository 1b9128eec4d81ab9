//! Looks at the queues of a lane at intervals, so that a backlog is seen without the broker's own metrics.

use crate::broker::{Broker, Depth, Depths};
use crate::settings::{Amqp, LaneSettings, Settings};
use crate::telemetry::{Metrics, Purpose, QueueLabels};
use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::{MissedTickBehavior, interval};

/// The queues of a lane, and which of them were said not to be visible.
#[derive(Debug)]
pub(super) struct Watch {
    queues: Vec<QueueLabels>,
    warned_of: Mutex<BTreeSet<String>>,
    interval: Duration,
}

impl Watch {
    /// The queues of `lane`, and that for dead letters: every lane looks at that one.
    pub(super) fn of(lane: &LaneSettings, settings: &Settings) -> Watch {
        let labels = |queue: String, purpose| {
            let event = (purpose != Purpose::DeadLetter).then_some(lane.event_type);
            QueueLabels { queue, event, purpose }
        };
        let mut queues = vec![labels(lane.queue.clone(), Purpose::Lane)];
        if !settings.contract.guards.dry_run {
            let delays =
                lane.delay_queues(&settings.ladder).map(|(name, _)| labels(name, Purpose::Delay));
            queues.extend(delays);
            queues.push(labels(settings.amqp.dead_letter_queue.clone(), Purpose::DeadLetter));
        }
        Watch { queues, warned_of: Mutex::default(), interval: settings.timings.queue_depths }
    }

    /// Shows that there are these queues, and that nothing is known of them yet.
    pub(super) fn begin(&self, metrics: &Metrics) {
        self.queues.iter().for_each(|queue| metrics.queue(queue));
        self.end(metrics);
    }

    /// Looks at them for as long as the connection is there.
    pub(super) async fn run(
        &self,
        connected: (&Broker, &Amqp),
        depths: &mut Depths,
        metrics: &Metrics,
    ) -> ! {
        let queues: Vec<&str> = self.queues.iter().map(|labels| labels.queue.as_str()).collect();
        let show = |queue: &str, depth: Depth| {
            let messages = depth.unwrap_or_else(|why| {
                self.warn_once(queue, &why);
                None
            });
            metrics.queue_messages(queue, messages);
        };
        let mut looks = interval(self.interval);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            looks.tick().await;
            depths.look(connected, &queues, show).await;
        }
    }

    /// Nothing is known of them any more.
    pub(super) fn end(&self, metrics: &Metrics) {
        self.queues.iter().for_each(|it| metrics.queue_messages(&it.queue, None));
    }

    fn warn_once(&self, queue: &str, why: &str) {
        let mut warned_of = self.warned_of.lock().unwrap_or_else(PoisonError::into_inner);
        if warned_of.insert(queue.to_owned()) {
            tracing::warn!(queue, why, "how many messages wait there is not known");
        }
    }
}
