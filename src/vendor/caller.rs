//! Sends calls to the vendor with the credentials of either API.

use super::sign::{self, Signer, Stamp};
use super::token::{Token, Tokens};
use super::transport::{Received, Transport, TransportError};
use crate::command::Operation;
use crate::secrecy::{Hidden, Secret};
use crate::settings::{Credentials, Keys, Mimecast, Timings};
use crate::telemetry::span;
use crate::verdict::{Outcome, Reply};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use tracing::Span;
use url::Url;
use uuid::Uuid;

/// Who calls: signed by keys (API 1.0), or with an access token (API 2.0).
#[derive(Debug)]
pub(super) struct Caller {
    transport: Arc<Transport>,
    base_url: Url,
    /// Where each operation is; the client wants it whole.
    urls: BTreeMap<Operation, Url>,
    access: Access,
    hide: Arc<Hidden>,
    timings: Timings,
}

#[derive(Debug)]
enum Access {
    Signed(Box<(Keys, Signer)>),
    Bearer(Tokens),
}

/// What came back, and what must not be shown of it.
#[derive(Debug)]
pub(super) struct Answer {
    /// The reply.
    pub received: Received,
    /// How long to wait if it is a 429.
    wait: Duration,
    /// The secrets that the call was made with.
    pub hide: Arc<Hidden>,
    token: Option<Token>,
}

impl Caller {
    /// Sets everything up; nothing is sent yet.
    ///
    /// # Errors
    ///
    /// When the HTTP client cannot be made.
    pub(super) fn new(settings: &Mimecast) -> Result<Caller, TransportError> {
        let transport = Arc::new(Transport::new(settings)?);
        let access = match settings.credentials.clone() {
            Credentials::Hmac(keys) => {
                let signer = Signer::new(keys.secret_key.reveal());
                Access::Signed(Box::new((keys, signer)))
            }
            Credentials::OAuth2(client) => {
                Access::Bearer(Tokens::new(Arc::clone(&transport), client, settings.timings))
            }
        };
        let base_url = settings.base_url.clone();
        let url = |operation: Operation| {
            let mut url = base_url.clone();
            url.set_path(operation.path());
            (operation, url)
        };
        let urls = Operation::ALL.map(url).into();
        let hide = Arc::new(Hidden::of(&settings.credentials.secrets()));
        let timings = settings.timings;
        Ok(Caller { transport, base_url, urls, access, hide, timings })
    }

    /// One POST of `body` for `operation`. It is signed in here, because the signature covers the date and
    /// the request id and both must be fresh each time. An access token is waited for until `deadline`.
    ///
    /// # Errors
    ///
    /// What the attempt came to, when there is no reply to read.
    pub(super) async fn post(
        &self,
        operation: Operation,
        body: String,
        stamp: &Stamp,
        deadline: Instant,
    ) -> Result<Answer, Outcome> {
        let url = self.urls[&operation].clone();
        let (headers, token) = match &self.access {
            Access::Signed(signed) => {
                let (keys, signer) = &**signed;
                (signed_headers(keys, signer, stamp, operation.path()), None)
            }
            Access::Bearer(tokens) => {
                let token = tokens.current(stamp, deadline).await?;
                let bearer = Secret::new(format!("Bearer {}", token.secret.reveal()));
                let request_id = Secret::new(stamp.request_id.to_string());
                (vec![("authorization", bearer), ("x-request-id", request_id)], Some(token))
            }
        };
        let page_by = (!operation.is_change()).then_some(deadline);
        let posted = self.transport.post_json(url, headers, body, (stamp.at, page_by)).await;
        let hide = Arc::clone(token.as_ref().map_or(&self.hide, |token| &token.hide));
        let received = posted.map_err(Outcome::Unavailable)?;
        Ok(Answer { wait: received.quota.wait(&self.timings), received, hide, token })
    }

    /// The span of a request to `path`, the `resend`th after the first one for the same command.
    pub(super) fn span(&self, path: &str, resend: usize) -> Span {
        let (host, port) = (self.base_url.host_str(), self.base_url.port_or_known_default());
        span::attempt(path, host.unwrap_or_default(), port.unwrap_or_default(), resend)
    }

    /// Mimecast refused us with this answer: how long to wait until the same token may be accepted, or `None` when
    /// it is of no use any more.
    pub(super) fn refused(&self, answer: &Answer) -> Option<Duration> {
        let (Access::Bearer(tokens), Some(token)) = (&self.access, &answer.token) else {
            return None;
        };
        let is_for_the_token = answer.received.status == 401;
        tokens.refused(&token.secret, is_for_the_token)
    }

    /// Mimecast accepted the token of this answer, whatever it said of the item.
    pub(super) fn accepted(&self, answer: &Answer) {
        if let (Access::Bearer(tokens), Some(token)) = (&self.access, &answer.token) {
            tokens.accepted(&token.secret);
        }
    }
}

fn signed_headers(
    keys: &Keys,
    signer: &Signer,
    stamp: &Stamp,
    path: &str,
) -> Vec<(&'static str, Secret)> {
    let (date, id) = (stamp.date(), stamp.request_id.to_string());
    let text = sign::string_to_sign(&date, &id, path, keys.app_key.reveal());
    let authorization = sign::authorization(keys.access_key.reveal(), &signer.signature(&text));
    vec![
        ("authorization", Secret::new(authorization)),
        ("x-mc-app-id", keys.app_id.clone()),
        ("x-mc-date", Secret::new(date)),
        ("x-mc-req-id", Secret::new(id)),
    ]
}

impl Answer {
    /// What it says.
    pub(super) fn reply<'a>(&'a self, request_id: Option<&'a str>) -> Reply<'a> {
        let (status, body) = (self.received.status, &*self.received.body);
        Reply { status, body, wait: self.wait, hide: &self.hide, request_id }
    }

    /// The id that the vendor gave the request, unless that is the one which it was sent with.
    pub(super) fn request_id(&self, stamp: &Stamp) -> Option<String> {
        let id = self.received.request_id.as_ref()?;
        let mut ours = Uuid::encode_buffer();
        let is_ours =
            id.eq_ignore_ascii_case(stamp.request_id.as_hyphenated().encode_lower(&mut ours));
        (!is_ours).then(|| self.hide.hide(id.clone()))
    }
}
