//! What happens next, in words.

use crate::job::Item;
use crate::protocol::Faults;
use std::fmt;

/// What happens next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Action {
    /// The replica with which it happens, if it is one.
    pub replica: Option<usize>,
    /// The message with which it happens, if it is one.
    pub item: Option<Item>,
    /// The place of that message among others.
    pub place: usize,
    /// What happens.
    pub step: Step,
}

/// What happens: to Mimecast, to a replica, or to a message. The steps from `Outage` on are faults.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// The retry delay of a message ends.
    EndDelay,
    /// Mimecast is well again.
    Recover,
    /// A new window of the quota begins.
    Renew,
    /// The broker delivers the next message to a replica.
    Deliver,
    /// Mimecast decides on a health call of a replica.
    CallHealth,
    /// The reply to it arrives.
    HearHealth,
    /// A paused lane begins its next step.
    Wake,
    /// A paused lane has waited for a change for ten minutes.
    Release,
    /// A replica has stopped, and starts again.
    Restart,
    /// The call of a message is made, and the reply arrives.
    Call,
    /// The broker takes the copy that settling needs, confirms it, or is told what becomes of the message.
    Settle,
    /// Mimecast fails at every call.
    Outage,
    /// Mimecast fails at every call but health calls.
    HalfOutage,
    /// A replica is killed, and starts again.
    Crash,
    /// A replica is told to stop.
    Stop,
    /// A replica loses its connection, and connects again.
    Cut,
    /// A paused lane may not hold a message any longer.
    GiveBack,
    /// There is no time left for a message.
    TimeOut,
    /// Mimecast answers the call of a message with 429.
    Throttle,
    /// Mimecast does what it is called for, and the reply is lost.
    LoseReply,
    /// The confirm of a copy does not come in time.
    Delay,
    /// The broker does not take a copy.
    Refuse,
}

impl Step {
    /// Whether something goes wrong.
    pub fn is_fault(self) -> bool {
        Faults::default().left(self).is_some()
    }

    fn words(self) -> &'static str {
        match self {
            Step::EndDelay => "the retry delay is over.",
            Step::Recover => "Mimecast is well again.",
            Step::Renew => "a new window of the quota begins.",
            Step::Deliver => "it is delivered.",
            Step::CallHealth => "a health call is made.",
            Step::HearHealth => "the reply to the health call arrives.",
            Step::Wake => "the interval of the pause is over.",
            Step::Release => "there was no change for ten minutes.",
            Step::Restart => "it has stopped, and starts again.",
            Step::Call => "the call is made.",
            Step::Settle => "it is settled further.",
            Step::Outage => "Mimecast fails at every call.",
            Step::HalfOutage => "Mimecast fails at every call but health calls.",
            Step::Crash => "it is killed, and starts again.",
            Step::Stop => "it is told to stop.",
            Step::Cut => "it loses its connection, and connects again.",
            Step::GiveBack => "a message may not be held any longer.",
            Step::TimeOut => "there is no time left.",
            Step::Throttle => "Mimecast answers 429.",
            Step::LoseReply => "the call is made, and its reply is lost.",
            Step::Delay => "the confirm of the copy does not come in time.",
            Step::Refuse => "the broker does not take the copy.",
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fault = self.step.is_fault().then(|| "FAULT".to_owned());
        let replica = self.replica.map(|replica| format!("replica {replica}"));
        let item = self.item.map(|item| item.to_string());
        for part in [fault, replica, item].into_iter().flatten() {
            write!(f, "{part}: ")?;
        }
        f.write_str(self.step.words())
    }
}
