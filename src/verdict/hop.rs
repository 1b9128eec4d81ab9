//! Where a message waits until its time comes: in delay queues of its own, whatever the ladder is.

use super::ladder::delay_queue;
use std::time::Duration;

/// One wait on the way to a time that can be more than a year away. The delays are fixed, so that what
/// waits is safe from a change of settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Hop {
    /// How long it takes.
    pub delay: Duration,
}

impl Hop {
    /// Every hop, the shortest first: so late can a message be.
    pub const ALL: [Hop; 3] = [
        Hop { delay: Duration::from_secs(10) },
        Hop { delay: Duration::from_mins(10) },
        Hop { delay: Duration::from_hours(24) },
    ];

    /// The longest that does not go beyond what is `left`; the shortest where all would.
    pub fn towards(left: Duration) -> Hop {
        let [shortest, ..] = Hop::ALL;
        Hop::ALL.into_iter().rev().find(|hop| hop.delay <= left).unwrap_or(shortest)
    }

    /// The delay queue of this hop for the lane with `queue`, such as `….due.10s`.
    pub fn queue(&self, queue: &str) -> String {
        delay_queue(queue, "due", self.delay)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_hop_is_in_a_queue_that_is_named_by_its_delay() {
        let queues = Hop::ALL.map(|hop| hop.queue("lane"));
        assert_eq!(queues, ["lane.due.10s", "lane.due.10m", "lane.due.1day"]);
    }

    proptest! {
        /// Never early, and at most the shortest hop late, in a bounded number of hops.
        #[test]
        fn hops_come_to_their_end_shortly_after_the_time(milliseconds in 1_u64..400 * 86_400_000) {
            let (mut left, mut hops) = (Duration::from_millis(milliseconds), 0);
            loop {
                let hop = Hop::towards(left);
                hops += 1;
                prop_assert!(hops <= 400 + 144 + 60);
                if hop.delay >= left {
                    prop_assert!(hop.delay - left < Hop::ALL[0].delay);
                    break;
                }
                left -= hop.delay;
            }
        }
    }
}
