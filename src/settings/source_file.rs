//! A file that settings come from.

use std::fmt;
use std::path::{Path, PathBuf};

/// A file that settings are read from.
#[derive(Clone, PartialEq, Eq)]
pub struct SourceFile {
    /// What it is for: the key of a setting, or `--config`.
    pub key: &'static str,
    /// Where it is.
    pub path: PathBuf,
    /// Whether there is a secret in it.
    pub secret: bool,
}

/// Without the path of a secret: somebody may have put the secret itself where its file belongs.
impl fmt::Debug for SourceFile {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = if self.secret { Path::new("[secret]") } else { self.path.as_path() };
        formatter.debug_struct("SourceFile").field("key", &self.key).field("path", &path).finish()
    }
}
