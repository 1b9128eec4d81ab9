//! What people see: data on standard output, talk on standard error, a progress bar on a terminal.

use crate::secrecy::steering::{escaped, steers};
use anstyle::{AnsiColor, Style};
use comfy_table::{ContentArrangement, Table, presets};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use std::io::{self, BufRead, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Set when the reader of standard output has closed it, as `head` does once it has its lines.
static IS_CLOSED: AtomicBool = AtomicBool::new(false);

/// Standard output cannot be written, for example because the disk is full.
#[derive(Debug, thiserror::Error)]
#[error("the output cannot be written: {0}")]
pub struct OutputError(#[from] io::Error);

/// Writes one line of data. A reader that has closed the output is no error: it has read enough.
///
/// # Errors
///
/// [`OutputError`].
pub(super) fn say(line: &str) -> Result<(), OutputError> {
    unless_closed(writeln!(anstream::stdout().lock(), "{line}"))
}

/// Writes one line of JSON, in which nothing steers the terminal.
///
/// # Errors
///
/// [`OutputError`].
pub(super) fn say_json(value: &impl Serialize) -> Result<(), OutputError> {
    let line = serde_json::to_string(value).expect("what is said has texts for names");
    say(&escaped(&line))
}

/// True once the reader has closed the output: a command that only prints can end then.
pub(super) fn is_closed() -> bool {
    IS_CLOSED.load(Ordering::Relaxed)
}

/// The result of writing to standard output, without the error of a reader that has closed it.
///
/// # Errors
///
/// [`OutputError`].
pub fn unless_closed(written: io::Result<()>) -> Result<(), OutputError> {
    match written {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
            IS_CLOSED.store(true, Ordering::Relaxed);
            Ok(())
        }
        Ok(()) | Err(_) => Ok(written?),
    }
}

/// Says something beside the data.
pub(super) fn tell(line: &str) {
    // Standard error is all there is to tell it to.
    let _shown = writeln!(anstream::stderr().lock(), "mimecast-eventd: {line}");
}

/// Asks for a line, and gives what was typed.
///
/// # Errors
///
/// When nothing can be read.
pub(super) fn ask(question: &str) -> io::Result<String> {
    let mut said = anstream::stderr().lock();
    write!(said, "mimecast-eventd: {question} ")?;
    said.flush()?;
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line)?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

/// A progress bar, shown on a terminal only.
pub(super) fn progress(total: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:40} {pos} of {len}, {eta} left")
        .expect("the template is right");
    ProgressBar::new(total).with_style(style)
}

/// A table with aligned columns.
pub(super) fn table(header: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(header).add_rows(rows);
    let lines = table.trim_fmt();
    lines.lines().map(|line| line.strip_prefix(' ').unwrap_or(line)).collect::<Vec<_>>().join("\n")
}

/// `text` of a stranger's on one line of at most `most` characters: nothing in it moves the cursor or
/// turns the direction of writing.
pub(super) fn plain(text: &str, most: usize) -> String {
    let shown = text.chars().map(|it| if steers(it) { '?' } else { it });
    let mut shown: String = shown.take(most + 1).collect();
    if let Some((end, _)) = shown.char_indices().nth(most) {
        shown.truncate(end);
        shown.pop();
        shown.push('…');
    }
    shown
}

/// A time that has passed, in its two largest units.
pub(super) fn age(age: Duration) -> String {
    let age = humantime::format_duration(Duration::from_secs(age.as_secs())).to_string();
    age.split(' ').take(2).collect::<Vec<_>>().join(" ")
}

/// Colours for what is well, what somebody should know, and what is wrong.
pub(super) const GOOD: Style = AnsiColor::Green.on_default();
pub(super) const WARNING: Style = AnsiColor::Yellow.on_default();
pub(super) const BAD: Style = AnsiColor::Red.on_default();

/// `text` in a colour.
pub(super) fn coloured(style: Style, text: &str) -> String {
    format!("{style}{text}{style:#}")
}

/// The known word that is nearest to a mistyped one, if one is near.
pub(super) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let near = known.into_iter().map(|known| (strsim::jaro_winkler(word, known), known));
    let near = near.filter(|(nearness, _)| *nearness > 0.8);
    near.max_by(|one, other| one.0.total_cmp(&other.0)).map(|(_, near)| near)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_stranger_wrote_is_one_line_that_moves_nothing() {
        assert_eq!(plain("e-1\r\n\u{1b}[2J\u{202e}x", 99), "e-1???[2J?x");
        assert_eq!(plain("abcdef", 6), "abcdef");
        assert_eq!(plain("abcdefg", 6), "abcde…");
        assert_eq!(plain("äöüäöüä", 6), "äöüäö…");
    }

    #[test]
    fn columns_are_aligned_and_nothing_trails() {
        let rows = [vec!["one".into(), "1".into()], vec!["seventeen".into(), "17".into()]];
        let lines = table(&["WORD", "NUMBER"], rows);
        assert_eq!(lines, "WORD       NUMBER\none        1\nseventeen  17");
    }

    #[test]
    fn an_age_has_its_two_largest_units() {
        assert_eq!(age(Duration::from_millis(59_900)), "59s");
        assert_eq!(age(Duration::from_secs(90_061)), "1day 1h");
    }
}
