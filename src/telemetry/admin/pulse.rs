//! Whether the thread that does the work still gets its turn: `/livez` is answered by another one.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// The interval of the beats.
const BEAT: Duration = Duration::from_secs(1);

/// After this time without a beat the process hangs: it is as long as systemd waits for a sign of life.
const SILENCE: Duration = Duration::from_secs(30);

/// The last beat of the runtime that was observed.
#[derive(Clone, Debug)]
pub(super) struct Pulse {
    origin: Instant,
    /// In milliseconds since the origin.
    last: Arc<AtomicU64>,
}

impl Pulse {
    /// Observes the runtime that this is called in, until `stop`.
    pub(super) fn start(stop: &CancellationToken) -> Pulse {
        let pulse = Pulse { origin: Instant::now(), last: Arc::default() };
        let (beating, stop) = (pulse.clone(), stop.clone());
        tokio::spawn(async move {
            while stop.run_until_cancelled(tokio::time::sleep(BEAT)).await.is_some() {
                beating.beat(Instant::now());
            }
        });
        pulse
    }

    fn beat(&self, now: Instant) {
        self.last.store(self.since_origin(now), Ordering::Relaxed);
    }

    /// Returns how long the runtime has not had its turn, where that is too long.
    pub(super) fn silence(&self, now: Instant) -> Option<Duration> {
        let last = self.last.load(Ordering::Relaxed);
        let silence = Duration::from_millis(self.since_origin(now).saturating_sub(last));
        (silence > SILENCE).then_some(silence)
    }

    fn since_origin(&self, now: Instant) -> u64 {
        let elapsed = now.saturating_duration_since(self.origin);
        u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_runtime_hangs_after_half_a_minute_without_a_beat_and_no_sooner() {
        let pulse = Pulse::start(&CancellationToken::new());
        let after = |time: Duration| pulse.origin + time;
        assert_eq!(pulse.silence(after(SILENCE)), None);
        let longer = SILENCE + Duration::from_millis(1);
        assert_eq!(pulse.silence(after(longer)), Some(longer));
        pulse.beat(after(Duration::from_secs(1)));
        assert_eq!(pulse.silence(after(longer)), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_runtime_that_gets_its_turn_beats_until_the_stop() {
        let stop = CancellationToken::new();
        let pulse = Pulse::start(&stop);
        // The observer is the only other owner.
        assert_eq!(Arc::strong_count(&pulse.last), 2);
        pulse.last.store(u64::MAX, Ordering::Relaxed);
        tokio::time::sleep(BEAT * 2).await;
        assert_ne!(pulse.last.load(Ordering::Relaxed), u64::MAX);
        stop.cancel();
        while Arc::strong_count(&pulse.last) > 1 {
            tokio::task::yield_now().await;
        }
    }
}
