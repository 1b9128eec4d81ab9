//! The form that the input of most targets has: lines of a name and a value, an empty line, and the rest
//! as it is. So seeds are texts that people can read, and a byte of the input changes one thing.

use std::borrow::Cow;

/// An input, taken apart. Any bytes are one.
pub struct Case<'a> {
    lines: Vec<(&'a [u8], &'a [u8])>,
    /// What comes after the empty line.
    pub rest: &'a [u8],
}

impl<'a> Case<'a> {
    pub fn of(mut input: &'a [u8]) -> Case<'a> {
        let mut lines = Vec::new();
        while let Some((line, rest)) = split(input, b"\n") {
            input = rest;
            match split(line, b": ") {
                Some(line) => lines.push(line),
                None if line.is_empty() => break,
                None => {}
            }
        }
        Case { lines, rest: input }
    }

    /// The values of all lines of this name, in their order.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        self.lines.iter().filter(move |(known, _)| *known == name.as_bytes()).map(|(_, it)| *it)
    }

    /// The same as texts.
    pub fn texts(&self, name: &str) -> impl Iterator<Item = Cow<'a, str>> {
        self.all(name).map(String::from_utf8_lossy)
    }

    /// The same, each split at its first space; without one, nothing stands behind it.
    pub fn pairs(&self, name: &str) -> impl Iterator<Item = (String, Option<String>)> {
        self.texts(name).map(|text| match text.split_once(' ') {
            Some((one, other)) => (one.to_owned(), Some(other.to_owned())),
            None => (text.into_owned(), None),
        })
    }

    /// The value of the first line of this name.
    pub fn text(&self, name: &str) -> Option<String> {
        self.texts(name).next().map(Cow::into_owned)
    }
}

fn split<'a>(bytes: &'a [u8], at: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let begin = bytes.windows(at.len()).position(|it| it == at)?;
    Some((&bytes[..begin], &bytes[begin + at.len()..]))
}

/// Holds that `text` is one line of at most so many bytes, on which nothing moves the cursor.
pub fn is_one_line(text: &str, most: usize) {
    assert!(text.len() <= most, "{} bytes are more than {most}", text.len());
    assert!(!text.contains(char::is_control), "{text:?}");
}
