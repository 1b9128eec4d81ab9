//! Reads audit trails back, and says whether they are whole.

use super::line::{Head, Line};
use crate::secrecy::Seal;
use chrono::{DateTime, Utc};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

/// Broken lines that are told; after a few nobody counts.
const MOST_BROKEN: usize = 20;

/// Bytes that a crash can have torn, and more than a line has. What is longer is something else, and is not
/// kept.
const MOST_TORN: usize = 16 * 1024 * 1024;

/// What files of gzip, zstd, xz, bzip2, lz4 and zip begin with.
const COMPRESSED: [&[u8]; 6] =
    [b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"\xfd7zXZ\0", b"BZh", b"\x04\x22\x4d\x18", b"PK\x03\x04"];

/// The kind of a line that tells of a trail which was not as the daemon had left it.
pub(super) const MISMATCH: &str = "mismatch";

/// What was found in files.
#[derive(Clone, Debug, Default)]
pub struct Files {
    /// The chains in them.
    pub chains: Vec<Chain>,
    /// Where they are broken, in the order of the chains; the first twenty places.
    pub broken: Vec<Broken>,
}

/// A chain, as far as it was in the files.
#[derive(Clone, Debug, PartialEq)]
pub struct Chain {
    /// Its first line in them; 1 if it begins there.
    pub first: u64,
    /// Where it is after its last line in them.
    pub head: Head,
    /// When these lines were written.
    pub written: (DateTime<Utc>, DateTime<Utc>),
    /// Lines that a crash tore and a later line vouches for.
    pub torn: u64,
    /// Times that a start found the trail other than the daemon had left it.
    pub mismatches: u64,
    /// Whether a line of it fits the seal that it is read with.
    is_sealed: bool,
}

/// Where a chain is broken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}:{line}: {why}", file.display())]
pub struct Broken {
    /// The file.
    pub file: PathBuf,
    /// The number of the line in the file.
    pub line: usize,
    /// Why it cannot be believed.
    pub why: String,
}

/// A file cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("{} cannot be read: {cause}", file.display())]
pub struct FilesError {
    /// The file.
    pub file: PathBuf,
    /// What the system says.
    pub cause: io::Error,
}

impl Files {
    /// Reads the chains in the files at `paths`, in whatever order these are given; `-` is standard input.
    /// `visit` gets each line, and whether its seal is right.
    ///
    /// # Errors
    ///
    /// When a file cannot be read. That a chain is broken is no error here.
    pub fn read(
        paths: &[PathBuf],
        seal: &Seal,
        mut visit: impl FnMut(&Line, bool),
    ) -> Result<Files, FilesError> {
        let mut opened =
            paths.iter().map(|path| Opened::new(path)).collect::<Result<Vec<_>, _>>()?;
        // By chain and line, so that the shell may give them in any order.
        opened.sort_by(|one, other| one.first.cmp(&other.first));
        let mut files = Files::default();
        for file in opened {
            let path = file.path.clone();
            let chain = file.first.as_ref().map(|(chain, _)| chain.clone());
            let mut reading =
                Reading { files: &mut files, seal, path: path.clone(), chain, torn: None };
            let unreadable = |cause| FilesError { file: path.clone(), cause };
            for (text, number) in file.lines().zip(1..) {
                reading.line(&text.map_err(unreadable)?, number, &mut visit);
            }
            reading.end();
        }
        Ok(files)
    }

    fn broken(&mut self, file: &Path, line: usize, why: &str) {
        if self.broken.len() < MOST_BROKEN {
            self.broken.push(Broken { file: file.to_owned(), line, why: why.to_owned() });
        }
    }
}

/// A file whose first line was read.
struct Opened {
    path: PathBuf,
    /// The chain and the number of its first line; nothing without one.
    first: Option<(String, u64)>,
    /// What was read for that.
    read: Vec<Vec<u8>>,
    rest: Box<dyn BufRead>,
}

impl Opened {
    fn new(path: &Path) -> Result<Opened, FilesError> {
        let failed = |cause| FilesError { file: path.to_owned(), cause };
        let mut rest: Box<dyn BufRead> = match path.to_str() {
            Some("-") => Box::new(BufReader::new(io::stdin())),
            Some(_) | None => Box::new(BufReader::new(File::open(path).map_err(failed)?)),
        };
        let begin = rest.fill_buf().map_err(failed)?;
        if COMPRESSED.iter().any(|magic| begin.starts_with(magic)) {
            let text = "it is compressed; decompress it to standard input, as `zcat FILE | mimecast-eventd audit verify -`";
            return Err(failed(io::Error::other(text)));
        }
        let (mut read, mut first, mut size) = (Vec::new(), None, 0);
        while first.is_none() && size < MOST_TORN {
            let Some(text) = next(&mut *rest).map_err(failed)? else { break };
            size += text.len();
            first = line(&text).map(|(_, line)| (line.head.chain, line.head.lines));
            read.push(text);
        }
        Ok(Opened { path: path.to_owned(), first, read, rest })
    }

    /// Its lines, with their line breaks if they have them.
    fn lines(self) -> impl Iterator<Item = io::Result<Vec<u8>>> {
        let Opened { read, mut rest, .. } = self;
        let rest = std::iter::from_fn(move || next(&mut *rest).transpose());
        read.into_iter().map(Ok).chain(rest)
    }
}

/// The next line with its line break, or the next part of one that is longer than any of ours.
fn next(mut file: &mut dyn BufRead) -> io::Result<Option<Vec<u8>>> {
    let mut text = Vec::new();
    let size = (&mut file).take(MOST_TORN as u64).read_until(b'\n', &mut text)?;
    Ok((size > 0).then_some(text))
}

/// The whole line in `text`, if there is one.
fn line(text: &[u8]) -> Option<(&str, Line)> {
    let text = str::from_utf8(text.strip_suffix(b"\n")?).ok()?;
    Some((text, Line::read(text)?))
}

/// A file that is read.
struct Reading<'a> {
    files: &'a mut Files,
    seal: &'a Seal,
    path: PathBuf,
    /// The chain that the file is of.
    chain: Option<String>,
    /// What is no line, and where it begins, until a line vouches for it.
    torn: Option<(usize, Vec<u8>)>,
}

impl Reading<'_> {
    fn line(&mut self, bytes: &[u8], number: usize, visit: &mut impl FnMut(&Line, bool)) {
        let Some((text, line)) = line(bytes) else {
            let (_, torn) = self.torn.get_or_insert_with(|| (number, Vec::new()));
            // One byte more than can be vouched for is enough to know.
            let left = (MOST_TORN + 1).saturating_sub(torn.len());
            torn.extend_from_slice(&bytes[..bytes.len().min(left)]);
            return;
        };
        let is_sealed = Line::is_sealed(text, self.seal);
        if let Some((from, torn)) = self.torn.take() {
            self.mended(&line, is_sealed, from, &torn);
        }
        self.follow(&line, number);
        self.judge(&line, is_sealed, number);
        visit(&line, is_sealed);
    }

    /// Says whether the seal is right. Without the key of a keyed trail no line is, which is said once.
    fn judge(&mut self, line: &Line, is_sealed: bool, number: usize) {
        let chain = self.files.chains.last_mut().expect("the line has one");
        if is_sealed {
            chain.is_sealed = true;
            chain.mismatches += u64::from(line.kind() == MISMATCH);
            return;
        }
        let is_another_key = !self.seal.is_keyed() && !chain.is_sealed;
        if is_another_key && chain.first != line.head.lines {
            return;
        }
        let why = if is_another_key {
            "this trail was made with a key, which is not given (audit.key_file); or it was changed"
        } else {
            "the seal does not fit: it was changed, or sealed with another key"
        };
        self.files.broken(&self.path, number, why);
    }

    /// Whether `line` vouches for what was torn before it.
    fn mended(&mut self, line: &Line, is_sealed: bool, from: usize, torn: &[u8]) {
        let torn = torn.strip_suffix(b"\n").unwrap_or(torn);
        // A crash tears one line; it writes no line break behind what nobody can read.
        let is_torn = line.kind() == "repaired" && !torn.contains(&b'\n');
        let vouches = is_sealed
            && torn.len() <= MOST_TORN
            && (is_torn || line.kind() == MISMATCH)
            && line.entry.get("torn_bytes").and_then(serde_json::Value::as_u64)
                == Some(torn.len() as u64)
            && line.text("torn_sha256") == Some(&Seal::default().of(torn));
        match self.files.chains.last_mut() {
            Some(chain) if vouches => chain.torn += u64::from(is_torn),
            // A file can begin with it.
            None if vouches => {}
            Some(_) | None => {
                self.files.broken(&self.path, from, "this is no line of an audit trail");
            }
        }
    }

    /// Whether `line` comes next in its chain.
    fn follow(&mut self, line: &Line, number: usize) {
        let Line { head, prev, at, .. } = line;
        match self.files.chains.last_mut() {
            Some(chain) if chain.head.chain == head.chain => {
                let (before, expected) = (chain.head.clone(), chain.head.lines + 1);
                chain.head = head.clone();
                chain.written.1 = *at;
                if head.lines != expected {
                    let why = format!(
                        "line {} of the chain comes after line {}, which is not its turn",
                        head.lines, before.lines
                    );
                    self.files.broken(&self.path, number, &why);
                } else if *prev != before.seal {
                    let why = "it does not follow the line before it: one of the two was changed";
                    self.files.broken(&self.path, number, why);
                }
            }
            Some(_) | None => {
                if self.chain.as_ref() != Some(&head.chain) {
                    let why = "another chain begins in the middle of the file";
                    self.files.broken(&self.path, number, why);
                }
                self.files.chains.push(Chain {
                    first: head.lines,
                    head: head.clone(),
                    written: (*at, *at),
                    torn: 0,
                    mismatches: 0,
                    is_sealed: false,
                });
            }
        }
    }

    /// The file is at its end.
    fn end(mut self) {
        if let Some((from, torn)) = self.torn.take() {
            let why = match torn.contains(&b'\n') {
                true => "it ends in a line that cannot be read, which no crash leaves",
                false => {
                    "it ends in what is no line: one that a crash has torn is repaired at the next start"
                }
            };
            self.files.broken(&self.path, from, why);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::fs;
    use tempfile::TempDir;
    use uuid::Uuid;

    fn at() -> DateTime<Utc> {
        "2026-11-26T04:00:00Z".parse().unwrap()
    }

    fn key() -> Seal {
        Seal::by(b"a key of enough bytes")
    }

    fn lines(count: usize, seal: &Seal) -> Vec<String> {
        let mut head = Head::new(Uuid::from_u128(7));
        (0..count)
            .map(|it| head.next(at(), &format!(r#"{{"kind":"k","it":{it}}}"#), seal))
            .collect()
    }

    fn read(files: &[String], seal: &Seal) -> Files {
        let folder = TempDir::new().unwrap();
        let paths: Vec<PathBuf> =
            (0..files.len()).map(|it| folder.path().join(it.to_string())).collect();
        paths.iter().zip(files).for_each(|(path, text)| fs::write(path, text).unwrap());
        let mut read = Files::read(&paths, seal, |_, _| {}).unwrap();
        let name = |it: &Path| PathBuf::from(it.file_name().unwrap());
        read.broken.iter_mut().for_each(|broken| broken.file = name(&broken.file));
        read
    }

    fn first_broken(files: &Files) -> (&str, usize) {
        let broken = &files.broken[0];
        (broken.file.to_str().unwrap(), broken.line)
    }

    #[test]
    fn files_are_whole_in_any_order_and_say_where_the_chain_is() {
        for seal in [Seal::default(), key()] {
            let lines = lines(9, &seal);
            let parts =
                [lines[6..].concat(), lines[..3].concat(), lines[3..6].concat(), String::new()];
            let read = read(&parts, &seal);
            assert_eq!(read.broken, []);
            let [chain] = read.chains.as_slice() else { panic!("{:?}", read.chains) };
            assert_eq!((chain.first, chain.head.lines, chain.torn), (1, 9, 0));
            assert!(lines[8].contains(&chain.head.seal));
        }
    }

    #[test]
    fn what_is_missing_swapped_or_said_twice_is_named() {
        let lines = lines(9, &key());
        let without = |from: usize, to: usize| [&lines[..from], &lines[to..]].concat().concat();
        let swapped = [&lines[..3], &lines[4..5], &lines[3..4], &lines[5..]].concat().concat();
        let twice = [&lines[..4], &lines[3..]].concat().concat();
        for (text, line) in [(without(4, 5), 5), (without(1, 8), 2), (swapped, 4), (twice, 5)] {
            assert_eq!(first_broken(&read(&[text], &key())), ("0", line));
        }
        // A line of the same number and the same key, from a copy of the file that somebody went on with.
        let mut head = Line::read(lines[2].trim_end()).unwrap().head;
        let other = head.next(at(), r#"{"kind":"other"}"#, &key());
        let forked = [&lines[..3], &[other], &lines[4..]].concat().concat();
        assert_eq!(first_broken(&read(&[forked], &key())), ("0", 5));
        // A file in the middle is missing.
        let parts = [lines[..3].concat(), lines[6..].concat()];
        assert_eq!(first_broken(&read(&parts, &key())), ("1", 1));
        // The beginning may be elsewhere, and is told.
        let read = read(&[lines[4..].concat()], &key());
        assert_eq!((read.broken.len(), read.chains[0].first), (0, 5));
    }

    #[test]
    fn who_has_no_key_can_forge_nothing_and_who_has_the_file_alone_is_found_out_by_the_key() {
        let forged = lines(3, &Seal::default()).concat();
        let read = read(&[forged], &key());
        assert_eq!((first_broken(&read), read.broken.len()), (("0", 1), 3));
        let mut genuine = lines(3, &key());
        genuine.push(lines(4, &Seal::default())[3].clone());
        let read = self::read(&[genuine.concat()], &key());
        assert_eq!(first_broken(&read), ("0", 4));
        let another = {
            let mut head = Head::new(Uuid::from_u128(8));
            head.next(at(), r#"{"kind":"k"}"#, &key())
        };
        let read = self::read(&[lines(3, &key()).concat() + &another], &key());
        assert_eq!(first_broken(&read), ("0", 4), "{:?}", read.broken);
    }

    #[test]
    fn a_whole_line_that_cannot_be_read_is_none_that_a_crash_has_torn() {
        let (mut head, seal) = (Head::new(Uuid::nil()), Seal::default());
        let first = head.next(at(), r#"{"kind":"opened"}"#, &seal);
        let why = |end: &str| read(&[format!("{first}{end}")], &seal).broken[0].why.clone();
        assert!(why("garbage\n").contains("cannot be read"));
        assert!(why("garbage").contains("a crash has torn"));
    }

    #[test]
    fn what_a_crash_has_torn_is_whole_with_a_line_that_vouches_for_it_and_not_otherwise() {
        let seal = key();
        for torn in ["x", "{\"chain\":\"00", "\0\0"] {
            let mut head = Head::new(Uuid::from_u128(7));
            let first = head.next(at(), r#"{"kind":"k"}"#, &seal);
            let repaired = |bytes: usize, of: &str| {
                let sum = Seal::default().of(of.as_bytes());
                format!(r#"{{"kind":"repaired","torn_bytes":{bytes},"torn_sha256":"{sum}"}}"#)
            };
            let good = head.clone().next(at(), &repaired(torn.len(), torn), &seal);
            let wrong = head.clone().next(at(), &repaired(torn.len(), "else"), &seal);
            let unvouched = head.clone().next(at(), r#"{"kind":"k"}"#, &seal);
            let read = read(&[format!("{first}{torn}\n{good}")], &seal);
            assert_eq!((read.broken.len(), read.chains[0].torn), (0, 1), "{torn:?}");
            for other in [wrong, unvouched, String::new()] {
                let read = self::read(&[format!("{first}{torn}\n{other}")], &seal);
                assert_eq!(first_broken(&read), ("0", 2), "{torn:?}");
            }
        }
    }

    proptest! {
        #[test]
        fn no_byte_can_be_changed_without_its_line_being_named(line in 0_usize..6, place in 0_usize..300, byte in 32_u8..127) {
            let mut lines = lines(6, &key());
            let place = place % (lines[line].len() - 1);
            let mut bytes = lines[line].clone().into_bytes();
            prop_assume!(bytes[place] != byte);
            bytes[place] = byte;
            lines[line] = String::from_utf8(bytes).unwrap();
            let read = read(&[lines.concat()], &key());
            prop_assert_eq!(first_broken(&read), ("0", line + 1));
        }
    }

    #[test]
    fn no_line_can_vouch_for_more_than_a_crash_can_have_torn() {
        let seal = key();
        for (bytes, is_whole) in [(MOST_TORN, true), (MOST_TORN + 1, false)] {
            let (mut head, torn) = (Head::new(Uuid::from_u128(7)), "x".repeat(bytes));
            let first = head.next(at(), r#"{"kind":"k"}"#, &seal);
            let sum = Seal::default().of(torn.as_bytes());
            let entry = format!(
                r#"{{"kind":"repaired","torn_bytes":{},"torn_sha256":"{sum}"}}"#,
                torn.len()
            );
            let mended = head.next(at(), &entry, &seal);
            let read = read(&[format!("{first}{torn}\n{mended}")], &seal);
            assert_eq!(read.broken.is_empty(), is_whole, "{bytes}: {:?}", read.broken);
        }
    }
}
