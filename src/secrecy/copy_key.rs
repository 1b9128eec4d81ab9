//! The key by which copies of messages show that the daemon has made them.

use super::secret::Secret;
use base64::{Engine, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::fmt;

/// What is signed to make a key of other secrets: the key is for this and nothing else.
const PURPOSE: &[u8] = b"mimecast-eventd copies of messages";

/// A key of HMAC-SHA256, the same in all replicas and in `dlq`.
#[derive(Clone)]
pub struct CopyKey(Hmac<Sha256>);

impl CopyKey {
    /// The key with these bytes.
    pub fn by(key: &[u8]) -> CopyKey {
        CopyKey(Hmac::new_from_slice(key).expect("HMAC takes a key of any length"))
    }

    /// A key derived from `secrets`, which says nothing of them.
    pub fn derived(secrets: &[Secret]) -> CopyKey {
        CopyKey::by(&Secret::derived::<Hmac<Sha256>>(PURPOSE, secrets))
    }

    /// The MAC of `text`, in base64.
    pub fn mac(&self, text: &[u8]) -> String {
        STANDARD.encode(self.over(text).finalize().into_bytes())
    }

    /// Whether `mac` is the MAC of `text`. The time that this takes says nothing of the right one.
    pub fn verifies(&self, text: &[u8], mac: &str) -> bool {
        STANDARD.decode(mac).is_ok_and(|mac| self.over(text).verify_slice(&mac).is_ok())
    }

    fn over(&self, text: &[u8]) -> Hmac<Sha256> {
        let mut mac = self.0.clone();
        mac.update(text);
        mac
    }
}

impl fmt::Debug for CopyKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("[secret]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mac_is_that_of_one_text_and_one_key_and_shows_no_key() {
        let key = CopyKey::by(b"key");
        // printf %s ada | openssl dgst -sha256 -hmac key -binary | base64
        let mac = "cIpyfSR1NX6qzE+IyA1+7DIYzgyrzyaU9v7NCAVFzG8=";
        assert_eq!(key.mac(b"ada"), mac);
        assert!(key.verifies(b"ada", mac));
        for (key, text, mac) in [
            (&key, "bob", mac),
            (&CopyKey::by(b"other"), "ada", mac),
            (&key, "ada", &mac[..40]),
            (&key, "ada", ""),
            (&key, "ada", "no base64"),
        ] {
            assert!(!key.verifies(text.as_bytes(), mac), "{text} {mac}");
        }
        assert_eq!(format!("{key:?}"), "[secret]");
    }

    #[test]
    fn a_derived_key_is_that_of_all_secrets_in_their_order() {
        let by = |secrets: &[&str]| {
            let secrets: Vec<Secret> = secrets.iter().map(|text| Secret::new(*text)).collect();
            CopyKey::derived(&secrets).mac(b"ada")
        };
        assert_eq!(by(&["one", "two"]), by(&["one", "two"]));
        for other in [&["two", "one"][..], &["one"], &["onet", "wo"], &["one", "two", ""]] {
            assert_ne!(by(other), by(&["one", "two"]), "{other:?}");
        }
    }
}
