//! The rate limit: a fixed window, shared by both operations.

use std::time::Duration;

use tokio::time::Instant;

/// Recorded from the live service in 2022: 800 calls in 5 seconds.
const CALLS: u64 = 800;
const WINDOW: Duration = Duration::from_secs(5);

/// What the `X-RateLimit-*` headers of one reply say.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct RateLimit {
    pub(crate) limit: u64,
    pub(crate) remaining: u64,
    /// Relative, and in milliseconds. None leaves the header out.
    pub(crate) reset_milliseconds: Option<u64>,
}

pub(crate) struct Quota {
    calls: u64,
    window: Duration,
    used: u64,
    /// None until the first call of a window.
    ends: Option<Instant>,
}

impl Quota {
    pub(crate) fn new() -> Self {
        Self { calls: CALLS, window: WINDOW, used: 0, ends: None }
    }

    /// Sets the limit and begins a new window.
    pub(crate) fn set(&mut self, calls: u64, window: Duration) {
        *self = Self { calls, window, used: 0, ends: None };
    }

    /// Takes one call out of the window; false if none is left.
    pub(crate) fn take(&mut self, now: Instant) -> bool {
        self.turn_over(now);
        self.ends.get_or_insert(now + self.window);
        if self.used >= self.calls {
            return false;
        }
        self.used += 1;
        true
    }

    pub(crate) fn rate_limit(&mut self, now: Instant) -> RateLimit {
        self.turn_over(now);
        let left = self.ends.map_or(self.window, |ends| ends - now);
        RateLimit {
            limit: self.calls,
            remaining: self.calls - self.used,
            // Rounded up: a client that waits exactly so long must not come too early.
            reset_milliseconds: Some(
                u64::try_from(left.as_micros().div_ceil(1000)).unwrap_or(u64::MAX),
            ),
        }
    }

    fn turn_over(&mut self, now: Instant) {
        if self.ends.is_some_and(|ends| ends <= now) {
            self.used = 0;
            self.ends = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_gives_no_more_calls_than_its_limit_and_a_new_one_gives_them_again() {
        let start = Instant::now();
        let after = |milliseconds| start + Duration::from_millis(milliseconds);
        let mut quota = Quota::new();
        quota.set(2, Duration::from_millis(100));

        assert!(quota.take(start));
        assert!(quota.take(after(30)));
        assert!(!quota.take(after(60)));
        assert_eq!(
            quota.rate_limit(after(60)),
            RateLimit { limit: 2, remaining: 0, reset_milliseconds: Some(40) }
        );
        assert!(quota.take(after(100)));
        assert_eq!(quota.rate_limit(after(100)).remaining, 1);
    }

    #[test]
    fn waiting_as_long_as_the_reset_says_is_never_too_short() {
        let start = Instant::now();
        let mut quota = Quota::new();
        quota.set(1, Duration::from_micros(1_500));
        assert!(quota.take(start));
        let reset =
            quota.rate_limit(start).reset_milliseconds.expect("a quota always knows its reset");
        assert_eq!(reset, 2);
        assert!(quota.take(start + Duration::from_millis(reset)));
    }
}
