//! What the broker does.

use crate::job::{Item, Letter};
use crate::protocol::Protocol;
use crate::replica::{Replica, Start};
use crate::state::State;
use mimecast_eventd::verdict::{Answer, Place};

impl State {
    /// Takes a copy of a message.
    pub fn take_copy(&mut self, letter: &Letter, place: Place) {
        let same = Letter { delays: letter.delays, ..Letter::of(letter.item) };
        match place {
            Place::Rung(rung) => self.delayed.push(Letter { delays: rung.number, ..same }),
            Place::Hop(_) => self.delayed.push(same),
            Place::Queue => self.queue.push_back(same),
            Place::DeadLetters(reason) => self.bury(letter.item, reason.label()),
        }
    }

    /// Is told what becomes of a message that it handed out.
    pub fn take_answer(&mut self, letter: &Letter, answer: Answer, protocol: &Protocol) {
        match answer {
            Answer::Ack => {}
            Answer::Reject => self.bury(letter.item, "rejected_by_consumer"),
            Answer::Requeue => self.come_back(letter, true, protocol.delivery_limit),
            Answer::Return => {
                self.come_back(letter, protocol.every_return_counts, protocol.delivery_limit);
            }
        }
    }

    /// The session of a replica is over: what was handed out and not settled comes back.
    pub fn lose_session(&mut self, protocol: &Protocol, replica: usize) {
        let here = &mut self.replicas[replica];
        let mut letters: Vec<Letter> = here.unsettled().copied().collect();
        let Replica { is_stopping, knows_an_answer, quota, has_probed, .. } = *here;
        // What the process has learned outlasts the session, and a health call in flight does.
        let (streak, health) = (std::mem::take(&mut here.streak), here.health.take());
        let start = Start::First;
        let new = Replica {
            is_stopping,
            knows_an_answer,
            quota,
            streak,
            has_probed,
            health,
            start,
            ..Replica::default()
        };
        *here = new;
        letters.sort_by_key(|letter| std::cmp::Reverse((letter.item, letter.delays)));
        for letter in letters {
            self.come_back(&letter, protocol.every_return_counts, protocol.delivery_limit);
        }
    }

    fn come_back(&mut self, letter: &Letter, counts: bool, limit: u8) {
        let returned = letter.returned + u8::from(counts);
        let letter = Letter { returned, is_redelivered: true, late: None, ..*letter };
        match returned > limit {
            true => self.bury(letter.item, "delivery_limit"),
            false => self.queue.push_front(letter),
        }
    }

    fn bury(&mut self, item: Item, reason: &'static str) {
        self.dead.insert((item, reason));
    }
}
