//! `completions` and `man`: made from the command line's own definition.

use super::arguments;
use super::terminal::say;
use clap_complete::Shell;
use clap_mangen::Man;
use std::io;
use std::path::Path;

/// Prints the completions for a shell.
///
/// # Errors
///
/// When nobody reads them.
pub fn completions(shell: Shell) -> io::Result<()> {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut arguments::command(), "mimecast-eventd", &mut text);
    say(String::from_utf8_lossy(&text).trim_end())
}

/// Prints the man page of the program, or writes those of all commands into `folder`.
///
/// # Errors
///
/// When they cannot be written.
pub fn pages(folder: Option<&Path>) -> io::Result<()> {
    if let Some(folder) = folder {
        return clap_mangen::generate_to(arguments::command(), folder);
    }
    let mut text = Vec::new();
    Man::new(arguments::command()).render(&mut text)?;
    say(String::from_utf8_lossy(&text).trim_end())
}
