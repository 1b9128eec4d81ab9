//! When a paused lane probes, with which message, and when its pause is over.

use super::evidence::{Cause, Evidence, Mark, Stuck};
use crate::command::Operation;
use std::time::Duration;

/// The probes of one pause.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Probing {
    /// The moment before which an answer counts for nothing, by operation: of those whose answer ends
    /// the pause.
    pub began: Vec<(Operation, Mark)>,
    /// How many there were.
    pub probes: u32,
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
    /// The probes of a pause that begins at `began`, of each operation of the lane.
    pub fn begin(
        began: Vec<(Operation, Mark)>,
        initial_delay: Duration,
        max_delay: Duration,
    ) -> Probing {
        Probing { began, probes: 0, initial_delay, max_delay }
    }

    /// The pause is for this too. If that is a change, or what keeps all changes back, to be told what is
    /// called so ends it no more.
    pub fn is_for(&mut self, stuck: &Stuck) {
        if stuck.operation.is_change() || stuck.cause == Cause::Guarded {
            self.began.retain(|(operation, _)| operation.is_change());
        }
    }

    /// Something has changed that may end the pause: the waits begin with the shortest again.
    pub fn begin_again(&mut self, initial_delay: Duration, max_delay: Duration) {
        (self.initial_delay, self.max_delay) = (initial_delay, max_delay);
        self.probes = 0;
    }

    /// Whether the vendor has answered a call that was sent during the pause, by what is known of each
    /// operation.
    pub fn is_over(&self, evidence: impl Fn(Operation) -> Evidence) -> bool {
        self.began.iter().any(|(operation, began)| evidence(*operation).answered_since(*began))
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
    use super::super::Fault;
    use super::*;

    #[test]
    fn probes_come_in_turn_at_growing_intervals() {
        let mut probing =
            Probing::begin(Vec::new(), Duration::from_secs(5), Duration::from_secs(60));
        let mut waits = Vec::new();
        let mut turns = Vec::new();
        for _ in 0..6 {
            waits.push(probing.wait().as_secs());
            turns.push(probing.turn());
        }
        assert_eq!(waits, [5, 10, 20, 40, 60, 60]);
        assert_eq!(turns[..4], [Turn::Suspect, Turn::Queue, Turn::Suspect, Turn::Queue]);
        probing.begin_again(Duration::from_secs(1), Duration::from_secs(3));
        assert_eq!(probing.turn(), Turn::Suspect);
        assert_eq!(probing.wait().as_secs(), 2);
        probing.turn();
        assert_eq!(probing.wait().as_secs(), 3);
    }

    #[test]
    fn a_pause_ends_with_an_answer_and_for_a_change_with_an_answer_to_a_change() {
        let (change, question) = (Operation::RemoveGroupMember, Operation::FindGroups);
        let before = Evidence::default().mark();
        let probing = Probing::begin(
            vec![(change, before), (question, before)],
            Duration::ZERO,
            Duration::ZERO,
        );
        let mut answered = Evidence::default();
        let sent = answered.send();
        answered.answer(sent);
        let by = |answered_one| {
            move |one| if one == answered_one { answered } else { Evidence::default() }
        };
        assert!(!probing.is_over(|_| Evidence::default()));
        assert!(probing.is_over(by(change)) && probing.is_over(by(question)));
        let mut for_a_change = probing.clone();
        let fault = Fault::new("http_503", "");
        let stuck = |operation, cause| {
            let fault = fault.clone();
            Stuck { operation, cause, mark: before, own: 0, fault }
        };
        for_a_change.is_for(&stuck(change, Cause::Passing));
        assert!(for_a_change.is_over(by(change)) && !for_a_change.is_over(by(question)));
        let mut for_a_question = probing.clone();
        for_a_question.is_for(&stuck(question, Cause::Passing));
        assert!(for_a_question.is_over(by(question)));
        for_a_question.is_for(&stuck(question, Cause::Guarded));
        assert!(!for_a_question.is_over(by(question)), "it keeps changes back");
        let since = Probing::begin(vec![(change, answered.mark())], Duration::ZERO, Duration::ZERO);
        assert!(!since.is_over(by(change)), "that was before");
    }
}
