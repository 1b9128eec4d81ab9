//! The settings under `audit`: where it is written down what was done.

use super::exposed::exposed_key;
use super::mistake::Mistake;
use super::reader::{Reader, duration};
use super::small_file;
use super::source::Sources;
use super::timings::Timings;
use crate::secrecy::Seal;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What stands for the name of the host.
const HOST: &str = "{host}";

/// What is shorter can be tried out.
const SHORTEST_KEY: usize = 16;

/// The longest time that a line may be lost in when the machine dies.
const LONGEST_INTERVAL: Duration = Duration::from_mins(1);

/// Where it is written down what was done.
#[derive(Clone, Debug)]
pub struct Audit {
    /// The file of the daemon.
    pub path: PathBuf,
    /// The file of what people do by hand on this machine, beside it.
    pub by_hand: PathBuf,
    /// The file with the key, if there is one.
    pub key_file: Option<PathBuf>,
    /// What its lines are sealed with.
    pub seal: Seal,
    /// What the lines of what people do by hand are sealed with.
    pub by_hand_seal: Seal,
    /// When lines are safe.
    pub fsync: Fsync,
    /// The waits and limits that are no settings.
    pub timings: Timings,
}

/// When lines are safe on the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fsync {
    /// Before anything goes on because of them.
    Always,
    /// This long after they were written, at most.
    Every(Duration),
}

impl Audit {
    /// Reads them from `sources` for the trail of what people do by hand, whatever else is missing there. Where that
    /// has a key of its own, the other key is not read: who acts by hand may have no right to it.
    ///
    /// # Errors
    ///
    /// What is wrong with them, and keys that there are not.
    pub fn of_by_hand(sources: Sources) -> Result<Option<Audit>, Vec<Mistake>> {
        let mut reader = Reader::new(sources);
        let own = reader.optional("audit.by_hand_key_file", |text| Ok(text.to_owned()));
        let audit = match own {
            Some(_) => Audit::with(&mut reader, |_| Ok(Seal::default())),
            None => Audit::of(&mut reader),
        };
        reader.finish(audit)
    }

    /// Only what lines are sealed with, for who reads them elsewhere.
    ///
    /// # Errors
    ///
    /// What is wrong with it, and keys that there are not.
    pub fn seal(sources: Sources) -> Result<Seal, Vec<Mistake>> {
        let mut reader = Reader::new(sources);
        let seal = reader.optional("audit.key_file", key);
        reader.finish(seal.unwrap_or_default())
    }

    pub(super) fn of(reader: &mut Reader) -> Option<Audit> {
        Audit::with(reader, key)
    }

    fn with(
        reader: &mut Reader,
        key_of_daemon: fn(&str) -> Result<Seal, &'static str>,
    ) -> Option<Audit> {
        let path = reader.optional("audit.path", |text| match text.contains(HOST) {
            true => match whoami::hostname() {
                Ok(host) => file(&text.replace(HOST, &host)),
                Err(_) => Err("has {host} in it, and this host has no name"),
            },
            false => file(text),
        });
        let seal = reader.optional("audit.key_file", key_of_daemon);
        let own = reader.optional("audit.by_hand_key_file", key);
        let fsync = reader.required("audit.fsync", fsync).unwrap_or(Fsync::Always);
        if path.is_none() && seal.is_some() {
            reader.mistake("audit.key_file", "has no effect without audit.path");
        }
        if path.is_none() && own.is_some() {
            reader.mistake("audit.by_hand_key_file", "has no effect without audit.path");
        }
        let key_file = reader.optional("audit.key_file", |text| Ok(PathBuf::from(text)));
        let path = path?;
        let by_hand = by_hand(&path);
        let (seal, timings) = (seal.unwrap_or_default(), reader.timings());
        let by_hand_seal = own.unwrap_or_else(|| seal.clone());
        Some(Audit { path, by_hand, key_file, seal, by_hand_seal, fsync, timings })
    }
}

/// The seal of the key in the file at `path`. Its bytes may be any, but for line breaks at their end.
///
/// # Errors
///
/// What is wrong with it.
fn key(path: &str) -> Result<Seal, &'static str> {
    let key = small_file::read(path).map_err(|_| "names a file that cannot be read")?;
    exposed_key(Path::new(path))?;
    let end = key.iter().rposition(|byte| !matches!(byte, b'\r' | b'\n'));
    let key = &key[..end.map_or(0, |last| last + 1)];
    match key.len() {
        SHORTEST_KEY.. => Ok(Seal::by(key)),
        _ => Err("names a file with less than 16 bytes"),
    }
}

fn file(text: &str) -> Result<PathBuf, &'static str> {
    let path = PathBuf::from(text);
    match path.file_name() {
        Some(_) if !text.ends_with('/') && !text.contains('\0') => Ok(path),
        Some(_) | None => Err("must be the path of a file"),
    }
}

fn fsync(text: &str) -> Result<Fsync, &'static str> {
    let wrong = "must be always, or a duration from 10ms to 1m";
    if text == "always" {
        return Ok(Fsync::Always);
    }
    let interval = duration(text).map_err(|_| wrong)?;
    match (Duration::from_millis(10)..=LONGEST_INTERVAL).contains(&interval) {
        true => Ok(Fsync::Every(interval)),
        false => Err(wrong),
    }
}

/// `audit-by-hand.jsonl` beside `audit.jsonl`.
fn by_hand(path: &Path) -> PathBuf {
    let mut name = path.file_stem().unwrap_or_default().to_owned();
    name.push("-by-hand");
    if let Some(extension) = path.extension() {
        name.push(".");
        name.push(extension);
    }
    path.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn what_is_done_by_hand_has_a_file_beside_the_other() {
        for (path, expected) in [
            ("/var/log/audit.jsonl", "/var/log/audit-by-hand.jsonl"),
            ("audit", "audit-by-hand"),
            ("/a.b/c.d.e", "/a.b/c.d-by-hand.e"),
        ] {
            assert_eq!(by_hand(Path::new(path)), Path::new(expected));
        }
    }

    #[test]
    fn lines_are_safe_always_or_in_an_interval() {
        assert_eq!(fsync("always"), Ok(Fsync::Always));
        assert_eq!(fsync("1s"), Ok(Fsync::Every(Duration::from_secs(1))));
        for wrong in ["", "never", "0s", "1ms", "61s", "Always"] {
            assert!(fsync(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_path_is_that_of_a_file() {
        assert!(file("/var/log/audit.jsonl").is_ok() && file("audit").is_ok());
        for wrong in ["", "/", "/var/log/", "..", "a\0b"] {
            assert!(file(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_key_has_at_least_sixteen_bytes_beside_the_line_breaks_at_its_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        let read = |text: &str| {
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
            key(path.to_str().unwrap()).map(drop)
        };
        let sixteen = "sixteen bytes it";
        for (text, expected) in [
            (sixteen.to_owned(), Ok(())),
            (format!("{sixteen}\r\n"), Ok(())),
            (sixteen[1..].to_owned(), Err("names a file with less than 16 bytes")),
            (format!("{}\r\n", &sixteen[1..]), Err("names a file with less than 16 bytes")),
        ] {
            assert_eq!(read(&text), expected, "{text:?}");
        }
    }
}
