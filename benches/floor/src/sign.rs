//! The headers of a signed request, as the vendor's pages have them.

use base64::{Engine, engine::general_purpose::STANDARD};
use chrono::Utc;
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use uuid::Uuid;

/// The path of the one operation.
pub(crate) const PATH: &str = "/api/directory/remove-group-member";

/// The keys that the fake is started with.
const ACCESS_KEY: &str = "key";
const SECRET_KEY: &[u8] = b"secret";
const APP_ID: &str = "id";
const APP_KEY: &str = "app";

/// The headers of one request.
pub(crate) fn headers() -> [(&'static str, String); 6] {
    let date = Utc::now().format("%a, %d %b %Y %H:%M:%S UTC").to_string();
    let id = Uuid::new_v4().to_string();
    let mut mac = Hmac::<Sha1>::new_from_slice(SECRET_KEY).expect("HMAC takes a key of any length");
    mac.update(format!("{date}:{id}:{PATH}:{APP_KEY}").as_bytes());
    let signature = STANDARD.encode(mac.finalize().into_bytes());
    [
        ("content-type", "application/json".to_owned()),
        ("accept", "application/json".to_owned()),
        ("authorization", format!("MC {ACCESS_KEY}:{signature}")),
        ("x-mc-app-id", APP_ID.to_owned()),
        ("x-mc-date", date),
        ("x-mc-req-id", id),
    ]
}
