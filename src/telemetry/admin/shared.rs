//! A reply that is made at most so often, and shared by all who ask meanwhile.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep_until};

/// Maximum number of times that a reply is made within [`PERIOD`].
const TIMES: usize = 2;

/// The period in which a reply is made [`TIMES`] times at most: making one takes milliseconds.
const PERIOD: Duration = Duration::from_secs(1);

/// The last reply. It is never older than the request: who asks too often waits for the next one, with all others.
#[derive(Debug)]
pub(super) struct Shared<T> {
    /// The number of replies that were made.
    count: AtomicU64,
    state: Mutex<State<T>>,
}

#[derive(Debug)]
struct State<T> {
    last: Option<T>,
    /// The times at which the last ones were made, the oldest first.
    made: [Option<Instant>; TIMES],
}

impl<T: Clone> Shared<T> {
    pub(super) fn new() -> Shared<T> {
        let state = State { last: None, made: [None; TIMES] };
        Shared { count: AtomicU64::new(0), state: Mutex::new(state) }
    }

    /// Returns a reply that was made after this was called.
    pub(super) async fn get(&self, make: impl FnOnce() -> T) -> T {
        let before = self.count.load(Ordering::Relaxed);
        let mut state = self.state.lock().await;
        if let Some(last) =
            state.last.as_ref().filter(|_| self.count.load(Ordering::Relaxed) > before)
        {
            return last.clone();
        }
        if let [Some(oldest), ..] = state.made {
            sleep_until(oldest + PERIOD).await;
        }
        state.made.rotate_left(1);
        state.made[TIMES - 1] = Some(Instant::now());
        self.count.fetch_add(1, Ordering::Relaxed);
        let made = make();
        state.last = Some(made.clone());
        made
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;

    /// Counts how often something was made.
    #[derive(Default)]
    struct Made(AtomicUsize);

    impl Made {
        fn next(&self) -> usize {
            self.0.fetch_add(1, Ordering::Relaxed) + 1
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_asks_twice_a_second_is_answered_at_once_and_who_asks_more_often_waits() {
        let (shared, made, begun) = (Shared::new(), Made::default(), Instant::now());
        let mut seconds = Vec::new();
        for number in 1..=TIMES * 2 + 1 {
            assert_eq!(shared.get(|| made.next()).await, number, "each is made after the question");
            seconds.push(begun.elapsed().as_secs());
        }
        assert_eq!(seconds, [0, 0, 1, 1, 2]);
    }

    #[tokio::test(start_paused = true)]
    async fn any_number_of_clients_have_it_made_twice_a_second() {
        let (shared, made, begun) = (Shared::new(), Made::default(), Instant::now());
        let replies = Made::default();
        let client = async || {
            while begun.elapsed() < PERIOD * 10 {
                shared.get(|| made.next()).await;
                replies.next();
            }
        };
        futures_util::future::join_all((0..600).map(|_| client())).await;
        let made = made.0.load(Ordering::Relaxed);
        assert!((TIMES * 9..=TIMES * 11).contains(&made), "it was made {made} times");
        let replies = replies.0.load(Ordering::Relaxed);
        assert!(replies >= 600 * TIMES * 9, "600 clients had {replies} replies");
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_goes_while_it_waits_holds_up_nobody() {
        let (shared, made) = (Shared::new(), Made::default());
        for _ in 0..TIMES {
            shared.get(|| made.next()).await;
        }
        let gone = tokio::time::timeout(PERIOD / 2, shared.get(|| made.next()));
        assert!(gone.await.is_err());
        assert_eq!(shared.get(|| made.next()).await, TIMES + 1);
    }
}
