//! Changes that Mimecast was asked for, and of which no line says what became: the process was killed in between.

use super::line::Line;
use super::tail::Tail;
use crate::secrecy::Seal;
use serde::Deserialize;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

/// Bytes of a trail that are read back at most: a delivery that has an open line is in flight, so near the end.
const FAR_BACK: u64 = 64 << 20;

/// Bytes of a line, at most.
const LONGEST: u64 = 1 << 20;

/// What an entry says first that was written ahead, and what one that was interrupted says.
const ASKED: &str = r#""kind":"asked""#;
const INTERRUPTED: &str = r#""kind":"interrupted""#;

/// Entries that were written ahead, by their delivery and their command; what was settled or interrupted is gone.
#[derive(Debug, Default)]
pub(super) struct Unfinished(BTreeMap<String, BTreeMap<Asked, BTreeSet<String>>>);

/// What is needed of a line to tell whether it opens a delivery or closes it.
#[derive(Deserialize)]
struct Opening<'a> {
    #[serde(borrow)]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    delivery: Option<Cow<'a, str>>,
    /// Which of several lines it is, and how many there are.
    part: Option<[usize; 2]>,
}

/// The commands of a line.
#[derive(Deserialize)]
struct Commands {
    commands: Vec<Asked>,
}

/// What was asked for: a line that is written ahead has one command.
#[derive(Debug, Default, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
struct Asked {
    operation: Option<String>,
    group_id: Option<String>,
    member: Option<String>,
    listed_as: Option<String>,
    entry_id: Option<String>,
}

impl Unfinished {
    /// That of the trail at `path`, and of the file that it went on from.
    ///
    /// # Errors
    ///
    /// When a file cannot be read.
    pub(super) fn of_path(path: &Path, seal: &Seal) -> io::Result<Unfinished> {
        let mut open = Unfinished::default();
        let file = File::open(path)?;
        if let Some(room) = FAR_BACK.checked_sub(file.metadata()?.len())
            && let Some((_, older)) = Tail::of_older(path, seal)
        {
            open.read(&File::open(path.with_file_name(older))?, room, seal)?;
        }
        open.read(&file, FAR_BACK, seal)?;
        Ok(open)
    }

    /// That of one file.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    pub(super) fn of_file(file: &File, seal: &Seal) -> io::Result<Unfinished> {
        let mut open = Unfinished::default();
        open.read(file, FAR_BACK, seal)?;
        Ok(open)
    }

    /// The entries as they were written ahead.
    pub(super) fn asked(&self) -> impl Iterator<Item = &str> {
        let of_deliveries = self.0.values().flat_map(BTreeMap::values);
        of_deliveries.flatten().map(String::as_str)
    }

    /// The same as entries that say that it was interrupted.
    pub(super) fn interrupted(&self) -> impl Iterator<Item = String> {
        self.asked().map(|entry| entry.replacen(ASKED, INTERRUPTED, 1))
    }

    /// Reads at most the last `most` bytes of a file.
    fn read(&mut self, mut file: &File, most: u64, seal: &Seal) -> io::Result<()> {
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
        let Ok(Opening { kind, delivery: Some(delivery), part }) = serde_json::from_str(line)
        else {
            return;
        };
        let closes = matches!(&*kind, "settled" | "interrupted");
        let concerns = kind == "asked" || (closes && self.0.contains_key(&*delivery));
        // Nobody else can make the daemon say that something was asked for, or is done with.
        if !concerns || !Line::is_sealed(line, seal) {
            return;
        }
        let commands =
            || serde_json::from_str(line).map_or_else(|_| Vec::new(), |it: Commands| it.commands);
        if kind == "asked" {
            let open = self.0.entry(delivery.into_owned()).or_default();
            let command = commands().into_iter().next().unwrap_or_default();
            open.entry(command).or_default().extend(entry(line));
        } else if part.is_none_or(|[number, count]| number == count) {
            self.0.remove(&*delivery);
        } else if let Some(open) = self.0.get_mut(&*delivery) {
            // The others are in lines that may have been torn.
            commands().iter().for_each(|command| drop(open.remove(command)));
        }
    }
}

/// What a line says, without its place in the chain.
fn entry(line: &str) -> Option<String> {
    let (_, entry) = line.split_once(ASKED)?;
    let (entry, _) = entry.rsplit_once(r#","prev":""#)?;
    Some(format!("{{{ASKED}{entry}}}"))
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
        let open = Unfinished::of_path(&path, &seal).unwrap();
        let open: Vec<String> = open.interrupted().collect();
        // One that was carried over from another file is in both.
        let expected = [2, 4, 5].map(|delivery| {
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
            assert_eq!(
                Unfinished::of_path(&path, &seal).unwrap().interrupted().count(),
                found,
                "{bytes}"
            );
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
        assert_eq!(Unfinished::of_path(&path, &seal).unwrap().interrupted().count(), 1);
    }

    #[test]
    fn of_a_settlement_in_several_lines_only_what_they_say_is_settled() {
        let (folder, seal) = (TempDir::new().unwrap(), Seal::by(b"key"));
        let path = folder.path().join("audit.jsonl");
        let command =
            |id: u32| format!(r#"{{"operation":"delete_managed_url","entry_id":"{id}"}}"#);
        let asked =
            |id| format!(r#"{{"kind":"asked","delivery":"1","commands":[{}]}}"#, command(id));
        let part = |number: usize, ids: [u32; 2]| {
            let commands = ids.map(command).join(",");
            format!(
                r#"{{"kind":"settled","delivery":"1","part":[{number},2],"commands":[{commands}]}}"#
            )
        };
        let entries = [asked(1), asked(2), asked(3), asked(4), part(1, [1, 2]), part(2, [3, 4])];
        for (written, open) in [(4, vec![1, 2, 3, 4]), (5, vec![3, 4]), (6, vec![])] {
            for (writer, is_ours) in [(&seal, true), (&Seal::by(b"another"), false)] {
                let mut head = Head::new(Uuid::from_u128(7));
                let of = |(number, entry): (usize, &String)| {
                    let seal = if number < 4 { &seal } else { writer };
                    head.next(DateTime::UNIX_EPOCH, entry, seal)
                };
                let lines: String = entries[..written].iter().enumerate().map(of).collect();
                fs::write(&path, lines).unwrap();
                let found = Unfinished::of_path(&path, &seal).unwrap();
                let expected = if is_ours { open.clone() } else { vec![1, 2, 3, 4] };
                let expected: Vec<String> = expected.into_iter().map(asked).collect();
                assert_eq!(found.asked().collect::<Vec<_>>(), expected, "{written} {is_ours}");
            }
        }
    }
}
