//! Posts to the vendor: with hyper and a pool of connections, or with reqwest and its timeouts.

use crate::Failed;
use crate::event::Answer;
use crate::sign;
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::{Request, Uri};
use hyper_util::client::legacy::{self, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;
use reqwest::Url;
use std::time::Duration;

/// One of the two.
pub(crate) enum Client {
    Hyper(legacy::Client<HttpConnector, Full<Bytes>>, Uri),
    Reqwest(reqwest::Client, Url),
}

impl Client {
    /// The client of this name.
    pub(crate) fn new(name: &str, api: &str) -> Result<Client, Failed> {
        let url = format!("{}{}", api.trim_end_matches('/'), sign::PATH);
        if name == "hyper" {
            let mut connector = HttpConnector::new();
            connector.set_nodelay(true);
            let client = legacy::Client::builder(TokioExecutor::new()).build(connector);
            return Ok(Client::Hyper(client, url.parse()?));
        }
        let client = reqwest::Client::builder()
            .timeout(Duration::from_secs(30))
            .connect_timeout(Duration::from_secs(5))
            .no_proxy()
            .build()?;
        Ok(Client::Reqwest(client, url.parse()?))
    }

    /// Posts one request, and insists that the vendor has done it.
    pub(crate) async fn post(&self, body: Vec<u8>) -> Result<(), Failed> {
        let answer = match self {
            Client::Hyper(client, uri) => {
                let mut request = Request::post(uri);
                for (name, value) in sign::headers() {
                    request = request.header(name, value);
                }
                let response = client.request(request.body(Full::from(body))?).await?;
                response.into_body().collect().await?.to_bytes()
            }
            Client::Reqwest(client, url) => {
                let mut request = client.post(url.clone()).body(body);
                for (name, value) in sign::headers() {
                    request = request.header(name, value);
                }
                request.send().await?.bytes().await?
            }
        };
        match serde_json::from_slice::<Answer>(&answer)?.fail.is_empty() {
            true => Ok(()),
            false => Err(format!("refused: {}", String::from_utf8_lossy(&answer)).into()),
        }
    }
}
