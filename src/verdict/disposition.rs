//! What becomes of a message: one [`Disposition`], decided here and carried out by `settle`.

use super::evidence::Failed;
use super::ladder::{Ladder, Rung};
use super::outcome::Fault;
use crate::event::EventError;

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
    /// Its fault may pass: a copy waits on a rung of the delay ladder, then the ack.
    Retry(Rung, Fault),
    /// It can never succeed: a copy with the reason goes to the dead-letter exchange, then the ack.
    DeadLetter(Reason, Fault),
    /// Not now, and not its fault: a copy goes to the end of its own queue, then the ack. Unlike a
    /// requeue this spends nothing of the delivery limit, whatever the broker's version.
    Park(Fault),
    /// We failed over it: `reject` with requeue, which counts towards the queue's delivery limit.
    Requeue(Fault),
    /// We stop: `nack` with requeue.
    Return,
}

/// What carrying out one command came to in the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Conclusion {
    /// It holds now.
    Applied,
    /// It held already.
    AlreadyGone,
    /// The vendor refuses the item for good.
    Refused(Fault),
    /// The attempts are used up; the first of them failed at the mark.
    Stuck(Stuck),
    /// The vendor's quota, or the other commands of the message, left no time for it.
    OutOfTime,
    /// A stop came before there was an outcome.
    Stopped,
}

/// A message whose attempts are used up: whose fault that is, evidence has to tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stuck {
    /// What evidence is weighed against.
    pub failed: Failed,
    /// What the last one came to.
    pub fault: Fault,
}

/// What is decided about a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// This becomes of it.
    Settle(Disposition),
    /// Whose fault it is must be judged first.
    Judge(Stuck),
}

impl Disposition {
    /// The names of every disposition, for metrics. `retry` is a copy on the delay ladder.
    pub const LABELS: [&'static str; 4] = ["ack", "retry", "dead_letter", "requeue"];

    /// The name in metrics and logs.
    pub fn label(&self) -> &'static str {
        match self {
            Disposition::Ack => "ack",
            Disposition::DeadLetter(..) => "dead_letter",
            Disposition::Retry(..) => "retry",
            Disposition::Park(_) | Disposition::Requeue(_) | Disposition::Return => "requeue",
        }
    }

    /// The fault that it tells of, if any.
    pub fn fault(&self) -> Option<&Fault> {
        match self {
            Disposition::Ack | Disposition::Return => None,
            Disposition::Retry(_, fault)
            | Disposition::DeadLetter(_, fault)
            | Disposition::Park(fault)
            | Disposition::Requeue(fault) => Some(fault),
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

    /// What becomes of a message whose own fault it is that its attempts are used up.
    pub fn of_poison(ladder: &Ladder, climbed: u32, fault: Fault) -> Disposition {
        match ladder.next(climbed) {
            Some(rung) => Disposition::Retry(rung, fault),
            None => Disposition::DeadLetter(Reason::RetriesExhausted, fault),
        }
    }
}

impl Decision {
    /// Decides about a message whose commands came to `conclusions`. A stop decides before a fault
    /// that may pass, and that before a refusal: the message comes back, and by then what was done
    /// is already so. That we are refused decides before anything that may pass by itself.
    pub fn of_conclusions(conclusions: Vec<Conclusion>) -> Decision {
        let (mut stopped, mut out_of_time, mut refused) = (false, false, None);
        let mut stuck: Option<Stuck> = None;
        for conclusion in conclusions {
            match conclusion {
                Conclusion::Applied | Conclusion::AlreadyGone => {}
                Conclusion::Refused(fault) => refused = refused.or(Some(fault)),
                Conclusion::Stuck(new) => {
                    stuck = match stuck {
                        Some(known) if known.failed.cause >= new.failed.cause => Some(known),
                        Some(_) | None => Some(new),
                    }
                }
                Conclusion::OutOfTime => out_of_time = true,
                Conclusion::Stopped => stopped = true,
            }
        }
        match (stopped, stuck, out_of_time, refused) {
            (true, ..) => Decision::Settle(Disposition::Return),
            (false, Some(stuck), ..) => Decision::Judge(stuck),
            (false, None, true, _) => {
                let fault =
                    Fault::new("out_of_time", "quota or commands left no time for all of it");
                Decision::Settle(Disposition::Park(fault))
            }
            (false, None, false, Some(fault)) => {
                Decision::Settle(Disposition::DeadLetter(Reason::Rejected, fault))
            }
            (false, None, false, None) => Decision::Settle(Disposition::Ack),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::evidence::{Cause, Evidence};
    use super::*;

    #[test]
    fn a_passing_fault_decides_before_a_refusal_and_a_stop_before_both() {
        let fault = |code: &str| Fault::new(code, "");
        let stuck = |cause, code| {
            let failed = Failed { cause, mark: Evidence::default().mark(), own: 0 };
            Conclusion::Stuck(Stuck { failed, fault: fault(code) })
        };
        let refused = Conclusion::Refused(fault("refused"));
        let (passing, ours) = (stuck(Cause::Passing, "passing"), stuck(Cause::Refused, "ours"));
        let decide = |conclusions: &[&Conclusion]| {
            Decision::of_conclusions(conclusions.iter().map(|&one| one.clone()).collect())
        };
        let judged = |decision| match decision {
            Decision::Judge(stuck) => stuck.fault.code,
            Decision::Settle(disposition) => panic!("settled as {disposition:?}"),
        };
        let settle = Decision::Settle;
        assert_eq!(
            decide(&[&Conclusion::Applied, &Conclusion::AlreadyGone]),
            settle(Disposition::Ack)
        );
        assert_eq!(
            decide(&[&refused, &Conclusion::Applied]),
            settle(Disposition::DeadLetter(Reason::Rejected, fault("refused")))
        );
        assert_eq!(judged(decide(&[&refused, &passing, &Conclusion::Applied])), "passing");
        assert_eq!(judged(decide(&[&passing, &ours])), "ours");
        assert_eq!(judged(decide(&[&ours, &passing, &Conclusion::OutOfTime])), "ours");
        let out_of_time = decide(&[&refused, &Conclusion::OutOfTime]);
        assert!(matches!(out_of_time, Decision::Settle(Disposition::Park(_))), "{out_of_time:?}");
        assert_eq!(
            decide(&[&refused, &passing, &Conclusion::Stopped]),
            settle(Disposition::Return)
        );
    }

    #[test]
    fn every_reason_and_every_disposition_has_the_name_that_alerts_depend_on() {
        assert_eq!(
            Reason::ALL.map(Reason::label),
            [
                "malformed",
                "unsupported",
                "denied",
                "expired",
                "ambiguous",
                "rejected",
                "retries_exhausted"
            ]
        );
        let fault = || Fault::new("code", "");
        let rung = Rung { number: 1, delay: std::time::Duration::ZERO };
        for (disposition, label, told) in [
            (Disposition::Ack, "ack", None),
            (Disposition::Retry(rung, fault()), "retry", Some(fault())),
            (Disposition::DeadLetter(Reason::Denied, fault()), "dead_letter", Some(fault())),
            (Disposition::Park(fault()), "requeue", Some(fault())),
            (Disposition::Requeue(fault()), "requeue", Some(fault())),
            (Disposition::Return, "requeue", None),
        ] {
            assert!(Disposition::LABELS.contains(&label));
            assert_eq!(disposition.label(), label);
            assert_eq!(disposition.fault(), told.as_ref());
        }
    }

    #[test]
    fn what_is_no_event_is_dead_lettered_with_the_words_of_the_refusal() {
        let (text, fault) = ("id is missing", |code| Fault::new(code, "id is missing"));
        assert_eq!(
            Disposition::of_event_error(&EventError::Malformed(text.into())),
            Disposition::DeadLetter(Reason::Malformed, fault("malformed"))
        );
        assert_eq!(
            Disposition::of_event_error(&EventError::Unsupported(text.into())),
            Disposition::DeadLetter(Reason::Unsupported, fault("unsupported"))
        );
    }

    #[test]
    fn poison_climbs_the_ladder_and_is_dead_lettered_after_its_end() {
        let ladder = Ladder::new(vec![std::time::Duration::from_secs(1)]);
        let fault = Fault::new("http_500", "");
        let first = Disposition::of_poison(&ladder, 0, fault.clone());
        assert!(matches!(first, Disposition::Retry(Rung { number: 1, .. }, _)));
        let last = Disposition::of_poison(&ladder, 1, fault.clone());
        assert_eq!(last, Disposition::DeadLetter(Reason::RetriesExhausted, fault));
    }
}
