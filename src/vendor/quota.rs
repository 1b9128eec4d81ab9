//! The rate limit of one operation: what reply headers say of it, and how long a call has to wait.
//!
//! Mimecast's page "Rate Limiting" says that limits are "applied differently per resource", so each operation has its
//! own. Two that are used up until about the same moment may be one: when that opens, offboardings call first.

use crate::settings::Timings;
use chrono::{DateTime, Utc};
use std::time::{Duration, Instant};

/// What the headers of one reply say. Names are matched without case and dashes, because Mimecast's
/// own pages spell them in more than one way; values that cannot be read are ignored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Headers {
    /// `X-RateLimit-Limit`: calls in a window.
    pub limit: Option<u64>,
    /// `X-RateLimit-Remaining`: calls left in this one.
    pub remaining: Option<u64>,
    /// Time until there are more calls. `X-RateLimit-Reset` is in *milliseconds* and relative (Mimecast's
    /// page "Rate Limiting"), `RateLimit-Reset` without `X-` in seconds (the IETF's draft of that name). A
    /// number as large as a Unix time is one.
    pub reset: Option<Duration>,
    /// `Retry-After`, in seconds or as a date, which is measured against the reply's own `Date`.
    pub retry_after: Option<Duration>,
}

/// Who asks for a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Priority {
    /// Somebody's access: may use all of the quota.
    High,
    /// Anything else: leaves the last tenth of a window to the former.
    Low,
}

/// What is known about the rate limit of one operation.
#[derive(Clone, Copy, Debug)]
pub struct Quota {
    timings: Timings,
    limit: u64,
    remaining: Option<u64>,
    renewed_at: Option<Instant>,
    closed_until: Option<Instant>,
    /// When it opens, or has opened, that was used up last.
    opens_at: Option<Instant>,
}

impl Headers {
    /// Reads the headers of a reply. Times in them are those of the clock that has written `date`, the header of that
    /// name; `now` counts where there is none that can be read.
    pub fn read<'a>(
        headers: impl IntoIterator<Item = (&'a str, &'a str)>,
        date: Option<&str>,
        now: DateTime<Utc>,
    ) -> Headers {
        let now = date.and_then(http_date).unwrap_or(now);
        let mut read = Headers::default();
        for (name, value) in headers {
            // Every reply has headers of other names, which are not worth a text of their own.
            let Some(name) = Name::of(name) else { continue };
            let value = value.trim();
            match name {
                Name::RetryAfter => read.retry_after = seconds_or_date(value, now),
                Name::Reset => read.reset = time_left(value, Duration::from_millis, now),
                Name::ResetInSeconds => read.reset = time_left(value, Duration::from_secs, now),
                Name::Limit => read.limit = value.parse().ok(),
                Name::Remaining => read.remaining = value.parse().ok(),
            }
        }
        read
    }

    /// How long to wait after a 429: what the server says, `Retry-After` first, and not longer than the daemon waits
    /// at once.
    pub fn wait(&self, timings: &Timings) -> Duration {
        let wait = self.retry_after.or(self.reset).unwrap_or(timings.throttle);
        wait.min(timings.longest_throttle)
    }
}

impl Quota {
    /// Nothing is known yet.
    pub fn new(timings: Timings) -> Quota {
        let (remaining, renewed_at) = (None, None);
        Quota { timings, limit: 0, remaining, renewed_at, closed_until: None, opens_at: None }
    }

    /// Takes one call out of what is left, or says how long to wait before asking again.
    ///
    /// # Errors
    ///
    /// The wait.
    pub fn take(&mut self, priority: Priority, now: Instant) -> Result<(), Duration> {
        if let Some(closed) = self.closed_until.and_then(|until| left(until, now)) {
            return Err(closed);
        }
        let Some(renewal) = self.renewed_at.and_then(|at| left(at, now)) else {
            // The window is over: the next reply says what the new one has.
            self.remaining = None;
            return Ok(());
        };
        let reserve = match priority {
            Priority::High => 0,
            Priority::Low => self.limit / 10,
        };
        match &mut self.remaining {
            Some(remaining) if *remaining <= reserve => {
                let wait = renewal.min(self.timings.longest_throttle);
                self.opens_at = Some(now + wait);
                Err(wait)
            }
            Some(remaining) => {
                *remaining -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// Learns from the headers of a reply that came at `now`. Replies overtake each other, so that
    /// within a window the smaller number counts.
    pub fn learn(&mut self, headers: &Headers, now: Instant) {
        self.limit = headers.limit.unwrap_or(self.limit);
        let (Some(remaining), Some(reset)) = (headers.remaining, headers.reset) else { return };
        let renewed_at = now + reset.min(self.timings.longest_throttle);
        let slack = self.timings.quota_window;
        let same_window = self.renewed_at.is_some_and(|at| at > now && renewed_at <= at + slack);
        self.remaining = match self.remaining {
            Some(known) if same_window => Some(known.min(remaining)),
            Some(_) | None => Some(remaining),
        };
        self.renewed_at = Some(renewed_at);
    }

    /// The vendor answered 429: nobody calls for `wait`, which comes before what was known of the
    /// window.
    pub fn close(&mut self, wait: Duration, now: Instant) {
        (self.remaining, self.renewed_at) = (None, None);
        let until = now + wait;
        self.closed_until = Some(self.closed_until.map_or(until, |known| known.max(until)));
        self.opens_at = self.closed_until;
    }

    /// How long a call that is not urgent leaves what opens to `urgent` ones, if both are used up until about the same
    /// moment: then they may be one.
    ///
    /// # Errors
    ///
    /// The wait.
    pub fn let_first(&self, urgent: &Quota, now: Instant) -> Result<(), Duration> {
        let (Some(ours), Some(theirs)) = (self.opens_at, urgent.opens_at) else { return Ok(()) };
        let lead = self.timings.quota_lead;
        let apart = ours.max(theirs) - ours.min(theirs);
        match left(ours.max(theirs) + lead, now) {
            Some(wait) if apart <= lead => Err(wait),
            Some(_) | None => Ok(()),
        }
    }

    /// The calls left, as far as known.
    pub fn remaining(&self) -> Option<u64> {
        self.remaining
    }
}

/// The headers that say something of the quota.
#[derive(Clone, Copy)]
enum Name {
    RetryAfter,
    Reset,
    ResetInSeconds,
    Limit,
    Remaining,
}

impl Name {
    const SPELLINGS: [(Name, &str); 7] = [
        (Name::RetryAfter, "retryafter"),
        (Name::ResetInSeconds, "ratelimitreset"),
        (Name::Reset, "xratelimitreset"),
        (Name::Limit, "ratelimitlimit"),
        (Name::Limit, "xratelimitlimit"),
        (Name::Remaining, "ratelimitremaining"),
        (Name::Remaining, "xratelimitremaining"),
    ];

    /// The header of this name, in whatever case and with whatever dashes.
    fn of(name: &str) -> Option<Name> {
        // Most others are told apart by that.
        if !name.starts_with(['r', 'R', 'x', 'X', '-']) {
            return None;
        }
        let letters =
            name.bytes().filter(|letter| *letter != b'-').map(|it| it.to_ascii_lowercase());
        let mut rest = letters.clone();
        let is_prefixed = rest.by_ref().take(9).eq(*b"xmimecast");
        let known = |spelling: &str| match is_prefixed {
            true => rest.clone().eq(spelling.trim_start_matches('x').bytes()),
            false => letters.clone().eq(spelling.bytes()),
        };
        // Last those with an x, which are what Mimecast's own prefix goes with.
        Name::SPELLINGS.iter().rev().find(|(_, spelling)| known(spelling)).map(|(name, _)| *name)
    }
}

fn left(until: Instant, now: Instant) -> Option<Duration> {
    until.checked_duration_since(now).filter(|left| !left.is_zero())
}

fn seconds_or_date(value: &str, now: DateTime<Utc>) -> Option<Duration> {
    match value.parse() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_) => Some(until(http_date(value)?, now)),
    }
}

/// A time in the unit that `unit` counts, from `now` on; or a Unix time in seconds or milliseconds, which no
/// reset that is relative comes near: the least would be in eleven days.
fn time_left(value: &str, unit: fn(u64) -> Duration, now: DateTime<Utc>) -> Option<Duration> {
    let number: u64 = value.parse().ok()?;
    let time = match number {
        1_000_000_000..1_000_000_000_000 => DateTime::from_timestamp(number.try_into().ok()?, 0)?,
        1_000_000_000_000.. => DateTime::from_timestamp_millis(number.try_into().ok()?)?,
        0..1_000_000_000 => return Some(unit(number)),
    };
    Some(until(time, now))
}

fn http_date(value: &str) -> Option<DateTime<Utc>> {
    Some(DateTime::parse_from_rfc2822(value).ok()?.to_utc())
}

fn until(time: DateTime<Utc>, now: DateTime<Utc>) -> Duration {
    (time - now).to_std().unwrap_or(Duration::ZERO)
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::TimeZone;

    fn read(headers: &[(&str, &str)]) -> Headers {
        let now = Utc.with_ymd_and_hms(2026, 11, 21, 10, 0, 0).unwrap();
        let date = headers.iter().find(|(name, _)| *name == "Date").map(|(_, date)| *date);
        Headers::read(headers.iter().copied(), date, now)
    }

    fn wait(headers: &[(&str, &str)]) -> Duration {
        read(headers).wait(&Timings::default())
    }

    fn window(remaining: u64, reset: u64) -> Headers {
        Headers {
            limit: Some(100),
            remaining: Some(remaining),
            reset: Some(Duration::from_millis(reset)),
            retry_after: None,
        }
    }

    #[test]
    fn the_reset_is_relative_milliseconds_with_an_x_and_seconds_without() {
        assert_eq!(wait(&[("RateLimit-Reset", "7")]), Duration::from_secs(7));
        let expected = Duration::from_millis(1500);
        assert_eq!(wait(&[("X-RateLimit-Reset", "1500")]), expected);
        assert_eq!(wait(&[("x-rate-limit-reset", " 1500 ")]), expected);
        assert_eq!(wait(&[("X-Mimecast-RateLimit-Reset", "1500")]), expected);
        let all = read(&[("X-Rate-Limit-Limit", "800"), ("x-ratelimit-remaining", "7")]);
        assert_eq!((all.limit, all.remaining), (Some(800), Some(7)));
    }

    #[test]
    fn a_reset_that_is_a_unix_time_is_one_by_the_clock_of_the_reply() {
        // The clock of the test stands at 10:00:00 of that day.
        for (name, value) in [
            ("RateLimit-Reset", "1795255209"),
            ("X-RateLimit-Reset", "1795255209"),
            ("X-RateLimit-Reset", "1795255209000"),
        ] {
            assert_eq!(wait(&[(name, value)]), Duration::from_secs(9), "{name}: {value}");
            let fast = ("Date", "Sat, 21 Nov 2026 10:00:05 GMT");
            assert_eq!(wait(&[(name, value), fast]), Duration::from_secs(4), "{name}: {value}");
            let later = ("Date", "Sat, 21 Nov 2026 11:00:00 GMT");
            assert_eq!(wait(&[(name, value), later]), Duration::ZERO, "{name}: {value}");
        }
        let longest = Timings::default().longest_throttle;
        assert_eq!(
            wait(&[("X-RateLimit-Reset", "18446744073709551615")]),
            Timings::default().throttle
        );
        assert_eq!(wait(&[("X-RateLimit-Reset", "999999999")]), longest);
    }

    #[test]
    fn retry_after_comes_first_in_seconds_or_as_a_date() {
        let reset = ("X-RateLimit-Reset", "1500");
        assert_eq!(wait(&[("Retry-After", "7"), reset]), Duration::from_secs(7));
        let date = ("retry-after", "Sat, 21 Nov 2026 10:00:09 GMT");
        assert_eq!(wait(&[reset, date]), Duration::from_secs(9));
        let behind = ("Date", "Sat, 21 Nov 2026 09:00:00 GMT");
        assert_eq!(wait(&[date, behind]), Timings::default().longest_throttle);
        let nonsense = ("Date", "tomorrow");
        assert_eq!(wait(&[date, nonsense]), Duration::from_secs(9));
        let past = ("retry-after", "Sat, 21 Nov 2026 09:00:00 GMT");
        assert_eq!(wait(&[past]), Duration::ZERO);
    }

    #[test]
    fn nonsense_is_passed_over_and_eternity_is_capped() {
        let Timings { throttle, longest_throttle, .. } = Timings::default();
        assert_eq!(wait(&[("Retry-After", "soon"), ("X-RateLimit-Reset", "-3")]), throttle);
        let reset = wait(&[("Retry-After", "soon"), ("X-RateLimit-Reset", "20")]);
        assert_eq!(reset, Duration::from_millis(20));
        assert_eq!(wait(&[("Retry-After", "99999999")]), longest_throttle);
    }

    #[test]
    fn a_used_up_window_is_waited_out_and_the_next_one_is_open() {
        let (mut quota, start) = (Quota::new(Timings::default()), Instant::now());
        quota.learn(&window(1, 5000), start);
        assert_eq!(quota.take(Priority::High, start), Ok(()));
        assert_eq!(quota.take(Priority::High, start), Err(Duration::from_secs(5)));
        let later = start + Duration::from_secs(2);
        assert_eq!(quota.take(Priority::High, later), Err(Duration::from_secs(3)));
        assert_eq!(quota.take(Priority::High, start + Duration::from_secs(5)), Ok(()));
    }

    #[test]
    fn a_window_that_is_said_to_end_in_years_is_asked_about_after_the_longest_wait() {
        let Timings { longest_throttle, .. } = Timings::default();
        let (mut quota, start) = (Quota::new(Timings::default()), Instant::now());
        // A moment since 1970, where milliseconds from now on are meant.
        quota.learn(&window(0, 1_800_000_000_000), start);
        assert_eq!(quota.take(Priority::High, start), Err(longest_throttle));
        assert_eq!(quota.take(Priority::High, start + longest_throttle), Ok(()));
    }

    #[test]
    fn the_last_tenth_of_a_window_is_left_to_offboardings() {
        let (mut quota, now) = (Quota::new(Timings::default()), Instant::now());
        quota.learn(&window(11, 5000), now);
        assert_eq!(quota.take(Priority::Low, now), Ok(()));
        assert_eq!(quota.take(Priority::Low, now), Err(Duration::from_secs(5)));
        assert_eq!(quota.take(Priority::High, now), Ok(()));
    }

    #[test]
    fn a_429_closes_the_quota_for_everybody() {
        let (mut quota, now) = (Quota::new(Timings::default()), Instant::now());
        quota.close(Duration::from_secs(2), now);
        quota.close(Duration::from_secs(1), now);
        assert_eq!(quota.take(Priority::High, now), Err(Duration::from_secs(2)));
        assert_eq!(quota.take(Priority::High, now + Duration::from_secs(2)), Ok(()));
    }

    #[test]
    fn two_that_are_used_up_until_the_same_moment_open_for_the_urgent_one_first() {
        let (now, lead) = (Instant::now(), Timings::default().quota_lead);
        let quota = |act: fn(&mut Quota, Instant)| {
            let mut quota = Quota::new(Timings::default());
            act(&mut quota, now);
            quota
        };
        let refused = quota(|quota, now| quota.close(Duration::from_secs(5), now));
        let a_little_later = quota(|quota, now| quota.close(Duration::from_millis(5900), now));
        let much_later = quota(|quota, now| quota.close(Duration::from_secs(9), now));
        let used_up = quota(|quota, now| {
            quota.learn(&window(0, 5000), now);
            quota.take(Priority::High, now).expect_err("none is left");
        });
        let open = quota(|quota, now| quota.learn(&window(9, 5000), now));
        let five = Duration::from_secs(5);
        for urgent in [refused, used_up] {
            assert_eq!(refused.let_first(&urgent, now), Err(five + lead));
            assert_eq!(refused.let_first(&urgent, now + five), Err(lead));
            assert_eq!(refused.let_first(&urgent, now + five + lead), Ok(()));
            assert_eq!(
                a_little_later.let_first(&urgent, now + five),
                Err(Duration::from_millis(1900))
            );
            assert_eq!(much_later.let_first(&urgent, now), Ok(()), "two of their own");
        }
        assert_eq!(
            (open.let_first(&refused, now), refused.let_first(&open, now)),
            (Ok(()), Ok(()))
        );
    }

    #[test]
    fn a_reply_that_was_overtaken_does_not_give_calls_back() {
        let (mut quota, now) = (Quota::new(Timings::default()), Instant::now());
        quota.learn(&window(3, 5000), now);
        quota.learn(&window(9, 5000), now);
        assert_eq!(quota.remaining(), Some(3));
        quota.learn(&window(90, 5000), now + Duration::from_secs(5));
        assert_eq!(quota.remaining(), Some(90));
    }

    #[test]
    fn replies_of_one_window_may_differ_a_little_about_its_end() {
        let (mut quota, now) = (Quota::new(Timings::default()), Instant::now());
        quota.learn(&window(3, 5000), now);
        quota.learn(&window(9, 5200), now);
        assert_eq!(quota.remaining(), Some(3));
    }

    #[test]
    fn a_window_that_ends_much_later_or_begins_when_the_last_one_ends_is_another_one() {
        let (mut quota, now) = (Quota::new(Timings::default()), Instant::now());
        quota.learn(&window(3, 5000), now);
        quota.learn(&window(90, 9000), now + Duration::from_secs(1));
        assert_eq!(quota.remaining(), Some(90));
        quota.learn(&window(95, 100), now + Duration::from_secs(10));
        assert_eq!(quota.remaining(), Some(95));
    }
}
