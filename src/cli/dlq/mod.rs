//! `dlq`: dead letters in the hands of people.

mod filter;
mod letter;
mod look;
mod settle;

use super::terminal::{self, OutputError};
use crate::broker::topology::{self, Found};
use crate::broker::{Authorship, Broker, BrokerError, DeadLetter, DeadLetters};
use crate::settings::Queues;
use crate::telemetry::AuditError;
use crate::telemetry::audit::{Action, ByHand};
use chrono::{DateTime, Utc};
pub use filter::Filter;
pub use letter::Letter;
use std::io;
use std::sync::Arc;

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dlq {
    /// Which letters are meant.
    pub filter: Filter,
    /// What is done with them.
    pub act: Act,
    /// Whether it is told to a program.
    pub json: bool,
}

/// What is done with dead letters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// A line each.
    List,
    /// How many there are by reason and code.
    Stats,
    /// All that there is to say of those that are called so.
    Show(String),
    /// An object each that `send` takes back.
    Export,
    /// Back to their lanes.
    Replay(Replay),
    /// Out of the world.
    Discard(Discard),
}

impl Act {
    /// Whether it changes anything.
    pub fn changes(&self) -> bool {
        match self {
            Act::List | Act::Stats | Act::Show(_) | Act::Export => false,
            Act::Replay(Replay { dry_run, .. }) | Act::Discard(Discard { dry_run, .. }) => !dry_run,
        }
    }
}

/// How dead letters are sent back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Replay {
    /// Nothing is sent, only said.
    pub dry_run: bool,
    /// No more than so many.
    pub limit: Option<u32>,
    /// So many a second.
    pub rate: Option<u32>,
    /// To this queue, instead of that of its lane.
    pub to: Option<String>,
    /// Also what was sent back often already.
    pub force: bool,
}

/// How dead letters are thrown away.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Discard {
    /// Nothing is thrown away, only said.
    pub dry_run: bool,
    /// No more than so many.
    pub limit: Option<u32>,
    /// Nobody is asked.
    pub yes: bool,
}

/// What it came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Everything that was asked for.
    Done,
    /// Something that was asked for was not done, and it was said why.
    Left,
}

/// Why it was not done.
#[derive(Debug, thiserror::Error)]
pub enum DlqError {
    /// There is no key to sign copies with.
    #[error(
        "nothing was read: without the key of the daemon nobody would know any more who published a dead letter; set \
         amqp.copy_key as the daemon has it, or else the credentials of Mimecast, of which it is derived"
    )]
    NoKey,
    /// The broker, or the way to it.
    #[error(transparent)]
    Broker(#[from] BrokerError),
    /// What is done cannot be written down, so that it is not done.
    #[error(transparent)]
    Audit(#[from] AuditError),
    /// What was found cannot be printed.
    #[error(transparent)]
    Output(#[from] OutputError),
    /// The question cannot be asked.
    #[error("no answer can be read from standard input: {0}; `--yes` asks no question")]
    Ask(io::Error),
    /// Who was asked did not agree.
    #[error(
        "nothing was discarded: {typed:?} is not {queue:?}; `--yes` goes on without being asked"
    )]
    NotConfirmed {
        /// What was typed.
        typed: String,
        /// What should have been.
        queue: String,
    },
}

/// Does what is asked for, at `now`; what changes anything is told to `by_hand`.
///
/// # Errors
///
/// [`DlqError`]; what was held then goes back to the queue with the connection.
pub async fn run(
    dlq: &Dlq,
    settings: &Queues,
    by_hand: Option<&ByHand>,
    now: DateTime<Utc>,
) -> Result<Ended, DlqError> {
    if settings.amqp.copy_key.is_none() {
        return Err(DlqError::NoKey);
    }
    if let Act::Discard(Discard { yes: false, dry_run: false, .. }) = dlq.act {
        settle::confirm(&settings.amqp.dead_letter_queue)?;
    }
    if let Some(by_hand) = by_hand {
        by_hand.begin()?;
    }
    let broker = Broker::connect_for_people(&settings.amqp).await?;
    let queue = &settings.amqp.dead_letter_queue;
    if let Found::Wrong(problem) = topology::verify_dead_letter_queue(&broker, queue).await? {
        terminal::tell(&format!("warning: {problem}"));
    }
    // A broker with an alarm reads no more from whoever publishes.
    let copies = Broker::connect_for_people(&settings.amqp).await?;
    let authorship = Authorship::of(&settings.amqp);
    let mut letters = DeadLetters::open(&broker, &copies, queue, authorship).await?;
    if !dlq.act.changes() {
        letters.ask_for_copies().await?;
    }
    if letters.others() > 0 {
        terminal::tell(
            "warning: somebody else reads the queue, and what is held there is not seen here",
        );
    }
    let mut desk = Desk { letters, filter: &dlq.filter, settings, by_hand, now };
    let ended = match &dlq.act {
        Act::List => look::list(&mut desk, dlq.json).await,
        Act::Stats => look::stats(&mut desk, dlq.json).await,
        Act::Show(id) => look::show(&mut desk, id, dlq.json).await,
        Act::Export => look::export(&mut desk).await,
        Act::Replay(replay) => settle::replay(&mut desk, replay, dlq.json).await,
        Act::Discard(discard) => settle::discard(&mut desk, discard, dlq.json).await,
    };
    let unseen = desk.letters.unseen();
    if unseen > 0 {
        terminal::tell(&format!(
            "warning: {unseen} that were there at first were not seen: somebody else has them now"
        ));
    }
    // Also after a failure: what is still there is to be back at once, not when the connection is missed.
    let given_back = desk.letters.give_back().await;
    let returned = desk.letters.returned();
    if returned > 0 {
        terminal::tell(&format!(
            "warning: {returned} were returned to the queue: that counts as a delivery, and where RabbitMQ 4.3 \
             delays retries they are not visible yet"
        ));
    }
    // While its channels are still there: what the broker was told last might not reach it otherwise.
    broker.close().await;
    copies.close().await;
    let ended = ended?;
    given_back?;
    Ok(ended)
}

/// The queue, laid open.
struct Desk<'a> {
    letters: DeadLetters,
    filter: &'a Filter,
    settings: &'a Queues,
    by_hand: Option<&'a ByHand>,
    now: DateTime<Utc>,
}

impl Desk<'_> {
    /// Writes down what is done to a letter.
    fn tell(&self, action: &Action<'_>) -> Result<(), AuditError> {
        self.by_hand.map_or(Ok(()), |by_hand| by_hand.tell(action))
    }

    /// The next letter that is meant.
    async fn next(&mut self) -> Result<Option<Letter>, DlqError> {
        while let Some(found) = self.letters.next().await? {
            let letter = self.read(found);
            if self.filter.allows(&letter) {
                return Ok(Some(letter));
            }
        }
        Ok(None)
    }

    /// The next letters, whether they are meant or not, but no more than `most`; none after the last.
    async fn next_few(&mut self, most: usize) -> Result<Vec<Letter>, DlqError> {
        let found = self.letters.next_few(most).await?;
        Ok(found.into_iter().map(|found| self.read(found)).collect())
    }

    fn read(&self, found: Arc<DeadLetter>) -> Letter {
        Letter::read(found, &self.settings.contract, self.now)
    }
}
