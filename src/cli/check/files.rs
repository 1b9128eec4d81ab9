//! The files that settings come from.

use super::verdict::{Gravity, Group, Verdict};
use crate::secrecy::Seal;
use crate::settings::{Settings, SourceFile};
use crate::telemetry::audit::expect_fit;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

const TRAIL: (Group, &str) = (Group::Files, "audit.path");

/// What anybody on the machine may.
const OTHERS: u32 = 0o007;

/// The part of that which changes a file.
const OTHERS_WRITE: u32 = 0o002;

/// A verdict on each file; that they can be read was seen already.
pub(super) fn check(files: &[SourceFile], settings: &Settings) -> Vec<Verdict> {
    let mut verdicts: Vec<Verdict> = files.iter().map(file).collect();
    if let Some(audit) = &settings.audit {
        verdicts.push(trail(&audit.path, &audit.seal));
        // That of what people do by hand stands beside it.
        let by_hand =
            audit.by_hand.exists().then(|| expect_fit(&audit.by_hand, &audit.by_hand_seal));
        if let Some(Err(error)) = by_hand {
            verdicts.push(Verdict::new(Gravity::Failure, TRAIL, error.to_string()));
        }
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
fn trail(path: &Path, seal: &Seal) -> Verdict {
    let verdict = |gravity, text: &str| Verdict::new(gravity, TRAIL, text.to_owned());
    match fs::symlink_metadata(path).and_then(|_| fs::metadata(path)) {
        // Before it is opened: for a pipe that would wait until somebody reads it.
        Ok(there) if !there.is_file() => {
            verdict(Gravity::Failure, "cannot be written: it is not a regular file; name a file")
        }
        Ok(_) => match expect_fit(path, seal) {
            Ok(()) => verdict(Gravity::Ok, "can be written"),
            Err(error) => verdict(Gravity::Failure, &error.to_string()),
        },
        Err(error) if error.kind() != ErrorKind::NotFound || path.is_symlink() => {
            verdict(Gravity::Failure, &format!("cannot be written: {error}"))
        }
        Err(_) => {
            let folder = path.parent().filter(|it| !it.as_os_str().is_empty());
            match folder.is_none_or(Path::is_dir) {
                true => verdict(Gravity::Ok, "is not there yet; it is made when it is needed"),
                false => verdict(Gravity::Failure, "is in a folder that is not there; make it"),
            }
        }
    }
}
