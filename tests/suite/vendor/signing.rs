//! The signature of API 1.0: known answers step by step, and agreement with the fake vendor, which
//! works signatures out by itself.
//!
//! The signatures of the vectors in `tests/golden/signing` come from OpenSSL, not from this code:
//!
//! ```sh
//! printf %s "$STRING_TO_SIGN" |
//!     openssl dgst -sha1 -mac HMAC -macopt "hexkey:$(echo "$SECRET_KEY" | base64 -d | xxd -p -c 0)" -binary |
//!     base64
//! ```

use base64::{Engine, engine::general_purpose::STANDARD};
use chrono::DateTime;
use mimecast_eventd::command::Operation;
use mimecast_eventd::vendor::sign::Signer;
use mimecast_eventd::vendor::{Stamp, sign};
use proptest::prelude::*;
use serde::Deserialize;
use std::fs;
use std::path::Path;
use uuid::Uuid;

/// One file of `tests/golden/signing`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Vector {
    #[expect(dead_code, reason = "it tells whoever reads the file where the answer comes from")]
    source: String,
    access_key: String,
    secret_key: String,
    app_key: String,
    at: String,
    request_id: String,
    path: String,
    date: String,
    string_to_sign: String,
    signature: String,
    authorization: String,
}

#[test]
fn every_known_answer_is_reached_step_by_step() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/signing");
    let files: Vec<_> = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
    for file in &files {
        let name = file.display();
        let text = fs::read_to_string(file).unwrap();
        let vector: Vector =
            serde_json::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        let request_id = vector.request_id.parse().unwrap();
        let stamp = Stamp { request_id, ..stamp(&vector.at) };
        assert_eq!(stamp.date(), vector.date, "{name}");
        let signed =
            sign::string_to_sign(&vector.date, &vector.request_id, &vector.path, &vector.app_key);
        assert_eq!(signed, vector.string_to_sign, "{name}");
        let secret_key = STANDARD.decode(&vector.secret_key).unwrap();
        let signature = Signer::new(&secret_key).signature(&signed);
        assert_eq!(signature, vector.signature, "{name}");
        let authorization = sign::authorization(&vector.access_key, &signature);
        assert_eq!(authorization, vector.authorization, "{name}");
    }
    assert!(files.len() >= 5, "only {} vectors were found", files.len());
}

#[test]
fn a_date_is_written_as_on_the_vendors_pages() {
    assert_eq!(stamp("2015-11-24T12:50:11Z").date(), "Tue, 24 Nov 2015 12:50:11 UTC");
}

#[test]
fn a_date_has_two_digits_for_the_day_no_fraction_and_is_in_utc() {
    assert_eq!(stamp("2026-01-02T03:04:05.999Z").date(), "Fri, 02 Jan 2026 03:04:05 UTC");
    assert_eq!(stamp("2026-01-01T00:30:00+01:00").date(), "Wed, 31 Dec 2025 23:30:00 UTC");
}

#[test]
fn the_paths_that_are_signed_are_those_of_the_vendors_pages() {
    let paths = Operation::ALL.map(Operation::path);
    let known = [
        fake_mimecast::Operation::RemoveGroupMember.path(),
        fake_mimecast::Operation::DeleteManagedUrl.path(),
        fake_mimecast::Operation::FindGroups.path(),
        fake_mimecast::Operation::GetGroupMembers.path(),
        fake_mimecast::Operation::GetAllManagedUrls.path(),
    ];
    assert_eq!(paths, known);
}

fn stamp(time: &str) -> Stamp {
    let at = DateTime::parse_from_rfc3339(time).unwrap().to_utc();
    Stamp { at, request_id: Uuid::nil() }
}

/// Everything that a signature depends on.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Signed {
    secret_key: Vec<u8>,
    seconds: i64,
    request_id: u128,
    path: String,
    app_key: String,
}

impl Signed {
    fn stamp(&self) -> Stamp {
        let at = DateTime::from_timestamp(self.seconds, 0).unwrap();
        Stamp { at, request_id: Uuid::from_u128(self.request_id) }
    }

    fn signature(&self) -> String {
        let (date, id) = (self.stamp().date(), self.stamp().request_id.to_string());
        let text = sign::string_to_sign(&date, &id, &self.path, &self.app_key);
        Signer::new(&self.secret_key).signature(&text)
    }
}

fn any_signed() -> impl Strategy<Value = Signed> {
    // Up to the year 2100. HMAC fills a key up with zero bytes, so one that ends with a zero has a
    // twin without it.
    let key = proptest::collection::vec(1_u8.., 1..80);
    (key, 0_i64..4_102_444_800, any::<u128>(), "/[a-z/-]{0,30}", "[!-~]{1,40}").prop_map(
        |(secret_key, seconds, request_id, path, app_key)| Signed {
            secret_key,
            seconds,
            request_id,
            path,
            app_key,
        },
    )
}

proptest! {
    #[test]
    fn the_daemon_and_the_fake_vendor_agree_on_every_signature(
        signed in any_signed(), access_key in "[!-~]{1,60}",
    ) {
        let credentials = fake_mimecast::Credentials {
            access_key: access_key.clone(),
            secret_key: STANDARD.encode(&signed.secret_key),
            app_key: signed.app_key.clone(),
            ..fake_mimecast::Credentials::default()
        };
        let stamp = signed.stamp();
        let request_id = stamp.request_id.to_string();
        let expected = credentials.authorization(&stamp.date(), &request_id, &signed.path);
        prop_assert_eq!(sign::authorization(&access_key, &signed.signature()), expected);
    }

    #[test]
    fn whatever_part_changes_changes_the_signature(one in any_signed(), other in any_signed()) {
        let changed = [
            Signed { secret_key: other.secret_key, ..one.clone() },
            Signed { seconds: other.seconds, ..one.clone() },
            Signed { request_id: other.request_id, ..one.clone() },
            Signed { path: other.path, ..one.clone() },
            Signed { app_key: other.app_key, ..one.clone() },
        ];
        for changed in changed {
            prop_assert_eq!(changed == one, changed.signature() == one.signature());
        }
    }

    #[test]
    fn the_smallest_change_changes_the_signature(
        signed in any_signed(), place in any::<prop::sample::Index>(), bit in 0_u32..128,
    ) {
        let mut key = signed.clone();
        let place = place.index(key.secret_key.len());
        key.secret_key[place] ^= 1 << (bit % 8);
        let request = Signed { request_id: signed.request_id ^ (1 << bit), ..signed.clone() };
        let time = Signed { seconds: signed.seconds + 1, ..signed.clone() };
        for changed in [key, request, time] {
            prop_assert_ne!(changed.signature(), signed.signature());
        }
    }
}
