//! What becomes of a message: one [`Disposition`], decided here and carried out by `settle`.

use crate::event::EventError;
use crate::outcome::{Fault, Outcome};
use chrono::{DateTime, Utc};
use uuid::Uuid;

/// Why a message is dead-lettered. A closed list: alerts and pipelines depend on the names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Not an event, or a field is wrong or missing.
    Malformed,
    /// An event of a type or kind that the daemon does not handle.
    Unsupported,
    /// Forbidden by policy.
    Denied,
    /// Too late to be carried out.
    Expired,
    /// A name that stands for more than one thing.
    Ambiguous,
    /// The vendor refuses the item for good.
    Rejected,
    /// Every attempt on every rung of the delay ladder failed.
    RetriesExhausted,
}

impl Reason {
    /// Every reason, in the order in which they are shown.
    pub const ALL: [Reason; 7] = [
        Reason::Malformed,
        Reason::Unsupported,
        Reason::Denied,
        Reason::Expired,
        Reason::Ambiguous,
        Reason::Rejected,
        Reason::RetriesExhausted,
    ];

    /// The name in headers, metrics and logs.
    pub fn label(self) -> &'static str {
        match self {
            Reason::Malformed => "malformed",
            Reason::Unsupported => "unsupported",
            Reason::Denied => "denied",
            Reason::Expired => "expired",
            Reason::Ambiguous => "ambiguous",
            Reason::Rejected => "rejected",
            Reason::RetriesExhausted => "retries_exhausted",
        }
    }
}

/// What becomes of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Disposition {
    /// All that it asks for holds.
    Ack,
    /// It can never succeed: a copy with the reason goes to the dead-letter exchange, then the ack.
    DeadLetter(Reason, Fault),
    /// It failed now: `reject` with requeue, which counts towards the queue's delivery limit.
    Requeue(Fault),
    /// Not now, and not its fault: `nack` with requeue.
    Return,
}

/// What carrying out one command came to in the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Conclusion {
    /// The outcome of the last attempt.
    Outcome(Outcome),
    /// A stop came before there was one.
    Stopped,
}

/// How a message got where it is, for its dead letter and its log line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History {
    /// Requests sent for it, over all its commands.
    pub attempts: u32,
    /// When the first of them failed.
    pub first_failed_at: Option<DateTime<Utc>>,
    /// The id of the last request.
    pub request_id: Option<Uuid>,
}

impl Disposition {
    /// The names of every disposition, for metrics. `retry` is a copy on the delay ladder.
    pub const LABELS: [&'static str; 4] = ["ack", "retry", "dead_letter", "requeue"];

    /// The name in metrics and logs.
    pub fn label(&self) -> &'static str {
        match self {
            Disposition::Ack => "ack",
            Disposition::DeadLetter(..) => "dead_letter",
            Disposition::Requeue(_) | Disposition::Return => "requeue",
        }
    }

    /// What becomes of a message that is not an event to act on.
    pub fn of_event_error(error: &EventError) -> Disposition {
        let reason = match error {
            EventError::Malformed(_) => Reason::Malformed,
            EventError::Unsupported(_) => Reason::Unsupported,
        };
        Disposition::DeadLetter(reason, Fault::new(reason.label(), &error.to_string()))
    }

    /// What becomes of a message whose commands came to `conclusions`. A stop decides before a fault
    /// that may pass, and that before a refusal: the message comes back, and by then what was done
    /// is already so.
    pub fn of_conclusions(conclusions: &[Conclusion]) -> Disposition {
        let (mut stopped, mut failing, mut refused) = (false, None, None);
        for conclusion in conclusions {
            match conclusion {
                Conclusion::Outcome(Outcome::Applied | Outcome::AlreadyGone) => {}
                Conclusion::Outcome(Outcome::Rejected(fault)) => {
                    refused.get_or_insert_with(|| fault.clone());
                }
                Conclusion::Outcome(Outcome::Unauthorised(fault) | Outcome::Unavailable(fault)) => {
                    failing.get_or_insert_with(|| fault.clone());
                }
                Conclusion::Outcome(Outcome::Throttled(_)) => {
                    failing.get_or_insert_with(|| {
                        Fault::new("throttled", "the vendor's quota did not free up in time")
                    });
                }
                Conclusion::Stopped => stopped = true,
            }
        }
        match (stopped, failing, refused) {
            (true, _, _) => Disposition::Return,
            (false, Some(fault), _) => Disposition::Requeue(fault),
            (false, None, Some(fault)) => Disposition::DeadLetter(Reason::Rejected, fault),
            (false, None, None) => Disposition::Ack,
        }
    }
}

impl History {
    /// Adds one attempt, made at `at`.
    pub fn attempted(&mut self, at: DateTime<Utc>, request_id: Uuid, outcome: &Outcome) {
        self.attempts += 1;
        self.request_id = Some(request_id);
        match outcome {
            Outcome::Applied | Outcome::AlreadyGone => {}
            Outcome::Rejected(_)
            | Outcome::Unauthorised(_)
            | Outcome::Throttled(_)
            | Outcome::Unavailable(_) => {
                self.first_failed_at.get_or_insert(at);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_passing_fault_decides_before_a_refusal_and_a_stop_before_both() {
        let fault = |code: &str| Fault::new(code, "");
        let applied = Conclusion::Outcome(Outcome::Applied);
        let gone = Conclusion::Outcome(Outcome::AlreadyGone);
        let refused = Conclusion::Outcome(Outcome::Rejected(fault("refused")));
        let passing = Conclusion::Outcome(Outcome::Unavailable(fault("passing")));
        let ours = Conclusion::Outcome(Outcome::Unauthorised(fault("ours")));
        let decide = |conclusions: &[&Conclusion]| {
            Disposition::of_conclusions(
                &conclusions.iter().map(|&one| one.clone()).collect::<Vec<_>>(),
            )
        };
        assert_eq!(decide(&[&applied, &gone]), Disposition::Ack);
        assert_eq!(
            decide(&[&refused, &applied]),
            Disposition::DeadLetter(Reason::Rejected, fault("refused"))
        );
        assert_eq!(decide(&[&refused, &passing, &applied]), Disposition::Requeue(fault("passing")));
        assert_eq!(decide(&[&applied, &ours]), Disposition::Requeue(fault("ours")));
        assert_eq!(decide(&[&refused, &passing, &Conclusion::Stopped]), Disposition::Return);
    }
}
