//! The bearer tokens of API 2.0.

use std::collections::HashMap;
use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;

use crate::reply::Reply;

/// What the live service was seen to grant.
const LIFETIME: Duration = Duration::from_secs(1799);

pub(crate) struct Tokens {
    lifetime: Duration,
    issued: u64,
    expiries: HashMap<String, Instant>,
}

impl Tokens {
    pub(crate) fn new() -> Self {
        Self { lifetime: LIFETIME, issued: 0, expiries: HashMap::new() }
    }

    /// Holds for the tokens that are issued from now on.
    pub(crate) fn set_lifetime(&mut self, lifetime: Duration) {
        self.lifetime = lifetime;
    }

    pub(crate) fn issued(&self) -> u64 {
        self.issued
    }

    pub(crate) fn issue(&mut self, now: Instant) -> Reply {
        self.issued += 1;
        let token = format!("CANARY-token-{}", self.issued);
        self.expiries.insert(token.clone(), now + self.lifetime);
        Reply::json(
            200,
            &json!({
                "access_token": token,
                "token_type": "Bearer",
                "expires_in": self.lifetime.as_secs(),
                "scope": "",
            }),
        )
    }

    /// Whether it was ever issued.
    pub(crate) fn knows(&self, token: &str) -> bool {
        self.expiries.contains_key(token)
    }

    /// A revoked token is answered like one whose time is over.
    pub(crate) fn revoke_all(&mut self, now: Instant) {
        for expiry in self.expiries.values_mut() {
            *expiry = now;
        }
    }

    /// The reply to a call whose token is not let in.
    pub(crate) fn refuse(&self, token: &str, now: Instant) -> Option<Reply> {
        match self.expiries.get(token) {
            None => Some(Reply::unauthorized()),
            Some(expiry) if *expiry <= now => {
                Some(Reply::flat(401, "token_expired", "The access token has expired"))
            }
            Some(_) => None,
        }
    }
}
