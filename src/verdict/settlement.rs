//! How a message is settled: the steps that its disposition takes at the broker, in their order.

use super::disposition::Disposition;
use super::fault::Fault;
use super::hop::Hop;
use super::ladder::Rung;
use super::reason::Reason;

/// One step of a settlement. The next is taken only when this one has succeeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step<'a> {
    /// A copy goes there and tells of this fault; it is done when the broker has confirmed that it is safe.
    Copy(Place, &'a Fault),
    /// The broker is told what becomes of the message that it handed out.
    Answer(Answer),
}

/// Where a copy goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// To a rung of the delay ladder.
    Rung(Rung),
    /// To a delay queue.
    Hop(Hop),
    /// To the end of the queue that it came from.
    Queue,
    /// To the dead-letter exchange.
    DeadLetters(Reason),
}

/// What the broker is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It is done with.
    Ack,
    /// It is to be dead-lettered as it is.
    Reject,
    /// It is to come again, and that counts towards the queue's delivery limit.
    Requeue,
    /// It is to come again, since we stop.
    Return,
}

impl Disposition {
    /// The steps that settle a message. A copy is safe in its queue before the original is acked: a crash in
    /// between makes a duplicate, never a loss.
    pub fn steps(&self) -> impl Iterator<Item = Step<'_>> {
        let (copy, answer) = match self {
            Disposition::Ack => (None, Answer::Ack),
            Disposition::Retry(rung, fault) => (Some((Place::Rung(*rung), fault)), Answer::Ack),
            Disposition::Defer(hop, fault) | Disposition::Wait(hop, fault) => {
                (Some((Place::Hop(*hop), fault)), Answer::Ack)
            }
            Disposition::DeadLetter(reason, fault) => {
                (Some((Place::DeadLetters(*reason), fault)), Answer::Ack)
            }
            Disposition::PassOver(_) => (None, Answer::Reject),
            Disposition::Park(fault) => (Some((Place::Queue, fault)), Answer::Ack),
            Disposition::Requeue(_) => (None, Answer::Requeue),
            Disposition::Return => (None, Answer::Return),
        };
        let copy = copy.map(|(place, fault)| Step::Copy(place, fault));
        copy.into_iter().chain([Step::Answer(answer)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn nothing_is_acked_before_its_copy_is_safe_and_what_is_given_back_needs_none() {
        let fault = || Fault::new("code", "");
        let (rung, hop) = (Rung { number: 1, delay: Duration::ZERO }, Hop::ALL[0]);
        for (disposition, copy, answer) in [
            (Disposition::Ack, None, Answer::Ack),
            (Disposition::Retry(rung, fault()), Some(Place::Rung(rung)), Answer::Ack),
            (Disposition::Defer(hop, fault()), Some(Place::Hop(hop)), Answer::Ack),
            (Disposition::Wait(hop, fault()), Some(Place::Hop(hop)), Answer::Ack),
            (
                Disposition::DeadLetter(Reason::Denied, fault()),
                Some(Place::DeadLetters(Reason::Denied)),
                Answer::Ack,
            ),
            (Disposition::PassOver(fault()), None, Answer::Reject),
            (Disposition::Park(fault()), Some(Place::Queue), Answer::Ack),
            (Disposition::Requeue(fault()), None, Answer::Requeue),
            (Disposition::Return, None, Answer::Return),
        ] {
            let fault = fault();
            let copy = copy.map(|place| Step::Copy(place, &fault));
            let expected: Vec<Step> = copy.into_iter().chain([Step::Answer(answer)]).collect();
            assert_eq!(disposition.steps().collect::<Vec<_>>(), expected, "{disposition:?}");
        }
    }
}
