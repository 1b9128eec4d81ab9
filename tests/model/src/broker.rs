//! What the broker does.

use crate::job::{Job, Letter, Stage};
use crate::lane::Lane;
use crate::protocol::Protocol;
use mimecast_eventd::verdict::{Answer, Place};

impl Lane {
    /// Takes a copy of a message.
    pub fn take_copy(&mut self, letter: &Letter, place: Place) {
        let copy = Letter::of(letter.item);
        let Letter { climbed, relapses, .. } = *letter;
        let same = Letter { climbed, relapses, told_relapses: relapses, ..copy };
        match place {
            Place::Rung(rung) => self.delayed.push(Letter { climbed: rung.number, ..copy }),
            Place::Hop(_) => self.delayed.push(same),
            Place::Queue => self.queue.push_back(same),
            Place::DeadLetters(reason) => {
                self.dead.insert((letter.item, reason.label()));
            }
        }
    }

    /// Is told what becomes of a message that it handed out.
    pub fn take_answer(&mut self, letter: &Letter, answer: Answer, protocol: &Protocol) {
        match answer {
            Answer::Ack => {}
            Answer::Reject => {
                self.dead.insert((letter.item, "rejected"));
            }
            Answer::Requeue => self.come_back(letter, true, protocol.delivery_limit),
            Answer::Return => {
                self.come_back(letter, protocol.every_return_counts, protocol.delivery_limit);
            }
        }
    }

    /// The session is over: what was handed out and not settled comes back. Calls that are under way go on.
    pub fn lose_session(&mut self, protocol: &Protocol) {
        let mut letters: Vec<Letter> = self.unsettled().copied().collect();
        letters.sort_by_key(|letter| std::cmp::Reverse((letter.item, letter.climbed)));
        let desk = self.pause.take().and_then(|pause| pause.desk);
        for job in self.work.drain(..).chain(desk) {
            if let Job { letter, stage: Stage::Asking(_, sent, _), .. } = job {
                self.ghosts.push((letter.item, sent));
            }
        }
        for letter in letters {
            self.come_back(&letter, protocol.every_return_counts, protocol.delivery_limit);
        }
    }

    fn come_back(&mut self, letter: &Letter, counts: bool, limit: u8) {
        // What the daemon has learnt of it is in no header.
        let (returned, relapses) = (letter.returned + u8::from(counts), letter.told_relapses);
        let letter = Letter { returned, relapses, suspect: None, late: None, ..*letter };
        match letter.returned > limit {
            true => {
                self.dead.insert((letter.item, "delivery_limit"));
            }
            false => self.queue.push_front(letter),
        }
    }
}
