//! Changes that Mimecast was asked for, and of which no line says what became: the process was killed in between.

use super::line::Line;
use super::tail::Tail;
use crate::secrecy::Seal;
use serde::Deserialize;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

/// Bytes of a trail that are read back at most: a delivery that has an open line is in flight, so near the end.
const FAR_BACK: u64 = 64 << 20;

/// Bytes of a line, at most.
const LONGEST: u64 = 1 << 20;

/// Lines that were written ahead, by their delivery; those of one that was settled or interrupted are gone.
#[derive(Debug, Default)]
struct Open(BTreeMap<String, Vec<String>>);

/// What is needed of a line to tell whether it opens a delivery or closes it.
#[derive(Deserialize)]
struct Opening<'a> {
    #[serde(borrow)]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    delivery: Option<Cow<'a, str>>,
}

/// An entry for each line of the trail at `path` that was written ahead and has no end: what it says was interrupted.
///
/// # Errors
///
/// When a file cannot be read.
pub(super) fn unfinished(path: &Path, seal: &Seal) -> io::Result<Vec<String>> {
    let mut open = Open::default();
    let length = path.metadata()?.len();
    if let Some(room) = FAR_BACK.checked_sub(length)
        && let Some((_, older)) = Tail::of_older(path, seal)
    {
        open.read(&path.with_file_name(older), room, seal)?;
    }
    open.read(path, FAR_BACK, seal)?;
    Ok(open.0.into_values().flatten().filter_map(|line| interrupted(&line)).collect())
}

impl Open {
    /// Reads at most the last `most` bytes of a file.
    fn read(&mut self, path: &Path, most: u64, seal: &Seal) -> io::Result<()> {
        let mut file = File::open(path)?;
        let start = file.metadata()?.len().saturating_sub(most);
        file.seek(SeekFrom::Start(start))?;
        let mut lines = BufReader::new(file);
        let mut line = Vec::new();
        // Where that begins in the middle of a line, the line is none.
        while lines.by_ref().take(LONGEST).read_until(b'\n', &mut line)? > 0 {
            if let Ok(text) = str::from_utf8(&line) {
                self.add(text.trim_end_matches('\n'), seal);
            }
            line.clear();
        }
        Ok(())
    }

    fn add(&mut self, line: &str, seal: &Seal) {
        let Ok(Opening { kind, delivery: Some(delivery) }) = serde_json::from_str(line) else {
            return;
        };
        match &*kind {
            // Nobody else can make the daemon say that something was asked for.
            "asked" if Line::is_sealed(line, seal) => {
                self.0.entry(delivery.into_owned()).or_default().push(line.to_owned());
            }
            "settled" | "interrupted" => {
                self.0.remove(&*delivery);
            }
            _ => {}
        }
    }
}

/// The entry that says of the change in `line` that it was interrupted.
fn interrupted(line: &str) -> Option<String> {
    let (_, entry) = line.split_once(r#""kind":"asked""#)?;
    let (entry, _) = entry.rsplit_once(r#","prev":""#)?;
    Some(format!(r#"{{"kind":"interrupted"{entry}}}"#))
}

#[cfg(test)]
mod tests {
    use super::super::line::{Head, LONGEST_ENTRY};
    use super::*;
    use chrono::DateTime;
    use std::fs;
    use tempfile::TempDir;
    use uuid::Uuid;

    fn line(head: &mut Head, kind: &str, delivery: u32, seal: &Seal) -> String {
        let entry = format!(
            r#"{{"kind":"{kind}","delivery":"{delivery}","event":"\"kind\":\"settled\"","commands":[{{"a":1}}]}}"#
        );
        head.next(DateTime::UNIX_EPOCH, &entry, seal)
    }

    #[test]
    fn what_was_asked_for_and_has_no_end_was_interrupted_also_in_the_file_before() {
        let (folder, seal) = (TempDir::new().unwrap(), Seal::by(b"key"));
        let [path, older] = ["audit.jsonl", "audit.jsonl.1"].map(|it| folder.path().join(it));
        let mut head = Head::new(Uuid::from_u128(7));
        let mut lines = |of: &[(&str, u32)], seal: &Seal| -> String {
            of.iter().map(|(kind, delivery)| line(&mut head, kind, *delivery, seal)).collect()
        };
        let before = lines(&[("asked", 1), ("asked", 2), ("asked", 3), ("settled", 3)], &seal);
        fs::write(older, before).unwrap();
        let own = [("settled", 1), ("asked", 4), ("asked", 4), ("interrupted", 5), ("asked", 5)];
        let forged = lines(&[("asked", 6)], &Seal::by(b"another"));
        fs::write(&path, format!("torn{}\n{forged}{}", "é", lines(&own, &seal))).unwrap();
        let open = unfinished(&path, &seal).unwrap();
        let expected = [2, 4, 4, 5].map(|delivery| {
            format!(
                r#"{{"kind":"interrupted","delivery":"{delivery}","event":"\"kind\":\"settled\"","commands":[{{"a":1}}]}}"#
            )
        });
        assert_eq!(open, expected);
    }

    #[test]
    fn what_was_asked_for_is_found_in_the_last_64_mib_and_no_further_back() {
        let (folder, seal) = (TempDir::new().unwrap(), Seal::by(b"key"));
        let path = folder.path().join("audit.jsonl");
        let asked = line(&mut Head::new(Uuid::from_u128(7)), "asked", 1, &seal);
        for (bytes, found) in [(FAR_BACK, 1), (FAR_BACK + 1, 0)] {
            let filling = "\n".repeat(bytes as usize - asked.len());
            fs::write(&path, format!("{asked}{filling}")).unwrap();
            assert_eq!(unfinished(&path, &seal).unwrap().len(), found, "{bytes}");
        }
    }

    #[test]
    fn the_longest_line_is_found_beside_something_longer_that_is_none() {
        let (folder, seal) = (TempDir::new().unwrap(), Seal::by(b"key"));
        let path = folder.path().join("audit.jsonl");
        let entry = |bytes: usize| {
            format!(r#"{{"kind":"asked","delivery":"1","event":"{}"}}"#, "x".repeat(bytes))
        };
        let longest = entry(LONGEST_ENTRY - entry(0).len());
        let asked = Head::new(Uuid::from_u128(7)).next(DateTime::UNIX_EPOCH, &longest, &seal);
        assert!((LONGEST - 1024..=LONGEST).contains(&(asked.len() as u64)), "{}", asked.len());
        let longer = "x".repeat(3 * LONGEST as usize);
        fs::write(&path, format!("{longer}\n{asked}{longer}\n")).unwrap();
        assert_eq!(unfinished(&path, &seal).unwrap().len(), 1);
    }
}
