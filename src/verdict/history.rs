//! How a message got where it is. It travels with the message, in the headers of its copies.

use super::done::Done;
use chrono::{DateTime, Utc};
use uuid::Uuid;

/// How a message got where it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History {
    /// Requests sent for it, over all its commands.
    pub attempts: u32,
    /// When the first of them failed.
    pub first_failed_at: Option<DateTime<Utc>>,
    /// The id of the last request.
    pub request_id: Option<Uuid>,
    /// Rungs of the delay ladder that it has climbed.
    pub climbed: u32,
    /// Which of its commands hold already.
    pub done: Done,
    /// How it was altered before it could be read, if it was.
    pub altered: Option<String>,
    /// How often people sent it back to its lane after it was a dead letter.
    pub replays: u32,
}

impl History {
    /// Adds one attempt, made at `at`.
    pub fn attempted(&mut self, at: DateTime<Utc>, request_id: Uuid, failed: bool) {
        self.attempts = self.attempts.saturating_add(1);
        self.request_id = Some(request_id);
        if failed {
            self.first_failed_at.get_or_insert(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_are_counted_and_the_first_failure_and_the_last_request_are_kept() {
        let mut history = History::default();
        for (seconds, failed) in [(1, false), (2, true), (3, true), (4, false)] {
            let at = DateTime::from_timestamp(seconds, 0).unwrap();
            history.attempted(at, Uuid::from_u128(seconds.unsigned_abs().into()), failed);
        }
        let expected = History {
            attempts: 4,
            first_failed_at: DateTime::from_timestamp(2, 0),
            request_id: Some(Uuid::from_u128(4)),
            ..History::default()
        };
        assert_eq!(history, expected);
    }
}
