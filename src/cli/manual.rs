//! `completions` and `man`: made from the command line's own definition.

use super::arguments;
use super::terminal::{OutputError, say};
use clap_complete::Shell;
use clap_mangen::Man;
use std::io;
use std::path::{Path, PathBuf};

/// Why there are no man pages.
#[derive(Debug, thiserror::Error)]
pub enum PagesError {
    /// They cannot be written into the folder.
    #[error("man pages cannot be written into {}: {cause}; name a folder that exists", folder.display())]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// The error of the system.
        cause: io::Error,
    },
    /// They cannot be printed.
    #[error(transparent)]
    Output(#[from] OutputError),
}

/// Prints the completions for a shell.
///
/// # Errors
///
/// [`OutputError`].
pub fn completions(shell: Shell) -> Result<(), OutputError> {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut arguments::command(), "mimecast-eventd", &mut text);
    say(String::from_utf8_lossy(&text).trim_end())
}

/// Prints the man page of the program, or writes those of all commands into `folder`.
///
/// # Errors
///
/// [`PagesError`].
pub fn pages(folder: Option<&Path>) -> Result<(), PagesError> {
    if let Some(folder) = folder {
        let written = clap_mangen::generate_to(arguments::command(), folder);
        return written.map_err(|cause| PagesError::Folder { folder: folder.to_owned(), cause });
    }
    let mut text = Vec::new();
    Man::new(arguments::command()).render(&mut text).map_err(OutputError::from)?;
    Ok(say(String::from_utf8_lossy(&text).trim_end())?)
}
