//! The file of an audit trail on the disk: who may touch it, and whether it is still there.

use super::error::{AuditError, unwritable};
use std::fs::{File, TryLockError};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::time::{Duration, Instant};

/// Where a file is that was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Where it was.
    Same,
    /// It was moved away, and is somewhere else.
    Moved,
    /// It is nowhere any more.
    Deleted,
}

impl Place {
    /// Where `file` is, which was opened at `path`.
    pub(super) fn of(file: &File, path: &Path) -> io::Result<Place> {
        let ours = file.metadata()?;
        let is_there =
            |there: std::fs::Metadata| (ours.dev(), ours.ino()) == (there.dev(), there.ino());
        Ok(match ours.nlink() {
            0 => Place::Deleted,
            _ if path.metadata().is_ok_and(is_there) => Place::Same,
            _ => Place::Moved,
        })
    }
}

/// The file at `path`, ours alone.
pub(super) fn locked(path: &Path, patience: Duration) -> Result<File, AuditError> {
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
