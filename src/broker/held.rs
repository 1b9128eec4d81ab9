//! The dead letters that somebody looks at, and those that were left alone, until they go back.

/// Messages that go back at once. RabbitMQ 3.10 returns more of them than this in the order of a hash (tried
/// with 3.10.8).
const GROUP: usize = 32;

/// What the broker has handed out on a channel and has not back, in the order of its delivery tags.
#[derive(Debug, Default)]
pub(super) struct Held {
    /// The last tag of each group, and how many messages it has.
    groups: Vec<(u64, usize)>,
    /// The letters that are looked at.
    in_hand: Vec<u64>,
    /// The consumer that brought the letters in hand brings no more.
    has_ended: bool,
    /// The next one begins a group: its consumer is another one.
    is_closed: bool,
}

impl Held {
    /// A letter with this delivery tag is looked at from now on.
    pub(super) fn take(&mut self, tag: u64) {
        self.in_hand.push(tag);
    }

    /// The consumer that brought what is in hand brings no more.
    pub(super) fn end_consumer(&mut self) {
        self.has_ended = true;
    }

    /// The letter in hand with this tag is not held any longer.
    pub(super) fn gone(&mut self, tag: u64) {
        self.in_hand.retain(|in_hand| *in_hand != tag);
    }

    /// What is in hand stays, and goes back at the end.
    pub(super) fn leave(&mut self) {
        for tag in std::mem::take(&mut self.in_hand) {
            match self.groups.last_mut() {
                Some((last, count)) if *count < GROUP && !self.is_closed => {
                    *last = tag;
                    *count += 1;
                }
                Some(_) | None => self.groups.push((tag, 1)),
            }
            self.is_closed = false;
        }
        self.is_closed |= std::mem::take(&mut self.has_ended);
    }

    /// What was left, in groups that go back at once: the last tag of each, and how many messages it has.
    pub(super) fn groups(&self) -> &[(u64, usize)] {
        &self.groups
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The groups of so many letters with tags from 1, looked at `few` at once, of which `gone` go.
    fn held(letters: u64, few: usize, gone: impl Fn(u64) -> bool) -> Held {
        let mut held = Held::default();
        let tags: Vec<u64> = (1..=letters).collect();
        for few in tags.chunks(few) {
            few.iter().for_each(|tag| held.take(*tag));
            few.iter().filter(|tag| gone(**tag)).for_each(|tag| held.gone(*tag));
            held.leave();
        }
        held
    }

    #[test]
    fn a_group_is_full_with_32_letters_however_many_are_looked_at_at_once() {
        for few in [1, 8, 100] {
            assert_eq!(held(70, few, |_| false).groups(), [(32, 32), (64, 32), (70, 6)], "{few}");
        }
    }

    #[test]
    fn what_is_gone_is_in_no_group_and_ends_none() {
        for few in [1, 8, 100] {
            let held = held(70, few, |tag| tag <= 40 || tag == 70);
            assert_eq!(held.groups(), [(69, 29)], "{few}");
        }
        assert_eq!(held(70, 8, |_| true).groups(), []);
    }

    #[test]
    fn letters_of_two_consumers_go_back_in_two_groups() {
        let mut held = held(8, 8, |_| false);
        (9..=12).for_each(|tag| held.take(tag));
        held.end_consumer();
        held.leave();
        held.take(13);
        held.leave();
        assert_eq!(held.groups(), [(12, 12), (13, 1)]);
    }
}
