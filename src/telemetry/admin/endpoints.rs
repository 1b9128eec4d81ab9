//! What each path of the admin port replies.

use super::pulse::Pulse;
use super::shared::Shared;
use crate::telemetry::audit::{Audit, Fresh};
use crate::telemetry::metrics::{self, Metrics};
use crate::telemetry::readiness::Readiness;
use crate::telemetry::status::{Board, Status, page};
use chrono::{DateTime, Utc};
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{
    ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, HeaderValue,
    REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use hyper::{Method, Response, StatusCode};
use std::sync::Arc;
use std::time::Instant;
use tokio::runtime::Handle;

const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
const NO_STORE: (HeaderName, HeaderValue) = (CACHE_CONTROL, HeaderValue::from_static("no-store"));

/// What is shown, and where it comes from.
#[derive(Clone)]
pub struct Shown {
    /// The numbers.
    pub metrics: Arc<Metrics>,
    /// What the lanes do.
    pub readiness: Arc<Readiness>,
    /// What was settled lately.
    pub board: Arc<Board>,
    /// What is written down of what was done, if it is.
    pub audit: Option<Arc<Audit>>,
    /// What time it is, and an id that nobody knows beforehand.
    pub fresh: Arc<Fresh>,
}

/// A reply, whose body takes no memory of its own for each client.
#[derive(Clone, Debug)]
pub(super) struct Reply {
    status: StatusCode,
    headers: Vec<(HeaderName, HeaderValue)>,
    body: Bytes,
}

/// A path of the admin port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Endpoint {
    Page,
    Status,
    Metrics,
    Liveness,
    Readiness,
    /// There is nothing at this path.
    Unknown,
    /// The path is asked with another method than GET or HEAD.
    NotAllowed,
}

/// Makes the replies.
pub(super) struct Endpoints {
    shown: Shown,
    pulse: Pulse,
    /// The runtime whose work is shown. Its clock is the one that the times in a reply are counted by.
    work: Handle,
    page: Shared<Reply>,
    status: Shared<Reply>,
    metrics: Shared<Reply>,
}

impl Endpoint {
    pub(super) fn of(method: &Method, path: &str) -> Endpoint {
        if !matches!(*method, Method::GET | Method::HEAD) {
            return Endpoint::NotAllowed;
        }
        match path {
            "/" => Endpoint::Page,
            "/status.json" => Endpoint::Status,
            "/metrics" => Endpoint::Metrics,
            "/livez" => Endpoint::Liveness,
            "/readyz" => Endpoint::Readiness,
            _ => Endpoint::Unknown,
        }
    }

    /// True for replies of any length, which a client can be slow to read.
    pub(super) fn is_long(self) -> bool {
        match self {
            Endpoint::Page | Endpoint::Status | Endpoint::Metrics => true,
            Endpoint::Liveness | Endpoint::Readiness | Endpoint::Unknown | Endpoint::NotAllowed => {
                false
            }
        }
    }
}

impl Endpoints {
    pub(super) fn new(shown: Shown, pulse: Pulse, work: Handle) -> Endpoints {
        let (page, status, metrics) = (Shared::new(), Shared::new(), Shared::new());
        Endpoints { shown, pulse, work, page, status, metrics }
    }

    pub(super) async fn reply(&self, endpoint: Endpoint) -> Reply {
        match endpoint {
            Endpoint::Page => self.page.get(|| self.page_now()).await,
            Endpoint::Status => self.status.get(|| self.status_now()).await,
            Endpoint::Metrics => self.metrics.get(|| self.metrics_now()).await,
            Endpoint::Liveness => self.liveness(),
            Endpoint::Readiness => self.readiness(),
            Endpoint::Unknown => Reply::of(StatusCode::NOT_FOUND, TEXT, "there is no such page\n"),
            Endpoint::NotAllowed => {
                let refused = "only GET and HEAD are possible\n";
                let reply = Reply::of(StatusCode::METHOD_NOT_ALLOWED, TEXT, refused);
                reply.with([(ALLOW, HeaderValue::from_static("GET,HEAD"))])
            }
        }
    }

    /// Neither RabbitMQ nor Mimecast can get the process restarted: only a process that does nothing any more fails.
    fn liveness(&self) -> Reply {
        match self.pulse.silence(Instant::now()) {
            None => Reply::of(StatusCode::OK, TEXT, "ok\n"),
            Some(silence) => {
                let text = format!("the daemon has done nothing for {}s\n", silence.as_secs());
                Reply::of(StatusCode::SERVICE_UNAVAILABLE, TEXT, text)
            }
        }
    }

    fn readiness(&self) -> Reply {
        let _by_its_clock = self.work.enter();
        let (ready, report) = self.shown.readiness.report();
        let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        Reply::of(status, TEXT, report)
    }

    fn metrics_now(&self) -> Reply {
        let format = HeaderValue::from_static(metrics::CONTENT_TYPE);
        Reply::of(StatusCode::OK, format, self.shown.metrics.text())
    }

    fn status_now(&self) -> Reply {
        let (now, _) = (self.shown.fresh)();
        let json = HeaderValue::from_static("application/json");
        Reply::of(StatusCode::OK, json, format!("{}\n", self.status_at(now).json()))
            .with([NO_STORE])
    }

    fn page_now(&self) -> Reply {
        let (now, nonce) = (self.shown.fresh)();
        let nonce = nonce.simple().to_string();
        let policy = HeaderValue::try_from(page::content_security_policy(&nonce));
        let html = HeaderValue::from_static("text/html; charset=utf-8");
        Reply::of(StatusCode::OK, html, page::page(&self.status_at(now), &nonce)).with([
            (CONTENT_SECURITY_POLICY, policy.expect("a policy is visible ASCII")),
            NO_STORE,
            (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
            (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        ])
    }

    fn status_at(&self, now: DateTime<Utc>) -> Status {
        let _by_its_clock = self.work.enter();
        let Shown { metrics, readiness, board, audit, .. } = &self.shown;
        let audit = audit.as_ref().map(|audit| audit.shown());
        Status::of(metrics, readiness, board, audit, now)
    }
}

impl Reply {
    fn of(status: StatusCode, format: HeaderValue, body: impl Into<Bytes>) -> Reply {
        Reply { status, headers: vec![(CONTENT_TYPE, format)], body: body.into() }
    }

    fn with(mut self, headers: impl IntoIterator<Item = (HeaderName, HeaderValue)>) -> Reply {
        self.headers.extend(headers);
        self
    }
}

impl From<Reply> for Response<Full<Bytes>> {
    fn from(Reply { status, headers, body }: Reply) -> Response<Full<Bytes>> {
        let mut response = Response::new(Full::new(body));
        *response.status_mut() = status;
        response.headers_mut().extend(headers);
        response
    }
}
