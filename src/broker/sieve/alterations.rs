//! What was done to one message, and the headers that say so.

use super::{ALTERED, BODY_SIZE, LEFT_OUT};

/// What was done to one message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Alterations {
    pub text: bool,
    pub headers: usize,
    pub body: Option<u64>,
}

impl Alterations {
    /// Adds the headers that say what was altered.
    pub(super) fn write(self, headers: &mut Vec<u8>) {
        let mut words = Vec::new();
        if self.text {
            words.push("bytes that are not UTF-8 were replaced by ?".to_owned());
        }
        if self.headers > 0 {
            words.push(LEFT_OUT.to_owned());
        }
        if let Some(size) = self.body {
            words.push(format!("a body of {size} bytes was passed over"));
            // The type has a sign.
            let size = size.min(i64::MAX as u64);
            header(headers, BODY_SIZE, b'l', &size.to_be_bytes());
        }
        let words = words.join("; ");
        let mut value = (words.len() as u32).to_be_bytes().to_vec();
        value.extend_from_slice(words.as_bytes());
        header(headers, ALTERED, b'S', &value);
    }
}

fn header(headers: &mut Vec<u8>, name: &str, kind: u8, value: &[u8]) {
    headers.push(name.len() as u8);
    headers.extend_from_slice(name.as_bytes());
    headers.push(kind);
    headers.extend_from_slice(value);
}
