//! When a paused lane probes, with which message, and when its pause is over.

use super::evidence::{Evidence, Mark};
use std::time::Duration;

/// The probes of one pause.
#[derive(Clone, Debug)]
pub struct Probing {
    began: Mark,
    probes: u32,
    initial_delay: Duration,
    max_delay: Duration,
}

/// Whose turn it is to be the probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// The message that the lane was paused for.
    Suspect,
    /// The next message of the queue.
    Queue,
}

impl Probing {
    /// The probes of a pause that begins at `began`.
    pub fn begin(began: Mark, initial_delay: Duration, max_delay: Duration) -> Probing {
        Probing { began, probes: 0, initial_delay, max_delay }
    }

    /// Whether the vendor has answered a call that was sent during the pause.
    pub fn is_over(&self, evidence: Evidence) -> bool {
        evidence.answered_since(self.began)
    }

    /// How long to wait before the next probe: twice as long each time, up to the longest.
    pub fn wait(&self) -> Duration {
        self.initial_delay.saturating_mul(2_u32.saturating_pow(self.probes)).min(self.max_delay)
    }

    /// Counts a probe, and says whose turn it is.
    pub fn turn(&mut self) -> Turn {
        self.probes = self.probes.saturating_add(1);
        if self.probes % 2 == 1 { Turn::Suspect } else { Turn::Queue }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probes_come_in_turn_at_growing_intervals() {
        let mut probing = Probing::begin(
            Evidence::default().mark(),
            Duration::from_secs(5),
            Duration::from_secs(60),
        );
        let mut waits = Vec::new();
        let mut turns = Vec::new();
        for _ in 0..6 {
            waits.push(probing.wait().as_secs());
            turns.push(probing.turn());
        }
        assert_eq!(waits, [5, 10, 20, 40, 60, 60]);
        assert_eq!(turns[..4], [Turn::Suspect, Turn::Queue, Turn::Suspect, Turn::Queue]);
    }
}
