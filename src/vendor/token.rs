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
    /// When the last token was issued.
    issued: Option<Instant>,
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
    issued: Instant,
    renew_at: Instant,
    /// Whether a call with it was answered.
    is_accepted: bool,
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
            let not_before = state.issued.map(|at| at + self.endpoint.timings.token_interval);
            state.fetch.get_or_insert_with(|| self.fetch(*stamp, not_before)).clone()
        };
        tokio::time::timeout_at(deadline, fetch).await.unwrap_or_else(|_| {
            Err(Outcome::Unavailable(Fault::new("timeout", "no access token in time")))
        })
    }

    /// Mimecast refused a call with `token`, which is forgotten unless it was replaced meanwhile. A token that was
    /// never accepted may need some seconds until it is known everywhere: where the refusal `is_for_the_token`, it
    /// stays, and the returned wait is as long as it is old and a second, so that it is tried again after 1, 2 and 4
    /// seconds.
    pub(super) fn refused(&self, token: &Secret, is_for_the_token: bool) -> Option<Duration> {
        let Timings { token_wait, token_young, .. } = self.endpoint.timings;
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let held = state.held.as_ref().filter(|held| held.token.secret == *token)?;
        let age = held.issued.elapsed();
        let wait = age + token_wait;
        if is_for_the_token && !held.is_accepted && age + wait < token_young {
            return Some(wait);
        }
        state.held = None;
        None
    }

    /// Mimecast answered a call with `token`.
    pub(super) fn accepted(&self, token: &Secret) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(held) = state.held.as_mut().filter(|held| held.token.secret == *token) {
            held.is_accepted = true;
        }
    }

    /// Begins a fetch, in a task of its own: it goes on whoever stops waiting for it. Tokens that are refused one
    /// after the other are not fetched without a break.
    fn fetch(&self, stamp: Stamp, not_before: Option<Instant>) -> Fetch {
        let (endpoint, state) = (Arc::clone(&self.endpoint), Arc::clone(&self.state));
        let fetching = tokio::spawn(async move {
            if let Some(not_before) = not_before {
                tokio::time::sleep_until(not_before).await;
            }
            let fetched = endpoint.fetch(&stamp).await;
            let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
            state.fetch = None;
            let held = fetched?;
            let token = held.token.clone();
            state.issued = Some(held.issued);
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
            Ok(grant) if (200..300).contains(&received.status) => self.hold(grant),
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

    fn hold(&self, grant: Grant) -> Result<Held, Outcome> {
        let Timings { token_life, longest_token_life, token_margin, .. } = self.timings;
        if !fits_into_a_header(&grant.access_token) {
            let detail =
                "the access token is empty, too long, or has characters that no header takes";
            return Err(Outcome::Unavailable(Fault::new("no_token", detail)));
        }
        let life = grant.expires_in.as_u64().map_or(token_life, Duration::from_secs);
        let life = life.min(longest_token_life);
        let issued = Instant::now();
        let renew_at = issued + life - token_margin.min(life / 5);
        let secret = Secret::new(grant.access_token);
        let Client { client_id, client_secret, .. } = &self.client;
        let hide = Arc::new(Hidden::of([client_id, client_secret, &secret]));
        Ok(Held { token: Token { secret, hide }, issued, renew_at, is_accepted: false })
    }
}

/// True for visible ASCII (RFC 6750, "b64token") of at most 16 KiB: servers refuse longer headers.
fn fits_into_a_header(token: &str) -> bool {
    (1..=16 * 1024).contains(&token.len()) && token.bytes().all(|byte| byte.is_ascii_graphic())
}
