//! What a paused lane holds, and when it may go on.

use super::disposition::Disposition;
use super::evidence::{Evidence, Stuck};
use super::fault::Fault;
use super::probing::{Probing, Turn};
use crate::command::Operation;

/// What a paused lane holds: messages `M`, and with those that wait to be settled how, as `W` says.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Holding<M, W> {
    /// When it probes.
    pub probing: Probing,
    /// The message that the lane is paused for, unless it is the probe just now.
    pub suspect: Option<(M, Stuck)>,
    /// Messages that cannot be settled until the broker takes copies of them. Those to be parked have
    /// nothing wrong with them but the time: if the pause ends before that, they need no copies.
    pub waiting: Vec<W>,
    /// Whether the vendor has to answer before the lane goes on.
    until_answered: bool,
}

impl<M, W: AsRef<Disposition> + Into<M>> Holding<M, W> {
    /// Nothing yet.
    pub fn begin(probing: Probing) -> Holding<M, W> {
        Holding { probing, suspect: None, waiting: Vec::new(), until_answered: false }
    }

    /// Keeps a message of which nothing would succeed, as the suspect. If there is one, it is to be parked.
    pub fn keep(&mut self, message: M, stuck: Stuck) -> Option<(M, Fault)> {
        self.probing.is_for(&stuck);
        self.until_answered = true;
        match &self.suspect {
            None => {
                self.suspect = Some((message, stuck));
                None
            }
            Some(_) => Some((message, stuck.fault)),
        }
    }

    /// A message to probe with, before the queue is asked for one: the suspect and the queue in turn. While
    /// copies are not taken, nothing more is taken from the queue than must be.
    pub fn choose(&mut self, turn: Turn) -> Option<M> {
        match turn {
            Turn::Queue if self.waiting.is_empty() => None,
            Turn::Suspect | Turn::Queue => self.take(),
        }
    }

    /// The suspect, or else another one that is held because nothing would have succeeded.
    pub fn take(&mut self) -> Option<M> {
        let suspect = self.suspect.take().map(|(suspect, _)| suspect);
        suspect.or_else(|| {
            let place = self.waiting.iter().position(is_to_be_parked)?;
            Some(self.waiting.remove(place).into())
        })
    }

    /// Nothing is left to probe with: the next message that comes shall.
    pub fn has_nothing_to_probe_with(&mut self) {
        self.until_answered = false;
    }

    /// Whether the lane may go on, by what is known of each operation: the vendor has answered if it has to,
    /// and every copy is safe that has to be.
    pub fn is_over(&self, evidence: impl Fn(Operation) -> Evidence) -> bool {
        let may_go_on = self.probing.is_over(evidence) || !self.until_answered;
        may_go_on && self.waiting.iter().all(is_to_be_parked)
    }

    /// Everything that is held, to begin with it again. The suspect goes first: if it fails once more, the
    /// answer that ended the pause is the evidence against it.
    pub fn into_messages(self) -> impl Iterator<Item = M> {
        let suspect = self.suspect.into_iter().map(|(message, _)| message);
        suspect.chain(self.waiting.into_iter().map(Into::into))
    }
}

fn is_to_be_parked<W: AsRef<Disposition>>(waiting: &W) -> bool {
    matches!(waiting.as_ref(), Disposition::Park(_))
}

#[cfg(test)]
mod tests {
    use super::super::{Cause, Reason};
    use super::*;
    use std::time::Duration;

    struct Waiting(&'static str, Disposition);

    impl AsRef<Disposition> for Waiting {
        fn as_ref(&self) -> &Disposition {
            &self.1
        }
    }

    impl From<Waiting> for &'static str {
        fn from(waiting: Waiting) -> &'static str {
            waiting.0
        }
    }

    const CHANGE: Operation = Operation::RemoveGroupMember;

    fn fault() -> Fault {
        Fault::new("http_503", "")
    }

    fn stuck() -> Stuck {
        let mark = Evidence::default().mark();
        Stuck { operation: CHANGE, cause: Cause::Passing, mark, own: 0, fault: fault() }
    }

    fn holding() -> Holding<&'static str, Waiting> {
        let began = vec![(CHANGE, Evidence::default().mark())];
        Holding::begin(Probing::begin(began, Duration::ZERO, Duration::ZERO))
    }

    fn answered(_: Operation) -> Evidence {
        let mut evidence = Evidence::default();
        let sent = evidence.send();
        evidence.answer(sent);
        evidence
    }

    fn unanswered(_: Operation) -> Evidence {
        Evidence::default()
    }

    #[test]
    fn the_first_that_is_stuck_is_the_suspect_and_the_others_are_parked() {
        let mut holding = holding();
        assert_eq!(holding.keep("first", stuck()), None);
        assert_eq!(holding.keep("second", stuck()), Some(("second", fault())));
        holding.waiting.push(Waiting("dead", Disposition::DeadLetter(Reason::Rejected, fault())));
        holding.waiting.push(Waiting("second", Disposition::Park(fault())));
        let all: Vec<&str> = holding.into_messages().collect();
        assert_eq!(all, ["first", "dead", "second"]);
    }

    #[test]
    fn suspect_and_queue_are_the_probe_in_turn_unless_copies_wait() {
        let mut holding = holding();
        assert_eq!(holding.keep("suspect", stuck()), None);
        assert_eq!(holding.choose(Turn::Queue), None);
        assert_eq!(holding.choose(Turn::Suspect), Some("suspect"));
        assert_eq!(holding.choose(Turn::Suspect), None);
        holding.waiting.push(Waiting("dead", Disposition::DeadLetter(Reason::Rejected, fault())));
        assert_eq!(holding.choose(Turn::Queue), None, "that is no message to probe with");
        holding.waiting.push(Waiting("parked", Disposition::Park(fault())));
        assert_eq!(holding.choose(Turn::Queue), Some("parked"));
        assert_eq!(holding.waiting.len(), 1);
    }

    #[test]
    fn it_goes_on_when_the_vendor_has_answered_and_every_copy_is_safe() {
        let mut holding = holding();
        assert!(holding.is_over(unanswered), "it is not for the vendor that it waits");
        assert_eq!(holding.keep("suspect", stuck()), None);
        assert!(!holding.is_over(unanswered));
        assert!(holding.is_over(answered));
        holding.waiting.push(Waiting("parked", Disposition::Park(fault())));
        assert!(holding.is_over(answered), "it needs no copy any more");
        holding.waiting.push(Waiting("dead", Disposition::DeadLetter(Reason::Rejected, fault())));
        assert!(!holding.is_over(answered));
        holding.waiting.pop();
        holding.has_nothing_to_probe_with();
        assert!(holding.is_over(unanswered));
    }
}
