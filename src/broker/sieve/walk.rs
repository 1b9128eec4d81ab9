//! A walk over the fields of a frame.

/// A walk over fields; what it walks over is copied, with harmless texts.
pub(super) struct Walk<'a> {
    pub rest: &'a [u8],
    pub out: Vec<u8>,
    /// Whether a text was altered.
    pub text: bool,
}

impl<'a> Walk<'a> {
    /// A walk over `fields`.
    pub(super) fn over(fields: &'a [u8]) -> Walk<'a> {
        Walk { rest: fields, out: Vec::new(), text: false }
    }

    pub(super) fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(count)?;
        self.rest = rest;
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

    pub(super) fn bytes(&mut self, count: usize) -> Option<()> {
        let taken = self.take(count)?;
        self.out.extend_from_slice(taken);
        Some(())
    }

    pub(super) fn short_text(&mut self) -> Option<()> {
        let text = self.short_bytes()?;
        // A short text has at most 255 bytes, and a replaced byte is one byte again.
        self.out.push(text.len() as u8);
        let begin = self.out.len();
        self.out.extend_from_slice(text);
        self.text |= replace_what_is_not_utf8(&mut self.out[begin..]);
        Some(())
    }
}

pub(super) fn replace_what_is_not_utf8(text: &mut [u8]) -> bool {
    let mut wrong = Vec::new();
    let mut at = 0;
    for chunk in text.utf8_chunks() {
        at += chunk.valid().len();
        wrong.extend(at..at + chunk.invalid().len());
        at += chunk.invalid().len();
    }
    wrong.iter().for_each(|at| text[*at] = b'?');
    !wrong.is_empty()
}
