//! The time from an event to its effect.

use chrono::{DateTime, Datelike, TimeDelta, Utc};

/// A clock may be this far ahead of ours. A time further ahead tells nothing.
pub const FASTEST_CLOCK: TimeDelta = TimeDelta::minutes(5);

/// Clocks and fields that nobody has set say 1970, 1601 or the year 1.
const FIRST_YEAR: i32 = 2000;

/// Returns how long before `at` the later one of these moments was, without those that tell nothing.
pub fn lag(moments: [Option<DateTime<Utc>>; 2], at: DateTime<Utc>) -> Option<TimeDelta> {
    let tells =
        |moment: &DateTime<Utc>| moment.year() >= FIRST_YEAR && *moment - at <= FASTEST_CLOCK;
    let since = moments.into_iter().flatten().filter(tells).max()?;
    Some((at - since).max(TimeDelta::zero()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_that_no_clock_has_shown_is_no_lag() {
        let now = "2026-11-25T12:00:00Z".parse().unwrap();
        let seconds = |moments: [&str; 2]| {
            let moments = moments.map(|moment| moment.parse().ok());
            lag(moments, now).map(|lag| lag.num_seconds())
        };
        for (time, due, expected) in [
            ("2026-11-25T11:59:50Z", "", Some(10)),
            ("", "2026-11-25T11:59:50Z", Some(10)),
            ("2026-11-01T00:00:00Z", "2026-11-25T11:59:50Z", Some(10)),
            ("2026-11-25T11:59:50Z", "2026-11-01T00:00:00Z", Some(10)),
            ("", "", None),
            ("2026-11-25T12:05:00Z", "", Some(0)),
            ("2026-11-25T12:05:01Z", "", None),
            ("2000-01-01T00:00:00Z", "", Some(848_923_200)),
            ("1999-12-31T23:59:59Z", "", None),
            ("1970-01-01T00:00:00Z", "", None),
            ("0001-01-01T00:00:00Z", "", None),
            ("9999-12-31T23:59:59Z", "", None),
            ("+262142-12-31T23:59:59Z", "-262143-01-01T00:00:00Z", None),
            // One that tells nothing hides nothing.
            ("9999-12-31T23:59:59Z", "2026-11-25T11:59:50Z", Some(10)),
            ("2026-11-25T11:59:50Z", "0001-01-01T00:00:00Z", Some(10)),
        ] {
            assert_eq!(seconds([time, due]), expected, "{time} {due}");
        }
    }
}
