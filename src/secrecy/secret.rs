//! Text that must never be shown.

use base64::Engine;
use base64::engine::general_purpose::{GeneralPurpose, STANDARD, URL_SAFE};
use hmac::{KeyInit, Mac};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};
use std::fmt;

/// A secret: it has no `Display`, and its `Debug` shows that there is one, not what it is.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Keeps `text` from sight.
    pub fn new(text: impl Into<String>) -> Secret {
        Secret(text.into())
    }

    /// The text itself, for the one place that has to send it.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// The same, where it is not needed any more.
    pub fn into_revealed(self) -> String {
        self.0
    }

    /// A key for one `purpose`, made of all `secrets` by a MAC, so that it says nothing of them.
    pub(super) fn derived<M: Mac + KeyInit>(purpose: &[u8], secrets: &[Secret]) -> Vec<u8> {
        let mut all =
            <M as KeyInit>::new_from_slice(purpose).expect("HMAC takes a key of any length");
        for secret in secrets {
            let text = secret.reveal().as_bytes();
            // With their lengths, so that no two lists are one text.
            all.update(&text.len().to_be_bytes());
            all.update(text);
        }
        all.finalize().into_bytes().to_vec()
    }

    /// The secret as it is, percent-encoded as forms are, and what is sure to stand in any text in
    /// base64 that holds it.
    pub(super) fn forms(&self) -> Vec<String> {
        let encoded = percent_encode(self.0.as_bytes(), FORM).to_string();
        let mut forms =
            vec![self.0.clone(), small_digits(&encoded), encoded.to_lowercase(), encoded];
        for engine in [STANDARD, URL_SAFE] {
            for before in 0..3 {
                forms.push(inside_of_base64(&engine, before, self.0.as_bytes()));
            }
        }
        forms
    }
}

/// What a form encodes: all but letters, digits and these (URL Standard, "application/x-www-form-urlencoded").
const FORM: &AsciiSet = &NON_ALPHANUMERIC.remove(b'*').remove(b'-').remove(b'.').remove(b'_');

/// The same, with small letters in its hexadecimal digits, as others write them.
fn small_digits(encoded: &str) -> String {
    let mut pieces = encoded.split('%');
    let mut text = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let (digits, rest) = piece.split_at(2);
        text.extend(["%", &digits.to_lowercase(), rest]);
    }
    text
}

/// Shorter pieces of base64 stand in innocent words too.
const SHORTEST: usize = 8;

/// The characters that `secret` alone decides when it stands after so many bytes, modulo three, in a
/// text that is encoded as a whole; nothing when they are few.
fn inside_of_base64(engine: &GeneralPurpose, before: usize, secret: &[u8]) -> String {
    let text = [&vec![0; before], secret].concat();
    let (first, end) = ((before * 8).div_ceil(6), text.len() * 8 / 6);
    let encoded = engine.encode(&text);
    encoded.get(first..end).filter(|inside| inside.len() >= SHORTEST).unwrap_or_default().to_owned()
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("[secret]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_shows_that_it_is_there_and_not_what_it_is() {
        let secret = Secret::new("canary");
        assert_eq!(format!("{secret:?}"), "[secret]");
        assert_eq!(secret.reveal(), "canary");
    }
}
