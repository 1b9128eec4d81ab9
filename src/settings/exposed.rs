//! Whether others on the machine can touch a file that proves something.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// What anybody on the machine may.
const OTHERS: u32 = 0o007;

/// What the group of the file may change. A volume of Kubernetes gives its files to a group (`fsGroup`).
const GROUP_WRITES: u32 = 0o020;

/// Says what is wrong where others can read or change the file at `path`, or lead it elsewhere.
///
/// # Errors
///
/// What is wrong, and what to do, to follow the name of the setting or the path.
pub fn exposed(path: &Path) -> Result<(), &'static str> {
    let is_ours = |uid: u32| uid == 0 || fs::metadata("/proc/self").is_ok_and(|it| it.uid() == uid);
    if fs::symlink_metadata(path).is_ok_and(|it| it.is_symlink() && !is_ours(it.uid())) {
        return Err("is a link of another user, who can lead it elsewhere; name the file itself");
    }
    match fs::metadata(path) {
        Ok(file) if file.mode() & OTHERS != 0 => Err(
            "can be read or changed by anybody on this machine; take the permissions of others \
                 away (chmod o=)",
        ),
        Ok(_) | Err(_) => Ok(()),
    }
}

/// The same of a key: its group may not change it either.
///
/// # Errors
///
/// What is wrong, and what to do.
pub(super) fn exposed_key(path: &Path) -> Result<(), &'static str> {
    exposed(path)?;
    match fs::metadata(path) {
        Ok(file) if file.mode() & GROUP_WRITES != 0 => {
            Err("can be changed by its group; take that permission away (chmod g-w)")
        }
        Ok(_) | Err(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, lchown, symlink};

    #[test]
    fn others_may_do_nothing_with_a_file_its_group_may_not_change_a_key_and_links_are_of_its_user()
    {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, "").unwrap();
        for (mode, is_trail, is_key) in [
            (0o600, true, true),
            (0o400, true, true),
            (0o440, true, true),
            (0o640, true, true),
            (0o660, true, false),
            (0o604, false, false),
            (0o602, false, false),
            (0o644, false, false),
        ] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let found = (exposed(&path).is_ok(), exposed_key(&path).is_ok());
            assert_eq!(found, (is_trail, is_key), "{mode:o}");
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        let link = folder.path().join("link");
        symlink(&path, &link).unwrap();
        assert_eq!(exposed(&link), Ok(()));
        // Who is not root can make no link of somebody else.
        if lchown(&link, Some(4711), None).is_ok() {
            assert!(exposed(&link).unwrap_err().starts_with("is a link of another user"));
        }
        assert_eq!(exposed(Path::new("/nowhere")), Ok(()));
    }
}
