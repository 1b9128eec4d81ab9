//! What was settled lately: fifty messages, and an hour of each lane.

use super::hour::Hour;
use crate::event::EventType;
use crate::verdict::CommandResult;
use serde::Serialize;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// Messages that are kept.
const MOST: usize = 50;

/// A message that was settled, as the log tells of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Settled {
    /// The event of its lane.
    pub event: &'static str,
    /// The event's id, its addresses by their pseudonyms.
    pub event_id: Option<String>,
    /// Whom it is about, by a pseudonym.
    pub subject: Option<String>,
    /// What became of it.
    pub disposition: &'static str,
    /// Why it was dead-lettered.
    pub reason: Option<&'static str>,
    /// The code that says more.
    pub code: Option<String>,
    /// The best result of its commands.
    pub result: Option<CommandResult>,
    /// Requests that were sent for it.
    pub attempts: u32,
    /// How long it was in work, in milliseconds.
    pub duration_ms: u64,
}

/// What was settled lately, in rings of fixed size.
#[derive(Debug)]
pub struct Board {
    started: Instant,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    hours: BTreeMap<EventType, Hour>,
    /// The newest first, each with the time since the start.
    recent: VecDeque<(Duration, Settled)>,
}

impl Board {
    /// Nothing was settled yet.
    pub fn new() -> Board {
        Board { started: Instant::now(), kept: Mutex::default() }
    }

    /// A message of a lane was settled; `lag` is the time from event to effect, if there was one.
    pub fn settled(&self, lane: EventType, message: Settled, lag: Option<Duration>) {
        let at = self.started.elapsed();
        self.with(|kept| {
            kept.hours.entry(lane).or_default().settled(at, lag);
            kept.recent.truncate(MOST - 1);
            kept.recent.push_front((at, message));
        });
    }

    /// The last messages, the newest first, and for how long each has been settled.
    pub fn recent(&self) -> Vec<(Duration, Settled)> {
        let now = self.started.elapsed();
        let ago = |(at, message): &(Duration, Settled)| (now.saturating_sub(*at), message.clone());
        self.with(|kept| kept.recent.iter().map(ago).collect())
    }

    /// Messages of a lane settled in each minute of the last hour, the oldest first.
    pub fn throughput(&self, lane: EventType) -> Vec<u32> {
        let now = self.started.elapsed();
        self.with(|kept| kept.hours.entry(lane).or_default().throughput(now).to_vec())
    }

    /// The time from event to effect that this part of a lane's kept to in the last hour.
    pub fn quantile(&self, lane: EventType, part: f64) -> Option<Duration> {
        let now = self.started.elapsed();
        self.with(|kept| kept.hours.get(&lane).and_then(|hour| hour.quantile(part, now)))
    }

    /// The same for each minute of the last hour, the oldest first.
    pub fn quantiles(&self, lane: EventType, part: f64) -> Vec<Option<Duration>> {
        let now = self.started.elapsed();
        self.with(|kept| kept.hours.entry(lane).or_default().quantiles(part, now).to_vec())
    }

    fn with<T>(&self, act: impl FnOnce(&mut Kept) -> T) -> T {
        act(&mut self.kept.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Default for Board {
    fn default() -> Board {
        Board::new()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A message that was applied.
    pub(in crate::telemetry::status) fn settled() -> Settled {
        Settled {
            event: "url.unblock",
            event_id: None,
            subject: None,
            disposition: "ack",
            reason: None,
            code: None,
            result: None,
            attempts: 1,
            duration_ms: 5,
        }
    }

    #[test]
    fn fifty_are_kept_and_the_newest_comes_first() {
        let board = Board::new();
        for number in 0..120 {
            let message = Settled { event_id: Some(number.to_string()), ..settled() };
            board.settled(EventType::UrlUnblock, message, None);
        }
        let ids: Vec<String> =
            board.recent().into_iter().filter_map(|(_, it)| it.event_id).collect();
        let expected: Vec<String> = (70..120).rev().map(|number| number.to_string()).collect();
        assert_eq!(ids, expected);
        let counts = board.throughput(EventType::UrlUnblock);
        assert_eq!((counts.len(), counts.iter().sum::<u32>()), (60, 120));
        assert_eq!(board.throughput(EventType::UserOffboarded), [0; 60]);
    }
}
