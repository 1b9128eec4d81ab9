//! The files that settings come from.

use super::verdict::{Gravity, Group, Verdict};
use crate::settings::{Audit, Settings, SourceFile, exposed};
use std::fs::File;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// What anybody on the machine may.
const OTHERS: u32 = 0o007;

/// The part of that which changes a file.
const OTHERS_WRITE: u32 = 0o002;

/// A verdict on each file; that they can be read was seen already.
pub(super) fn check(files: &[SourceFile], settings: &Settings) -> Vec<Verdict> {
    let mut verdicts: Vec<Verdict> = files.iter().map(file).collect();
    if let Some(audit) = &settings.audit {
        verdicts.push(trail(audit));
        let key = audit.key_file.clone();
        let key = key.map(|path| SourceFile { key: "audit.key_file", path, secret: true });
        verdicts.extend(key.as_ref().map(file));
    }
    if verdicts.is_empty() {
        verdicts.push(Verdict::new(Gravity::Ok, (Group::Files, "all"), "no file is read"));
    }
    verdicts
}

fn file(SourceFile { key, path, secret }: &SourceFile) -> Verdict {
    let subject = (Group::Files, *key);
    // Without the path of a secret: somebody may have put the secret itself where its file belongs.
    let text = if may_others(path, OTHERS_WRITE) {
        "anybody on this machine can change it; take the permissions of others away (chmod o=)"
    } else if *secret && may_others(path, OTHERS) {
        "anybody on this machine can read it; take the permissions of others away (chmod o=)"
    } else {
        return Verdict::new(Gravity::Ok, subject, "can be read");
    };
    Verdict::new(Gravity::Warning, subject, text)
}

/// Whether everybody on the machine has one of these permissions.
fn may_others(path: &Path, permissions: u32) -> bool {
    path.metadata().is_ok_and(|file| file.permissions().mode() & permissions != 0)
}

/// Whether the audit trail can be written, as far as that is seen without a change.
fn trail(audit: &Audit) -> Verdict {
    let subject = (Group::Files, "audit.path");
    if audit.path.exists() {
        // Before it is opened: for a pipe that would wait until somebody reads it.
        if !audit.path.is_file() {
            let text = "cannot be written: it is not a regular file; name a file";
            return Verdict::new(Gravity::Failure, subject, text);
        }
        let opened = File::options().append(true).open(&audit.path);
        return match opened {
            Ok(_) => match exposed(&audit.path).and_then(|()| exposed(&audit.by_hand)) {
                Ok(()) => Verdict::new(Gravity::Ok, subject, "can be written"),
                Err(text) => Verdict::new(Gravity::Failure, subject, text),
            },
            Err(error) => {
                Verdict::new(Gravity::Failure, subject, format!("cannot be written: {error}"))
            }
        };
    }
    let folder = audit.path.parent().filter(|it| !it.as_os_str().is_empty());
    match folder.is_none_or(Path::is_dir) {
        true => Verdict::new(Gravity::Ok, subject, "is not there yet; the daemon makes it"),
        false => {
            Verdict::new(Gravity::Failure, subject, "is in a folder that is not there; make it")
        }
    }
}
