//! Poison or plague: whose fault it is that a message's attempts are used up, told by evidence.
//!
//! *Poison*: the vendor has answered a call of the same operation that was sent after this message's
//! first failure. The vendor is well, so the fault is the message's, which waits on the delay ladder
//! while its lane goes on at full speed.
//!
//! *Plague*: it has answered none. The vendor is unwell, or we are refused, and nothing of the lane
//! would succeed: the lane pauses, and the message that found out is kept as its suspect.
//!
//! The rule counts calls, not time, so it works at one event a day as well as at a thousand a second.
//! A paused lane probes with one message at a time, the suspect and the queue in turn, so that a
//! poisonous suspect cannot hold it; the first answer ends the pause. If the suspect then fails once
//! more and no other call was sent that could tell, the answer that ended the pause is the evidence
//! against it; if others were sent and not answered, it is the next outage.

use std::time::Duration;

/// What is known about one operation: the numbers of calls sent and answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Evidence {
    sent: u64,
    answered: u64,
}

/// The number of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sent(u64);

/// A moment between calls: what was sent before it is no evidence about what came after.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark(u64);

/// Why the attempts of a message are used up, the graver last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// A passing fault.
    Passing,
    /// The caller is refused: nobody's call would be accepted.
    Refused,
}

/// The attempts of a message, used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failed {
    /// Why.
    pub cause: Cause,
    /// The moment of the first failure.
    pub mark: Mark,
    /// Its own calls since then.
    pub own: u64,
}

/// Whose fault it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// The message's: it climbs the ladder.
    Poison,
    /// Not the message's: the lane pauses.
    Plague,
}

impl Evidence {
    /// A call is sent.
    pub fn send(&mut self) -> Sent {
        self.sent += 1;
        Sent(self.sent)
    }

    /// The vendor answered the call: applied, already gone or refused the item.
    pub fn answer(&mut self, sent: Sent) {
        self.answered = self.answered.max(sent.0);
    }

    /// The moment after everything sent so far.
    pub fn mark(&self) -> Mark {
        Mark(self.sent)
    }

    /// Whether a call sent after `mark` was answered.
    pub fn answered_since(&self, mark: Mark) -> bool {
        self.answered > mark.0
    }

    /// Judges a message whose attempts are used up; for the suspect of a pause, `suspect` is the moment
    /// of its first failure when it was last tried. A refusal of the caller pauses the lane whatever
    /// was answered before it, unless it is the suspect alone that is refused.
    pub fn judge(&self, failed: Failed, suspect: Option<Mark>) -> Judgement {
        let others_sent = self.sent > failed.mark.0 + failed.own;
        let poison = match (failed.cause, suspect) {
            (Cause::Refused, None) => false,
            (Cause::Passing, None) => self.answered_since(failed.mark),
            (Cause::Refused | Cause::Passing, Some(before)) => {
                self.answered_since(failed.mark) || (!others_sent && self.answered_since(before))
            }
        };
        if poison { Judgement::Poison } else { Judgement::Plague }
    }
}

/// The pause of a lane.
#[derive(Clone, Debug)]
pub struct Pause {
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

impl Pause {
    /// A pause that begins at `began`.
    pub fn begin(began: Mark, initial_delay: Duration, max_delay: Duration) -> Pause {
        Pause { began, probes: 0, initial_delay, max_delay }
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
    pub fn probe(&mut self) -> Turn {
        self.probes = self.probes.saturating_add(1);
        if self.probes % 2 == 1 { Turn::Suspect } else { Turn::Queue }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn passing(mark: Mark) -> Failed {
        Failed { cause: Cause::Passing, mark, own: 0 }
    }

    #[test]
    fn a_message_that_fails_while_others_are_answered_is_poison() {
        let mut evidence = Evidence::default();
        let _failed = evidence.send();
        let mark = evidence.mark();
        assert_eq!(evidence.judge(passing(mark), None), Judgement::Plague);
        let other = evidence.send();
        assert_eq!(evidence.judge(passing(mark), None), Judgement::Plague);
        evidence.answer(other);
        assert_eq!(evidence.judge(passing(mark), None), Judgement::Poison);
    }

    #[test]
    fn an_answer_that_was_under_way_when_the_outage_began_proves_nothing() {
        let mut evidence = Evidence::default();
        let under_way = evidence.send();
        let _failed = evidence.send();
        let mark = evidence.mark();
        evidence.answer(under_way);
        assert_eq!(evidence.judge(passing(mark), None), Judgement::Plague);
    }

    #[test]
    fn a_suspect_that_fails_again_alone_is_poison_and_with_others_meets_the_next_outage() {
        let mut evidence = Evidence::default();
        let before = evidence.mark();
        let ended_the_pause = evidence.send();
        evidence.answer(ended_the_pause);
        let mark = evidence.mark();
        let (_second, _third) = (evidence.send(), evidence.send());
        let failed = Failed { cause: Cause::Passing, mark, own: 2 };
        assert_eq!(evidence.judge(failed, None), Judgement::Plague);
        assert_eq!(evidence.judge(failed, Some(before)), Judgement::Poison);
        let other = evidence.send();
        assert_eq!(evidence.judge(failed, Some(before)), Judgement::Plague);
        evidence.answer(other);
        assert_eq!(evidence.judge(failed, Some(before)), Judgement::Poison);
    }

    #[test]
    fn refused_credentials_pause_at_once_unless_the_suspect_alone_is_refused() {
        let mut evidence = Evidence::default();
        let before = evidence.mark();
        let answered = evidence.send();
        evidence.answer(answered);
        let failed = Failed { cause: Cause::Refused, mark: before, own: 0 };
        assert_eq!(evidence.judge(failed, None), Judgement::Plague);
        assert_eq!(evidence.judge(failed, Some(before)), Judgement::Poison);
        let failed = Failed { cause: Cause::Refused, mark: evidence.mark(), own: 0 };
        assert_eq!(evidence.judge(failed, Some(before)), Judgement::Poison);
        assert_eq!(evidence.judge(failed, Some(evidence.mark())), Judgement::Plague);
    }

    #[test]
    fn probes_come_in_turn_at_growing_intervals() {
        let mut pause = Pause::begin(Mark(0), Duration::from_secs(5), Duration::from_secs(60));
        let mut waits = Vec::new();
        let mut turns = Vec::new();
        for _ in 0..6 {
            waits.push(pause.wait().as_secs());
            turns.push(pause.probe());
        }
        assert_eq!(waits, [5, 10, 20, 40, 60, 60]);
        assert_eq!(turns[..4], [Turn::Suspect, Turn::Queue, Turn::Suspect, Turn::Queue]);
    }

    proptest! {
        /// Whatever is sent and answered: without an answer to a later call nothing is poison, and a
        /// pause ends exactly when there is one.
        #[test]
        fn only_an_answer_to_a_later_call_is_evidence(
            before in 0_u64..50, after in 0_u64..50, answered in proptest::collection::vec(1_u64..100, 0..20),
        ) {
            let mut evidence = Evidence::default();
            (0..before).for_each(|_| { evidence.send(); });
            let mark = evidence.mark();
            let pause = Pause::begin(mark, Duration::ZERO, Duration::ZERO);
            (0..after).for_each(|_| { evidence.send(); });
            let answered: Vec<u64> = answered.into_iter().filter(|n| *n <= before + after).collect();
            answered.iter().for_each(|n| evidence.answer(Sent(*n)));
            let expected = answered.iter().any(|n| *n > before);
            prop_assert_eq!(evidence.answered_since(mark), expected);
            prop_assert_eq!(pause.is_over(evidence), expected);
            let poison = evidence.judge(passing(mark), None) == Judgement::Poison;
            prop_assert_eq!(poison, expected);
        }
    }
}
