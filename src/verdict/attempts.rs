//! The attempts at one command: when to try again, and what they came to in the end.

use super::conclusion::Conclusion;
use super::fault::Fault;
use super::outcome::Outcome;
use super::reason::Reason;
use super::retry::{Delays, Policy};
use super::stuck::{Cause, Stuck};
use crate::command::Call;
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
}

impl Attempts {
    /// As many as `policy` has.
    pub fn of(policy: Policy) -> Attempts {
        Attempts {
            delays: Some(policy.delays()),
            longest: policy.max_delay,
            second_try: Some(policy.initial_delay),
        }
    }

    /// One, to see whether the vendor is well again.
    pub fn one() -> Attempts {
        Attempts { delays: None, longest: Duration::ZERO, second_try: None }
    }

    /// Counts an attempt that came to `outcome`, and says how long to wait before the next one; `None`
    /// when there shall be no other. `asked` is the wait that the reply named, if it did; no wait is as long as the
    /// time that is `left`.
    pub fn next(
        &mut self,
        outcome: &Outcome,
        asked: Option<Duration>,
        left: Duration,
    ) -> Option<Duration> {
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

    /// The conclusion of `call` after them, the last one with this `outcome`.
    pub fn conclude(call: &Call, outcome: Outcome) -> Conclusion {
        let stuck = |cause, fault: Fault| {
            let (operation, group) = (call.operation, call.group.clone());
            Conclusion::Stuck(Stuck { operation, group, cause, fault })
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
    use crate::command::Page;

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
        let again = || attempts.next(outcome, None, LONG);
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
            Attempts::of(POLICY).next(&outcome, None, left)
        };
        assert_eq!(wait(POLICY.initial_delay), None);
        assert_eq!(wait(POLICY.initial_delay * 2), Some(POLICY.initial_delay));
    }

    #[test]
    fn a_wait_that_the_reply_names_counts_between_attempts_and_ends_them_where_it_is_longer() {
        let next = |mut attempts: Attempts, outcome, asked| attempts.next(&outcome, asked, LONG);
        let policy = Policy { max_delay: Duration::from_secs(10), ..POLICY };
        let second = |count| Some(Duration::from_secs(count));
        let unavailable = || Outcome::Unavailable(fault());
        assert_eq!(next(Attempts::of(policy), unavailable(), second(7)), second(7));
        assert_eq!(next(Attempts::of(policy), unavailable(), second(11)), None);
        assert_eq!(next(Attempts::one(), unavailable(), second(7)), None);
        // A token that is not accepted yet takes no second try away.
        let (mut attempts, refused) = (Attempts::of(policy), Outcome::Unauthorized(fault()));
        for asked in [second(1), second(2), None] {
            let wait = attempts.next(&refused, asked, LONG);
            assert_eq!(wait, asked.or(Some(policy.initial_delay)));
        }
        assert_eq!(attempts.next(&refused, None, LONG), None);
        assert_eq!(next(Attempts::one(), refused, second(1)), None);
    }

    #[test]
    fn a_call_that_is_stuck_names_its_group_and_its_cause() {
        let call = Call::get_group_members("group-1", Page::FIRST);
        let cause = |outcome| match Attempts::conclude(&call, outcome) {
            Conclusion::Stuck(stuck) => {
                assert_eq!(stuck.group.as_deref(), Some("group-1"));
                Some(stuck.cause)
            }
            Conclusion::Applied
            | Conclusion::AlreadyGone
            | Conclusion::NotFound
            | Conclusion::Refused(..)
            | Conclusion::Limited(_)
            | Conclusion::OutOfTime
            | Conclusion::Stopped => None,
        };
        assert_eq!(cause(Outcome::Unauthorized(fault())), Some(Cause::Refused));
        assert_eq!(cause(Outcome::Forbidden(fault())), Some(Cause::Forbidden));
        assert_eq!(cause(Outcome::Unavailable(fault())), Some(Cause::Passing));
        assert_eq!(cause(Outcome::Throttled(LONG)), None);
        assert_eq!(cause(Outcome::Rejected(fault())), None);
    }
}
