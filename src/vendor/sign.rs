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
use chrono::{DateTime, Datelike, Month, Timelike, Utc};
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use std::fmt;
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
        let Stamp { at, .. } = self;
        let (weekday, month) = (at.weekday(), Month::try_from(at.month() as u8));
        let month = month.map_or("", |month| &month.name()[..3]);
        let (day, year, time) = (at.day(), at.year(), at.time());
        let (hour, minute, second) = (time.hour(), time.minute(), time.second());
        format!("{weekday}, {day:02} {month} {year:04} {hour:02}:{minute:02}:{second:02} UTC")
    }
}

/// The string that gets signed: the values of `x-mc-date` and `x-mc-req-id` as they are sent, and more.
pub fn string_to_sign(date: &str, request_id: &str, path: &str, app_key: &str) -> String {
    [date, request_id, path, app_key].join(":")
}

/// Signs with one key, which has its part of the work done once.
#[derive(Clone)]
pub struct Signer(Hmac<Sha1>);

impl Signer {
    /// The one with this key, which is already decoded.
    pub fn new(secret_key: &[u8]) -> Signer {
        Signer(Hmac::new_from_slice(secret_key).expect("HMAC takes a key of any length"))
    }

    /// The signature of `text`, in base64.
    pub fn signature(&self, text: &str) -> String {
        let mut mac = self.0.clone();
        mac.update(text.as_bytes());
        STANDARD.encode(mac.finalize().into_bytes())
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("[secret]")
    }
}

/// The value of the header `Authorization`.
pub fn authorization(access_key: &str, signature: &str) -> String {
    format!("MC {access_key}:{signature}")
}
