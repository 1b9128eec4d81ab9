//! Access tokens of API 2.0: fetched when needed, kept while they last, renewed before they end.

use super::sign::Stamp;
use super::transport::{Received, Transport};
use crate::command::Operation;
use crate::secrecy::Secret;
use crate::settings::Client;
use crate::verdict::{Fault, Outcome, Reply};
use serde::Deserialize;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::Instant;

/// A token is renewed when this much of its life is left, or a fifth of it if that is less, so that
/// none ends on its way to the vendor.
const MARGIN: Duration = Duration::from_secs(60);

/// The life of a token whose end is not told.
const UNTOLD_LIFE: Duration = Duration::from_mins(5);

/// No token is kept for longer, whatever its end.
const LONGEST_LIFE: Duration = Duration::from_hours(24);

/// The token shared by all calls.
#[derive(Debug)]
pub(super) struct Tokens {
    transport: Arc<Transport>,
    client: Client,
    held: Mutex<Option<Held>>,
}

#[derive(Debug)]
struct Held {
    token: Secret,
    renew_at: Instant,
}

#[derive(Deserialize)]
struct Grant {
    access_token: String,
    #[serde(default)]
    expires_in: Value,
}

impl Tokens {
    /// No token yet; the first call fetches one.
    pub(super) fn new(transport: Arc<Transport>, client: Client) -> Tokens {
        Tokens { transport, client, held: Mutex::new(None) }
    }

    /// A token that is good for now. Whoever comes while one is being fetched waits for that one.
    ///
    /// # Errors
    ///
    /// The outcome of the call that needed it: unauthorised, throttled or unavailable.
    pub(super) async fn current(&self, stamp: &Stamp) -> Result<Secret, Outcome> {
        let mut held = self.held.lock().await;
        if let Some(held) = held.as_ref().filter(|held| Instant::now() < held.renew_at) {
            return Ok(held.token.clone());
        }
        let grant = self.fetch(stamp).await?;
        let life = grant.expires_in.as_u64().map_or(UNTOLD_LIFE, Duration::from_secs);
        let life = life.min(LONGEST_LIFE);
        let token = Secret::new(grant.access_token);
        let renew_at = Instant::now() + life - MARGIN.min(life / 5);
        *held = Some(Held { token: token.clone(), renew_at });
        Ok(token)
    }

    /// Forgets `token` after the vendor refused it, unless it was replaced meanwhile.
    pub(super) async fn forget(&self, token: &Secret) {
        self.held.lock().await.take_if(|held| held.token == *token);
    }

    async fn fetch(&self, stamp: &Stamp) -> Result<Grant, Outcome> {
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", self.client.client_id.reveal()),
            ("client_secret", self.client.client_secret.reveal()),
        ];
        let posted = self.transport.post_form(self.client.token_url.clone(), &form, stamp.at).await;
        let received = posted.map_err(Outcome::Unavailable)?;
        match serde_json::from_slice(&received.body) {
            Ok(grant) if (200..300).contains(&received.status) => Ok(grant),
            Ok(_) | Err(_) => Err(self.refusal(&received)),
        }
    }

    /// What a reply without a token means. Nothing in it can be the item's fault, so what would be
    /// a refusal of the item is one of ours.
    fn refusal(&self, received: &Received) -> Outcome {
        let hide = [self.client.client_id.clone(), self.client.client_secret.clone()];
        let reply = Reply {
            status: received.status,
            body: &received.body,
            wait: received.quota.wait(),
            hide: &hide,
        };
        // Which operation the token was for makes no difference here.
        match Outcome::of_reply(Operation::RemoveGroupMember, reply) {
            Outcome::Rejected(fault) | Outcome::Unauthorised(fault) => Outcome::Unauthorised(fault),
            Outcome::Applied | Outcome::AlreadyGone => {
                Outcome::Unavailable(Fault::new("no_token", "the reply has no access token"))
            }
            Outcome::Throttled(wait) => Outcome::Throttled(wait),
            Outcome::Unavailable(fault) => Outcome::Unavailable(fault),
        }
    }
}
