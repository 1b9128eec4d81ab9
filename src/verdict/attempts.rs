//! The attempts at one command: when to try again, and what they came to in the end.

use super::conclusion::Conclusion;
use super::evidence::{Cause, Evidence, Mark, Stuck};
use super::fault::Fault;
use super::outcome::Outcome;
use super::reason::Reason;
use super::retry::{Delays, Policy};
use crate::command::Operation;
use std::time::Duration;

/// The attempts at one command. A 429 is waited out and never counts; a refusal of the caller gets one
/// second try, since a token may just have ended and `err_developer_key` is known to pass.
#[derive(Debug)]
pub struct Attempts {
    /// The waits that are left after passing faults.
    delays: Option<Delays>,
    /// The longest of them.
    longest: Duration,
    /// The wait before the second try of a refused caller, until it is used.
    second_try: Option<Duration>,
    first_failure: Option<Mark>,
    /// Calls since the first failure.
    own: u64,
}

impl Attempts {
    /// As many as `policy` has.
    pub fn of(policy: Policy) -> Attempts {
        Attempts {
            delays: Some(policy.delays()),
            longest: policy.max_delay,
            second_try: Some(policy.initial_delay),
            first_failure: None,
            own: 0,
        }
    }

    /// One, to see whether the vendor is well again.
    pub fn one() -> Attempts {
        Attempts {
            delays: None,
            longest: Duration::ZERO,
            second_try: None,
            first_failure: None,
            own: 0,
        }
    }

    /// Counts an attempt that came to `outcome`, and says how long to wait before the next one; `None`
    /// when there shall be no other. `asked` is the wait that the reply named, if it did; `evidence` is what is known
    /// after it, and no wait is as long as the time that is `left`.
    pub fn next(
        &mut self,
        outcome: &Outcome,
        asked: Option<Duration>,
        evidence: Evidence,
        left: Duration,
    ) -> Option<Duration> {
        match self.first_failure {
            Some(_) => self.own += 1,
            None => self.first_failure = outcome.is_failure().then(|| evidence.mark()),
        }
        let wait = match outcome {
            Outcome::Applied | Outcome::NotFound | Outcome::Rejected(_) => None,
            Outcome::Unauthorized(_) if self.delays.is_some() && asked.is_some() => asked,
            Outcome::Forbidden(_) | Outcome::Unauthorized(_) => self.second_try.take(),
            // The quota knows how long.
            Outcome::Throttled(_) => Some(Duration::ZERO),
            // Whoever names a longer wait than there is between attempts needs none of them now.
            Outcome::Unavailable(_) if asked > Some(self.longest) => None,
            Outcome::Unavailable(_) => {
                let delay = self.delays.as_mut().and_then(Iterator::next);
                delay.map(|delay| delay.max(asked.unwrap_or_default()))
            }
        };
        wait.filter(|wait| *wait < left)
    }

    /// What they came to at `operation`, the last one to `outcome`.
    pub fn conclude(
        self,
        operation: Operation,
        outcome: Outcome,
        evidence: Evidence,
    ) -> Conclusion {
        let stuck = |cause, fault: Fault| {
            let mark = self.first_failure.unwrap_or_else(|| evidence.mark());
            Conclusion::Stuck(Stuck { operation, cause, mark, own: self.own, fault })
        };
        match outcome {
            Outcome::Applied => Conclusion::Applied,
            Outcome::NotFound => Conclusion::NotFound,
            Outcome::Rejected(fault) => Conclusion::Refused(Reason::Rejected, fault),
            Outcome::Forbidden(fault) => stuck(Cause::Forbidden, fault),
            Outcome::Unauthorized(fault) => stuck(Cause::Refused, fault),
            Outcome::Unavailable(fault) => stuck(Cause::Passing, fault),
            Outcome::Throttled(_) => Conclusion::OutOfTime,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_hours(1);
    const POLICY: Policy = Policy {
        attempts: 3,
        initial_delay: Duration::from_millis(1),
        max_delay: Duration::from_millis(1),
    };

    fn fault() -> Fault {
        Fault::new("code", "")
    }

    /// How many attempts there are at a vendor that always answers the same.
    fn count(mut attempts: Attempts, outcome: &Outcome) -> usize {
        let again = || attempts.next(outcome, None, Evidence::default(), LONG);
        // Bounded, so that attempts without an end fail here rather than go on.
        1 + std::iter::from_fn(again).take(20).count()
    }

    #[test]
    fn each_outcome_has_its_number_of_attempts() {
        for (outcome, all, one) in [
            (Outcome::Applied, 1, 1),
            (Outcome::NotFound, 1, 1),
            (Outcome::Rejected(fault()), 1, 1),
            (Outcome::Unauthorized(fault()), 2, 1),
            (Outcome::Unavailable(fault()), 3, 1),
            (Outcome::Throttled(Duration::ZERO), 21, 21),
        ] {
            assert_eq!(count(Attempts::of(POLICY), &outcome), all, "{outcome:?}");
            assert_eq!(count(Attempts::one(), &outcome), one, "{outcome:?}");
        }
    }

    #[test]
    fn no_wait_is_begun_that_would_be_too_long() {
        let wait = |left| {
            let outcome = Outcome::Unauthorized(fault());
            Attempts::of(POLICY).next(&outcome, None, Evidence::default(), left)
        };
        assert_eq!(wait(POLICY.initial_delay), None);
        assert_eq!(wait(POLICY.initial_delay * 2), Some(POLICY.initial_delay));
    }

    #[test]
    fn a_wait_that_the_reply_names_counts_between_attempts_and_ends_them_where_it_is_longer() {
        let next = |mut attempts: Attempts, outcome, asked| {
            attempts.next(&outcome, asked, Evidence::default(), LONG)
        };
        let policy = Policy { max_delay: Duration::from_secs(10), ..POLICY };
        let second = |count| Some(Duration::from_secs(count));
        let unavailable = || Outcome::Unavailable(fault());
        assert_eq!(next(Attempts::of(policy), unavailable(), second(7)), second(7));
        assert_eq!(next(Attempts::of(policy), unavailable(), second(11)), None);
        assert_eq!(next(Attempts::one(), unavailable(), second(7)), None);
        // A token that is not accepted yet takes no second try away.
        let (mut attempts, refused) = (Attempts::of(policy), Outcome::Unauthorized(fault()));
        for asked in [second(1), second(2), None] {
            let wait = attempts.next(&refused, asked, Evidence::default(), LONG);
            assert_eq!(wait, asked.or(Some(policy.initial_delay)));
        }
        assert_eq!(attempts.next(&refused, None, Evidence::default(), LONG), None);
        assert_eq!(next(Attempts::one(), refused, second(1)), None);
    }

    #[test]
    fn what_is_stuck_tells_its_first_failure_and_its_calls_since_then() {
        let (mut attempts, mut evidence) = (Attempts::of(POLICY), Evidence::default());
        let mut marks = Vec::new();
        for outcome in [
            Outcome::Throttled(Duration::ZERO),
            Outcome::Unavailable(fault()),
            Outcome::Throttled(Duration::ZERO),
            Outcome::Unavailable(fault()),
        ] {
            evidence.send();
            marks.push(evidence.mark());
            attempts.next(&outcome, None, evidence, LONG);
        }
        let operation = Operation::DeleteManagedUrl;
        let cause = Cause::Passing;
        let stuck = Stuck { operation, cause, mark: marks[1], own: 2, fault: fault() };
        let conclusion = attempts.conclude(operation, Outcome::Unavailable(fault()), evidence);
        assert_eq!(conclusion, Conclusion::Stuck(stuck));
    }

    #[test]
    fn a_refused_caller_is_told_from_a_passing_fault() {
        let conclude =
            |outcome| Attempts::one().conclude(Operation::FindGroups, outcome, Evidence::default());
        let cause = |outcome| match conclude(outcome) {
            Conclusion::Stuck(stuck) => Some(stuck.cause),
            Conclusion::Applied
            | Conclusion::AlreadyGone
            | Conclusion::NotFound
            | Conclusion::Refused(..)
            | Conclusion::Limited(_)
            | Conclusion::OutOfTime
            | Conclusion::Stopped => None,
        };
        assert_eq!(cause(Outcome::Unauthorized(fault())), Some(Cause::Refused));
        assert_eq!(cause(Outcome::Unavailable(fault())), Some(Cause::Passing));
        assert_eq!(cause(Outcome::Throttled(LONG)), None);
    }
}
