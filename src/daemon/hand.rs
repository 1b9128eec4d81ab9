//! Pauses by hand: a person stops a lane of this process, and sets it going again.

use crate::event::EventType;
use crate::telemetry::Metrics;
use chrono::{DateTime, SecondsFormat, Utc};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, watch};

/// A pause by hand. It outlasts connections, and ends with the process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct HandPause {
    /// Until when; for good if it does not say.
    pub until: Option<DateTime<Utc>>,
    /// What the person says about it.
    pub why: Option<String>,
}

/// Whether a lane is paused by hand, and how to know when that changes.
pub(super) type Hand = watch::Receiver<Option<HandPause>>;

/// Comes when a person has said something about a lane.
pub(super) async fn moved(hand: &mut Hand) {
    if hand.changed().await.is_err() {
        // Nobody can say anything any more.
        std::future::pending::<()>().await;
    }
}

/// How a person makes a lane that has paused itself ask at once, and learns what came of it.
#[derive(Debug)]
pub(super) struct Prompt {
    wanted: Notify,
    answer: watch::Sender<String>,
}

/// The lanes of this process, in the hands of people.
#[derive(Debug)]
pub(super) struct Hands {
    lanes: BTreeMap<EventType, watch::Sender<Option<HandPause>>>,
    prompts: BTreeMap<EventType, Arc<Prompt>>,
    metrics: Arc<Metrics>,
}

impl HandPause {
    /// In words.
    pub(super) fn said(&self) -> String {
        let why = self.why.as_deref().map(|why| format!(": {why}")).unwrap_or_default();
        let until = self.until.map_or("until it is resumed or restarted".into(), |until| {
            format!("until {}", until.to_rfc3339_opts(SecondsFormat::Secs, true))
        });
        format!("by hand{why} ({until}; this replica only)")
    }
}

impl Default for Prompt {
    fn default() -> Prompt {
        Prompt { wanted: Notify::new(), answer: watch::Sender::new(String::new()) }
    }
}

impl Prompt {
    /// Makes the lane ask, and returns the answer; nothing if it takes longer than `patience`.
    pub(super) async fn ask(&self, patience: Duration) -> Option<String> {
        let mut answer = self.answer.subscribe();
        self.wanted.notify_one();
        tokio::time::timeout(patience, answer.changed()).await.ok()?.ok()?;
        Some(answer.borrow().clone())
    }

    /// Comes when somebody asks.
    pub(super) async fn wanted(&self) {
        self.wanted.notified().await;
    }

    /// Tells the answer to whoever has asked.
    pub(super) fn answer(&self, answer: &str) {
        self.answer.send_replace(answer.to_owned());
    }
}

impl Hands {
    /// None of `lanes` is paused.
    pub(super) fn new(lanes: impl Iterator<Item = EventType>, metrics: Arc<Metrics>) -> Hands {
        let lanes: BTreeMap<_, _> = lanes.map(|lane| (lane, watch::Sender::new(None))).collect();
        let prompts = lanes.keys().map(|lane| (*lane, Arc::default())).collect();
        Hands { lanes, prompts, metrics }
    }

    /// The lanes that there are.
    pub(super) fn lanes(&self) -> impl Iterator<Item = EventType> {
        self.lanes.keys().copied()
    }

    /// What a lane sees of it.
    pub(super) fn of(&self, lane: EventType) -> Hand {
        self.lanes
            .get(&lane)
            .map_or_else(|| watch::Sender::new(None).subscribe(), watch::Sender::subscribe)
    }

    /// How a lane is made to ask at once.
    pub(super) fn prompt(&self, lane: EventType) -> Arc<Prompt> {
        self.prompts.get(&lane).cloned().unwrap_or_default()
    }

    /// Pauses a lane, for so long if that is said.
    pub(super) fn pause(
        self: &Arc<Self>,
        lane: EventType,
        pause: HandPause,
        length: Option<Duration>,
    ) {
        let said = pause.said();
        tracing::warn!(event = lane.name(), why = said, "the lane is paused by hand");
        self.set(lane, Some(pause.clone()));
        let Some(length) = length else { return };
        let hands = Arc::clone(self);
        tokio::spawn(async move {
            tokio::time::sleep(length).await;
            // Not if somebody has said something else meanwhile.
            if hands.lanes.get(&lane).is_some_and(|it| it.borrow().as_ref() == Some(&pause)) {
                hands.resume(lane);
            }
        });
    }

    /// Sets a lane going again; `false` if it was not paused by hand.
    pub(super) fn resume(&self, lane: EventType) -> bool {
        let was_paused = self.lanes.get(&lane).is_some_and(|it| it.borrow().is_some());
        if was_paused {
            tracing::info!(event = lane.name(), "the lane is no longer paused by hand");
            self.set(lane, None);
        }
        was_paused
    }

    fn set(&self, lane: EventType, pause: Option<HandPause>) {
        self.metrics.paused_by_hand(lane, pause.is_some());
        if let Some(hand) = self.lanes.get(&lane) {
            hand.send_replace(pause);
        }
    }
}
