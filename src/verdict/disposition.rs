//! What becomes of a message: one [`Disposition`], decided here and carried out by `settle`.

use super::conclusion::Conclusion;
use super::fault::Fault;
use super::history::History;
use super::hop::Hop;
use super::ladder::{Ladder, Rung};
use super::reason::Reason;
use super::stuck::{Cause, Stuck};
use crate::command::{Breach, Rule};
use crate::event::EventError;
use std::time::Duration;

/// What becomes of a message.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Disposition {
    /// All that it asks for holds.
    Ack,
    /// Its fault may pass: a copy waits on a rung of the delay ladder, then the ack.
    Retry(Rung, Fault),
    /// What it asks for cannot be looked up now, while others are served: a copy waits in a delay queue,
    /// then the ack. That spends no rung.
    Defer(Hop, Fault),
    /// Its time has not come: a copy waits in a delay queue, then the ack.
    Wait(Hop, Fault),
    /// It can never succeed: a copy with the reason goes to the dead-letter exchange, then the ack.
    DeadLetter(Reason, Fault),
    /// It is too large to be read, so that it can not be copied either: `reject` without requeue, and
    /// the broker dead-letters the untouched original.
    PassOver(Fault),
    /// Not now, and not its fault: a copy goes to the end of its own queue, then the ack. Unlike a
    /// requeue this spends nothing of the delivery limit, whatever the broker's version.
    Park(Fault),
    /// We failed over it: `reject` with requeue, which counts towards the queue's delivery limit.
    Requeue(Fault),
    /// We stop: `nack` with requeue.
    Return,
}

impl Disposition {
    /// The names of every disposition, for metrics. `retry` is a copy on the delay ladder.
    pub const LABELS: [&'static str; 5] = ["ack", "retry", "wait", "dead_letter", "requeue"];

    /// The name in metrics and logs.
    pub fn label(&self) -> &'static str {
        match self {
            Disposition::Ack => "ack",
            Disposition::DeadLetter(..) | Disposition::PassOver(_) => "dead_letter",
            Disposition::Retry(..) | Disposition::Defer(..) => "retry",
            Disposition::Wait(..) => "wait",
            Disposition::Park(_) | Disposition::Requeue(_) | Disposition::Return => "requeue",
        }
    }

    /// The fault that it tells of, if any.
    pub fn fault(&self) -> Option<&Fault> {
        match self {
            Disposition::Ack | Disposition::Return => None,
            Disposition::Retry(_, fault)
            | Disposition::Defer(_, fault)
            | Disposition::Wait(_, fault)
            | Disposition::DeadLetter(_, fault)
            | Disposition::PassOver(fault)
            | Disposition::Park(fault)
            | Disposition::Requeue(fault) => Some(fault),
        }
    }

    /// Why it is dead-lettered, if it is.
    pub fn reason(&self) -> Option<Reason> {
        match self {
            Disposition::DeadLetter(reason, _) => Some(*reason),
            Disposition::PassOver(_) => Some(Reason::Malformed),
            Disposition::Ack
            | Disposition::Retry(..)
            | Disposition::Defer(..)
            | Disposition::Wait(..)
            | Disposition::Park(_)
            | Disposition::Requeue(_)
            | Disposition::Return => None,
        }
    }

    /// The rule of the policy that it is dead-lettered by, if it is: its code is the name of the rule.
    pub fn rule(&self) -> Option<Rule> {
        let fault = self.fault()?;
        match self.reason()? {
            Reason::Denied | Reason::Expired => {
                Rule::ALL.into_iter().find(|rule| rule.label() == fault.code)
            }
            Reason::Malformed
            | Reason::Unsupported
            | Reason::Ambiguous
            | Reason::Rejected
            | Reason::RetriesExhausted => None,
        }
    }

    /// What becomes of a message that is not an event to act on.
    pub fn of_event_error(error: &EventError) -> Disposition {
        let fault = |reason: Reason| Fault::new(reason.label(), &error.to_string());
        let reason = match error {
            EventError::Malformed { .. } => Reason::Malformed,
            EventError::Unsupported { .. } => Reason::Unsupported,
            EventError::TooLarge(_) => return Disposition::PassOver(fault(Reason::Malformed)),
        };
        Disposition::DeadLetter(reason, fault(reason))
    }

    /// What becomes of a message that is not due for as long as is `left`.
    pub fn of_time_left(left: Duration) -> Disposition {
        Disposition::Wait(Hop::towards(left), Fault::new("not_due", "it waits for its effectiveAt"))
    }

    /// What becomes of a message that is against a rule of the policy.
    pub fn of_breach(breach: &Breach) -> Disposition {
        let reason =
            if breach.rule == Rule::MaxEventAge { Reason::Expired } else { Reason::Denied };
        Disposition::DeadLetter(reason, Fault::new(breach.rule.label(), breach.detail))
    }

    /// What becomes of a message whose commands had these `conclusions`. A stop decides before a fault
    /// that may pass, and that before a refusal: the message comes back, and by then what was done
    /// is already so.
    ///
    /// # Errors
    ///
    /// [`Stuck`] when it must be judged first whether the message is at fault.
    pub fn of_conclusions(conclusions: Vec<Conclusion>) -> Result<Disposition, Stuck> {
        let (mut stopped, mut out_of_time, mut refused) = (false, false, None);
        let mut limited = None;
        let mut stuck: Option<Stuck> = None;
        for conclusion in conclusions {
            match conclusion {
                Conclusion::Applied | Conclusion::AlreadyGone | Conclusion::NotFound => {}
                Conclusion::Refused(reason, fault) => refused = refused.or(Some((reason, fault))),
                Conclusion::Stuck(new) => {
                    stuck = match stuck {
                        Some(known) if known.cause >= new.cause => Some(known),
                        Some(_) | None => Some(new),
                    }
                }
                Conclusion::Limited(wait) => limited = limited.max(Some(wait)),
                Conclusion::OutOfTime => out_of_time = true,
                Conclusion::Stopped => stopped = true,
            }
        }
        if let (false, None, Some(wait)) = (stopped, &stuck, limited) {
            let detail = "the lane has carried out as many commands as policy.max_commands allows";
            return Ok(Disposition::Wait(
                Hop::towards(wait),
                Fault::new(Rule::MaxCommands.label(), detail),
            ));
        }
        match (stopped, stuck, out_of_time, refused) {
            (true, ..) => Ok(Disposition::of_stop()),
            (false, Some(stuck), ..) => Err(stuck),
            (false, None, true, _) => Ok(Disposition::of_no_time()),
            (false, None, false, Some((reason, fault))) => {
                Ok(Disposition::DeadLetter(reason, fault))
            }
            (false, None, false, None) => Ok(Disposition::Ack),
        }
    }

    /// What becomes of a message that is stuck through its own fault, after as many retry delays as it had: the next
    /// one, or the dead-letter queue.
    pub fn of_stuck(stuck: Stuck, ladder: &Ladder, history: &History) -> Disposition {
        let is_final = stuck.is_final();
        match ladder.next(history.climbed).filter(|_| !is_final) {
            Some(rung) => Disposition::Retry(rung, stuck.fault),
            None if is_final || stuck.cause == Cause::Contradicted => {
                Disposition::DeadLetter(Reason::Rejected, stuck.fault)
            }
            None => Disposition::DeadLetter(Reason::RetriesExhausted, stuck.fault),
        }
    }

    /// What becomes of a message whose question Mimecast does not take, while it takes changes: the others need not
    /// wait for it. It waits as long again as it has been `failing` for.
    pub fn of_unanswered(stuck: Stuck, failing: Duration) -> Disposition {
        let [.., longest, _] = Hop::ALL;
        Disposition::Defer(Hop::towards(failing.min(longest.delay)), stuck.fault)
    }

    /// What becomes of a message for which there was no time.
    pub fn of_no_time() -> Disposition {
        let detail = "quota or commands left no time for all of it";
        Disposition::Park(Fault::new("out_of_time", detail))
    }

    /// What becomes of a message that a stop, or a pause by a person, has interrupted.
    pub fn of_stop() -> Disposition {
        Disposition::Park(Fault::new("stopped", "the daemon stopped, or the lane was paused"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::Operation;
    use crate::event::{Envelope, Event, Reading};

    fn fault(code: &str) -> Fault {
        Fault::new(code, "")
    }

    fn stuck(cause: Cause, code: &str) -> Stuck {
        let operation = Operation::RemoveGroupMember;
        Stuck { operation, group: None, cause, fault: fault(code) }
    }

    #[test]
    fn a_passing_fault_decides_before_a_refusal_and_a_stop_before_both() {
        let refused = Conclusion::Refused(Reason::Rejected, fault("refused"));
        let passing = Conclusion::Stuck(stuck(Cause::Passing, "passing"));
        let ours = Conclusion::Stuck(stuck(Cause::Refused, "ours"));
        let decide = |conclusions: &[&Conclusion]| {
            let conclusions = conclusions.iter().map(|&one| one.clone()).collect();
            Disposition::of_conclusions(conclusions).map_err(|stuck| stuck.fault.code)
        };
        assert_eq!(decide(&[&Conclusion::Applied, &Conclusion::AlreadyGone]), Ok(Disposition::Ack));
        assert_eq!(
            decide(&[&refused, &Conclusion::Applied]),
            Ok(Disposition::DeadLetter(Reason::Rejected, fault("refused")))
        );
        assert_eq!(decide(&[&refused, &passing, &Conclusion::Applied]), Err("passing".to_owned()));
        assert_eq!(decide(&[&passing, &ours]), Err("ours".to_owned()));
        assert_eq!(decide(&[&ours, &passing, &Conclusion::OutOfTime]), Err("ours".to_owned()));
        let out_of_time = decide(&[&refused, &Conclusion::OutOfTime]);
        assert!(matches!(out_of_time, Ok(Disposition::Park(_))), "{out_of_time:?}");
        assert_eq!(decide(&[&refused, &passing, &Conclusion::Stopped]), Ok(Disposition::of_stop()));
        let forbidden = Conclusion::Stuck(stuck(Cause::Forbidden, "forbidden"));
        assert_eq!(decide(&[&forbidden, &passing]), Err("passing".to_owned()));
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
        let fault = || fault("code");
        let rung = Rung { number: 1, delay: std::time::Duration::ZERO };
        for (disposition, label, told) in [
            (Disposition::Ack, "ack", None),
            (Disposition::Retry(rung, fault()), "retry", Some(fault())),
            (Disposition::Defer(Hop::ALL[0], fault()), "retry", Some(fault())),
            (Disposition::Wait(Hop::ALL[0], fault()), "wait", Some(fault())),
            (Disposition::DeadLetter(Reason::Rejected, fault()), "dead_letter", Some(fault())),
            (Disposition::PassOver(fault()), "dead_letter", Some(fault())),
            (Disposition::Park(fault()), "requeue", Some(fault())),
            (Disposition::Requeue(fault()), "requeue", Some(fault())),
            (Disposition::Return, "requeue", None),
        ] {
            assert!(Disposition::LABELS.contains(&label));
            assert_eq!(disposition.label(), label);
            assert_eq!(disposition.fault(), told.as_ref());
            let is_dead = disposition.label() == "dead_letter";
            assert_eq!(disposition.reason().is_some(), is_dead);
        }
    }

    #[test]
    fn an_address_that_is_a_key_is_hidden_where_its_place_is_told() {
        let body = br#"{"ada@example.com":1,"ada@example.com":2}"#.to_vec();
        let envelope = Envelope { body, ..Envelope::default() };
        let error = Event::read(&envelope, &Reading::default()).unwrap_err();
        assert_eq!(error.pointer(), Some("/ada@example.com"));
        let disposition = Disposition::of_event_error(&error);
        let detail = &disposition.fault().expect("it tells of one").detail;
        assert!(detail.contains("(at /[address]") && !detail.contains('@'), "{detail}");
    }

    #[test]
    fn what_is_no_event_is_dead_lettered_with_the_words_of_the_refusal() {
        let (text, fault) = ("id is missing", |code| Fault::new(code, "id is missing"));
        assert_eq!(
            Disposition::of_event_error(&EventError::malformed(text)),
            Disposition::DeadLetter(Reason::Malformed, fault("malformed"))
        );
        assert_eq!(
            Disposition::of_event_error(&EventError::unsupported(text)),
            Disposition::DeadLetter(Reason::Unsupported, fault("unsupported"))
        );
        let too_large = Disposition::of_event_error(&EventError::TooLarge(300_000));
        assert_eq!(too_large.reason(), Some(Reason::Malformed));
        assert!(matches!(too_large, Disposition::PassOver(_)), "it is in no memory to be copied");
    }

    #[test]
    fn what_is_against_a_rule_is_told_by_its_name_and_only_an_old_event_has_expired() {
        for rule in Rule::ALL {
            let disposition = Disposition::of_breach(&Breach { rule, detail: "" });
            let is_old = rule == Rule::MaxEventAge;
            let reason = if is_old { Reason::Expired } else { Reason::Denied };
            assert_eq!(disposition, Disposition::DeadLetter(reason, fault(rule.label())));
            assert_eq!(disposition.rule(), Some(rule));
            let other = Disposition::DeadLetter(Reason::Rejected, fault(rule.label()));
            assert_eq!(other.rule(), None, "the vendor may use the same word");
        }
    }

    #[test]
    fn a_question_that_is_not_answered_waits_as_long_again_as_it_has_failed() {
        let of = |seconds| {
            let stuck = Stuck {
                operation: Operation::FindGroups,
                ..stuck(Cause::Refused, "app_forbidden")
            };
            Disposition::of_unanswered(stuck, Duration::from_secs(seconds))
        };
        let deferred = |delay| Disposition::Defer(Hop { delay }, fault("app_forbidden"));
        assert_eq!(of(0), deferred(Duration::from_secs(10)));
        assert_eq!(of(700), deferred(Duration::from_mins(10)));
        assert_eq!(of(1_000_000), deferred(Duration::from_mins(10)));
    }

    #[test]
    fn a_message_at_fault_takes_every_delay_and_is_dead_lettered_then_and_a_final_refusal_at_once()
    {
        let ladder = Ladder::new(vec![Duration::from_secs(1)]);
        let judge = |stuck, climbed| {
            let history = History { climbed, ..History::default() };
            Disposition::of_stuck(stuck, &ladder, &history)
        };
        let retry =
            |stuck| matches!(judge(stuck, 0), Disposition::Retry(Rung { number: 1, .. }, _));
        let dead = |reason| Disposition::DeadLetter(reason, fault("code"));
        for (cause, reason) in [
            (Cause::Passing, Reason::RetriesExhausted),
            (Cause::Refused, Reason::RetriesExhausted),
            (Cause::Inconsistent, Reason::RetriesExhausted),
            (Cause::Contradicted, Reason::Rejected),
        ] {
            assert!(retry(stuck(cause, "code")), "{cause:?}");
            assert_eq!(judge(stuck(cause, "code"), 1), dead(reason), "{cause:?}");
        }
        let forbidden = || stuck(Cause::Forbidden, "code");
        assert_eq!(judge(forbidden(), 0), dead(Reason::Rejected));
        assert!(retry(forbidden().undecided()), "nobody knows whether others are refused");
        let question = Stuck { operation: Operation::FindGroups, ..forbidden() };
        assert!(retry(question), "a question is never the fault of the event");
    }
}
