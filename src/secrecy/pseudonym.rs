//! Names for addresses that only who has the key can tell whose they are.

use super::redact;
use super::secret::Secret;
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use std::fmt;

/// What is signed to make a key of other secrets: the key is for this and nothing else.
const PURPOSE: &[u8] = b"mimecast-eventd pseudonyms of addresses";

/// Names for addresses. Who has a list of addresses and a log cannot tell which is which without the key;
/// all who have the same key agree, across restarts and replicas.
#[derive(Clone)]
pub struct Pseudonyms(Hmac<Sha1>);

impl Pseudonyms {
    /// Those that go by `key`.
    pub fn by(key: &[u8]) -> Pseudonyms {
        Pseudonyms(Hmac::new_from_slice(key).expect("HMAC takes a key of any length"))
    }

    /// Those that go by a key derived from `secrets`, which says nothing of them.
    pub fn derived(secrets: &[Secret]) -> Pseudonyms {
        Pseudonyms::by(&Secret::derived::<Hmac<Sha1>>(PURPOSE, secrets))
    }

    /// The name of an address, whatever its case: sixteen hexadecimal digits of its HMAC-SHA1.
    pub fn of(&self, address: &str) -> String {
        let mut mac = self.0.clone();
        mac.update(address.trim().to_lowercase().as_bytes());
        ["who:", &redact::digits(&mac.finalize().into_bytes()[..8])].concat()
    }

    /// `text` on one line of at most `max` bytes, its e-mail addresses by their names.
    pub fn line(&self, text: &str, max: usize) -> String {
        redact::hidden(text, max, |address| self.of(address))
    }
}

impl fmt::Debug for Pseudonyms {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("[secret]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_the_same_for_every_spelling_and_another_one_by_another_key() {
        let ours = Pseudonyms::by(b"key");
        // printf %s ada@example.com | openssl dgst -sha1 -hmac key
        assert_eq!(ours.of("ada@example.com"), "who:acd04f9f82ac5119");
        assert_eq!(ours.of(" Ada@Example.COM "), ours.of("ada@example.com"));
        assert_ne!(ours.of("ada@example.com"), ours.of("bob@example.com"));
        assert_ne!(Pseudonyms::by(b"other").of("ada@example.com"), ours.of("ada@example.com"));
        assert_eq!(format!("{ours:?}"), "[secret]");
        let line = ours.line("of Ada@example.com, and ada@example.com", 100);
        let name = ours.of("ada@example.com");
        assert_eq!(line, format!("of {name}, and {name}"));
    }

    #[test]
    fn a_derived_key_is_that_of_all_secrets_in_their_order() {
        let by = |secrets: &[&str]| {
            let secrets: Vec<Secret> = secrets.iter().map(|text| Secret::new(*text)).collect();
            Pseudonyms::derived(&secrets).of("ada@example.com")
        };
        assert_eq!(by(&["one", "two"]), by(&["one", "two"]));
        for other in [&["two", "one"][..], &["one"], &["onet", "wo"], &["one", "two", ""]] {
            assert_ne!(by(other), by(&["one", "two"]), "{other:?}");
        }
    }
}
