//! `/metrics`, `/livez` and `/readyz` over HTTP.

use super::metrics::{self, Metrics};
use super::readiness::Readiness;
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;
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
    pub async fn serve(self, metrics: Arc<Metrics>, readiness: Arc<Readiness>) {
        let router = Router::new()
            .route("/metrics", get(show_metrics).with_state(metrics))
            // Answering at all is the proof: neither broker nor vendor may get the process restarted.
            .route("/livez", get(async || "ok\n"))
            .route("/readyz", get(show_readiness).with_state(readiness));
        if let Err(error) = axum::serve(self.listener, router).await {
            tracing::error!(%error, "the admin endpoints ended");
        }
    }
}

async fn show_metrics(State(metrics): State<Arc<Metrics>>) -> impl IntoResponse {
    ([(CONTENT_TYPE, metrics::CONTENT_TYPE)], metrics.text())
}

async fn show_readiness(State(readiness): State<Arc<Readiness>>) -> impl IntoResponse {
    let (ready, report) = readiness.report();
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, report)
}
