//! Access tokens of API 2.0: fetched when needed, kept while they last, renewed before they end.

use super::sign::Stamp;
use super::transport::{Received, Transport};
use crate::command::Operation;
use crate::secrecy::{Hidden, Secret};
use crate::settings::{Client, Timings};
use crate::verdict::{Fault, Outcome, Reply};
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use serde::Deserialize;
use serde_json::Value;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::task::JoinError;
use tokio::time::Instant;

/// The token shared by all calls.
#[derive(Debug)]
pub(super) struct Tokens {
    endpoint: Arc<Endpoint>,
    state: Arc<Mutex<State>>,
}

/// Where tokens come from.
#[derive(Debug)]
struct Endpoint {
    transport: Arc<Transport>,
    client: Client,
    timings: Timings,
}

#[derive(Debug, Default)]
struct State {
    held: Option<Held>,
    /// The fetch under way: whoever needs a token waits for this one.
    fetch: Option<Fetch>,
}

/// A fetch that all who wait for it share, its failure too.
type Fetch = Shared<BoxFuture<'static, Result<Token, Outcome>>>;

/// A token, and what must not be shown of a call that is made with it.
#[derive(Clone, Debug)]
pub(super) struct Token {
    /// The token itself.
    pub secret: Secret,
    /// The token, and what it was got with.
    pub hide: Arc<Hidden>,
}

#[derive(Debug)]
struct Held {
    token: Token,
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
    pub(super) fn new(transport: Arc<Transport>, client: Client, timings: Timings) -> Tokens {
        let endpoint = Arc::new(Endpoint { transport, client, timings });
        Tokens { endpoint, state: Arc::default() }
    }

    /// A token that is good for now. Whoever comes while one is being fetched waits for that one, and
    /// nobody beyond `deadline`.
    ///
    /// # Errors
    ///
    /// The outcome of the call that needed it: unauthorized, throttled or unavailable.
    pub(super) async fn current(&self, stamp: &Stamp, deadline: Instant) -> Result<Token, Outcome> {
        let fetch = {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(held) = state.held.as_ref().filter(|held| Instant::now() < held.renew_at) {
                return Ok(held.token.clone());
            }
            state.fetch.get_or_insert_with(|| self.fetch(*stamp)).clone()
        };
        tokio::time::timeout_at(deadline, fetch).await.unwrap_or_else(|_| {
            Err(Outcome::Unavailable(Fault::new("timeout", "no access token in time")))
        })
    }

    /// Forgets `token` after the vendor refused it, unless it was replaced meanwhile.
    pub(super) fn forget(&self, token: &Secret) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.held.take_if(|held| held.token.secret == *token);
    }

    /// Begins a fetch, in a task of its own: it goes on whoever stops waiting for it.
    fn fetch(&self, stamp: Stamp) -> Fetch {
        let (endpoint, state) = (Arc::clone(&self.endpoint), Arc::clone(&self.state));
        let fetching = tokio::spawn(async move {
            let fetched = endpoint.fetch(&stamp).await;
            let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
            state.fetch = None;
            let held = fetched?;
            let token = held.token.clone();
            state.held = Some(held);
            Ok(token)
        });
        let lost = |error: JoinError| Outcome::Unavailable(Fault::new("token", &error.to_string()));
        async move { fetching.await.unwrap_or_else(|error| Err(lost(error))) }.boxed().shared()
    }
}

impl Endpoint {
    async fn fetch(&self, stamp: &Stamp) -> Result<Held, Outcome> {
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", self.client.client_id.reveal()),
            ("client_secret", self.client.client_secret.reveal()),
        ];
        let posted = self.transport.post_form(self.client.token_url.clone(), &form, stamp.at).await;
        let received = posted.map_err(Outcome::Unavailable)?;
        match serde_json::from_slice(&received.body) {
            Ok(grant) if (200..300).contains(&received.status) => Ok(self.hold(grant)),
            Ok(_) | Err(_) => Err(self.refusal(&received)),
        }
    }

    /// What a reply without a token means. Nothing in it can be the item's fault, so what would be
    /// a refusal of the item is one of ours.
    fn refusal(&self, received: &Received) -> Outcome {
        let hide = Hidden::of([&self.client.client_id, &self.client.client_secret]);
        let reply = Reply {
            status: received.status,
            body: &received.body,
            wait: received.quota.wait(&self.timings),
            hide: &hide,
            request_id: None,
        };
        // Which operation the token was for makes no difference here.
        match Outcome::of_reply(Operation::RemoveGroupMember, reply) {
            Outcome::Rejected(fault) | Outcome::Forbidden(fault) | Outcome::Unauthorized(fault) => {
                Outcome::Unauthorized(fault)
            }
            Outcome::Applied | Outcome::NotFound => {
                Outcome::Unavailable(Fault::new("no_token", "the reply has no access token"))
            }
            Outcome::Throttled(wait) => Outcome::Throttled(wait),
            // In whosever voice: what refuses us refuses all, so that no item is asked for in vain.
            Outcome::Unavailable(fault) if (400..500).contains(&received.status) => {
                Outcome::Unauthorized(fault)
            }
            Outcome::Unavailable(fault) => Outcome::Unavailable(fault),
        }
    }

    fn hold(&self, grant: Grant) -> Held {
        let Timings { token_life, longest_token_life, token_margin, .. } = self.timings;
        let life = grant.expires_in.as_u64().map_or(token_life, Duration::from_secs);
        let life = life.min(longest_token_life);
        let renew_at = Instant::now() + life - token_margin.min(life / 5);
        let secret = Secret::new(grant.access_token);
        let Client { client_id, client_secret, .. } = &self.client;
        let hide = Arc::new(Hidden::of([client_id, client_secret, &secret]));
        Held { token: Token { secret, hide }, renew_at }
    }
}
