//! The life of the process: what the lanes share, and each lane with its sessions until a stop.

use super::control::{Socket, SocketFile};
use super::depths::Watch;
use super::drain::Drain;
use super::hand::Hands;
use super::policies;
use super::reload::{Reload, warn};
use super::session::Sessions;
use super::supervisor;
use crate::settings::{Control, Settings};
use crate::telemetry::audit::Fresh;
use crate::telemetry::{Admin, Audit, AuditError, Board, Metrics, Readiness, Shown};
use crate::vendor::{CurrentVendor, Stamp, TransportError, Vendor};
use chrono::{DateTime, Utc};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;
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
    /// The socket for people is not to be had, and somebody has set it.
    #[error("control.socket: cannot listen on {}: {cause}", path.display())]
    Control {
        /// The path that was asked for.
        path: PathBuf,
        /// What the system says.
        cause: std::io::Error,
    },
    /// What is done cannot be written down.
    #[error(transparent)]
    Audit(#[from] AuditError),
    /// The HTTP client could not be made.
    #[error(transparent)]
    Transport(#[from] TransportError),
}

/// The process that the daemon runs in.
#[derive(Clone, Copy, Debug)]
pub struct Process<'a> {
    /// The source revision that it was built from.
    pub revision: &'a str,
    /// The time at which it started.
    pub started: DateTime<Utc>,
}

/// Runs until `stop`, then finishes what is in work within the drain timeout. `reload` reads the settings
/// once more where there is a reason to; `fresh` makes the stamp of each attempt; `process` is what is shown of the
/// process.
///
/// # Errors
///
/// When the start fails. Afterwards nothing ends the daemon but `stop`.
pub async fn run(
    settings: Settings,
    reload: Option<Reload>,
    fresh: fn() -> Stamp,
    process: Process<'_>,
    stop: CancellationToken,
) -> Result<(), DaemonError> {
    warn(&settings);
    let metrics = Arc::new(Metrics::new(process.revision));
    metrics.process_started(process.started);
    let lanes = || settings.lanes.iter().map(|lane| lane.event_type);
    let readiness = Arc::new(Readiness::new(lanes(), Arc::clone(&metrics)));
    let hands = Arc::new(Hands::new(lanes(), Arc::clone(&metrics)));
    let admin = admin(&settings, process.revision)?;
    let vendor = Arc::new(CurrentVendor::new(Vendor::new(
        &settings.mimecast,
        settings.retry,
        settings.contract.guards.clone(),
        fresh,
        Arc::clone(&metrics),
    )?));
    let board = Arc::<Board>::default();
    let audit = settings.audit.as_ref();
    let audit = audit.map(|audit| Audit::start(audit, now(fresh), Arc::clone(&metrics)));
    let audit = audit.transpose()?.map(Arc::new);
    let shown = Shown {
        metrics: Arc::clone(&metrics),
        readiness: Arc::clone(&readiness),
        board: Arc::clone(&board),
        audit: audit.clone(),
        fresh: Arc::new(now(fresh)),
    };
    let _goes_with_us = control(&settings.control)?.map(|(socket, file)| {
        tokio::spawn(socket.serve(Arc::clone(&hands), Arc::clone(&readiness), fresh));
        file
    });
    // Last: who gets an answer from the admin endpoints finds the trail and the socket in their places.
    let address = settings.admin_listen;
    let serving = admin.serve(shown).map_err(|cause| DaemonError::Admin { address, cause })?;
    let (in_force, current) = watch::channel(Arc::new(settings));
    let _until_the_end = match reload {
        Some(reload) => {
            let told = (Arc::clone(&vendor), audit.clone(), Arc::clone(&metrics));
            tokio::spawn(reload.run(in_force, told));
            None
        }
        None => Some(in_force),
    };
    let settings = Arc::clone(&current.borrow());
    let (mut lanes, drain) = (JoinSet::new(), Drain::default());
    for lane in &settings.lanes {
        let sessions = Sessions {
            settings: current.clone(),
            hand: hands.of(lane.event_type),
            watch: Watch::of(lane, &settings),
            lane: lane.clone(),
            streak: Arc::default(),
            held: Mutex::default(),
            unchanged_since: Arc::default(),
            prompt: hands.prompt(lane.event_type),
            vendor: Arc::clone(&vendor),
            metrics: Arc::clone(&metrics),
            readiness: Arc::clone(&readiness),
            board: Arc::clone(&board),
            audit: audit.clone(),
            drain: drain.clone(),
            fresh,
        };
        lanes.spawn(Arc::new(sessions).run(stop.clone()));
    }
    tokio::spawn(policies::log_once(settings.clone()));
    supervisor::ready();
    tokio::spawn(supervisor::keep_telling(Arc::clone(&readiness), settings.timings.service_status));
    let end = drain.run(lanes, &current, &stop).await;
    close(audit.as_deref(), end.saturating_duration_since(Instant::now())).await;
    drop(serving);
    Ok(())
}

/// Waits until the end of the audit trail is safe, but not for ever.
async fn close(audit: Option<&Audit>, patience: Duration) {
    let Some(audit) = audit else { return };
    let synced = tokio::time::timeout(patience, audit.sync()).await;
    if let Err(error) = synced.unwrap_or(Err(AuditError::Silent)) {
        tracing::error!(%error, "the end of the audit trail may not be safe");
    }
}

/// What time it is, and an id that nobody has.
fn now(fresh: fn() -> Stamp) -> Fresh {
    Box::new(move || {
        let Stamp { at, request_id } = fresh();
        (at, request_id)
    })
}

/// The admin endpoints, and the word that there is a daemon.
fn admin(settings: &Settings, revision: &str) -> Result<Admin, DaemonError> {
    let address = settings.admin_listen;
    let admin = Admin::bind(address).map_err(|cause| DaemonError::Admin { address, cause })?;
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        revision,
        admin = %admin.address().unwrap_or(address),
        "started"
    );
    if settings.contract.guards.dry_run {
        tracing::warn!("a dry run: nothing is changed, and no message is dead-lettered");
    }
    Ok(admin)
}

/// The socket for people. A default path that cannot be had is no reason not to work.
fn control(control: &Control) -> Result<Option<(Socket, SocketFile)>, DaemonError> {
    let path = control.path.clone();
    match Socket::bind(control) {
        Ok(socket) => Ok(Some(socket)),
        Err(cause) if control.is_set => Err(DaemonError::Control { path, cause }),
        Err(cause) => {
            let path = path.display();
            tracing::warn!(%path, %cause, "nobody can pause or resume by hand; control.socket names a path");
            Ok(None)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secrecy::Seal;
    use crate::settings::{self, Fsync, Timings};
    use std::sync::mpsc;
    use uuid::Uuid;

    #[tokio::test(start_paused = true)]
    async fn the_end_does_not_wait_longer_for_a_disk_that_does_not_answer_than_it_says() {
        let folder = tempfile::TempDir::new().unwrap();
        let (path, by_hand) = (folder.path().join("audit"), folder.path().join("audit-by-hand"));
        let (seal, timings) = (Seal::default(), Timings::default());
        let settings = settings::Audit {
            path,
            by_hand,
            key_file: None,
            by_hand_seal: seal.clone(),
            seal,
            fsync: Fsync::Always,
            timings,
        };
        let patience = timings.shutdown;
        // Whoever writes asks for the time before it goes on in another file, and does not get it.
        let (answer, asked) = mpsc::channel::<()>();
        let asked = std::sync::Mutex::new((false, asked));
        let fresh = Box::new(move || {
            let mut asked = asked.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            if std::mem::replace(&mut asked.0, true) {
                let _until_the_end = asked.1.recv();
            }
            (chrono::DateTime::UNIX_EPOCH, Uuid::nil())
        });
        let audit = Audit::start(&settings, fresh, Arc::new(Metrics::new(""))).unwrap();
        std::fs::remove_file(&settings.path).unwrap();
        audit.follow();
        let begun = Instant::now();
        close(Some(&audit), patience).await;
        assert_eq!(begun.elapsed(), patience);
        drop(answer);
    }
}
