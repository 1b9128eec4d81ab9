//! A moment as people write it.

use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta, Utc};
use std::time::Duration;

/// A moment, by the clock or so long ago.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// By the clock.
    At(DateTime<Utc>),
    /// So long ago.
    Ago(Duration),
}

impl Moment {
    /// Reads a time such as 2026-11-26T04:00:00Z, a day in UTC such as 2026-11-26, or a time ago such as 30d.
    ///
    /// # Errors
    ///
    /// What would be right.
    pub fn parse(text: &str) -> Result<Moment, &'static str> {
        if let Ok(at) = DateTime::parse_from_rfc3339(text) {
            return Ok(Moment::At(at.to_utc()));
        }
        if let Ok(day) = text.parse::<NaiveDate>() {
            return Ok(Moment::At(day.and_time(NaiveTime::MIN).and_utc()));
        }
        let ago = humantime::parse_duration(text).ok();
        // Longer ago than the calendar goes is a mistake.
        let ago =
            ago.filter(|ago| TimeDelta::from_std(*ago).is_ok_and(|ago| ago.num_days() < 100_000));
        ago.map(Moment::Ago).ok_or(
            "must be a day as 2026-11-26, a time as 2026-11-26T04:00:00Z, or how long ago, as 30d",
        )
    }

    /// By the clock, at `now`.
    pub(super) fn at(self, now: DateTime<Utc>) -> DateTime<Utc> {
        match self {
            Moment::At(at) => at,
            Moment::Ago(ago) => TimeDelta::from_std(ago).map_or(now, |ago| now - ago),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_a_day_a_time_or_some_time_ago() {
        let now = "2026-11-26T04:00:00Z".parse().unwrap();
        for (text, expected) in [
            ("2026-11-01", "2026-11-01T00:00:00Z"),
            ("2026-11-01T10:00:00+01:00", "2026-11-01T09:00:00Z"),
            ("30d", "2026-10-27T04:00:00Z"),
            ("0s", "2026-11-26T04:00:00Z"),
        ] {
            let expected: DateTime<Utc> = expected.parse().unwrap();
            assert_eq!(Moment::parse(text).unwrap().at(now), expected, "{text}");
        }
        for wrong in
            ["", "yesterday", "2026-13-01", "26.11.2026", "1000000y", "2026-11-01T10:00:00"]
        {
            assert!(Moment::parse(wrong).is_err(), "{wrong}");
        }
    }
}
