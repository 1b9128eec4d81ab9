//! The vendor's request signature for API 1.0: a function of its arguments.
//!
//! ```text
//! string to sign = date ":" request id ":" path ":" application key
//! signature      = base64(HMAC-SHA1(base64-decoded secret key, string to sign))
//! Authorization  = "MC " access key ":" signature
//! ```
//!
//! Source: the vendor's pages "Remove Group Member" and "Delete Managed URL", sections Request
//! Headers and Sample Code. The body is not signed.

use base64::{Engine, engine::general_purpose::STANDARD};
use chrono::{DateTime, Utc};
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use uuid::Uuid;

/// What makes one attempt unlike every other. The signature covers both parts, so each attempt
/// gets a fresh one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// The time of the attempt.
    pub at: DateTime<Utc>,
    /// The id of the attempt.
    pub request_id: Uuid,
}

impl Stamp {
    /// The value of the header `x-mc-date`, such as `Tue, 24 Nov 2015 12:50:11 UTC`.
    pub fn date(&self) -> String {
        self.at.format("%a, %d %b %Y %H:%M:%S UTC").to_string()
    }
}

/// The string that gets signed.
pub fn string_to_sign(stamp: &Stamp, path: &str, app_key: &str) -> String {
    format!("{}:{}:{path}:{app_key}", stamp.date(), stamp.request_id)
}

/// The signature of `text`, in base64; `secret_key` is already decoded.
pub fn signature(secret_key: &[u8], text: &str) -> String {
    let mut mac = Hmac::<Sha1>::new_from_slice(secret_key).expect("HMAC takes a key of any length");
    mac.update(text.as_bytes());
    STANDARD.encode(mac.finalize().into_bytes())
}

/// The value of the header `Authorization`.
pub fn authorization(access_key: &str, signature: &str) -> String {
    format!("MC {access_key}:{signature}")
}
