//! Whether a message is at fault whose attempts are used up, or Mimecast is unwell. In ten sentences:
//!
//! 1. When the attempts at a call are used up, the daemon makes a health call: the operation on what cannot exist.
//! 2. It changes nothing, and all messages that wait for one of the same operation share it.
//! 3. If Mimecast answers it, the call of the message is made again.
//! 4. If that fails as well, the message is at fault: it takes its next retry delay, or is dead-lettered.
//! 5. If Mimecast does not answer the health call, or refuses us, the lane pauses, and the message loses nothing.
//! 6. A paused lane keeps nothing: all messages are copies at the end of its queue.
//! 7. It repeats the health call at growing intervals; the first answer resumes it, one message at a time.
//! 8. Where health calls are forbidden, it tries its oldest message instead, until Mimecast decides on one.
//! 9. Three different messages in a row at fault, and no change in between, pause the lane too: it tries its oldest
//!    message, and after ten minutes each message takes one retry delay.
//! 10. No other message and no other replica is needed for any of that.

use super::health::Health;
use super::pausing::{Pausing, Until};
use super::stuck::{Cause, Stuck};

/// What follows from a health call for the message that it was made for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Judgment {
    /// Its call is made again.
    Again {
        /// Whether that may decide for good on the message.
        is_final: bool,
    },
    /// The message is at fault.
    AtFault,
    /// The lane pauses, unless a change was made since the message was refused before: then it is at fault.
    Doubt(Pausing),
    /// The lane pauses.
    Pause(Pausing),
    /// Nobody knows yet.
    OutOfTime,
}

impl Health {
    /// What follows for a message that is `stuck`.
    pub fn judge(self, stuck: &Stuck) -> Judgment {
        let pause = |fault, until| Judgment::Pause(Pausing { until, fault });
        match self {
            Health::Answered => Judgment::Again { is_final: true },
            // Mimecast is there, and it was no refusal that the message has met.
            Health::Unclear(_) | Health::Forbidden(_) if stuck.cause == Cause::Passing => {
                Judgment::Again { is_final: false }
            }
            Health::Unclear(fault) | Health::Forbidden(fault) => {
                Judgment::Doubt(Pausing { until: Until::Decided, fault })
            }
            Health::NotAnswered(fault) => {
                let (operation, group) = (stuck.operation, stuck.group.clone());
                pause(fault, Until::Answered { operation, group })
            }
            Health::OutOfTime => Judgment::OutOfTime,
        }
    }
}

impl Stuck {
    /// What is clear without a health call, if anything is: Mimecast has answered, or the policy is at stake, of which
    /// a health call says nothing.
    pub fn judge(&self) -> Option<Judgment> {
        match self.cause {
            Cause::Inconsistent | Cause::Contradicted => Some(Judgment::AtFault),
            Cause::Guarded => {
                let (until, fault) = (Until::Decided, self.fault.clone());
                Some(Judgment::Pause(Pausing { until, fault }))
            }
            Cause::Forbidden | Cause::Passing | Cause::Refused => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Fault;
    use super::*;
    use crate::command::Operation;

    fn stuck(cause: Cause) -> Stuck {
        let (operation, group) = (Operation::RemoveGroupMember, Some("group-1".to_owned()));
        Stuck { operation, group, cause, fault: Fault::new("of the message", "") }
    }

    #[test]
    fn a_message_is_at_fault_only_after_an_answer_and_its_own_call() {
        let fault = || Fault::new("of the health call", "");
        let until = Until::Answered {
            operation: Operation::RemoveGroupMember,
            group: Some("group-1".to_owned()),
        };
        let pause = |until| Judgment::Pause(Pausing { until, fault: fault() });
        let again = |is_final| Judgment::Again { is_final };
        for cause in [Cause::Passing, Cause::Refused, Cause::Forbidden] {
            assert_eq!(stuck(cause).judge(), None, "{cause:?}");
            let judge = |health: Health| health.judge(&stuck(cause));
            assert_eq!(judge(Health::Answered), again(true));
            assert_eq!(judge(Health::NotAnswered(fault())), pause(until.clone()));
            assert_eq!(judge(Health::OutOfTime), Judgment::OutOfTime);
            let is_passing = cause == Cause::Passing;
            let doubt = || Judgment::Doubt(Pausing { until: Until::Decided, fault: fault() });
            let forbidden = || if is_passing { again(false) } else { doubt() };
            assert_eq!(judge(Health::Forbidden(fault())), forbidden(), "{cause:?}");
            assert_eq!(judge(Health::Unclear(fault())), forbidden(), "{cause:?}");
        }
    }

    #[test]
    fn where_mimecast_has_answered_or_the_policy_is_at_stake_no_health_call_is_made() {
        for cause in [Cause::Inconsistent, Cause::Contradicted] {
            assert_eq!(stuck(cause).judge(), Some(Judgment::AtFault), "{cause:?}");
        }
        let judged = stuck(Cause::Guarded).judge();
        assert!(
            matches!(judged, Some(Judgment::Pause(pausing)) if pausing.until == Until::Decided)
        );
    }
}
