//! The limit of open files: each connection to the broker, to Mimecast and to the admin port takes one.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the soft limit to the hard one. The soft limit is 1,024 on most machines, for programs that use `select`.
///
/// # Errors
///
/// When the system refuses, as it does under a filter of system calls; the limit stays as it was.
pub fn raise_limit() -> std::io::Result<()> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current == maximum {
        return Ok(());
    }
    Ok(setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })?)
}

/// Returns the number of files that the process may have open; `None` where there is no limit.
pub(super) fn limit() -> Option<u64> {
    getrlimit(Resource::Nofile).current
}
