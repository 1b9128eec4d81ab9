//! How many commands of a lane may have an effect in a window of time.

use crate::command::Operation;
use std::collections::{BTreeMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;

/// Effects that are remembered of one operation: as many as a limit can be.
const MOST_EFFECTS: usize = 100_000;

/// The longest window that can be set.
const LONGEST_WINDOW: Duration = Duration::from_hours(24);

/// The commands of each lane, as far as they count. They are those of this process: credentials may change.
#[derive(Debug)]
pub(super) struct CommandLimits(BTreeMap<Operation, CommandLimit>);

/// The commands of one lane, as far as they count.
#[derive(Debug, Default)]
pub(super) struct CommandLimit {
    counted: Mutex<Counted>,
    /// Notified when a command under way has ended.
    pub ended: Notify,
}

/// The commands that count.
#[derive(Debug, Default)]
struct Counted {
    /// When commands had an effect, the oldest first.
    effects: VecDeque<Instant>,
    /// Commands that may have had one, by their fingerprints, and when they were tried last: nobody knows what became of
    /// their requests. A command that is tried again does not count twice.
    unknown: BTreeMap<u64, Instant>,
    /// What fingerprints are made with.
    key: RandomState,
    /// Commands that may yet have one.
    under_way: usize,
    /// Commands that wait for their turn here.
    waiting: usize,
}

/// Why a command has to wait.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Full {
    /// For this long at least.
    For(Duration),
    /// Until a command that is under way has ended without an effect.
    WhileUnderWay,
}

/// A command that may be carried out. Dropped without an effect it gives its place back.
pub(super) struct Permit<'a> {
    limit: &'a CommandLimit,
    command: u64,
    is_again: bool,
}

/// A command that waits here.
pub(super) struct Turn<'a>(&'a CommandLimit);

impl Default for CommandLimits {
    fn default() -> CommandLimits {
        CommandLimits(Operation::CHANGES.map(|it| (it, CommandLimit::default())).into())
    }
}

impl CommandLimits {
    /// That of the lane of this change.
    pub(super) fn of(&self, operation: Operation) -> &CommandLimit {
        self.0
            .get(&operation)
            .expect("every change has one from the start, and commands are changes")
    }
}

impl CommandLimit {
    /// Lets one command through, of which this is the text.
    ///
    /// # Errors
    ///
    /// [`Full`], if there may be no other effect for now.
    pub(super) fn take(
        &self,
        command: &str,
        most: Option<(usize, Duration)>,
        now: Instant,
    ) -> Result<Permit<'_>, Full> {
        let mut counted = self.counted();
        let command = counted.key.hash_one(command);
        let is_again = counted.take(command, most, now)?;
        Ok(Permit { limit: self, command, is_again })
    }

    /// How long those need that wait here already.
    pub(super) fn queue(&self, most: Option<(usize, Duration)>) -> Duration {
        let waiting = self.counted().waiting;
        let windows = |(most, window): (usize, Duration)| window * (waiting / most) as u32;
        most.map(windows).unwrap_or_default()
    }

    /// Whether a command waits here.
    pub(super) fn is_waited_for(&self) -> bool {
        self.counted().waiting > 0
    }

    fn counted(&self) -> MutexGuard<'_, Counted> {
        self.counted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counted {
    /// Counts one command as under way, if there may be so many effects in a window of this length; any number
    /// without a limit. Returns whether it may have had its effect before, and so has its place already.
    fn take(
        &mut self,
        command: u64,
        limit: Option<(usize, Duration)>,
        now: Instant,
    ) -> Result<bool, Full> {
        let is_again = self.unknown.contains_key(&command);
        if let (Some((most, window)), false) = (limit, is_again) {
            let since = |at: &Instant| now.saturating_duration_since(*at);
            let first = self.effects.partition_point(|at| since(at) >= window);
            let unknown = self.unknown.values().filter(|at| since(at) < window);
            let count = self.effects.len() - first + unknown.clone().count();
            if count >= most {
                let mut counted: Vec<Instant> =
                    self.effects.range(first..).chain(unknown).copied().collect();
                counted.sort_unstable();
                // With a limit that is smaller now, more of them have to leave the window.
                let last = &counted[counted.len() - most];
                return Err(Full::For(window.saturating_sub(since(last))));
            }
            if count + self.under_way >= most {
                return Err(Full::WhileUnderWay);
            }
        }
        self.unknown.remove(&command);
        self.under_way += 1;
        Ok(is_again)
    }

    /// Remembers a command that may have had an effect. Where they are more than a limit can be, the oldest is forgotten.
    fn may_have_had_effect(&mut self, command: u64, now: Instant) {
        self.unknown.insert(command, now);
        if self.unknown.len() > MOST_EFFECTS {
            let oldest = self.unknown.iter().min_by_key(|(_, at)| **at);
            let oldest = oldest.map(|(command, _)| *command);
            oldest.map(|oldest| self.unknown.remove(&oldest));
        }
    }

    fn had_effect(&mut self, now: Instant) {
        let is_old = |at: &Instant| now.saturating_duration_since(*at) >= LONGEST_WINDOW;
        while self.effects.len() >= MOST_EFFECTS || self.effects.front().is_some_and(is_old) {
            self.effects.pop_front();
        }
        self.effects.push_back(now);
    }
}

impl Permit<'_> {
    /// True where the command was tried before, and nobody knows what became of that.
    pub(super) fn is_again(&self) -> bool {
        self.is_again
    }

    /// The command had an effect.
    pub(super) fn had_effect(&self) {
        self.limit.counted().had_effect(Instant::now());
    }

    /// The command may have had an effect: it keeps its place until that is known, or out of the window.
    pub(super) fn may_have_had_effect(&self) {
        self.limit.counted().may_have_had_effect(self.command, Instant::now());
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        self.limit.counted().under_way -= 1;
        self.limit.ended.notify_waiters();
    }
}

impl<'a> Turn<'a> {
    /// From now on until it is dropped.
    pub(super) fn take(limit: &'a CommandLimit) -> Turn<'a> {
        limit.counted().waiting += 1;
        Turn(limit)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.counted().waiting -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn no_window_has_more_effects_than_are_allowed() {
        let (start, limit) = (Instant::now(), Some((3, SECOND * 10)));
        let mut counted = Counted::default();
        let mut apply = |seconds: u32, limit| {
            let now = start + SECOND * seconds;
            counted.take(0, limit, now).map(|_| {
                counted.under_way -= 1;
                counted.had_effect(now);
            })
        };
        assert_eq!([apply(0, limit), apply(1, limit), apply(5, limit)], [Ok(()), Ok(()), Ok(())]);
        assert_eq!(apply(5, limit), Err(Full::For(SECOND * 5)));
        assert_eq!(apply(9, limit), Err(Full::For(SECOND)));
        assert_eq!(apply(10, limit), Ok(()), "the first is out of the window");
        assert_eq!(apply(10, limit), Err(Full::For(SECOND)));
        // Another limit counts what was done under the one before, or under none.
        assert_eq!(apply(10, Some((4, SECOND * 10))), Ok(()));
        assert_eq!(apply(10, Some((1, SECOND * 10))), Err(Full::For(SECOND * 10)));
        assert_eq!(apply(10, Some((3, SECOND * 60))), Err(Full::For(SECOND * 55)));
        assert_eq!([apply(30, None), apply(30, None), apply(31, None)], [Ok(()), Ok(()), Ok(())]);
        assert_eq!(apply(32, limit), Err(Full::For(SECOND * 8)));
    }

    #[test]
    fn a_command_without_an_effect_gives_its_place_back() {
        let (limit, most) = (CommandLimit::default(), Some((2, SECOND)));
        let now = Instant::now();
        let first = limit.take("a", most, now).unwrap();
        let second = limit.take("a", most, now).unwrap();
        assert_eq!(limit.take("a", most, now).err(), Some(Full::WhileUnderWay));
        drop(first);
        assert!(limit.take("a", most, now).is_ok());
        second.had_effect();
        drop(second);
        assert!(limit.take("a", most, Instant::now()).is_ok(), "one of two had an effect");
    }

    #[test]
    fn a_command_of_which_nobody_knows_whether_it_had_an_effect_counts_once_until_that_is_known() {
        let (limit, most, now) = (CommandLimit::default(), Some((2, SECOND * 10)), Instant::now());
        let take = |command| limit.take(command, most, now);
        for _ in 0..3 {
            let permit = take("a").unwrap();
            permit.may_have_had_effect();
        }
        let other = take("b").unwrap();
        assert_eq!(take("c").err(), Some(Full::WhileUnderWay));
        other.may_have_had_effect();
        drop(other);
        assert!(matches!(take("c").err(), Some(Full::For(_))));
        // Both have their places, and it turns out that one had no effect.
        let again = take("a").unwrap();
        assert!(again.is_again());
        again.had_effect();
        drop(again);
        assert!(take("b").unwrap().is_again());
        assert!(take("c").is_ok_and(|permit| !permit.is_again()));
        // Out of the window nothing counts.
        let later = now + SECOND * 20;
        assert!(limit.take("d", Some((1, SECOND * 10)), later).is_ok());
    }

    #[test]
    fn of_any_number_of_effects_no_more_are_remembered_than_a_limit_can_be() {
        let (mut counted, now) = (Counted::default(), Instant::now());
        (0..MOST_EFFECTS + 5).for_each(|_| counted.had_effect(now));
        assert_eq!(counted.effects.len(), MOST_EFFECTS);
        counted.had_effect(now + LONGEST_WINDOW);
        assert_eq!(counted.effects.len(), 1, "the others are in no window any more");
        (0..MOST_EFFECTS as u64).for_each(|it| counted.may_have_had_effect(it, now));
        counted.may_have_had_effect(0, now + SECOND);
        assert_eq!(counted.unknown.len(), MOST_EFFECTS);
        counted.may_have_had_effect(u64::MAX, now + SECOND);
        assert_eq!((counted.unknown.len(), counted.unknown.contains_key(&0)), (MOST_EFFECTS, true));
    }
}
