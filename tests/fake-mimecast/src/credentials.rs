//! The keys of the tenant, and the checks of a signature and of a client.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use chrono::{DateTime, Utc};
use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha1::Sha1;

use crate::protocol::Asked;
use crate::reply::{Problem, Reply};

/// The keys that the fake lets in. They guard nothing, so `Debug` shows them.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Credentials {
    /// API 1.0: names the key pair in `Authorization`.
    pub access_key: String,
    /// API 1.0: the key of the signature, as base64.
    pub secret_key: String,
    /// API 1.0: the header `x-mc-app-id`.
    pub app_id: String,
    /// API 1.0: part of what is signed.
    pub app_key: String,
    /// API 2.0: names the client at the token endpoint.
    pub client_id: String,
    /// API 2.0: the client's secret.
    pub client_secret: String,
}

impl Default for Credentials {
    /// Values that stand out wherever they do not belong, such as in a log.
    fn default() -> Self {
        Self {
            access_key: "CANARY-access-key".to_owned(),
            secret_key: BASE64.encode("CANARY-secret-key"),
            app_id: "CANARY-app-id".to_owned(),
            app_key: "CANARY-app-key".to_owned(),
            client_id: "CANARY-client-id".to_owned(),
            client_secret: "CANARY-client-secret".to_owned(),
        }
    }
}

impl Credentials {
    /// The only value of `Authorization` that is right for a call of API 1.0.
    ///
    /// # Panics
    ///
    /// If the secret key is not base64.
    pub fn authorization(&self, date: &str, request_id: &str, path: &str) -> String {
        let secret = BASE64.decode(&self.secret_key).expect("the secret key is base64");
        let signed = [date, request_id, path, &self.app_key].join(":");
        let mut mac =
            Hmac::<Sha1>::new_from_slice(&secret).expect("HMAC takes a key of any length");
        mac.update(signed.as_bytes());
        let signature = BASE64.encode(mac.finalize().into_bytes());
        format!("MC {}:{signature}", self.access_key)
    }

    pub(crate) fn secret_key_is_base64(&self) -> bool {
        BASE64.decode(&self.secret_key).is_ok()
    }

    /// Whether the header names our key pair, whatever the signature.
    pub(crate) fn is_our_key(&self, authorization: &str) -> bool {
        let key = authorization.strip_prefix("MC ").and_then(|rest| rest.split(':').next());
        key == Some(&self.access_key)
    }

    pub(crate) fn is_our_client(&self, asked: &Asked) -> bool {
        asked.form_field("client_id") == Some(&self.client_id)
    }

    /// The reply to a signed call that is not let in.
    pub(crate) fn refuse_signature(
        &self,
        asked: &Asked,
        authorization: &str,
        now: DateTime<Utc>,
    ) -> Option<Reply> {
        let text = |header: &Option<String>| header.clone().unwrap_or_default();
        let app_id = text(&asked.app_id);
        if app_id != self.app_id {
            // Recorded so from the live service: a wrong app id is a 200 all over.
            return Some(Reply::fail(
                200,
                None,
                Problem::new("err_developer_key", format!("App ID is invalid: {app_id}")),
            ));
        }
        let expected = self.authorization(
            &text(&asked.date),
            &text(&asked.request_id),
            asked.operation.path(),
        );
        (authorization != expected || !asked.is_timely(now)).then(Reply::invalid_signature)
    }

    /// The reply to a request for a token by a client that is not ours.
    pub(crate) fn refuse_client(&self, asked: &Asked) -> Option<Reply> {
        let is_ours = self.is_our_client(asked)
            && asked.form_field("client_secret") == Some(&self.client_secret);
        (!is_ours).then(Reply::invalid_client)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_equals_the_known_answer() {
        let credentials = Credentials {
            access_key: "AccessKey".to_owned(),
            secret_key: BASE64.encode("SecretKey"),
            app_key: "ApplicationKey".to_owned(),
            ..Credentials::default()
        };
        assert_eq!(
            credentials.authorization(
                "Sun, 21 Aug 2022 13:49:40 UTC",
                "3d796b76-4180-40e5-8f7c-6e0fd643b1a9",
                "/api/test/some-url",
            ),
            "MC AccessKey:WOywLsnZlsE+D6bp/ug6uch5kxc="
        );
    }

    #[test]
    fn the_default_secret_key_is_base64() {
        assert!(Credentials::default().secret_key_is_base64());
    }
}
