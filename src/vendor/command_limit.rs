//! How many commands of a lane may have an effect in a window of time.

use crate::command::Operation;
use std::collections::{BTreeMap, VecDeque};
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
    /// Lets one command through.
    ///
    /// # Errors
    ///
    /// [`Full`], if there may be no other effect for now.
    pub(super) fn take(
        &self,
        most: Option<(usize, Duration)>,
        now: Instant,
    ) -> Result<Permit<'_>, Full> {
        self.counted().take(most, now)?;
        Ok(Permit { limit: self })
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
    /// without a limit.
    fn take(&mut self, limit: Option<(usize, Duration)>, now: Instant) -> Result<(), Full> {
        if let Some((most, window)) = limit {
            let since = |at: &Instant| now.saturating_duration_since(*at);
            let first = self.effects.partition_point(|at| since(at) >= window);
            let effects = self.effects.len() - first;
            if effects >= most {
                // With a limit that is smaller now, more of them have to leave the window.
                let last = &self.effects[self.effects.len() - most];
                return Err(Full::For(window.saturating_sub(since(last))));
            }
            if effects + self.under_way >= most {
                return Err(Full::WhileUnderWay);
            }
        }
        self.under_way += 1;
        Ok(())
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
    /// The command had an effect, or may have had one.
    pub(super) fn had_effect(&self) {
        self.limit.counted().had_effect(Instant::now());
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
            counted.take(limit, now).map(|()| {
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
        let first = limit.take(most, now).unwrap();
        let second = limit.take(most, now).unwrap();
        assert_eq!(limit.take(most, now).err(), Some(Full::WhileUnderWay));
        drop(first);
        assert!(limit.take(most, now).is_ok());
        second.had_effect();
        drop(second);
        assert!(limit.take(most, Instant::now()).is_ok(), "one of two had an effect");
    }

    #[test]
    fn of_any_number_of_effects_no_more_are_remembered_than_a_limit_can_be() {
        let (mut counted, now) = (Counted::default(), Instant::now());
        (0..MOST_EFFECTS + 5).for_each(|_| counted.had_effect(now));
        assert_eq!(counted.effects.len(), MOST_EFFECTS);
        counted.had_effect(now + LONGEST_WINDOW);
        assert_eq!(counted.effects.len(), 1, "the others are in no window any more");
    }
}
