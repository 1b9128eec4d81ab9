//! `audit`: proves audit trails whole, and answers from them.

mod moment;
mod report;
mod show;
mod verify;

use super::terminal::{OutputError, tell};
use crate::secrecy::Seal;
use crate::telemetry::audit::{Broken, Files, FilesError};
use chrono::{DateTime, Utc};
pub use moment::Moment;
pub use show::Wanted;
use std::path::PathBuf;

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Audit {
    /// What is wanted to know.
    pub question: Question,
    /// The files, in any order; `-` is standard input.
    pub files: Vec<PathBuf>,
}

/// What is wanted to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    /// Whether they are whole.
    Verify {
        /// A line has to have this seal: what was said to be the last one, once.
        head: Option<String>,
        /// Each chain has to begin with its first line.
        from_first: bool,
        /// No start may have found a trail other than the daemon had left it.
        strict: bool,
        /// One JSON object a chain, and one for each place where one is broken.
        json: bool,
    },
    /// What was done for somebody.
    Show {
        /// Whose lines.
        wanted: Wanted,
        /// When they were written.
        period: Period,
        /// One JSON object a line.
        json: bool,
    },
    /// How it went, as a page.
    Report(Period),
}

/// From when to when.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Period {
    /// Not before.
    pub since: Option<Moment>,
    /// Before.
    pub until: Option<Moment>,
}

/// What it came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// The answer stands, and the files are whole.
    Whole,
    /// There is none, or it cannot be believed; it was said why.
    Wanting,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum AuditQuestionError {
    /// A file cannot be read.
    #[error(transparent)]
    Files(#[from] FilesError),
    /// The answer cannot be told.
    #[error(transparent)]
    Output(#[from] OutputError),
}

/// Answers at `now`, from files that are sealed with `seal`.
///
/// # Errors
///
/// [`AuditQuestionError`].
pub fn run(asked: &Audit, seal: &Seal, now: DateTime<Utc>) -> Result<Proof, AuditQuestionError> {
    match &asked.question {
        Question::Verify { head, from_first, strict, json } => {
            let demands = (head.as_deref(), *from_first, *strict);
            verify::verify(&asked.files, seal, demands, *json)
        }
        Question::Show { wanted, period, json } => {
            show::show(&asked.files, seal, wanted, &period.at(now), *json)
        }
        Question::Report(period) => report::report(&asked.files, seal, &period.at(now), now),
    }
}

/// A period by the clock.
#[derive(Clone, Copy, Debug, Default)]
struct Span {
    since: Option<DateTime<Utc>>,
    until: Option<DateTime<Utc>>,
}

impl Period {
    fn at(&self, now: DateTime<Utc>) -> Span {
        let at = |moment: Option<Moment>| moment.map(|moment| moment.at(now));
        Span { since: at(self.since), until: at(self.until) }
    }
}

impl Span {
    fn has(&self, at: DateTime<Utc>) -> bool {
        self.since.is_none_or(|since| at >= since) && self.until.is_none_or(|until| at < until)
    }
}

/// Says whether what was read can be believed.
fn tell_whether_whole(files: &Files) -> Proof {
    for chain in files.chains.iter().filter(|chain| chain.first > 1) {
        let (id, first) = (&chain.head.chain, chain.first);
        tell(&format!("chain {id} begins with line {first}: what came before is in older files"));
    }
    match files.broken.as_slice() {
        [] => Proof::Whole,
        [first, ..] => {
            tell(&format!("NOT WHOLE, first broken at {}", place(first)));
            Proof::Wanting
        }
    }
}

fn place(broken: &Broken) -> String {
    super::terminal::plain(&broken.to_string(), 1024)
}
