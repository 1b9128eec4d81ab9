//! A number of calls, each of which comes back some time after it was used.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

/// What the `X-RateLimit-*` headers of one reply say.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct RateLimit {
    pub(crate) limit: u64,
    pub(crate) remaining: u64,
    /// Relative, and in milliseconds. None leaves the header out.
    pub(crate) reset_milliseconds: Option<u64>,
}

pub(crate) struct Bucket {
    calls: u64,
    window: Duration,
    /// When each used call comes back, the next one first.
    returns: VecDeque<Instant>,
}

impl Bucket {
    pub(crate) fn new(calls: u64, window: Duration) -> Self {
        Self { calls, window, returns: VecDeque::new() }
    }

    /// How many calls are there now.
    pub(crate) fn remaining(&mut self, now: Instant) -> u64 {
        while self.returns.front().is_some_and(|at| *at <= now) {
            self.returns.pop_front();
        }
        let used = u64::try_from(self.returns.len()).expect("a length fits into 64 bits");
        self.calls.saturating_sub(used)
    }

    /// The caller has seen that one remains.
    pub(crate) fn take(&mut self, now: Instant) {
        self.returns.push_back(now + self.window);
    }

    /// The reset is the time until at least one call is added, as the vendor words it, and not
    /// until all of them are. The vendor does not say what it is when none is used.
    pub(crate) fn rate_limit(&mut self, now: Instant) -> RateLimit {
        let remaining = self.remaining(now);
        let left = self.returns.front().map_or(self.window, |at| *at - now);
        // Rounded up: a client that waits exactly so long must not come too early.
        let reset = u64::try_from(left.as_micros().div_ceil(1000)).unwrap_or(u64::MAX);
        RateLimit { limit: self.calls, remaining, reset_milliseconds: Some(reset) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_call_comes_back_a_window_after_it_was_used() {
        let start = Instant::now();
        let after = |milliseconds| start + Duration::from_millis(milliseconds);
        let shown =
            |remaining, reset| RateLimit { limit: 2, remaining, reset_milliseconds: Some(reset) };
        let mut bucket = Bucket::new(2, Duration::from_millis(100));

        assert_eq!(bucket.rate_limit(start), shown(2, 100));
        bucket.take(start);
        bucket.take(after(30));
        assert_eq!(bucket.rate_limit(after(60)), shown(0, 40));
        assert_eq!(bucket.rate_limit(after(100)), shown(1, 30));
        bucket.take(after(110));
        assert_eq!(bucket.rate_limit(after(110)), shown(0, 20));
        assert_eq!(bucket.rate_limit(after(130)), shown(1, 80));
        assert_eq!(bucket.rate_limit(after(210)), shown(2, 100));
    }

    #[test]
    fn waiting_as_long_as_the_reset_says_is_never_too_short() {
        let start = Instant::now();
        let mut bucket = Bucket::new(1, Duration::from_micros(1_500));
        bucket.take(start);
        let reset =
            bucket.rate_limit(start).reset_milliseconds.expect("a bucket always knows its reset");
        assert_eq!(reset, 2);
        assert_eq!(bucket.remaining(start + Duration::from_millis(reset)), 1);
    }
}
