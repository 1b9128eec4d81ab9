//! The delay ladder: where a message waits whose fault is its own and may pass.

use std::time::Duration;

/// The rungs, shortest delay first. May be empty: then nothing waits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ladder(Vec<Duration>);

/// One rung.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rung {
    /// How many rungs a message has climbed that waits here; the first is 1.
    pub number: u32,
    /// How long it waits.
    pub delay: Duration,
}

impl Ladder {
    /// A ladder of `delays`.
    pub fn new(delays: Vec<Duration>) -> Ladder {
        Ladder(delays)
    }

    /// The rung after `climbed` ones; `None` at the end. It goes by number, so that a message from
    /// a ladder of other settings goes on where it is.
    pub fn next(&self, climbed: u32) -> Option<Rung> {
        let delay = *self.0.get(usize::try_from(climbed).ok()?)?;
        Some(Rung { number: climbed + 1, delay })
    }

    /// Every rung.
    pub fn rungs(&self) -> impl Iterator<Item = Rung> {
        (1..).zip(&self.0).map(|(number, delay)| Rung { number, delay: *delay })
    }
}

impl Rung {
    /// The delay queue of this rung for the lane with `queue`, such as `….retry.1m`. Its name says
    /// its delay, so that changed settings make a new queue and what waits in the old one comes back.
    pub fn queue(&self, queue: &str) -> String {
        delay_queue(queue, "retry", self.delay)
    }
}

/// The name of a delay queue: it says whose, what for and how long.
pub(super) fn delay_queue(queue: &str, purpose: &str, delay: Duration) -> String {
    let delay = humantime::format_duration(delay).to_string().replace(' ', "");
    format!("{queue}.{purpose}.{delay}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_climbs_every_rung_once_and_then_no_more() {
        let ladder = Ladder::new(vec![Duration::from_secs(10), Duration::from_secs(60)]);
        let climbed = std::iter::successors(ladder.next(0), |rung| ladder.next(rung.number));
        // Bounded, so that a ladder without an end fails here rather than fills the memory.
        let climbed: Vec<Rung> = climbed.take(9).collect();
        assert_eq!(climbed, ladder.rungs().collect::<Vec<_>>());
        assert_eq!(climbed.len(), 2);
        assert_eq!(ladder.next(7), None);
        assert_eq!(Ladder::default().next(0), None);
    }

    #[test]
    fn a_delay_queue_is_named_by_its_delay() {
        let queue = |milliseconds| {
            let rung = Rung { number: 1, delay: Duration::from_millis(milliseconds) };
            rung.queue("lane")
        };
        assert_eq!(queue(10_000), "lane.retry.10s");
        assert_eq!(queue(60_000), "lane.retry.1m");
        assert_eq!(queue(7_200_000), "lane.retry.2h");
        assert_eq!(queue(90_500), "lane.retry.1m30s500ms");
    }
}
