//! How many commands a lane may carry out in a window of time.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// The commands that a lane may carry out, and when it did.
#[derive(Debug, Default)]
pub(super) struct Budget {
    carried_out: Mutex<VecDeque<Instant>>,
}

impl Budget {
    /// Takes one command out of it, if there may be so many in a window of this length; any number without
    /// a limit.
    ///
    /// # Errors
    ///
    /// How long it takes until there is one.
    pub(super) fn take(
        &self,
        limit: Option<(usize, Duration)>,
        now: Instant,
    ) -> Result<(), Duration> {
        let Some((most, window)) = limit else { return Ok(()) };
        let mut carried_out = self.carried_out.lock().unwrap_or_else(PoisonError::into_inner);
        while carried_out.front().is_some_and(|at| now.duration_since(*at) >= window) {
            carried_out.pop_front();
        }
        match carried_out.front() {
            Some(first) if carried_out.len() >= most => {
                Err(window.saturating_sub(now.duration_since(*first)))
            }
            Some(_) | None => {
                carried_out.push_back(now);
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_window_has_more_commands_than_are_allowed() {
        let (start, second) = (Instant::now(), Duration::from_secs(1));
        let budget = Budget::default();
        let limit = Some((3, second * 10));
        let take = |seconds: u32| budget.take(limit, start + second * seconds);
        assert_eq!([take(0), take(1), take(5)], [Ok(()); 3]);
        assert_eq!(take(5), Err(second * 5));
        assert_eq!(take(9), Err(second));
        assert_eq!(take(10), Ok(()), "the first is out of the window");
        assert_eq!(take(10), Err(second));
        assert_eq!([take(30), take(30), take(30)], [Ok(()); 3]);
        assert_eq!(take(30), Err(second * 10));
        assert!((0..10_000).all(|_| Budget::default().take(None, start).is_ok()));
        // Another limit counts what was carried out under the one before.
        assert_eq!(budget.take(Some((4, second * 10)), start + second * 30), Ok(()));
        assert_eq!(budget.take(Some((4, second * 10)), start + second * 30), Err(second * 10));
    }
}
