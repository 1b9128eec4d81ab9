//! How a command was carried out for one message, for whoever has to prove it later.

use super::command_result::CommandResult;
use crate::command::Command;
use chrono::{DateTime, Utc};
use uuid::Uuid;

/// Requests that are kept of one command: the first, and then the last ones.
const MOST_REQUESTS: usize = 100;

/// How a command was carried out for one message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Execution {
    /// The command.
    pub command: Command,
    /// The requests for it, in their order; of very many only the first and the last ones.
    pub requests: Vec<Request>,
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

impl Execution {
    /// Nothing is sent yet.
    pub(super) fn of(command: Command) -> Execution {
        Execution { command, requests: Vec::new(), result: None, seen_gone_at: None }
    }

    /// Whether what the command asks for holds since then.
    pub fn holds(&self) -> bool {
        self.result.is_some_and(CommandResult::holds)
    }

    pub(super) fn keep(&mut self, request: Request) {
        if self.requests.len() >= MOST_REQUESTS {
            self.requests.remove(1);
        }
        self.requests.push(request);
    }
}
