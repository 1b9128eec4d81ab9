//! The file of an audit trail: lines are added at its end, all of a batch or none.

use super::line::Head;
use super::tail::{self, End, Tail, Unfit};
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
    /// It would be mixed with something else.
    #[error("audit.path: {path} holds something else than an audit trail; name another file")]
    NoTrail {
        /// The file.
        path: String,
    },
    /// Something was done that is in no line yet.
    #[error("the audit trail lacks what was done already: {cause}")]
    Behind {
        /// Why it cannot be written.
        cause: String,
    },
    /// The disk does not answer.
    #[error("the audit trail is not written in time: the disk does not answer")]
    Silent,
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

/// What a file is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Opening {
    /// For as long as the process lives: nobody else writes to it, and each opening is told in it.
    ToStay,
    /// For a line: others do the same, and are waited for, but not for longer than this.
    ForALine(Duration),
}

/// The file of an audit trail, locked for as long as this lives.
#[derive(Debug)]
pub(super) struct Trail {
    path: PathBuf,
    file: File,
    seal: Seal,
    head: Head,
    /// How the file ends, as far as we had a part in it.
    end: End,
}

impl Trail {
    /// Opens the file at `path`, or makes it, and says so in it. The chain goes on after its last line, or after
    /// that of the file which was there before it; else one with the id `chain` begins.
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
            Opening::ForALine(patience) => patience,
        };
        let file = locked(path, patience)?;
        let tail = Tail::read(&file, &seal).map_err(|unfit| match unfit {
            Unfit::Unreadable(cause) => unwritable(path, &cause),
            Unfit::Foreign => AuditError::Foreign { path: path.display().to_string() },
            Unfit::NoTrail => AuditError::NoTrail { path: path.display().to_string() },
        })?;
        let is_first = tail.head.is_none();
        let older = if is_first { Tail::of_older(path, &seal) } else { None };
        let (older, continues) = older.unzip();
        let mut trail = Trail {
            path: path.to_owned(),
            file,
            seal,
            head: tail.head.or(older).unwrap_or_else(|| Head::new(chain)),
            end: tail.end,
        };
        match opening {
            Opening::ForALine(_) if !is_first => {}
            Opening::ToStay | Opening::ForALine(_) => {
                trail.begin(at, continues.as_deref())?;
                trail.sync_folder()?;
            }
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
    /// [`AuditError`]; then it goes on where it was, unless it is only not known whether the new file is safe.
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
        let end = std::mem::take(&mut self.end);
        let begun = self.begin(at, Some("the file that was here before"));
        if begun.is_err() {
            (self.file, self.end) = (before, end);
        }
        begun.and_then(|()| self.sync_folder()).map(|()| true)
    }

    /// Says that a process has opened the file.
    fn begin(&mut self, at: DateTime<Utc>, continues: Option<&str>) -> Result<(), AuditError> {
        let host = whoami::hostname();
        let opened = json(&Mark::Opened {
            version: env!("CARGO_PKG_VERSION"),
            host: host.as_deref().unwrap_or_default(),
            process: std::process::id(),
            continues,
        });
        self.append(std::iter::once((at, opened.as_str())), true)
    }

    /// That there is such a file has to be safe as well.
    fn sync_folder(&self) -> Result<(), AuditError> {
        let folder = self.path.parent().filter(|it| !it.as_os_str().is_empty());
        let folder = File::open(folder.unwrap_or(Path::new(".")));
        folder.and_then(|it| it.sync_all()).map_err(|cause| unwritable(&self.path, &cause))
    }

    /// The line break and the line that vouch for what a crash has left, and where the chain is then.
    fn mended(&self, at: DateTime<Utc>) -> Result<Option<(Head, String)>, AuditError> {
        let torn_at = match self.end {
            End::Whole => return Ok(None),
            End::Unbroken => return Ok(Some((self.head.clone(), "\n".into()))),
            End::Torn(at) => at,
        };
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
            Ok(()) => (self.head, self.end) = (head, End::Whole),
            // Nobody was promised what was written of it.
            Err(_) if self.file.metadata().is_ok_and(|now| now.len() <= before) => {}
            Err(_) if self.file.set_len(before).is_ok() => {}
            Err(_) => self.learn(),
        }
        written
    }

    /// A file that lets nothing be taken away keeps what was written: lines of it count, though what they
    /// tell of is told once more, and the next line vouches for the rest.
    fn learn(&mut self) {
        if let Ok(Tail { head: Some(head), end }) = Tail::read(&self.file, &self.seal) {
            (self.head, self.end) = (head, end);
        }
    }
}

/// The file at `path`, ours alone.
fn locked(path: &Path, patience: Duration) -> Result<File, AuditError> {
    let mut options = File::options();
    let file = options.read(true).append(true).create(true).mode(0o600).open(path);
    let file = file.map_err(|cause| unwritable(path, &cause))?;
    // What is written to a pipe or a device is nowhere afterwards.
    if !file.metadata().is_ok_and(|it| it.is_file()) {
        return Err(unwritable(path, &io::Error::other("it is not a regular file")));
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::audit::Files;
    use std::fs;
    use tempfile::TempDir;

    fn now() -> (DateTime<Utc>, Uuid) {
        ("2026-11-26T04:00:00Z".parse().unwrap(), Uuid::from_u128(7))
    }

    fn open(path: &Path, key: &[u8]) -> Result<Trail, AuditError> {
        Trail::open(path, Seal::by(key), now(), Opening::ToStay)
    }

    fn append(trail: &mut Trail, count: usize) {
        let entries = (0..count).map(|_| (now().0, r#"{"kind":"k"}"#));
        trail.append(entries, true).unwrap();
    }

    /// The number of lines of the one chain in these files, which has to be whole, and how many were torn.
    fn whole(paths: &[&Path]) -> (u64, u64) {
        let paths: Vec<PathBuf> = paths.iter().map(|path| path.to_path_buf()).collect();
        let files = Files::read(&paths, &Seal::by(b"key"), |_, _| {}).unwrap();
        assert_eq!(files.broken, []);
        let [chain] = files.chains.as_slice() else { panic!("{:?}", files.chains) };
        assert_eq!(chain.first, 1);
        (chain.head.lines, chain.torn)
    }

    #[test]
    fn a_chain_goes_on_after_a_restart_and_after_a_torn_line() {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("audit.jsonl");
        append(&mut open(&path, b"key").unwrap(), 3);
        append(&mut open(&path, b"key").unwrap(), 200);
        assert_eq!(whole(&[&path]), (205, 0));
        let text = fs::read_to_string(&path).unwrap();
        for (cut, expected) in
            [(0, (207, 0)), (1, (207, 0)), (2, (207, 1)), (40, (207, 1)), (text.len() - 2, (3, 0))]
        {
            fs::write(&path, &text[..text.len() - cut]).unwrap();
            append(&mut open(&path, b"key").unwrap(), 1);
            assert_eq!(whole(&[&path]), expected, "{cut} bytes are missing");
        }
    }

    #[test]
    fn a_chain_goes_on_in_the_next_file_whether_the_process_lives_or_not() {
        let folder = TempDir::new().unwrap();
        let [path, first, second] = ["audit.jsonl", "audit.jsonl.2", "audit.jsonl-20261126"]
            .map(|it| folder.path().join(it));
        let mut trail = open(&path, b"key").unwrap();
        append(&mut trail, 2);
        assert!(!trail.follow(now().0).unwrap(), "it is the same file");
        fs::rename(&path, &first).unwrap();
        append(&mut trail, 1);
        assert!(trail.follow(now().0).unwrap());
        append(&mut trail, 1);
        drop(trail);
        fs::rename(&path, &second).unwrap();
        // What is of others, or no trail at all, is not gone on with.
        fs::write(folder.path().join("audit.jsonl.9"), "nothing of ours").unwrap();
        append(&mut open(&path, b"key").unwrap(), 1);
        assert_eq!(whole(&[&path, &first, &second]), (8, 0));
    }

    #[test]
    fn a_chain_does_not_go_on_in_a_file_of_others_that_was_put_in_its_place() {
        let folder = TempDir::new().unwrap();
        let [path, moved] = ["audit.jsonl", "audit.jsonl.1"].map(|it| folder.path().join(it));
        let mut trail = open(&path, b"key").unwrap();
        fs::rename(&path, &moved).unwrap();
        fs::write(&path, "not ours\n").unwrap();
        let followed = trail.follow(now().0);
        assert!(matches!(followed, Err(AuditError::Foreign { .. })), "{followed:?}");
        append(&mut trail, 1);
        assert_eq!(fs::read_to_string(&path).unwrap(), "not ours\n");
        assert_eq!(whole(&[&moved]), (2, 0));
    }

    #[test]
    fn two_do_not_write_to_one_file_at_a_time_and_a_chain_does_not_go_on_with_another_key() {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("audit.jsonl");
        let trail = open(&path, b"key").unwrap();
        let held = open(&path, b"key").unwrap_err().to_string();
        assert!(held.contains("is written by another process"), "{held}");
        // Who comes for a line waits, but not for ever.
        let ((tell, told), there) = (std::sync::mpsc::channel(), path.clone());
        std::thread::spawn(move || {
            let opening = Opening::ForALine(Duration::from_millis(50));
            tell.send(Trail::open(&there, Seal::by(b"key"), now(), opening).map(drop))
        });
        let given_up = told.recv_timeout(Duration::from_secs(30)).expect("it gives up");
        assert!(matches!(given_up, Err(AuditError::Held { .. })), "{given_up:?}");
        drop(trail);
        let foreign = open(&path, b"other").unwrap_err().to_string();
        assert!(foreign.contains("goes by another key"), "{foreign}");
        assert_eq!(whole(&[&path]), (1, 0));
    }

    #[test]
    fn a_file_that_cannot_be_had_is_named() {
        for path in ["/dev/full", "/dev/null", "/proc", "/nowhere/audit.jsonl"] {
            let error = open(Path::new(path), b"key").unwrap_err().to_string();
            assert!(
                error.starts_with(&format!("audit.path: {path} cannot be written: ")),
                "{error}"
            );
        }
    }

    #[test]
    fn a_file_that_is_something_else_is_left_as_it_is() {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("settings.toml");
        let long = "not ours\n".repeat(4 << 20);
        for text in ["[audit]\npath = \"x\"\n", "x", "{\"chain\": 7}", &long] {
            fs::write(&path, text).unwrap();
            let error = open(&path, b"key").unwrap_err().to_string();
            assert!(error.contains("holds something else than an audit trail"), "{error}");
            assert!(fs::read_to_string(&path).unwrap() == text);
        }
        // The beginning of a first line is ours.
        for text in ["{", "{\"chain\":\"0a"] {
            fs::write(&path, text).unwrap();
            open(&path, b"key").unwrap();
            assert_eq!(whole(&[&path]), (2, 0));
            fs::remove_file(&path).unwrap();
        }
    }
}
