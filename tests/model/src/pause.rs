//! What a paused lane does, as the program's holding decides it.

use crate::action::Seat;
use crate::job::{Job, Letter, Waiting};
use crate::lane::{Lane, Pause, Step, Then};
use crate::protocol::{Mistake, Protocol};
use mimecast_eventd::verdict::{Disposition, Holding, Probing, Stuck, Turn};
use std::time::Duration;

impl Lane {
    /// The pause, which begins if there is none.
    pub fn pause(&mut self) -> &mut Pause {
        let began = vec![(self.operation, self.evidence.mark())];
        self.pause.get_or_insert_with(|| Pause {
            holding: Holding::begin(Probing::begin(began, Duration::ZERO, Duration::ZERO)),
            // What waits is settled before the first wait.
            step: Step::Settles(1, Then::Wait),
            desk: None,
            has_heard: false,
            is_for_vendor: false,
        })
    }

    /// Whether the lane may go on.
    pub fn is_over(&self, protocol: &Protocol) -> bool {
        let Some(pause) = &self.pause else { return false };
        let parked = |waiting: &Waiting| matches!(waiting.disposition, Disposition::Park(_));
        match protocol.mistake == Some(Mistake::ResumeBlindly) {
            true => pause.holding.waiting.iter().all(parked),
            false => pause.holding.is_over(|_| self.evidence),
        }
    }

    /// The next step begins: what waits is settled first, then a message is the probe.
    pub(crate) fn wake(&mut self, protocol: &Protocol) {
        let Some(pause) = &mut self.pause else { return };
        let then = match pause.holding.probing.turn() {
            Turn::Suspect => Then::Suspect,
            Turn::Queue => Then::Queue,
        };
        // Only the turn counts of them.
        pause.holding.probing.probes %= 2;
        pause.step = Step::Settles(pause.holding.waiting.len(), then);
        self.go_on(protocol);
    }

    /// What a step does next, as far as that waits for nobody, while no message is on the desk.
    pub(crate) fn go_on(&mut self, protocol: &Protocol) {
        let is_over = self.is_over(protocol);
        let Some(pause) = self.pause.as_mut().filter(|it| it.desk.is_none()) else { return };
        let Step::Settles(left, then) = pause.step else { return };
        let left = left.min(pause.holding.waiting.len());
        match (left, then) {
            (0, Then::Wait) => pause.step = Step::Waits,
            (0, Then::Suspect | Then::Queue) => {
                pause.step = Step::Probes;
                if is_over {
                    pause.step = Step::Waits;
                } else {
                    self.probe(if then == Then::Suspect { Turn::Suspect } else { Turn::Queue });
                }
            }
            (left, then) => {
                let Waiting { letter, disposition } = pause.holding.waiting.remove(0);
                pause.step = Step::Settles(left - 1, then);
                pause.desk = Some(Job::settle(letter, disposition));
            }
        }
    }

    /// Chooses a message and begins with it.
    fn probe(&mut self, turn: Turn) {
        let Some(pause) = &mut self.pause else { return };
        let ours = pause.holding.choose(turn);
        let chosen = ours.or_else(|| self.queue.pop_front()).or_else(|| pause.holding.take());
        match chosen {
            Some(letter) => pause.desk = Some(Job::begin(letter, true)),
            None => {
                pause.holding.has_nothing_to_probe_with();
                (pause.is_for_vendor, pause.step) = (false, Step::Waits);
            }
        }
    }

    /// The lane goes on, with everything that it held.
    pub fn resume(&mut self) {
        let Some(pause) = self.pause.take() else { return };
        self.went_on_blindly |= pause.is_for_vendor && !pause.has_heard;
        self.work.extend(pause.holding.into_messages().map(|letter| Job::begin(letter, false)));
    }

    /// The daemon stops: everything that is held is given back.
    pub fn give_up(&mut self) {
        let Some(pause) = self.pause.take() else { return };
        let held = pause.holding.into_messages();
        self.work.extend(pause.desk.into_iter().chain(held.map(give_back)));
    }

    /// The suspect was held for too long.
    pub fn hold_too_long(&mut self) {
        let Some(pause) = &mut self.pause else { return };
        if let Some((letter, stuck)) = pause.holding.suspect.take() {
            pause.holding.waiting.push(park(letter, stuck));
        }
    }

    /// A message is off the desk: after a probe, what waits is settled.
    pub(crate) fn leave_desk(&mut self, protocol: &Protocol, seat: Seat) {
        if let Some(pause) = self.pause.as_mut().filter(|_| seat == Seat::Desk)
            && pause.step == Step::Probes
        {
            pause.step = Step::Settles(pause.holding.waiting.len(), Then::Wait);
        }
        self.go_on(protocol);
    }
}

impl Pause {
    /// Keeps a message of which nothing would succeed.
    pub fn keep(&mut self, mut letter: Letter, stuck: Stuck) {
        letter.suspect = Some(stuck.mark);
        self.is_for_vendor = true;
        // What its calls were does not count any more.
        let kept = self.holding.keep(letter, Stuck { own: 0, ..stuck });
        if let Some((letter, fault)) = kept {
            self.holding.waiting.push(Waiting { letter, disposition: Disposition::Park(fault) });
        }
    }
}

fn give_back(letter: Letter) -> Job {
    Job::settle(letter, Disposition::Return)
}

fn park(letter: Letter, stuck: Stuck) -> Waiting {
    Waiting { letter, disposition: Disposition::Park(stuck.fault) }
}
