//! What people do by hand on this machine, in a chain of its own beside that of the daemon.

use super::error::AuditError;
use super::mark::json;
use super::trail::{Opening, Trail};
use crate::settings::{Audit, Fsync};
use chrono::{DateTime, Utc};
use serde::Serialize;
use uuid::Uuid;

/// Bytes of a command that are kept, at most; a shell takes megabytes.
const LONGEST_COMMAND: usize = 16 * 1024;

/// The login of nobody, as the system has it.
const NO_LOGIN: &str = "4294967295";

/// The trail of what people do by hand; several may write to it in turn.
#[derive(Clone, Debug)]
pub struct ByHand {
    audit: Audit,
    command: String,
    fresh: fn() -> (DateTime<Utc>, Uuid),
    user: String,
    /// Who logged in, whatever became of that person since (`sudo`).
    login: Option<String>,
}

/// What somebody does.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Action<'a> {
    /// A command begins.
    Began {
        /// The command as it was typed.
        command: &'a str,
    },
    /// A dead letter is safe in this queue.
    Replayed {
        /// The letter.
        letter: Letter<'a>,
        /// The queue.
        to: &'a str,
    },
    /// A dead letter is thrown away.
    Discarded {
        /// The letter.
        letter: Letter<'a>,
    },
    /// A lane is paused.
    Paused {
        /// The lane.
        lane: &'a str,
        /// What it does now.
        state: &'a str,
    },
    /// A lane goes on.
    Resumed {
        /// The lane.
        lane: &'a str,
        /// What it does now.
        state: &'a str,
    },
}

/// A dead letter, by what tells it from others.
#[derive(Clone, Debug, Serialize)]
pub struct Letter<'a> {
    /// The id that it is listed by.
    pub id: &'a str,
    /// Why it was there.
    pub reason: &'a str,
    /// The code that says more.
    pub code: Option<&'a str>,
    /// The SHA-256 of its body, as in the line of its settlement.
    pub body_sha256: Option<String>,
    /// Whom it is about, in clear.
    pub subject: Option<String>,
}

/// An action, and who acts.
#[derive(Serialize)]
struct Told<'a> {
    #[serde(flatten)]
    action: &'a Action<'a>,
    user: &'a str,
    login_uid: Option<&'a str>,
    version: &'static str,
}

impl ByHand {
    /// The trail of `audit`, for whoever runs this process with these words.
    pub fn new(audit: Audit, command: String, fresh: fn() -> (DateTime<Utc>, Uuid)) -> ByHand {
        let login = std::fs::read_to_string("/proc/self/loginuid").ok();
        let login = login.map(|it| it.trim().to_owned()).filter(|it| it != NO_LOGIN);
        let command = command[..command.floor_char_boundary(LONGEST_COMMAND)].to_owned();
        let user = whoami::username().unwrap_or_else(|_| "unknown".into());
        ByHand { audit, command, fresh, user, login }
    }

    /// Writes that the command begins, so that nothing is begun that cannot be written down.
    ///
    /// # Errors
    ///
    /// [`AuditError`].
    pub fn begin(&self) -> Result<(), AuditError> {
        self.tell(&Action::Began { command: &self.command })
    }

    /// Writes a line, safe on the disk if the settings want that.
    ///
    /// # Errors
    ///
    /// [`AuditError`]; then what is to be told must not be done.
    pub fn tell(&self, action: &Action<'_>) -> Result<(), AuditError> {
        let Audit { by_hand, by_hand_seal: seal, fsync, timings, .. } = &self.audit;
        let (now, opening) = ((self.fresh)(), Opening::ForALine(timings.audit_lock));
        let mut trail = Trail::open(by_hand, seal.clone(), now, opening)?;
        let told = json(&Told {
            action,
            user: &self.user,
            login_uid: self.login.as_deref(),
            version: env!("CARGO_PKG_VERSION"),
        });
        trail.append(std::iter::once((now.0, told.as_str())), *fsync == Fsync::Always)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secrecy::Seal;
    use crate::settings::Timings;

    #[test]
    fn of_a_long_command_the_beginning_is_kept() {
        let audit = Audit {
            path: "audit.jsonl".into(),
            by_hand: "by-hand.jsonl".into(),
            key_file: None,
            seal: Seal::default(),
            by_hand_seal: Seal::default(),
            fsync: Fsync::Always,
            timings: Timings::default(),
        };
        let fresh = || (DateTime::UNIX_EPOCH, Uuid::nil());
        let kept =
            |bytes: usize| ByHand::new(audit.clone(), "c".repeat(bytes), fresh).command.len();
        assert_eq!(kept(LONGEST_COMMAND), LONGEST_COMMAND);
        assert_eq!(kept(LONGEST_COMMAND + 1), LONGEST_COMMAND);
    }
}
