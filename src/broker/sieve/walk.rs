//! A walk over the fields of a frame.

use std::ops::Range;

/// A walk over fields. What it walks over is copied only when it is asked for: hardly any message has a text
/// that is not harmless.
#[derive(Debug, Default)]
pub(super) struct Walk<'a> {
    fields: &'a [u8],
    at: usize,
    /// Where in texts bytes stand that are not UTF-8.
    wrong: Vec<usize>,
}

impl<'a> Walk<'a> {
    /// A walk over `fields`.
    pub(super) fn over(fields: &'a [u8]) -> Walk<'a> {
        Walk { fields, at: 0, wrong: Vec::new() }
    }

    /// How many bytes it has walked over.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// What it has not walked over yet.
    pub(super) fn rest(&self) -> &'a [u8] {
        &self.fields[self.at..]
    }

    /// Whether a text has to be altered.
    pub(super) fn is_altered(&self) -> bool {
        !self.wrong.is_empty()
    }

    /// Those of the fields, with harmless texts.
    pub(super) fn harmless(&self, range: Range<usize>) -> Vec<u8> {
        let mut fields = self.fields[range.clone()].to_vec();
        for at in self.wrong.iter().filter(|at| range.contains(at)) {
            fields[at - range.start] = b'?';
        }
        fields
    }

    pub(super) fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, _) = self.rest().split_at_checked(count)?;
        self.at += count;
        Some(taken)
    }

    pub(super) fn short_bytes(&mut self) -> Option<&'a [u8]> {
        let length = *self.take(1)?.first()?;
        self.take(usize::from(length))
    }

    pub(super) fn long_bytes(&mut self) -> Option<&'a [u8]> {
        let length = self.take(4)?.first_chunk().map(|length| u32::from_be_bytes(*length))?;
        self.take(length as usize)
    }

    pub(super) fn short_text(&mut self) -> Option<()> {
        let text = self.short_bytes()?;
        let begin = self.at - text.len();
        self.wrong.extend(not_utf8(text).map(|at| begin + at));
        Some(())
    }
}

/// Replaces each byte that is not UTF-8 by `?`, and says whether there was one.
pub(super) fn replace_what_is_not_utf8(text: &mut [u8]) -> bool {
    let wrong: Vec<usize> = not_utf8(text).collect();
    wrong.iter().for_each(|at| text[*at] = b'?');
    !wrong.is_empty()
}

/// Where in a text bytes stand that are not UTF-8.
fn not_utf8(text: &[u8]) -> impl Iterator<Item = usize> {
    let mut at = 0;
    text.utf8_chunks().flat_map(move |chunk| {
        let begin = at + chunk.valid().len();
        at = begin + chunk.invalid().len();
        begin..at
    })
}
