//! When an event is to be carried out.

use super::error::EventError;
use super::field::Fields;
use chrono::{DateTime, TimeDelta, Utc};
use std::time::Duration;

/// A year and a month: further ahead is a mistake in the date, not a plan.
const FURTHEST: TimeDelta = TimeDelta::days(400);

/// When an event is to be carried out, and where it says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    /// Not before this moment.
    pub at: DateTime<Utc>,
    pointer: String,
}

impl Due {
    /// Reads `effectiveAt`. Unlike a time that only tells when something happened, one that cannot be
    /// read is refused: whoever leaves at the end of the month must not be out today.
    pub(super) fn read(data: Fields<'_>) -> Result<Option<Due>, EventError> {
        const NAME: &str = "effectiveAt";
        let Some(text) = data.optional_text(NAME)? else { return Ok(None) };
        let pointer = data.pointer(NAME);
        match DateTime::parse_from_rfc3339(text.trim()) {
            Ok(at) => Ok(Some(Due { at: at.to_utc(), pointer })),
            Err(_) => {
                let detail = "effectiveAt must be a time such as 2026-11-30T17:00:00Z (RFC 3339)";
                Err(EventError::malformed_at(pointer, detail))
            }
        }
    }

    pub(super) fn left(&self, now: DateTime<Utc>) -> Result<Option<Duration>, EventError> {
        let left = self.at - now;
        if left > FURTHEST {
            let detail = format!("effectiveAt is more than {} days ahead", FURTHEST.num_days());
            return Err(EventError::malformed_at(self.pointer.clone(), detail));
        }
        Ok(left.to_std().ok().filter(|left| !left.is_zero()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn due(at: &str) -> Due {
        Due { at: at.parse().unwrap(), pointer: "/data/effectiveAt".into() }
    }

    #[test]
    fn what_is_due_waits_no_more_and_what_is_too_far_away_is_refused() {
        let now = "2026-11-25T12:00:00Z".parse().unwrap();
        let left = |at| due(at).left(now);
        assert_eq!(left("2026-11-25T11:59:59Z"), Ok(None));
        assert_eq!(left("2026-11-25T12:00:00Z"), Ok(None));
        assert_eq!(left("2026-11-25T12:00:00.001Z"), Ok(Some(Duration::from_millis(1))));
        assert_eq!(left("2026-11-25T14:00:00+01:00"), Ok(Some(Duration::from_hours(1))));
        assert_eq!(left("2027-12-30T12:00:00Z"), Ok(Some(Duration::from_hours(400 * 24))));
        let error = left("2027-12-30T12:00:01Z").unwrap_err();
        let expected = "effectiveAt is more than 400 days ahead (at /data/effectiveAt)";
        assert_eq!(error.to_string(), expected);
    }
}
