//! The end of a file of the audit trail: its last whole line, and what a crash has left behind it.

use super::error::{AuditError, unwritable};
use super::line::{BEGIN, Head, Line};
use crate::secrecy::Seal;
use crate::settings::exposed;
use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// What is read at first; the longest line has some hundred kilobytes.
const FIRST_READ: u64 = 64 * 1024;

/// What a line has at most, and more: what has none in so many bytes is something else.
const LONGEST: u64 = 16 * 1024 * 1024;

/// The end of a file.
#[derive(Debug, Default)]
pub(super) struct Tail {
    /// Where the chain is, if there is a line.
    pub head: Option<Head>,
    /// How the file ends.
    pub end: End,
}

/// How a file ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum End {
    /// With a line and its line break, or it is empty.
    #[default]
    Whole,
    /// With a line, but not its line break.
    Unbroken,
    /// With what is no line, from this byte on.
    Torn(u64),
}

/// Why no chain can go on in a file.
#[derive(Debug)]
pub(super) enum Unfit {
    /// It cannot be read.
    Unreadable(io::Error),
    /// Its last line is not sealed as ours are.
    Foreign,
    /// There is no line in it, nor the beginning of one.
    NoTrail,
}

impl Tail {
    /// Reads the end of `file`. What is no line at all is what was being written when a process or a machine
    /// died.
    ///
    /// # Errors
    ///
    /// [`Unfit`].
    pub(super) fn read(file: &File, seal: &Seal) -> Result<Tail, Unfit> {
        let length = file.metadata().map_err(Unfit::Unreadable)?.len();
        if length == 0 {
            return Ok(Tail::default());
        }
        let mut size = FIRST_READ.min(length);
        loop {
            let bytes = bytes(file, length - size, length).map_err(Unfit::Unreadable)?;
            let mut stop = bytes.len();
            // What is looked at begins after a line break, or with the file.
            loop {
                let start = bytes[..stop].iter().rposition(|byte| *byte == b'\n');
                if start.is_none() && size < length {
                    break;
                }
                let start = start.map_or(0, |before| before + 1);
                let text = str::from_utf8(&bytes[start..stop]).ok();
                if let Some((text, line)) = text.and_then(|it| Some((it, Line::read(it)?))) {
                    if !Line::is_sealed(text, seal) {
                        return Err(Unfit::Foreign);
                    }
                    let end = match length - size + stop as u64 {
                        end if end == length => End::Unbroken,
                        end if end + 1 == length => End::Whole,
                        end => End::Torn(end + 1),
                    };
                    return Ok(Tail { head: Some(line.head), end });
                }
                if start == 0 {
                    let length = bytes.len().min(BEGIN.len());
                    let is_ours = bytes[..length] == BEGIN.as_bytes()[..length];
                    let torn = Tail { head: None, end: End::Torn(0) };
                    return if is_ours { Ok(torn) } else { Err(Unfit::NoTrail) };
                }
                stop = start - 1;
            }
            if size >= LONGEST {
                return Err(Unfit::NoTrail);
            }
            size = (size * 4).min(length);
        }
    }

    /// The end of the chain in the file at `path`, unless somebody writes to it just now.
    pub(super) fn of_path(path: &Path, seal: &Seal) -> Option<Head> {
        // Of a pipe or a device nobody knows whether opening it ever ends.
        let file = path.metadata().ok().filter(Metadata::is_file);
        let file = file.and_then(|_| File::open(path).ok())?;
        file.try_lock_shared().ok()?;
        Tail::read(&file, seal).ok()?.head
    }

    /// The end of the chain in the files beside `path` that were once called so, as after a rotation. One
    /// that somebody writes to is none of them.
    pub(super) fn of_older(path: &Path, seal: &Seal) -> Option<(Head, String)> {
        let (folder, name) = (path.parent()?, path.file_name()?.to_str()?);
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        let names = std::fs::read_dir(folder)
            .ok()?
            .filter_map(|it| it.ok()?.file_name().into_string().ok());
        let heads = names.filter(|older| is_older(name, older)).filter_map(|older| {
            let head = Tail::of_path(&folder.join(&older), seal)?;
            Some((head, older))
        });
        heads.max_by_key(|(head, _)| head.lines)
    }
}

/// Expects that a chain with this seal can go on in the file at `path`, without a change to it.
///
/// # Errors
///
/// [`AuditError`], as when the daemon starts.
pub fn expect_fit(path: &Path, seal: &Seal) -> Result<(), AuditError> {
    let file = File::options().read(true).append(true).open(path);
    let file = file.map_err(|cause| unwritable(path, &cause))?;
    judge(path, &file, seal).map(drop)
}

/// The end of `file`, which was opened at `path`, if a chain can go on there.
pub(super) fn judge(path: &Path, file: &File, seal: &Seal) -> Result<Tail, AuditError> {
    let shown = || path.display().to_string();
    let tail = Tail::read(file, seal).map_err(|unfit| match unfit {
        Unfit::Unreadable(cause) => unwritable(path, &cause),
        Unfit::Foreign => AuditError::Foreign { path: shown() },
        Unfit::NoTrail => AuditError::NoTrail { path: shown() },
    })?;
    exposed(path).map_err(|why| AuditError::Exposed { path: shown(), why })?;
    Ok(tail)
}

/// `audit.jsonl.1` and `audit.jsonl-20261126` were `audit.jsonl`.
fn is_older(name: &str, older: &str) -> bool {
    let rest = older.strip_prefix(name).and_then(|rest| rest.strip_prefix(['.', '-']));
    rest.is_some_and(|rest| rest.starts_with(|it: char| it.is_ascii_digit()))
}

/// The bytes from `start` to `end`.
pub(super) fn bytes(file: &File, start: u64, end: u64) -> io::Result<Vec<u8>> {
    let size = usize::try_from(end.saturating_sub(start)).map_err(io::Error::other)?;
    let mut bytes = vec![0; size];
    file.read_exact_at(&mut bytes, start)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_rotated_has_a_number_or_a_date_behind_its_name() {
        for older in ["audit.jsonl.1", "audit.jsonl-20261126", "audit.jsonl.2026-11-26.old"] {
            assert!(is_older("audit.jsonl", older), "{older}");
        }
        for other in [
            "audit.jsonl",
            "audit.jsonl.gz",
            "audit.jsonl1",
            "audit-1.jsonl",
            "audit-by-hand.jsonl",
        ] {
            assert!(!is_older("audit.jsonl", other), "{other}");
        }
        assert!(!is_older("audit", "audit-by-hand"));
    }

    #[test]
    fn what_has_no_line_in_its_last_16_mib_is_no_trail() {
        let seal = Seal::default();
        let line = Head::new(uuid::Uuid::nil()).next(
            chrono::DateTime::UNIX_EPOCH,
            r#"{"kind":"k"}"#,
            &seal,
        );
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.jsonl");
        for (bytes, is_found) in [(LONGEST - 1, true), (LONGEST, false)] {
            let torn = vec![b'x'; bytes as usize - line.len()];
            std::fs::write(
                &path,
                [&vec![b'x'; 4 << 20], &b"\n"[..], line.as_bytes(), &torn].concat(),
            )
            .unwrap();
            let tail = Tail::read(&File::open(&path).unwrap(), &seal);
            assert_eq!(tail.is_ok_and(|tail| tail.head.is_some()), is_found, "{bytes}");
        }
    }
}
