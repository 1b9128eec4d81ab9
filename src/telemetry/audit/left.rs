//! Where the daemon has left a trail: a file beside it, so that the next start sees whether lines were cut off or
//! spoilt meanwhile.

use super::line::Head;
use crate::secrecy::Seal;
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// What is read of it at most.
const LONGEST: u64 = 4096;

/// Where a trail was left: its last line, and how long its file was with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Left {
    chain: String,
    pub line: u64,
    pub seal: String,
    bytes: u64,
    /// That of all the others, so that nobody without the key can make one.
    mac: String,
}

impl Left {
    /// Of a trail whose file has so many bytes.
    pub(super) fn of(head: &Head, bytes: u64, seal: &Seal) -> Left {
        let Head { chain, lines, seal: last } = head.clone();
        let mac = seal.of(format!("left {chain} {lines} {last} {bytes}").as_bytes());
        Left { chain, line: lines, seal: last, bytes, mac }
    }

    /// What stands beside the trail at `path`; nothing if that is not ours.
    fn read(path: &Path, seal: &Seal) -> Option<Left> {
        let path = beside(path);
        let there = path.metadata().ok()?;
        if !there.is_file() || there.len() > LONGEST {
            return None;
        }
        let left: Left = serde_json::from_slice(&fs::read(path).ok()?).ok()?;
        let head = Head { chain: left.chain.clone(), lines: left.line, seal: left.seal.clone() };
        (Left::of(&head, left.bytes, seal) == left).then_some(left)
    }

    /// Where the trail at `path` was left, if it is elsewhere now: `found` is its last line, in `file` or an older one.
    pub(super) fn differs(
        path: &Path,
        seal: &Seal,
        (found, file): (Option<&Head>, &File),
    ) -> Option<Option<Left>> {
        match (Left::read(path, seal), found) {
            // Nobody has written to it yet.
            (None, None) if !beside(path).exists() => None,
            (Some(left), Some(head)) if left.is_in(head, file) => None,
            (left, _) => Some(left),
        }
    }

    /// Writes it beside the trail at `path`, all of it or nothing.
    pub(super) fn write(&self, path: &Path) -> io::Result<()> {
        let (path, text) = (beside(path), serde_json::to_string(self)?);
        let new = path.with_extension("new");
        // One that a crash has left, or somebody else: what is there is not written through.
        match fs::remove_file(&new) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let file = File::options().write(true).create_new(true).mode(0o600).open(&new)?;
        file.write_all_at(text.as_bytes(), 0)?;
        fs::rename(new, path)
    }

    /// Whether a trail that is at `head` has the line that it was left with: a crash may have come before it was
    /// written here that there are more.
    fn is_in(&self, head: &Head, file: &File) -> bool {
        if self.chain != head.chain {
            return false;
        }
        if (self.line, &self.seal) == (head.lines, &head.seal) {
            return true;
        }
        let end = format!("{}\"}}\n", self.seal);
        let mut there = vec![0; end.len()];
        let start = self.bytes.saturating_sub(end.len() as u64);
        file.read_exact_at(&mut there, start).is_ok() && there == end.as_bytes()
    }
}

/// The seal of the line that the daemon has left the trail at `path` with, if it says so beside it.
///
/// # Errors
///
/// That what stands there is not the daemon's, or is made with another key.
pub fn left_at(path: &Path, seal: &Seal) -> Result<Option<String>, String> {
    let file = beside(path);
    match Left::read(path, seal) {
        Some(left) => Ok(Some(left.seal)),
        None if !file.exists() => Ok(None),
        None => {
            Err(format!("{}: the daemon has not written this, or with another key", file.display()))
        }
    }
}

/// Whether it stands beside the trail at `path` where that was left, whoever has written it.
pub fn is_left(path: &Path) -> bool {
    beside(path).exists()
}

/// Its name does not begin with that of the trail, so that `audit.jsonl*` are files of the trail.
fn beside(path: &Path) -> PathBuf {
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(".head");
    path.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn a_file_of_four_kibibytes_is_read_and_a_larger_one_is_not_ours() {
        let (folder, seal) = (tempfile::tempdir().unwrap(), Seal::by(b"key"));
        let path = folder.path().join("audit.jsonl");
        let left = Left::of(&Head::new(Uuid::from_u128(7)), 100, &seal);
        for (bytes, expected) in [(LONGEST, Some(&left)), (LONGEST + 1, None)] {
            let text = serde_json::to_string(&left).unwrap();
            let spaces = " ".repeat(bytes as usize - text.len());
            fs::write(beside(&path), text + &spaces).unwrap();
            assert_eq!(Left::read(&path, &seal).as_ref(), expected, "{bytes}");
        }
    }

    #[test]
    fn nothing_is_written_through_a_link_that_somebody_has_left_in_its_place() {
        let (folder, seal) = (tempfile::tempdir().unwrap(), Seal::by(b"key"));
        let (path, other) = (folder.path().join("audit.jsonl"), folder.path().join("other"));
        fs::write(&other, "of somebody else").unwrap();
        let new = beside(&path).with_extension("new");
        std::os::unix::fs::symlink(&other, &new).unwrap();
        let left = Left::of(&Head::new(Uuid::from_u128(7)), 100, &seal);
        left.write(&path).unwrap();
        assert_eq!(fs::read_to_string(&other).unwrap(), "of somebody else");
        assert_eq!(Left::read(&path, &seal), Some(left));
        assert!(!new.exists());
    }
}
