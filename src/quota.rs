//! What the vendor's reply headers say about its quota: how long to wait after a 429.

use chrono::{DateTime, Utc};
use std::time::Duration;

/// No header makes the daemon wait longer than this at once; it asks again then.
pub const MAX_WAIT: Duration = Duration::from_mins(5);

/// How long the reply's headers ask to wait: `Retry-After` (seconds or a date) if present, else the
/// rate limit's reset, which is in *milliseconds* and relative (vendor page "Rate Limiting").
///
/// The reset's name is matched without case and dashes, because the vendor's own pages spell it in
/// more than one way. Values that cannot be read are passed over.
pub fn wait_asked<'a>(
    headers: impl IntoIterator<Item = (&'a str, &'a str)>,
    now: DateTime<Utc>,
) -> Option<Duration> {
    let (mut retry_after, mut reset) = (None, None);
    for (name, value) in headers {
        let name = name.replace('-', "").to_ascii_lowercase();
        match name.as_str() {
            "retryafter" => retry_after = seconds_or_date(value.trim(), now),
            "xratelimitreset" | "xmimecastratelimitreset" => reset = milliseconds(value.trim()),
            _ => {}
        }
    }
    retry_after.or(reset).map(|wait| wait.min(MAX_WAIT))
}

fn seconds_or_date(value: &str, now: DateTime<Utc>) -> Option<Duration> {
    match value.parse() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_) => {
            let date = DateTime::parse_from_rfc2822(value).ok()?;
            Some((date.to_utc() - now).to_std().unwrap_or(Duration::ZERO))
        }
    }
}

fn milliseconds(value: &str) -> Option<Duration> {
    value.parse().ok().map(Duration::from_millis)
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::TimeZone;

    fn wait(headers: &[(&str, &str)]) -> Option<Duration> {
        let now = Utc.with_ymd_and_hms(2026, 11, 21, 10, 0, 0).unwrap();
        wait_asked(headers.iter().copied(), now)
    }

    #[test]
    fn the_reset_is_relative_milliseconds_under_any_spelling() {
        let expected = Some(Duration::from_millis(1500));
        assert_eq!(wait(&[("X-RateLimit-Reset", "1500")]), expected);
        assert_eq!(wait(&[("x-rate-limit-reset", " 1500 ")]), expected);
        assert_eq!(wait(&[("X-Mimecast-RateLimit-Reset", "1500")]), expected);
    }

    #[test]
    fn retry_after_comes_first_in_seconds_or_as_a_date() {
        let reset = ("X-RateLimit-Reset", "1500");
        assert_eq!(wait(&[("Retry-After", "7"), reset]), Some(Duration::from_secs(7)));
        let date = ("retry-after", "Sat, 21 Nov 2026 10:00:09 GMT");
        assert_eq!(wait(&[reset, date]), Some(Duration::from_secs(9)));
        let past = ("retry-after", "Sat, 21 Nov 2026 09:00:00 GMT");
        assert_eq!(wait(&[past]), Some(Duration::ZERO));
    }

    #[test]
    fn nonsense_is_passed_over_and_eternity_is_capped() {
        assert_eq!(wait(&[("Retry-After", "soon"), ("X-RateLimit-Reset", "-3")]), None);
        assert_eq!(
            wait(&[("Retry-After", "soon"), ("X-RateLimit-Reset", "20")]).unwrap().as_millis(),
            20
        );
        assert_eq!(wait(&[("Retry-After", "99999999")]), Some(MAX_WAIT));
    }
}
