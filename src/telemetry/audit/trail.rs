//! The file of an audit trail: lines are added at its end, all of a batch or none.

use super::line::Head;
use super::tail::{self, Tail, Unfit};
use crate::secrecy::Seal;
use chrono::{DateTime, Utc};
use serde::Serialize;
use std::fs::{File, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use uuid::Uuid;

/// Why something could not be written to the audit trail.
#[derive(Clone, Debug, thiserror::Error)]
pub enum AuditError {
    /// The system does not allow it.
    #[error("audit.path: {path} cannot be written: {cause}")]
    Unwritable {
        /// The file.
        path: String,
        /// What the system says.
        cause: String,
    },
    /// There is another one.
    #[error(
        "audit.path: {path} is written by another process; {{host}} in it tells replicas apart"
    )]
    Held {
        /// The file.
        path: String,
    },
    /// It would go on after something that is not ours.
    #[error(
        "audit.path: the last line of {path} goes by another key than audit.key_file, or was changed; \
         when it is moved away a new chain begins"
    )]
    Foreign {
        /// The file.
        path: String,
    },
    /// Who writes it is no more.
    #[error("the audit trail is not written any more")]
    Ended,
}

/// What is said when something happens to the file itself.
#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Mark<'a> {
    /// A process has opened the file.
    Opened { version: &'a str, host: &'a str, process: u32, continues: Option<&'a str> },
    /// The bytes between the line before and this one are what a crash has left of a line.
    Repaired { torn_bytes: u64, torn_sha256: &'a str },
}

/// How long a file is held for a line, at most.
const PATIENCE: Duration = Duration::from_secs(5);

/// What a file is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Opening {
    /// For as long as the process lives: nobody else writes to it, and each opening is told in it.
    ToStay,
    /// For a line: others do the same, and are waited for.
    ForALine,
}

/// The file of an audit trail, locked for as long as this lives.
#[derive(Debug)]
pub(super) struct Trail {
    path: PathBuf,
    file: File,
    seal: Seal,
    head: Head,
    /// Where the last line ends, while there is something behind it that is none.
    torn_at: Option<u64>,
}

impl Trail {
    /// Opens the file at `path`, or makes it, and says so in it. The chain goes on after its last line, or after that of the file which was there before
    /// it; else one with the id `chain` begins.
    ///
    /// # Errors
    ///
    /// [`AuditError`].
    pub(super) fn open(
        path: &Path,
        seal: Seal,
        (at, chain): (DateTime<Utc>, Uuid),
        opening: Opening,
    ) -> Result<Trail, AuditError> {
        let patience = match opening {
            Opening::ToStay => Duration::ZERO,
            Opening::ForALine => PATIENCE,
        };
        let file = locked(path, patience)?;
        let tail = Tail::read(&file, &seal).map_err(|unfit| match unfit {
            Unfit::Unreadable(cause) => unwritable(path, &cause),
            Unfit::Foreign => AuditError::Foreign { path: path.display().to_string() },
        })?;
        let is_first = tail.head.is_none();
        let older = if is_first { Tail::of_older(path, &seal) } else { None };
        let (older, continues) = older.unzip();
        let mut trail = Trail {
            path: path.to_owned(),
            file,
            seal,
            head: tail.head.or(older).unwrap_or_else(|| Head::new(chain)),
            torn_at: (tail.whole < tail.length).then_some(tail.whole),
        };
        match opening {
            Opening::ForALine if !is_first => {}
            Opening::ToStay | Opening::ForALine => trail.begin(at, continues.as_deref())?,
        }
        Ok(trail)
    }

    /// Where its chain is.
    pub(super) fn head(&self) -> &Head {
        &self.head
    }

    /// Adds a line for each of `entries`, in their order and all of them, and waits until they are safe if
    /// that is wanted.
    ///
    /// # Errors
    ///
    /// [`AuditError`]; then it is as if none had been written.
    pub(super) fn append<'a>(
        &mut self,
        entries: impl Iterator<Item = (DateTime<Utc>, &'a str)>,
        safe: bool,
    ) -> Result<(), AuditError> {
        let mut entries = entries.peekable();
        let Some((at, _)) = entries.peek() else { return Ok(()) };
        let mended = self.mended(*at)?;
        let (mut head, mut text) = mended.unwrap_or_else(|| (self.head.clone(), String::new()));
        for (at, entry) in entries {
            text.push_str(&head.next(at, entry, &self.seal));
        }
        self.write(&text, head, safe).map_err(|cause| unwritable(&self.path, &cause))
    }

    /// Waits until everything is safe on the disk.
    ///
    /// # Errors
    ///
    /// When it is not known to be.
    pub(super) fn sync(&self) -> Result<(), AuditError> {
        self.file.sync_data().map_err(|cause| unwritable(&self.path, &cause))
    }

    /// Goes on in the file that its path leads to now, if that is another one. The chain goes on too.
    ///
    /// # Errors
    ///
    /// [`AuditError`]; then it goes on where it was.
    pub(super) fn follow(&mut self, at: DateTime<Utc>) -> Result<bool, AuditError> {
        let is_same = self.path.metadata().is_ok_and(|there| {
            let ours = self.file.metadata();
            ours.is_ok_and(|ours| (ours.dev(), ours.ino()) == (there.dev(), there.ino()))
        });
        if is_same {
            return Ok(false);
        }
        let file = locked(&self.path, Duration::ZERO)?;
        let length = file.metadata().map_err(|cause| unwritable(&self.path, &cause))?.len();
        // What is in it already is not of this chain, or not a line.
        if length > 0 {
            return Err(AuditError::Foreign { path: self.path.display().to_string() });
        }
        let before = std::mem::replace(&mut self.file, file);
        let torn_at = self.torn_at.take();
        let begun = self.begin(at, Some("the file that was here before"));
        if begun.is_err() {
            (self.file, self.torn_at) = (before, torn_at);
        }
        begun.map(|()| true)
    }

    /// Says that a process has opened the file.
    fn begin(&mut self, at: DateTime<Utc>, continues: Option<&str>) -> Result<(), AuditError> {
        let host = gethostname::gethostname();
        let opened = json(&Mark::Opened {
            version: env!("CARGO_PKG_VERSION"),
            host: &host.to_string_lossy(),
            process: std::process::id(),
            continues,
        });
        self.append(std::iter::once((at, opened.as_str())), true)?;
        // That there is such a file has to be safe as well.
        let folder = self.path.parent().filter(|it| !it.as_os_str().is_empty());
        let folder = File::open(folder.unwrap_or(Path::new(".")));
        folder.and_then(|it| it.sync_all()).map_err(|cause| unwritable(&self.path, &cause))
    }

    /// The line break and the line that vouch for what a crash has left, and where the chain is then.
    fn mended(&self, at: DateTime<Utc>) -> Result<Option<(Head, String)>, AuditError> {
        let Some(torn_at) = self.torn_at else { return Ok(None) };
        let end = self.file.metadata().map(|it| it.len());
        let torn = end.and_then(|end| tail::bytes(&self.file, torn_at, end));
        let torn = torn.map_err(|cause| unwritable(&self.path, &cause))?;
        let torn_sha256 = Seal::default().of(&torn);
        let repaired =
            json(&Mark::Repaired { torn_bytes: torn.len() as u64, torn_sha256: &torn_sha256 });
        let mut head = self.head.clone();
        let line = head.next(at, &repaired, &self.seal);
        Ok(Some((head, format!("\n{line}"))))
    }

    fn write(&mut self, text: &str, head: Head, safe: bool) -> io::Result<()> {
        let before = self.file.metadata()?.len();
        let written = self.file.write_all(text.as_bytes());
        let written = written.and_then(|()| if safe { self.file.sync_data() } else { Ok(()) });
        match written {
            Ok(()) => (self.head, self.torn_at) = (head, None),
            // Nobody was promised what was written of it. A file that lets nothing be taken away keeps it,
            // and the next line vouches for it.
            Err(_) if self.file.metadata().is_ok_and(|now| now.len() <= before) => {}
            Err(_) => match self.file.set_len(before) {
                Ok(()) => {}
                Err(_) => self.torn_at = self.torn_at.or(Some(before)),
            },
        }
        written
    }
}

/// The file at `path`, ours alone.
fn locked(path: &Path, patience: Duration) -> Result<File, AuditError> {
    let mut options = File::options();
    let file = options.read(true).append(true).create(true).mode(0o600).open(path);
    let file = file.map_err(|cause| unwritable(path, &cause))?;
    let since = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if since.elapsed() < patience => {
                std::thread::sleep(Duration::from_millis(5));
            }
            Err(TryLockError::WouldBlock) => {
                return Err(AuditError::Held { path: path.display().to_string() });
            }
            Err(TryLockError::Error(cause)) => return Err(unwritable(path, &cause)),
        }
    }
}

fn unwritable(path: &Path, cause: &io::Error) -> AuditError {
    AuditError::Unwritable { path: path.display().to_string(), cause: cause.to_string() }
}

/// `entry` as JSON.
pub(super) fn json(entry: &impl Serialize) -> String {
    serde_json::to_string(entry).expect("an entry has nothing that JSON has not")
}
