//! Why something could not be written to the audit trail.

use std::io;
use std::path::Path;

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
    /// Others can read or write it.
    #[error("audit.path: {path} {why}")]
    Exposed {
        /// The file.
        path: String,
        /// What is wrong, and what to do.
        why: &'static str,
    },
    /// Lines that were written are not there any more.
    #[error(
        "audit.path: {path} was deleted or changed while it was written; find out who did that, and restart \
         the daemon"
    )]
    Lost {
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

pub(super) fn unwritable(path: &Path, cause: &io::Error) -> AuditError {
    AuditError::Unwritable { path: path.display().to_string(), cause: cause.to_string() }
}
