//! `/metrics`, `/livez`, `/readyz` and the status for people over HTTP.

use super::audit::{Audit, Fresh};
use super::metrics::{self, Metrics};
use super::readiness::Readiness;
use super::status::{Board, Status, page};
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::response::{Html, IntoResponse};
use axum::routing::get;
use chrono::{DateTime, Utc};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpListener;

/// The listener for the admin endpoints, bound but not serving yet.
#[derive(Debug)]
pub struct Admin {
    listener: TcpListener,
}

impl Admin {
    /// Binds `address`.
    ///
    /// # Errors
    ///
    /// Whatever the system says, such as that the port is taken.
    pub async fn bind(address: SocketAddr) -> io::Result<Admin> {
        Ok(Admin { listener: TcpListener::bind(address).await? })
    }

    /// The address that it really listens on.
    ///
    /// # Errors
    ///
    /// Whatever the system says.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves for as long as the process lives.
    pub async fn serve(self, shown: Shown) {
        let router = Router::new()
            .route("/", get(show_page))
            .route("/status.json", get(show_status))
            .route("/metrics", get(show_metrics))
            // Answering at all is the proof: neither broker nor vendor may get the process restarted.
            .route("/livez", get(async || "ok\n"))
            .route("/readyz", get(show_readiness))
            .with_state(shown);
        if let Err(error) = axum::serve(self.listener, router).await {
            tracing::error!(%error, "the admin endpoints ended");
        }
    }
}

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

impl Shown {
    fn status(&self, now: DateTime<Utc>) -> Status {
        let audit = self.audit.as_ref().map(|audit| audit.shown());
        Status::of(&self.metrics, &self.readiness, &self.board, audit, now)
    }
}

async fn show_page(State(shown): State<Shown>) -> impl IntoResponse {
    let (now, nonce) = (shown.fresh)();
    let nonce = nonce.simple().to_string();
    let headers = [
        (CONTENT_SECURITY_POLICY, page::content_security_policy(&nonce)),
        (CACHE_CONTROL, "no-store".into()),
        (X_CONTENT_TYPE_OPTIONS, "nosniff".into()),
        (REFERRER_POLICY, "no-referrer".into()),
    ];
    (headers, Html(page::page(&shown.status(now), &nonce)))
}

async fn show_status(State(shown): State<Shown>) -> impl IntoResponse {
    let (now, _) = (shown.fresh)();
    let headers = [(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "no-store")];
    (headers, format!("{}\n", shown.status(now).json()))
}

async fn show_metrics(State(Shown { metrics, .. }): State<Shown>) -> impl IntoResponse {
    ([(CONTENT_TYPE, metrics::CONTENT_TYPE)], metrics.text())
}

async fn show_readiness(State(Shown { readiness, .. }): State<Shown>) -> impl IntoResponse {
    let (ready, report) = readiness.report();
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, report)
}
