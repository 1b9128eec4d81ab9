//! How a command was carried out for one message, for whoever has to prove it later.

use super::command_result::CommandResult;
use crate::command::Command;
use chrono::{DateTime, Utc};
use uuid::Uuid;

/// Requests that are kept of one command: the first, and then the last ones.
const MOST_REQUESTS: usize = 100;

/// The outcome of a request that has no reply yet.
const UNANSWERED: &str = "unanswered";

/// How a command was carried out for one message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Execution {
    /// The command.
    pub command: Command,
    /// The requests for it, in their order; of very many only the first and the last ones.
    pub requests: Vec<Request>,
    /// How many there were in all.
    pub sent: usize,
    /// Its result; nothing while it goes on, or where a stop ended it.
    pub result: Option<CommandResult>,
    /// When the vendor was read back, and what was to go was not there any more.
    pub seen_gone_at: Option<DateTime<Utc>>,
}

/// One request for a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// When it was sent.
    pub at: DateTime<Utc>,
    /// The id that it was sent with.
    pub id: Uuid,
    /// The id that the vendor knows it by, if it told another one.
    pub vendor_id: Option<String>,
    /// What its reply said.
    pub outcome: &'static str,
    /// The code of what went wrong, if something did.
    pub code: Option<String>,
}

impl Request {
    /// One that is about to be sent.
    pub fn sent(at: DateTime<Utc>, id: Uuid) -> Request {
        Request { at, id, vendor_id: None, outcome: UNANSWERED, code: None }
    }
}

impl Execution {
    /// Nothing is sent yet.
    pub(super) fn of(command: Command) -> Execution {
        Execution { command, requests: Vec::new(), sent: 0, result: None, seen_gone_at: None }
    }

    /// Whether what the command asks for holds since then.
    pub fn holds(&self) -> bool {
        self.result.is_some_and(CommandResult::holds)
    }

    /// True where a request was sent and what became of it is not known: it may have had its effect.
    pub fn may_have_had_an_effect(&self) -> bool {
        let unknown = |code: &str| {
            matches!(code, "timeout" | "connection" | "reply_too_large" | "no_verdict")
        };
        self.requests
            .iter()
            .any(|it| it.outcome == UNANSWERED || it.code.as_deref().is_some_and(unknown))
    }

    /// Keeps a request; one that was kept as sent has its reply now.
    pub(super) fn keep(&mut self, request: Request) {
        let is_the_same = |it: &Request| it.outcome == UNANSWERED && it.id == request.id;
        if self.requests.last().is_some_and(is_the_same) {
            self.requests.pop();
        } else {
            self.sent += 1;
        }
        if self.requests.len() >= MOST_REQUESTS {
            self.requests.remove(1);
        }
        self.requests.push(request);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_requests_the_first_and_the_last_are_kept_and_all_are_counted() {
        let mut execution = Execution::of(Command::DeleteManagedUrl { id: "entry".into() });
        let id = |number: usize| Uuid::from_u128(number as u128);
        for number in 0..=MOST_REQUESTS {
            execution.keep(Request::sent(DateTime::UNIX_EPOCH, id(number)));
            let kept = execution.requests.len();
            assert_eq!((kept, execution.sent), ((number + 1).min(MOST_REQUESTS), number + 1));
        }
        let kept: Vec<Uuid> = execution.requests.iter().map(|it| it.id).collect();
        assert_eq!((kept[0], kept[1]), (id(0), id(2)));
        assert_eq!(kept.last(), Some(&id(MOST_REQUESTS)));
    }
}
