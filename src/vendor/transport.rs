//! HTTP to the vendor: one POST at a time, bounded in time and size, never retried or redirected here.
//! The only file of this room that knows the HTTP client.

use super::quota;
use crate::secrecy::Secret;
use crate::settings::{self, Mimecast};
use crate::verdict::Fault;
use chrono::{DateTime, Utc};
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Method, Request, Response};
use std::error::Error;
use std::ops::Deref;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};
use url::Url;

/// Bytes of a page of a list, at most. It has up to 500 entries, and a URL can be long; one that is larger is asked for in
/// half the size.
const LARGEST_PAGE: usize = 1 << 20;

/// Bytes of any other reply, at most: those of Mimecast have some hundred, and a page of a proxy some thousand.
const LARGEST_REPLY: usize = 32 << 10;

/// Pages that are asked for and read at the same time: the HTTP client has up to 800 KB of each in its buffers.
const PAGES_AT_ONCE: usize = 8;

/// Bytes of the id of a request, at most.
const LONGEST_REQUEST_ID: usize = 1024;

/// Bytes of a date in a header, at most: it has 29.
const LONGEST_DATE: usize = 64;

/// Headers of every request: its type, what is accepted, and what the client adds, which are its own name, the
/// host and the length.
const FIXED_HEADERS: usize = 5;

/// Posts to the vendor.
#[derive(Debug)]
pub(super) struct Transport {
    client: Client,
    /// The turns of pages.
    pages: Arc<Semaphore>,
}

/// The body of a reply. That of a page keeps its turn.
#[derive(Debug, Default)]
pub(super) struct ReplyBody {
    bytes: Vec<u8>,
    _turn: Option<OwnedSemaphorePermit>,
}

impl Deref for ReplyBody {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

/// What came back.
#[derive(Debug)]
pub(super) struct Received {
    /// The HTTP status.
    pub status: u16,
    /// The body.
    pub body: ReplyBody,
    /// What the headers say about the quota.
    pub quota: quota::Headers,
    /// The id that the vendor gave the request: `x-request-id`, or else `x-mc-req-id`.
    pub request_id: Option<String>,
    /// What time it is where the reply comes from: its header `Date`, which hardly anybody asks for.
    pub date: Option<String>,
}

/// The HTTP client could not be made.
#[derive(Debug, thiserror::Error)]
#[error("the HTTP client cannot be set up: {0}")]
pub struct TransportError(String);

impl Transport {
    /// Sets the client up: every request has a timeout, nothing is retried or followed. Proxies and
    /// roots are the system's, but this very machine is never asked for through a proxy.
    ///
    /// # Errors
    ///
    /// When the system's certificates cannot be loaded.
    pub(super) fn new(settings: &Mimecast) -> Result<Transport, TransportError> {
        let mut builder = Client::builder()
            .timeout(settings.timeout)
            .connect_timeout(settings.connect_timeout)
            .redirect(reqwest::redirect::Policy::none())
            // None at all: else each request is copied first, to have it again.
            .retry(reqwest::retry::never().max_retries_per_request(0))
            .user_agent(concat!("mimecast-eventd/", env!("CARGO_PKG_VERSION")));
        if settings::is_loopback(&settings.base_url) {
            builder = builder.no_proxy();
        }
        let client = builder.build().map_err(|error| TransportError(root_cause(&error)))?;
        Ok(Transport { client, pages: Arc::new(Semaphore::new(PAGES_AT_ONCE)) })
    }

    /// Posts strict JSON, with headers that are not to be shown. `now` is what dates in the reply's
    /// headers are measured against where it has no `Date`. Where the reply is the page of a list, its turn is waited for
    /// until `deadline`.
    ///
    /// # Errors
    ///
    /// A passing fault: no reply, or not all of it.
    pub(super) async fn post_json(
        &self,
        url: Url,
        headers: Vec<(&'static str, Secret)>,
        body: String,
        (now, page_by): (DateTime<Utc>, Option<Instant>),
    ) -> Result<Received, Fault> {
        let turn = match page_by {
            Some(deadline) => Some(self.turn(deadline).await?),
            None => None,
        };
        const JSON: HeaderValue = HeaderValue::from_static("application/json");
        let mut map = HeaderMap::with_capacity(headers.len() + FIXED_HEADERS);
        map.insert(CONTENT_TYPE, JSON);
        map.insert(ACCEPT, JSON);
        for (name, value) in headers {
            let mut value = HeaderValue::try_from(value.into_revealed())
                .map_err(|_| Fault::new("request", "a credential does not fit into a header"))?;
            value.set_sensitive(true);
            map.insert(HeaderName::from_static(name), value);
        }
        let mut request = Request::new(Method::POST, url);
        *request.headers_mut() = map;
        *request.body_mut() = Some(body.into());
        exchange(self.client.execute(request), turn, now).await
    }

    /// Posts a form.
    ///
    /// # Errors
    ///
    /// A passing fault: no reply, or not all of it.
    pub(super) async fn post_form(
        &self,
        url: Url,
        form: &[(&str, &str)],
        now: DateTime<Utc>,
    ) -> Result<Received, Fault> {
        exchange(self.client.post(url).form(form).send(), None, now).await
    }

    /// The turn of a page, once it comes.
    async fn turn(&self, deadline: Instant) -> Result<OwnedSemaphorePermit, Fault> {
        let turn = timeout_at(deadline, Arc::clone(&self.pages).acquire_owned()).await;
        let no_turn = |_| Fault::new("timeout", "other pages of lists were read all the time");
        Ok(turn.map_err(no_turn)?.expect("nobody closes the semaphore"))
    }
}

async fn exchange(
    sending: impl Future<Output = Result<Response, reqwest::Error>>,
    turn: Option<OwnedSemaphorePermit>,
    now: DateTime<Utc>,
) -> Result<Received, Fault> {
    let response = sending.await.map_err(fault)?;
    let status = response.status().as_u16();
    let headers = response.headers().iter();
    let readable = headers.filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)));
    let text = |name: &str| response.headers().get(name).and_then(|text| text.to_str().ok());
    let quota = quota::Headers::read(readable, text("date"), now);
    let request_id = text("x-request-id").or_else(|| text("x-mc-req-id")).map(str::to_owned);
    if request_id.as_ref().is_some_and(|id| id.len() > LONGEST_REQUEST_ID) {
        let detail = "the request id of the reply is longer than 1 KiB";
        return Err(Fault::new("reply_too_large", detail));
    }
    let date = text("date").filter(|date| date.len() <= LONGEST_DATE).map(str::to_owned);
    Ok(Received { status, body: body(response, turn).await?, quota, request_id, date })
}

async fn body(
    mut response: Response,
    turn: Option<OwnedSemaphorePermit>,
) -> Result<ReplyBody, Fault> {
    let (most, what) = match turn {
        Some(_) => (LARGEST_PAGE, "the page is larger than 1 MiB"),
        None => (LARGEST_REPLY, "the reply is larger than 32 KiB"),
    };
    let too_large = || Fault::new("reply_too_large", what);
    let length = usize::try_from(response.content_length().unwrap_or_default());
    let length = length.ok().filter(|length| *length <= most).ok_or_else(too_large)?;
    let mut bytes = Vec::with_capacity(length);
    while let Some(chunk) = response.chunk().await.map_err(fault)? {
        if bytes.len() + chunk.len() > most {
            return Err(too_large());
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(ReplyBody { bytes, _turn: turn })
}

#[expect(clippy::needless_pass_by_value, reason = "it is the whole of a map_err")]
fn fault(error: reqwest::Error) -> Fault {
    let code = if error.is_timeout() {
        "timeout"
    } else if error.is_connect() {
        "connect"
    } else {
        "connection"
    };
    Fault::new(code, &root_cause(&error))
}

/// The innermost cause, which is the one that says what happened.
fn root_cause(error: &dyn Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::Response as Reply;
    use std::future::ready;

    /// A reply of so many bytes, with this header, as it is received.
    async fn received(
        bytes: usize,
        (name, text): (&str, &str),
        turn: Option<OwnedSemaphorePermit>,
    ) -> Result<Received, Fault> {
        let reply = Reply::builder().header(name, text).body(vec![b' '; bytes]).unwrap();
        exchange(ready(Ok(Response::from(reply))), turn, DateTime::UNIX_EPOCH).await
    }

    async fn turn() -> Option<OwnedSemaphorePermit> {
        Arc::new(Semaphore::new(1)).acquire_owned().await.ok()
    }

    #[tokio::test]
    async fn a_reply_has_32_kib_at_most_and_a_page_of_a_list_one_mebibyte() {
        let none = ("x", "");
        assert_eq!(received(LARGEST_REPLY, none, None).await.unwrap().body.len(), LARGEST_REPLY);
        assert_eq!(
            received(LARGEST_PAGE, none, turn().await).await.unwrap().body.len(),
            LARGEST_PAGE
        );
        for larger in [
            received(LARGEST_REPLY + 1, none, None).await,
            received(LARGEST_PAGE + 1, none, turn().await).await,
        ] {
            assert_eq!(larger.unwrap_err().code, "reply_too_large");
        }
    }

    #[tokio::test]
    async fn a_request_id_of_more_than_a_kibibyte_is_no_answer_and_a_long_date_is_none() {
        let id = "i".repeat(LONGEST_REQUEST_ID);
        let reply = received(0, ("x-request-id", &id), None).await.unwrap();
        assert_eq!(reply.request_id, Some(id.clone()));
        let longer = received(0, ("x-mc-req-id", &(id + "i")), None).await;
        assert_eq!(longer.unwrap_err().code, "reply_too_large");
        let date = "d".repeat(LONGEST_DATE);
        assert_eq!(received(0, ("date", &date), None).await.unwrap().date, Some(date.clone()));
        assert_eq!(received(0, ("date", &(date + "d")), None).await.unwrap().date, None);
    }

    #[tokio::test(start_paused = true)]
    async fn eight_pages_are_read_at_the_same_time_and_the_ninth_waits_for_one_of_them() {
        let _already_there = rustls::crypto::ring::default_provider().install_default();
        let pages = Arc::new(Semaphore::new(PAGES_AT_ONCE));
        let transport = Transport { client: Client::new(), pages };
        let soon = || Instant::now() + std::time::Duration::from_secs(1);
        let mut turns = Vec::new();
        for _ in 0..PAGES_AT_ONCE {
            turns.push(transport.turn(soon()).await.unwrap());
        }
        assert_eq!(transport.turn(soon()).await.unwrap_err().code, "timeout");
        turns.pop();
        assert!(transport.turn(soon()).await.is_ok());
    }
}
