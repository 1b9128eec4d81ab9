//! The life of the process: what the lanes share, and each lane with its sessions until a stop.

use super::budget::Budget;
use super::session::Sessions;
use crate::settings::Settings;
use crate::telemetry::{Admin, Metrics, Readiness};
use crate::vendor::{Stamp, TransportError, Vendor};
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Why the daemon could not start.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    /// The admin endpoints have no address.
    #[error("admin.listen: cannot listen on {address}: {cause}")]
    Admin {
        /// The address that was asked for.
        address: SocketAddr,
        /// What the system says.
        cause: std::io::Error,
    },
    /// The HTTP client could not be made.
    #[error(transparent)]
    Transport(#[from] TransportError),
}

/// Runs until `stop`, then finishes what is in work within the drain timeout. `fresh` makes the
/// stamp of each attempt; `revision` is the source revision to show.
///
/// # Errors
///
/// When the start fails. Afterwards nothing ends the daemon but `stop`.
pub async fn run(
    settings: Settings,
    fresh: fn() -> Stamp,
    revision: &str,
    stop: CancellationToken,
) -> Result<(), DaemonError> {
    let metrics = Arc::new(Metrics::new(revision));
    let lanes = settings.lanes.iter().map(|lane| lane.event_type);
    let readiness = Arc::new(Readiness::new(lanes, Arc::clone(&metrics)));
    let address = settings.admin_listen;
    let admin =
        Admin::bind(address).await.map_err(|cause| DaemonError::Admin { address, cause })?;
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        revision,
        admin = %admin.address().unwrap_or(address),
        "started"
    );
    if settings.contract.guards.dry_run {
        tracing::warn!("a dry run: nothing is changed, and no message is dead-lettered");
    }
    let vendor = Arc::new(Vendor::new(
        &settings.mimecast,
        settings.retry,
        settings.contract.guards.clone(),
        fresh,
        Arc::clone(&metrics),
    )?);
    tokio::spawn(admin.serve(Arc::clone(&metrics), Arc::clone(&readiness)));
    let settings = Arc::new(settings);
    let mut lanes = JoinSet::new();
    for lane in &settings.lanes {
        let sessions = Sessions {
            settings: Arc::clone(&settings),
            lane: lane.clone(),
            budget: Arc::new(Budget::new(settings.contract.guards.max_commands)),
            vendor: Arc::clone(&vendor),
            metrics: Arc::clone(&metrics),
            readiness: Arc::clone(&readiness),
            fresh,
        };
        lanes.spawn(Arc::new(sessions).run(stop.clone()));
    }
    let too_late = async {
        stop.cancelled().await;
        tracing::info!("stopping, finishing what is in work");
        tokio::time::sleep(settings.drain_timeout).await;
    };
    tokio::select! {
        _ = lanes.join_all() => tracing::info!("stopped"),
        () = too_late => tracing::warn!("stopped before all was finished; the rest stays queued"),
    }
    Ok(())
}
