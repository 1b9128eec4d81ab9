//! Watches for events that name what Mimecast does not know: each of them alone is fine, and many in a row are a
//! wrong attribute, a wrong group or a wrong tenant.

use super::family::Families;
use crate::command::Operation;
use crate::verdict::CommandResult;
use chrono::{DateTime, TimeDelta, Utc};
use prometheus::{GaugeVec, IntGaugeVec};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// Commands in a row that ended `not_found`, and none `applied`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Streak {
    commands: i64,
    /// When the first and the last of them ended.
    span: Option<(DateTime<Utc>, DateTime<Utc>)>,
}

/// The streak of each operation, and its series.
#[derive(Debug)]
pub(super) struct NotFound {
    streaks: Mutex<BTreeMap<Operation, Streak>>,
    commands: IntGaugeVec,
    seconds: GaugeVec,
}

impl NotFound {
    pub(super) fn new(families: &Families) -> NotFound {
        let made = NotFound {
            streaks: Mutex::default(),
            commands: families.gauges(
                "eventd_commands_not_found_streak",
                "Commands since the last one that was applied which ended not_found, in this process.",
                &["operation"],
            ),
            seconds: families.real_gauges(
                "eventd_commands_not_found_streak_seconds",
                "Seconds from the first to the last command of eventd_commands_not_found_streak.",
                &["operation"],
            ),
        };
        for operation in Operation::CHANGES {
            made.commands.with_label_values(&[operation.label()]);
            made.seconds.with_label_values(&[operation.label()]);
        }
        made
    }

    /// A command ended with `result` at `at`.
    pub(super) fn concluded(&self, operation: Operation, result: CommandResult, at: DateTime<Utc>) {
        let mut streaks = self.streaks.lock().unwrap_or_else(PoisonError::into_inner);
        let streak = streaks.entry(operation).or_default();
        *streak = streak.after(result, at);
        let label = &[operation.label()];
        self.commands.with_label_values(label).set(streak.commands);
        self.seconds.with_label_values(label).set(streak.time().as_seconds_f64());
    }
}

impl Streak {
    /// A result that says nothing of names leaves it as it is.
    fn after(self, result: CommandResult, at: DateTime<Utc>) -> Streak {
        match result {
            CommandResult::Applied => Streak::default(),
            CommandResult::NotFound => {
                let first = self.span.map_or(at, |(first, _)| first);
                Streak { commands: self.commands + 1, span: Some((first, at)) }
            }
            CommandResult::AlreadyGone
            | CommandResult::Rejected
            | CommandResult::Unauthorized
            | CommandResult::Throttled
            | CommandResult::Unavailable => self,
        }
    }

    fn time(self) -> TimeDelta {
        self.span.map_or(TimeDelta::zero(), |(first, last)| last - first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_streak_counts_what_was_not_found_until_something_is_applied() {
        let after = |results: &[CommandResult]| {
            let hours = |hour: usize| DateTime::UNIX_EPOCH + TimeDelta::hours(hour as i64);
            let ended = results.iter().enumerate();
            let streak =
                ended.fold(Streak::default(), |it, (hour, result)| it.after(*result, hours(hour)));
            (streak.commands, streak.time().num_hours())
        };
        let (found, not_found) = (CommandResult::Applied, CommandResult::NotFound);
        assert_eq!(after(&[]), (0, 0));
        assert_eq!(after(&[not_found]), (1, 0));
        assert_eq!(after(&[not_found, CommandResult::Rejected, not_found]), (2, 2));
        assert_eq!(after(&[not_found, CommandResult::AlreadyGone]), (1, 0), "we may have done it");
        assert_eq!(after(&[not_found, not_found, found]), (0, 0));
        assert_eq!(after(&[not_found, found, not_found, not_found]), (2, 1));
    }
}
