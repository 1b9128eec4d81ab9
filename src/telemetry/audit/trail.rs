//! The file of an audit trail: lines are added at its end, all of a batch or none.

use super::error::{AuditError, unwritable};
use super::left::Left;
use super::line::Head;
use super::mark::{Mark, json};
use super::place::{Place, locked};
use super::tail::{self, End, Tail, judge};
use super::unfinished::Unfinished;
use crate::secrecy::Seal;
use crate::settings::exposed;
use chrono::{DateTime, Utc};
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;
use uuid::Uuid;

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
    /// How long it is, as long as nobody else changes it.
    length: u64,
    /// Where it was left, if it is not so any more; the inner one is nothing where that is not known.
    mismatch: Option<Option<Left>>,
    /// Whether its last line is kept beside it.
    is_left: bool,
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
        let tail = judge(path, &file, &seal)?;
        let length = file.metadata().map_err(|cause| unwritable(path, &cause))?.len();
        let is_first = tail.head.is_none();
        let older = if is_first { Tail::of_older(path, &seal) } else { None };
        let mended = |name: &str| Trail::mend(&path.with_file_name(name), &seal, at);
        let older = older.map(|(head, name)| (mended(&name).unwrap_or(head), name));
        let found = tail.head.as_ref().or(older.as_ref().map(|(head, _)| head));
        // Where it was left is in the file before, if it was moved away since.
        let before =
            older.as_ref().and_then(|(_, name)| File::open(path.with_file_name(name)).ok());
        let last = before.as_ref().unwrap_or(&file);
        let mismatch = Left::differs(path, &seal, (found, last));
        let (older, continues) = older.unzip();
        let mut trail = Trail {
            path: path.to_owned(),
            file,
            seal,
            head: tail.head.or(older).unwrap_or_else(|| Head::new(chain)),
            end: tail.end,
            length,
            mismatch,
            is_left: true,
        };
        match opening {
            Opening::ForALine(_) if !is_first => {}
            Opening::ToStay | Opening::ForALine(_) => {
                trail.begin(at, continues.as_deref(), &Unfinished::default())?;
                trail.sync_folder()?;
            }
        }
        if opening == Opening::ToStay {
            trail.close_unfinished(at)?;
        }
        Ok(trail)
    }

    /// Vouches for a line that a crash has torn in a file that was moved away since. Returns where the chain is then.
    fn mend(path: &Path, seal: &Seal, at: DateTime<Utc>) -> Option<Head> {
        let opening = Opening::ForALine(Duration::ZERO);
        let mut older = Trail::open(path, seal.clone(), (at, Uuid::nil()), opening).ok()?;
        matches!(older.end, End::Torn(_)).then_some(())?;
        older.mismatch = None;
        let (head, text) = older.mended(at).ok()??;
        let written = older.file.write_all(text.as_bytes()).and_then(|()| older.file.sync_data());
        written.is_ok().then_some(head)
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
        // Bytes of somebody else are in no chain, and lines that are gone would be missed only later.
        if self.file.metadata().is_ok_and(|now| now.len() != self.length) {
            return Err(AuditError::Lost { path: self.path.display().to_string() });
        }
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

    /// Whether the file was moved away, so that the chain is to [go on](Trail::follow) in another one.
    ///
    /// # Errors
    ///
    /// When it was deleted, with all lines in it.
    pub(super) fn is_moved(&self) -> Result<bool, AuditError> {
        match Place::of(&self.file, &self.path).map_err(|cause| unwritable(&self.path, &cause))? {
            Place::Same => Ok(false),
            Place::Moved => Ok(true),
            Place::Deleted => Err(AuditError::Lost { path: self.path.display().to_string() }),
        }
    }

    /// Goes on in the file that its path leads to now, if that is another one. The chain goes on too.
    ///
    /// # Errors
    ///
    /// [`AuditError`]; then it goes on where it was, unless it is only not known whether the new file is safe.
    pub(super) fn follow(&mut self, at: DateTime<Utc>) -> Result<bool, AuditError> {
        if Place::of(&self.file, &self.path).is_ok_and(|place| place == Place::Same) {
            return Ok(false);
        }
        let file = locked(&self.path, Duration::ZERO)?;
        let length = file.metadata().map_err(|cause| unwritable(&self.path, &cause))?.len();
        // What is in it already is not of this chain, or not a line.
        if length > 0 {
            return Err(AuditError::Foreign { path: self.path.display().to_string() });
        }
        let path = || self.path.display().to_string();
        exposed(&self.path).map_err(|why| AuditError::Exposed { path: path(), why })?;
        // What is under way goes along: the file before may be moved far away.
        let unfinished = Unfinished::of_file(&self.file, &self.seal);
        let unfinished = unfinished.map_err(|cause| unwritable(&self.path, &cause))?;
        let before = std::mem::replace(&mut self.file, file);
        let end = std::mem::take(&mut self.end);
        let length = std::mem::take(&mut self.length);
        let begun = self.begin(at, Some("the file that was here before"), &unfinished);
        if begun.is_err() {
            (self.file, self.end, self.length) = (before, end, length);
        }
        begun.and_then(|()| self.sync_folder()).map(|()| true)
    }

    /// Says that a process has opened the file, and what of another file is under way.
    fn begin(
        &mut self,
        at: DateTime<Utc>,
        continues: Option<&str>,
        unfinished: &Unfinished,
    ) -> Result<(), AuditError> {
        let host = whoami::hostname();
        let opened = json(&Mark::Opened {
            version: env!("CARGO_PKG_VERSION"),
            host: host.as_deref().unwrap_or_default(),
            process: std::process::id(),
            continues,
        });
        let entries = std::iter::once(opened.as_str()).chain(unfinished.asked());
        self.append(entries.map(|entry| (at, entry)), true)
    }

    /// Says of each change that an earlier process had asked for, and could not finish, that it was interrupted.
    fn close_unfinished(&mut self, at: DateTime<Utc>) -> Result<(), AuditError> {
        let unfinished = Unfinished::of_path(&self.path, &self.seal);
        let unfinished = unfinished.map_err(|cause| unwritable(&self.path, &cause))?;
        let lines: Vec<String> = unfinished.interrupted().collect();
        if !lines.is_empty() {
            let changes = lines.len();
            tracing::warn!(changes, "the process before this one ended in the middle of changes");
        }
        self.append(lines.iter().map(|line| (at, line.as_str())), true)
    }

    /// That there is such a file has to be safe as well.
    fn sync_folder(&self) -> Result<(), AuditError> {
        let folder = self.path.parent().filter(|it| !it.as_os_str().is_empty());
        let folder = File::open(folder.unwrap_or(Path::new(".")));
        folder.and_then(|it| it.sync_all()).map_err(|cause| unwritable(&self.path, &cause))
    }

    /// The line break and the line that vouch for what a crash has left, and where the chain is then.
    fn mended(&self, at: DateTime<Utc>) -> Result<Option<(Head, String)>, AuditError> {
        let (line_break, torn_at) = match self.end {
            End::Whole if self.mismatch.is_none() => return Ok(None),
            End::Unbroken if self.mismatch.is_none() => {
                return Ok(Some((self.head.clone(), "\n".into())));
            }
            End::Whole => ("", self.length),
            End::Unbroken => ("\n", self.length),
            End::Torn(at) => ("\n", at),
        };
        let torn = tail::bytes(&self.file, torn_at, self.length);
        let torn = torn.map_err(|cause| unwritable(&self.path, &cause))?;
        let mut head = self.head.clone();
        let line = head.next(at, &self.vouching(&torn), &self.seal);
        Ok(Some((head, format!("{line_break}{line}"))))
    }

    /// What vouches for `torn`: a crash tears one line, and takes none away. All else was somebody.
    fn vouching(&self, torn: &[u8]) -> String {
        let (torn_bytes, torn_sha256) = (torn.len() as u64, &*Seal::default().of(torn));
        if self.mismatch.is_none() && !torn.contains(&b'\n') {
            return json(&Mark::Repaired { torn_bytes, torn_sha256 });
        }
        let left = self.mismatch.as_ref().and_then(Option::as_ref);
        let (expected_line, found_line) = (left.map(|left| left.line), self.head.lines);
        let expected_seal = left.map(|left| left.seal.as_str());
        let path = self.path.display();
        tracing::warn!(%path, expected_line, expected_seal, found_line, torn_bytes, "the audit trail is not as it was left");
        json(&Mark::Mismatch { expected_line, expected_seal, found_line, torn_bytes, torn_sha256 })
    }

    fn write(&mut self, text: &str, head: Head, safe: bool) -> io::Result<()> {
        let before = self.file.metadata()?.len();
        let written = self.file.write_all(text.as_bytes());
        let written = written.and_then(|()| if safe { self.file.sync_data() } else { Ok(()) });
        match written {
            Ok(()) => {
                (self.head, self.end) = (head, End::Whole);
                self.length = before + text.len() as u64;
                self.mismatch = None;
                let left = Left::of(&self.head, self.length, &self.seal).write(&self.path);
                // Where it cannot be written, an older one stays true. That is said once.
                if let (Err(error), true) = (&left, self.is_left) {
                    let path = self.path.display();
                    tracing::warn!(%path, %error, "the folder of the audit trail cannot be written, so that a later start cannot tell whether lines were cut off");
                }
                self.is_left = left.is_ok();
            }
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
        self.length = self.file.metadata().map_or(self.length, |now| now.len());
        if let Ok(Tail { head: Some(head), end }) = Tail::read(&self.file, &self.seal) {
            (self.head, self.end) = (head, end);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::audit::Files;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
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
        let left = folder.path().join(".audit.jsonl.head");
        let kept = fs::read(&left).unwrap();
        let again = |text: &str| {
            fs::write(&path, text).unwrap();
            fs::write(&left, &kept).unwrap();
            append(&mut open(&path, b"key").unwrap(), 1);
            whole(&[&path])
        };
        // What was written was safe, and no crash takes it away: that is told in place of a torn line.
        for (cut, lines) in [(0, 207), (1, 207), (2, 207), (40, 207), (text.len() - 2, 3)] {
            assert_eq!(again(&text[..text.len() - cut]), (lines, 0), "{cut} bytes are missing");
            let is_told = fs::read_to_string(&path).unwrap().contains(r#""kind":"mismatch""#);
            assert_eq!(is_told, cut > 1, "{cut} bytes are missing");
        }
        assert_eq!(again(&format!("{text}{}", &text[..40])), (208, 1));
        assert_eq!(again(&format!("{text}{}\n", &text[..40])), (208, 0));
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
    fn a_line_that_was_torn_before_its_file_was_moved_away_is_vouched_for_there() {
        let folder = TempDir::new().unwrap();
        let (path, older) =
            (folder.path().join("audit.jsonl"), folder.path().join("audit.jsonl.1"));
        append(&mut open(&path, b"key").unwrap(), 3);
        fs::rename(&path, &older).unwrap();
        File::options().append(true).open(&older).unwrap().write_all(br#"{"chain":"00"#).unwrap();
        append(&mut open(&path, b"key").unwrap(), 1);
        assert_eq!(whole(&[&path, &older]), (7, 1));
        assert!(!folder.path().join(".audit.jsonl.1.head").exists());
        assert!(!fs::read_to_string(&path).unwrap().contains(r#""kind":"mismatch""#));
    }

    #[test]
    fn a_crash_before_the_head_is_written_and_a_rotation_after_it_are_no_mismatch() {
        for lines in [0, 2] {
            let folder = TempDir::new().unwrap();
            let path = folder.path().join("audit.jsonl");
            let head = folder.path().join(".audit.jsonl.head");
            append(&mut open(&path, b"key").unwrap(), 3);
            let kept = fs::read(&head).unwrap();
            append(&mut open(&path, b"key").unwrap(), lines);
            fs::write(&head, &kept).unwrap();
            fs::rename(&path, folder.path().join("audit.jsonl.1")).unwrap();
            append(&mut open(&path, b"key").unwrap(), 1);
            let text = fs::read_to_string(&path).unwrap();
            assert!(!text.contains(r#""kind":"mismatch""#), "{text}");
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
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
            open(&path, b"key").unwrap();
            assert_eq!(whole(&[&path]), (2, 0));
            fs::remove_file(&path).unwrap();
        }
    }

    #[test]
    fn a_file_that_is_deleted_or_changed_by_others_is_noticed_and_one_that_others_can_read_is_refused()
     {
        let folder = TempDir::new().unwrap();
        let [path, moved] = ["audit.jsonl", "audit.jsonl.1"].map(|it| folder.path().join(it));
        let mut trail = open(&path, b"key").unwrap();
        assert!(!trail.is_moved().unwrap());
        fs::rename(&path, &moved).unwrap();
        assert!(trail.is_moved().unwrap());
        fs::write(&path, "").unwrap();
        let exposed = trail.follow(now().0).unwrap_err().to_string();
        assert!(exposed.contains("can be read or changed by anybody"), "{exposed}");
        fs::remove_file(&path).unwrap();
        assert!(trail.follow(now().0).unwrap());
        append(&mut trail, 1);
        for change in [&b"x"[..], b""] {
            fs::write(&path, change).unwrap();
            let entry = std::iter::once((now().0, r#"{"kind":"k"}"#));
            let lost = trail.append(entry, true).unwrap_err();
            assert!(matches!(lost, AuditError::Lost { .. }), "{lost:?}");
        }
        fs::remove_file(&path).unwrap();
        assert!(matches!(trail.is_moved(), Err(AuditError::Lost { .. })));
        drop(trail);
        append(&mut open(&path, b"key").unwrap(), 1);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let exposed = open(&path, b"key").unwrap_err().to_string();
        assert!(exposed.ends_with("take the permissions of others away (chmod o=)"), "{exposed}");
    }
}
