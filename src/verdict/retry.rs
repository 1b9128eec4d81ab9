//! How long to wait before the next try. The only file that knows the `backoff` crate.

use backoff::ExponentialBackoff;
use backoff::backoff::Backoff;
use std::time::Duration;

/// When to try again in process, and how often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Attempts in all, the first included; at least 1.
    pub attempts: u32,
    /// The first delay is at most this long.
    pub initial_delay: Duration,
    /// No delay is longer than this.
    pub max_delay: Duration,
}

/// A run of growing delays with full jitter: the n-th is anything from zero to
/// `initial_delay * 2^n`, and never more than `max_delay`.
#[derive(Debug)]
pub struct Delays {
    exponential: ExponentialBackoff,
    left: Option<u32>,
    max: Duration,
}

impl Policy {
    /// The delays between this policy's attempts: one less than there are attempts.
    pub fn delays(&self) -> Delays {
        Delays::new(self.initial_delay, self.max_delay, Some(self.attempts.saturating_sub(1)))
    }
}

impl Delays {
    /// Delays without an end, for what must never be given up.
    pub fn endless(initial_delay: Duration, max_delay: Duration) -> Delays {
        Delays::new(initial_delay, max_delay, None)
    }

    fn new(initial_delay: Duration, max_delay: Duration, left: Option<u32>) -> Delays {
        // A randomisation of 1 around the half of each bound is full jitter: zero to the bound.
        let exponential = ExponentialBackoff {
            current_interval: initial_delay / 2,
            initial_interval: initial_delay / 2,
            randomization_factor: 1.0,
            multiplier: 2.0,
            max_interval: max_delay / 2,
            max_elapsed_time: None,
            ..ExponentialBackoff::default()
        };
        Delays { exponential, left, max: max_delay }
    }
}

impl Iterator for Delays {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        match &mut self.left {
            Some(0) => return None,
            Some(left) => *left -= 1,
            None => {}
        }
        self.exponential.next_backoff().map(|delay| delay.min(self.max))
    }
}

/// `wait`, and up to a tenth more.
pub fn jittered(wait: Duration) -> Duration {
    let tenth = wait / 10;
    wait + Delays::endless(tenth, tenth).next().unwrap_or_default()
}

/// How long to hold a message that failed before it goes back to its queue, by how often it was
/// delivered before: `initial * 2^deliveries`, at most `max`.
pub fn hold(initial: Duration, max: Duration, deliveries: u32) -> Duration {
    initial.saturating_mul(2_u32.saturating_pow(deliveries)).min(max)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_hold_doubles_until_its_bound() {
        let hold = |deliveries| hold(Duration::from_secs(5), Duration::from_secs(300), deliveries);
        assert_eq!([0, 1, 2, 6, 40].map(hold).map(|hold| hold.as_secs()), [5, 10, 20, 300, 300]);
    }

    #[test]
    fn delays_grow_to_twice_the_bound_of_the_one_before_and_are_jittered() {
        let policy = Policy {
            attempts: 4,
            initial_delay: Duration::from_secs(1),
            max_delay: Duration::from_secs(60),
        };
        // By chance none of so many comes near its bound, or near nothing: that does not happen.
        // Bounded, so that delays without an end fail here rather than fill the memory.
        let run = || policy.delays().take(9).collect();
        let runs: Vec<Vec<Duration>> = (0..300).map(|_| run()).collect();
        assert!(runs.iter().all(|run| run.len() == 3));
        for (n, bound) in [1.0, 2.0, 4.0].into_iter().enumerate() {
            let delays = || runs.iter().map(|run| run[n].as_secs_f64());
            let (least, most) = (delays().fold(f64::MAX, f64::min), delays().fold(0.0, f64::max));
            assert!(most > bound * 0.75 && least < bound * 0.25, "{n}: {least} to {most}");
        }
    }

    proptest! {
        #[test]
        fn a_jittered_wait_is_never_shorter_and_at_most_a_tenth_longer(wait in 0_u64..10_000_000) {
            let wait = Duration::from_micros(wait);
            let jittered = jittered(wait);
            prop_assert!(jittered >= wait && jittered <= wait + wait / 10, "{jittered:?}");
        }

        #[test]
        fn delays_stay_in_bounds_and_end(
            attempts in 0_u32..20, initial in 1_u64..10_000, factor in 1_u64..1_000,
        ) {
            let policy = Policy {
                attempts,
                initial_delay: Duration::from_millis(initial),
                max_delay: Duration::from_millis(initial * factor),
            };
            // Bounded, so that delays without an end fail here rather than fill the memory.
            let delays: Vec<Duration> = policy.delays().take(30).collect();
            prop_assert_eq!(delays.len(), attempts.saturating_sub(1) as usize);
            for (n, delay) in delays.iter().enumerate() {
                let bound = policy.initial_delay * 2_u32.pow(n as u32) + Duration::from_micros(1);
                prop_assert!(*delay <= policy.max_delay && *delay <= bound, "{n}: {delay:?}");
            }
        }

        #[test]
        fn endless_delays_never_end(initial in 1_u64..100, max in 100_u64..1_000) {
            let delays = Delays::endless(Duration::from_millis(initial), Duration::from_millis(max));
            prop_assert_eq!(delays.take(200).count(), 200);
        }
    }
}
