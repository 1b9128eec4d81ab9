//! What lines are sealed with, so that a changed one is noticed.

use super::redact::digits;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use std::fmt;

/// Makes the seal of a text: its SHA-256, or with a key its HMAC-SHA256, which nobody without the key can
/// make.
#[derive(Clone, Default)]
pub struct Seal(Option<Hmac<Sha256>>);

impl Seal {
    /// The one of who has `key`.
    pub fn by(key: &[u8]) -> Seal {
        Seal(Some(Hmac::new_from_slice(key).expect("HMAC takes a key of any length")))
    }

    /// Whether it takes a key to make it.
    pub fn is_keyed(&self) -> bool {
        self.0.is_some()
    }

    /// The seal of `text`, in 64 hexadecimal digits.
    pub fn of(&self, text: &[u8]) -> String {
        match &self.0 {
            Some(keyed) => {
                let mut keyed = keyed.clone();
                keyed.update(text);
                digits(&keyed.finalize().into_bytes())
            }
            None => digits(&Sha256::digest(text)),
        }
    }
}

impl fmt::Debug for Seal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(if self.is_keyed() { "[secret]" } else { "no key" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seal_is_what_other_programs_say_and_shows_no_key() {
        // printf %s ada | openssl dgst -sha256; the same with -hmac key
        let plain = "fdee430d40bd57deeac186cd9790033d0f06f909a8806e7ce6e717ab7c7d5029";
        let by_key = "708a727d2475357eaacc4f88c80d7eec3218ce0cabcf2694f6fecd080545cc6f";
        let keyed = Seal::by(b"key");
        assert_eq!(Seal::default().of(b"ada"), plain);
        assert_eq!(keyed.of(b"ada"), by_key);
        assert_eq!(format!("{keyed:?} {:?}", Seal::default()), "[secret] no key");
        assert!(keyed.is_keyed() && !Seal::default().is_keyed());
    }
}
