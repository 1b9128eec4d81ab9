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
//! against it; if others were sent and not answered, it is the next outage, and for the suspect a relapse.
//! Whoever relapses and fails so once more is poison all the same: else two poisonous messages, of which each
//! one's calls excuse the other, would hold their lane for ever.

use super::fault::Fault;
use super::outcome::Outcome;
use crate::command::Operation;

/// What is known about one operation: the numbers of calls sent and answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Evidence {
    sent: u64,
    answered: u64,
    /// Whether any item was done, or was so already, since the start.
    effective: bool,
}

/// The number of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Sent(u64);

/// A moment between calls: what was sent before it is no evidence about what came after.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Mark(u64);

/// Why the attempts at a command are used up, the graver last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cause {
    /// A passing fault.
    Passing,
    /// The vendor said that it was done, and shows that it was not.
    Contradicted,
    /// Refused, and nothing tells yet whether for the item or for a permission that is missing.
    Forbidden,
    /// What the policy protects is not known: nothing of the lane may be carried out.
    Guarded,
    /// The caller is refused: nobody's call would be accepted.
    Refused,
}

/// The attempts at a command are used up: whose fault that is, the evidence has to tell.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Stuck {
    /// In what.
    pub operation: Operation,
    /// Why.
    pub cause: Cause,
    /// The moment of the first failure.
    pub mark: Mark,
    /// Its own calls since then.
    pub own: u64,
    /// What the last attempt came to.
    pub fault: Fault,
}

impl Mark {
    /// The moment before all calls: any answer came after it.
    pub const BEFORE_ALL: Mark = Mark(0);
}

impl Evidence {
    /// A call is sent.
    pub fn send(&mut self) -> Sent {
        self.sent += 1;
        Sent(self.sent)
    }

    /// The call at `operation` came to `outcome`, which is returned as it is to be read by what is known: once
    /// an item was done, a refusal that may be for a permission is the item's own. That a question is refused is
    /// never the item's fault, and no answer either.
    pub fn learn(&mut self, operation: Operation, sent: Sent, outcome: Outcome) -> Outcome {
        let outcome = match outcome {
            Outcome::Forbidden(fault) if self.effective && operation.is_change() => {
                Outcome::Rejected(fault)
            }
            Outcome::Applied
            | Outcome::NotFound
            | Outcome::Rejected(_)
            | Outcome::Forbidden(_)
            | Outcome::Unauthorized(_)
            | Outcome::Throttled(_)
            | Outcome::Unavailable(_) => outcome,
        };
        match outcome {
            Outcome::Applied | Outcome::NotFound => {
                self.answer(sent);
                self.effective = true;
            }
            Outcome::Rejected(_) if operation.is_change() => self.answer(sent),
            Outcome::Rejected(_)
            | Outcome::Forbidden(_)
            | Outcome::Unauthorized(_)
            | Outcome::Throttled(_)
            | Outcome::Unavailable(_) => {}
        }
        outcome
    }

    /// The vendor answered the call.
    pub(super) fn answer(&mut self, sent: Sent) {
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

    /// Whether it is the message's own fault that it is stuck; else its lane is to pause. For the
    /// suspect of a pause, `suspect` is the moment of its first failure when it was last tried; `relapses` are
    /// how often it was let off before this time.
    pub fn is_poison(&self, stuck: &Stuck, suspect: Option<Mark>, relapses: u32) -> bool {
        let others_are_answered = self.answered_since(stuck.mark);
        match (suspect, stuck.cause) {
            // Undecided: it is neither an answer nor a fault that passes.
            (_, Cause::Forbidden) => false,
            // The vendor has answered, and speaks against itself.
            (_, Cause::Contradicted) => true,
            (_, Cause::Guarded) => false,
            (None, Cause::Passing) => others_are_answered,
            // Nobody's call would be accepted, whatever was answered before.
            (None, Cause::Refused) => false,
            // The answer that ended the pause speaks against it, unless others failed with it for once.
            (Some(_), Cause::Passing | Cause::Refused) => {
                let alone = self.sent == stuck.mark.0 + stuck.own;
                let counts = alone || relapses > 0;
                others_are_answered || (counts && self.is_relapse(stuck, suspect))
            }
        }
    }

    /// Whether a suspect failed once more although the vendor has answered in between.
    pub(super) fn is_relapse(&self, stuck: &Stuck, suspect: Option<Mark>) -> bool {
        matches!(stuck.cause, Cause::Passing | Cause::Refused)
            && suspect.is_some_and(|last| self.answered_since(last))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn stuck(cause: Cause, mark: Mark, own: u64) -> Stuck {
        let operation = Operation::RemoveGroupMember;
        Stuck { operation, cause, mark, own, fault: Fault::new("code", "") }
    }

    fn passing(mark: Mark) -> Stuck {
        stuck(Cause::Passing, mark, 0)
    }

    #[test]
    fn a_refusal_is_the_items_own_once_another_one_was_done_and_that_is_no_answer_before() {
        let fault = || Fault::new("code", "");
        let (change, question) = (Operation::RemoveGroupMember, Operation::FindGroups);
        for (done, operation, expected) in [
            (None, change, Outcome::Forbidden(fault())),
            (Some(Outcome::Rejected(fault())), change, Outcome::Forbidden(fault())),
            (Some(Outcome::Applied), change, Outcome::Rejected(fault())),
            (Some(Outcome::NotFound), change, Outcome::Rejected(fault())),
            (Some(Outcome::Applied), question, Outcome::Forbidden(fault())),
        ] {
            let mut evidence = Evidence::default();
            if let Some(done) = done {
                let sent = evidence.send();
                evidence.learn(operation, sent, done);
            }
            let (mark, sent) = (evidence.mark(), evidence.send());
            let learnt = evidence.learn(operation, sent, Outcome::Forbidden(fault()));
            assert_eq!(learnt, expected);
            assert_eq!(evidence.answered_since(mark), matches!(expected, Outcome::Rejected(_)));
        }
    }

    #[test]
    fn only_what_the_vendor_did_or_refused_is_an_answer() {
        let fault = || Fault::new("code", "");
        for (outcome, is_answer) in [
            (Outcome::Applied, true),
            (Outcome::NotFound, true),
            (Outcome::Rejected(fault()), true),
            (Outcome::Forbidden(fault()), false),
            (Outcome::Unauthorized(fault()), false),
            (Outcome::Throttled(std::time::Duration::ZERO), false),
            (Outcome::Unavailable(fault()), false),
        ] {
            let mut evidence = Evidence::default();
            let (mark, sent) = (evidence.mark(), evidence.send());
            let learnt = evidence.learn(Operation::DeleteManagedUrl, sent, outcome.clone());
            assert_eq!(learnt, outcome);
            assert_eq!(evidence.answered_since(mark), is_answer, "{outcome:?}");
        }
    }

    #[test]
    fn a_message_that_fails_while_others_are_answered_is_poison() {
        let mut evidence = Evidence::default();
        let _failed = evidence.send();
        let mark = evidence.mark();
        assert!(!evidence.is_poison(&passing(mark), None, 0));
        let other = evidence.send();
        assert!(!evidence.is_poison(&passing(mark), None, 0));
        evidence.answer(other);
        assert!(evidence.is_poison(&passing(mark), None, 0));
    }

    #[test]
    fn an_answer_that_was_under_way_when_the_outage_began_proves_nothing() {
        let mut evidence = Evidence::default();
        let under_way = evidence.send();
        let _failed = evidence.send();
        let mark = evidence.mark();
        evidence.answer(under_way);
        assert!(!evidence.is_poison(&passing(mark), None, 0));
    }

    #[test]
    fn a_suspect_that_fails_again_alone_is_poison_and_with_others_meets_the_next_outage() {
        let mut evidence = Evidence::default();
        let before = evidence.mark();
        let ended_the_pause = evidence.send();
        evidence.answer(ended_the_pause);
        let mark = evidence.mark();
        let (_second, _third) = (evidence.send(), evidence.send());
        let failed = stuck(Cause::Passing, mark, 2);
        assert!(!evidence.is_poison(&failed, None, 0));
        assert!(evidence.is_poison(&failed, Some(before), 0));
        let other = evidence.send();
        assert!(!evidence.is_poison(&failed, Some(before), 0));
        assert!(evidence.is_poison(&failed, Some(before), 1), "it has had its chance");
        assert!(!evidence.is_poison(&failed, Some(mark), 1), "no answer, no evidence");
        assert!(!evidence.is_poison(&failed, None, 1));
        evidence.answer(other);
        assert!(evidence.is_poison(&failed, Some(before), 0));
    }

    #[test]
    fn refused_credentials_pause_at_once_unless_the_suspect_alone_is_refused() {
        let mut evidence = Evidence::default();
        let before = evidence.mark();
        let answered = evidence.send();
        evidence.answer(answered);
        let failed = stuck(Cause::Refused, before, 0);
        assert!(!evidence.is_poison(&failed, None, 0));
        assert!(evidence.is_poison(&failed, Some(before), 0));
        let failed = stuck(Cause::Refused, evidence.mark(), 0);
        assert!(evidence.is_poison(&failed, Some(before), 0));
        assert!(!evidence.is_poison(&failed, Some(evidence.mark()), 0));
    }

    #[test]
    fn a_question_that_is_refused_is_not_answered() {
        let mut evidence = Evidence::default();
        let (mark, sent) = (evidence.mark(), evidence.send());
        let refused = Outcome::Rejected(Fault::new("code", ""));
        evidence.learn(Operation::FindGroups, sent, refused);
        assert!(!evidence.answered_since(mark));
    }

    proptest! {
        /// Whatever is sent and answered: without an answer to a later call nothing is poison.
        #[test]
        fn only_an_answer_to_a_later_call_is_evidence(
            before in 0_u64..50, after in 0_u64..50, answered in proptest::collection::vec(1_u64..100, 0..20),
        ) {
            let mut evidence = Evidence::default();
            (0..before).for_each(|_| { evidence.send(); });
            let mark = evidence.mark();
            (0..after).for_each(|_| { evidence.send(); });
            let answered: Vec<u64> = answered.into_iter().filter(|n| *n <= before + after).collect();
            answered.iter().for_each(|n| evidence.answer(Sent(*n)));
            let expected = answered.iter().any(|n| *n > before);
            prop_assert_eq!(evidence.answered_since(mark), expected);
            prop_assert_eq!(evidence.is_poison(&passing(mark), None, 0), expected);
        }
    }
}
