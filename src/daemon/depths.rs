//! Looks at the queues of a lane at intervals, so that a backlog is seen without the broker's own metrics.

use crate::broker::{Broker, Depth, Depths, Publisher, topology};
use crate::settings::{LaneSettings, Settings, TopologyMode};
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

    /// Looks at them for as long as the connection is there, and at once after a copy that could not be routed. What was
    /// there and is gone is declared again, if the daemon is to declare.
    pub(super) async fn run(
        &self,
        broker: &Broker,
        (settings, lane): (&Settings, &LaneSettings),
        (depths, publisher): (&mut Depths, &Publisher),
        metrics: &Metrics,
    ) -> ! {
        let queues: Vec<&str> = self.queues.iter().map(|labels| labels.queue.as_str()).collect();
        let mut looks = interval(self.interval);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let mut is_missed = tokio::select! {
                () = publisher.could_not_route() => true,
                _ = looks.tick() => false,
            };
            let show = |queue: &str, depth: Depth| is_missed |= self.show(queue, depth, metrics);
            depths.look((broker, &settings.amqp), &queues, show).await;
            if is_missed && settings.amqp.topology == TopologyMode::Declare {
                let declaring = topology::declare_again(broker, settings, lane);
                match tokio::time::timeout(settings.timings.open, declaring).await {
                    Ok(Ok(())) => tracing::info!(event = lane.event_type.name(), "declared again"),
                    Ok(Err(error)) => {
                        tracing::error!(%error, "what is gone cannot be declared again");
                    }
                    Err(_) => tracing::error!("the broker does not answer what is declared again"),
                }
                depths.forget();
                // Whoever deletes them may do so again and again.
                tokio::time::sleep(settings.timings.last_reconnect).await;
            }
        }
    }

    /// Shows the depth of a queue. Returns whether the queue was there before, and is not any more.
    fn show(&self, queue: &str, depth: Depth, metrics: &Metrics) -> bool {
        let (messages, why) = match &depth {
            Depth::Messages(messages) => (Some(*messages), None),
            Depth::Missing(why) => (None, Some(why)),
            Depth::Unknown(why) => (None, why.as_ref()),
        };
        let messages_before = metrics.queue_messages(queue, messages);
        let is_gone = matches!(depth, Depth::Missing(_)) && messages_before.is_some();
        match why {
            Some(why) if is_gone => {
                let lost = "a queue is gone, and whatever was in it is lost";
                tracing::error!(queue, messages_before, why, "{lost}");
            }
            Some(why) => self.warn_once(queue, why),
            None => {}
        }
        is_gone
    }

    /// Nothing is known of them any more.
    pub(super) fn end(&self, metrics: &Metrics) {
        for QueueLabels { queue, .. } in &self.queues {
            let _known_before = metrics.queue_messages(queue, None);
        }
    }

    fn warn_once(&self, queue: &str, why: &str) {
        let mut warned_of = self.warned_of.lock().unwrap_or_else(PoisonError::into_inner);
        if warned_of.insert(queue.to_owned()) {
            tracing::warn!(queue, why, "how many messages wait there is not known");
        }
    }
}
