//! RabbitMQ's management API: reads, bounded in time and size. The only file of this room that knows the HTTP
//! client.

use crate::settings::{Amqp, Management};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::header::ACCEPT;
use reqwest::{Certificate, Client, Response, StatusCode};
use serde_json::Value;
use std::error::Error;

/// Maximum size of a reply in bytes. What RabbitMQ says of a queue has some thousand, and more for each consumer.
const MAX_REPLY: usize = 1024 * 1024;

/// Reads what RabbitMQ says of the queues of one virtual host.
pub(super) struct Api<'a> {
    client: Client,
    management: &'a Management,
    vhost: &'a str,
}

/// Why something was not read.
#[derive(Debug, thiserror::Error)]
pub(super) enum ApiError {
    /// It is not there, or the user may not see it.
    #[error("HTTP 404")]
    NotFound,
    /// There is no reply, or none of a management API.
    #[error("{0}")]
    NoReply(String),
}

impl<'a> Api<'a> {
    /// Sets the client up. It trusts the same certificates as AMQP does, and like AMQP it uses no proxy.
    ///
    /// # Errors
    ///
    /// [`ApiError::NoReply`] when a certificate cannot be read.
    pub(super) fn new(amqp: &'a Amqp, management: &'a Management) -> Result<Api<'a>, ApiError> {
        let mut builder = Client::builder()
            .no_proxy()
            .timeout(amqp.timings.inspect)
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("mimecast-eventd/", env!("CARGO_PKG_VERSION")));
        if let Some(ca) = &amqp.ca {
            let certificates = Certificate::from_pem_bundle(ca.as_bytes()).map_err(no_reply)?;
            builder = builder.tls_certs_merge(certificates);
        }
        let client = builder.build().map_err(no_reply)?;
        Ok(Api { client, management, vhost: &amqp.address.vhost })
    }

    /// What RabbitMQ says of the queue of this name.
    ///
    /// # Errors
    ///
    /// [`ApiError`].
    pub(super) async fn queue(&self, name: &str) -> Result<Value, ApiError> {
        self.get(name, "").await
    }

    /// The bindings of the queue of this name.
    ///
    /// # Errors
    ///
    /// [`ApiError`].
    pub(super) async fn bindings(&self, name: &str) -> Result<Value, ApiError> {
        self.get(name, "/bindings").await
    }

    async fn get(&self, queue: &str, end: &str) -> Result<Value, ApiError> {
        let Management { url, username, password } = self.management;
        let [vhost, queue] =
            [self.vhost, queue].map(|it| utf8_percent_encode(it, NON_ALPHANUMERIC));
        let base = url.as_str().trim_end_matches('/');
        let request = self.client.get(format!("{base}/api/queues/{vhost}/{queue}{end}"));
        let request = request.basic_auth(username, Some(password.reveal()));
        let response = request.header(ACCEPT, "application/json").send().await.map_err(no_reply)?;
        match response.status() {
            StatusCode::OK => {}
            StatusCode::NOT_FOUND => return Err(ApiError::NotFound),
            status @ (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => {
                let status = status.as_u16();
                let text = format!(
                    "HTTP {status}: the user needs the right password and the tag management"
                );
                return Err(ApiError::NoReply(text));
            }
            status => return Err(ApiError::NoReply(format!("HTTP {}", status.as_u16()))),
        }
        let unreadable = |_| ApiError::NoReply("the reply is not JSON".into());
        serde_json::from_slice(&body(response).await?).map_err(unreadable)
    }
}

async fn body(mut response: Response) -> Result<Vec<u8>, ApiError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(no_reply)? {
        if body.len() + chunk.len() > MAX_REPLY {
            return Err(ApiError::NoReply("the reply is larger than 1 MiB".into()));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// The innermost cause says what happened, and has no URL in it.
#[expect(clippy::needless_pass_by_value, reason = "it is the whole of a map_err")]
fn no_reply(error: reqwest::Error) -> ApiError {
    if error.is_timeout() {
        return ApiError::NoReply("no reply in time".into());
    }
    let mut cause: &dyn Error = &error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    ApiError::NoReply(cause.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_reply_of_one_mebibyte_is_read_and_a_larger_one_is_none() {
        let of = |bytes: usize| body(Response::from(hyper::Response::new(vec![b' '; bytes])));
        assert_eq!(of(MAX_REPLY).await.unwrap().len(), MAX_REPLY);
        assert!(matches!(of(MAX_REPLY + 1).await, Err(ApiError::NoReply(_))));
    }
}
