//! How a message got where it is. It travels with the message, in the headers of its copies.

use super::command_result::CommandResult;
use super::conclusion::Conclusion;
use super::done::Done;
use super::execution::{Execution, Request};
use crate::command::Command;
use chrono::{DateTime, Utc};
use uuid::Uuid;

/// How a message got where it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History {
    /// Requests sent for it, over all its commands.
    pub attempts: u32,
    /// When the first of them failed.
    pub first_failed_at: Option<DateTime<Utc>>,
    /// The id of the last request.
    pub request_id: Option<Uuid>,
    /// Rungs of the delay ladder that it has climbed.
    pub climbed: u32,
    /// Which of its commands hold already.
    pub done: Done,
    /// How it was altered before it could be read, if it was.
    pub altered: Option<String>,
    /// How often people sent it back to its lane after it was a dead letter.
    pub replays: u32,
    /// Whether it was delivered before, by the broker or as a copy of ours: its commands may have been done then.
    pub repeated: bool,
    /// The best result of its commands since it came. This does not travel.
    pub result: Option<CommandResult>,
    /// How its commands were carried out. This does not travel: it is told where the message is settled.
    pub executions: Vec<Execution>,
}

impl History {
    /// Keeps a request with the command that is carried out just now, if one is: before it is sent, since nobody may be
    /// there any more when its reply comes, and again with its reply.
    pub fn keep(&mut self, request: Request) {
        if let Some(execution) = self.executions.last_mut().filter(|it| it.result.is_none()) {
            execution.keep(request);
        }
    }

    /// Adds one attempt. It is one at the command that is carried out just now, if one is.
    pub fn attempted(&mut self, request: Request, failed: bool) {
        self.attempts = self.attempts.saturating_add(1);
        self.request_id = Some(request.id);
        if failed {
            self.first_failed_at.get_or_insert(request.at);
        }
        self.keep(request);
    }

    /// From now on attempts are at this command, be it for the first time or once more.
    pub fn begin(&mut self, command: &Command) {
        let known = self.executions.iter().position(|it| it.command == *command);
        let execution = known.map(|place| self.executions.remove(place));
        let execution = execution.unwrap_or_else(|| Execution::of(command.clone()));
        self.executions.push(Execution { result: None, ..execution });
    }

    /// How often the command that is carried out just now was asked for already.
    pub fn resends(&self) -> usize {
        let current = self.executions.last().filter(|it| it.result.is_none());
        current.map_or(0, |it| it.requests.len())
    }

    /// Notes the conclusion of the command that was begun with, and returns it as it is to be reported: "not found"
    /// may be our own doing where the command was sent before.
    pub fn conclude(&mut self, conclusion: Conclusion) -> Conclusion {
        let was_sent_before = self.repeated || self.resends() > 1;
        let is_ours = conclusion == Conclusion::NotFound && was_sent_before;
        let conclusion = if is_ours { Conclusion::AlreadyGone } else { conclusion };
        if let Some(execution) = self.executions.last_mut() {
            execution.result = conclusion.result();
        }
        self.note(conclusion.result());
        conclusion
    }

    /// Notes that there is nothing to remove, and returns how that is to be reported.
    pub fn nothing_to_do(&mut self) -> Conclusion {
        let conclusion = if self.repeated { Conclusion::AlreadyGone } else { Conclusion::NotFound };
        self.note(conclusion.result());
        conclusion
    }

    /// True if Mimecast has made a change for it since it came. That it does not find what was to go shows nothing:
    /// writes may fail, and reads not.
    pub fn has_changed(&self) -> bool {
        let is_change = |it: &Execution| it.result == Some(CommandResult::Applied);
        self.executions.iter().any(is_change)
    }

    /// True if Mimecast was asked for a change since it came.
    pub fn has_asked(&self) -> bool {
        self.executions.iter().any(|it| !it.requests.is_empty())
    }

    /// The command that is carried out just now, if one is.
    pub fn current(&self) -> Option<&Command> {
        self.executions.last().filter(|it| it.result.is_none()).map(|it| &it.command)
    }

    /// Keeps the best result of the commands of the message, as long as one holds.
    pub fn note(&mut self, result: Option<CommandResult>) {
        let new = result.filter(|result| result.holds());
        self.result = [self.result, new].into_iter().flatten().min();
    }

    /// At `at` Mimecast does not list any more what these commands were to remove.
    pub fn seen_gone(&mut self, is_meant: impl Fn(&Command) -> bool, at: DateTime<Utc>) {
        for execution in self.executions.iter_mut().filter(|it| is_meant(&it.command)) {
            execution.seen_gone_at = Some(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(at: DateTime<Utc>, id: u128) -> Request {
        let id = Uuid::from_u128(id);
        Request { at, id, vendor_id: None, outcome: "applied", code: None }
    }

    #[test]
    fn attempts_at_a_command_are_kept_with_it_and_those_at_anything_else_are_not() {
        let (mut history, at) = (History::default(), DateTime::UNIX_EPOCH);
        let command = |id: &str| Command::DeleteManagedUrl { id: id.into() };
        history.attempted(request(at, 1), false);
        assert_eq!(history.resends(), 0, "there is no command yet");
        history.begin(&command("one"));
        assert_eq!(history.resends(), 0);
        history.attempted(request(at, 2), true);
        assert_eq!(history.resends(), 1);
        history.conclude(Conclusion::OutOfTime);
        history.attempted(request(at, 3), false);
        history.begin(&command("two"));
        (4..=204).for_each(|id| history.attempted(request(at, id), false));
        history.conclude(Conclusion::NotFound);
        assert_eq!(history.resends(), 0, "it is over");
        history.begin(&command("one"));
        history.attempted(request(at, 205), false);
        assert_eq!(history.resends(), 2);
        history.conclude(Conclusion::Applied);
        history.seen_gone(|it| *it == command("two"), at);
        let told = history.executions.iter().map(|it| {
            let ids: Vec<u128> = it.requests.iter().map(|it| it.id.as_u128()).collect();
            (
                it.result.unwrap().label(),
                ids.len(),
                ids[0],
                ids[1],
                it.seen_gone_at.is_some(),
                it.holds(),
            )
        });
        let expected =
            [("already_gone", 100, 4, 106, true, true), ("applied", 2, 2, 205, false, true)];
        assert_eq!(told.collect::<Vec<_>>(), expected);
        assert_eq!(history.attempts, 205);
    }

    #[test]
    fn not_found_is_our_own_doing_only_where_the_command_may_have_been_sent_before() {
        let at = DateTime::UNIX_EPOCH;
        for (repeated, requests, expected) in [
            (false, 1, Conclusion::NotFound),
            (false, 2, Conclusion::AlreadyGone),
            (true, 1, Conclusion::AlreadyGone),
        ] {
            let mut history = History { repeated, ..History::default() };
            history.begin(&Command::DeleteManagedUrl { id: "one".into() });
            (0..requests).for_each(|id| history.attempted(request(at, id), false));
            assert_eq!(history.conclude(Conclusion::NotFound), expected);
            assert_eq!(history.result, expected.result());
        }
    }

    #[test]
    fn the_best_result_speaks_for_the_event() {
        let mut history = History::default();
        assert_eq!(history.nothing_to_do(), Conclusion::NotFound);
        assert_eq!(history.result, Some(CommandResult::NotFound));
        history.conclude(Conclusion::OutOfTime);
        assert_eq!(history.result, Some(CommandResult::NotFound));
        history.conclude(Conclusion::Applied);
        history.nothing_to_do();
        assert_eq!(history.result, Some(CommandResult::Applied));
    }

    #[test]
    fn attempts_are_counted_and_the_first_failure_and_the_last_request_are_kept() {
        let mut history = History::default();
        for (seconds, failed) in [(1, false), (2, true), (3, true), (4, false)] {
            let at = DateTime::from_timestamp(seconds, 0).unwrap();
            history.attempted(request(at, seconds.unsigned_abs().into()), failed);
        }
        let expected = History {
            attempts: 4,
            first_failed_at: DateTime::from_timestamp(2, 0),
            request_id: Some(Uuid::from_u128(4)),
            ..History::default()
        };
        assert_eq!(history, expected);
    }
}
