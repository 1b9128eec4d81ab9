//! The life of the process: sessions with the broker, one after the other, until a stop.

use super::lane;
use super::worker::Worker;
use crate::broker::{Broker, BrokerError, Consumer, Publisher, Settler, topology};
use crate::settings::{LaneSettings, Settings};
use crate::telemetry::{Admin, Metrics, Readiness};
use crate::vendor::{Stamp, TransportError, Vendor};
use crate::verdict::Delays;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

/// The waits between sessions are at most this long at first and later on.
const RECONNECT: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(5));

/// How long the broker may take until everything is declared and consuming.
const OPEN_TIMEOUT: Duration = Duration::from_secs(30);

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
    let vendor = Vendor::new(&settings.mimecast, settings.retry, fresh, Arc::clone(&metrics))
        .map(Arc::new)?;
    tokio::spawn(admin.serve(Arc::clone(&metrics), Arc::clone(&readiness)));
    let drain_timeout = settings.drain_timeout;
    let daemon = Daemon { settings, vendor, metrics, readiness, fresh };
    let too_late = async {
        stop.cancelled().await;
        tracing::info!("stopping, finishing what is in work");
        tokio::time::sleep(drain_timeout).await;
    };
    tokio::select! {
        () = daemon.sessions(&stop) => tracing::info!("stopped"),
        () = too_late => tracing::warn!("stopped before all was finished; the rest stays queued"),
    }
    Ok(())
}

struct Daemon {
    settings: Settings,
    vendor: Arc<Vendor>,
    metrics: Arc<Metrics>,
    readiness: Arc<Readiness>,
    fresh: fn() -> Stamp,
}

impl Daemon {
    async fn sessions(&self, stop: &CancellationToken) {
        let mut delays = reconnect_delays();
        while !stop.is_cancelled() {
            let connections = self.metrics.connections();
            let Err(error) = self.session(stop).await else { break };
            self.metrics.disconnected();
            self.readiness.disconnect_all(&error.to_string());
            if self.metrics.connections() > connections {
                delays = reconnect_delays();
            }
            let wait = delays.next().unwrap_or(RECONNECT.1);
            tracing::error!(%error, again_in_ms = wait.as_millis() as u64, "the session ended");
            let _either = stop.run_until_cancelled(tokio::time::sleep(wait)).await;
        }
        self.metrics.disconnected();
        self.readiness.disconnect_all("stopped");
    }

    /// One session: everything in it is new, and thrown away with it. `Ok` is a stop.
    async fn session(&self, stop: &CancellationToken) -> Result<(), BrokerError> {
        let Some(broker) =
            stop.run_until_cancelled(Broker::connect(&self.settings.amqp, &self.readiness)).await
        else {
            return Ok(());
        };
        let broker = broker?;
        self.metrics.connected();
        tracing::info!("connected to the broker");
        let result = self.work(&broker, stop).await;
        if result.is_ok() {
            broker.close().await;
        }
        result
    }

    /// Opens everything that a session needs. The broker can fall silent over any of it, as a queue
    /// without a leader does, so that there is a limit to the waiting.
    async fn open(
        &self,
        broker: &Broker,
    ) -> Result<(Arc<Publisher>, Vec<(&LaneSettings, Consumer)>), BrokerError> {
        let opening = async {
            topology::prepare(broker, &self.settings).await?;
            let publisher = Arc::new(Publisher::open(broker).await?);
            let mut consumers = Vec::with_capacity(self.settings.lanes.len());
            for lane in &self.settings.lanes {
                consumers.push((lane, Consumer::open(broker, lane).await?));
            }
            Ok((publisher, consumers))
        };
        let silent = BrokerError::Lost("no answer while queues and consumers were set up".into());
        tokio::time::timeout(OPEN_TIMEOUT, opening).await.unwrap_or(Err(silent))
    }

    async fn work(&self, broker: &Broker, stop: &CancellationToken) -> Result<(), BrokerError> {
        let Some(opened) = stop.run_until_cancelled(self.open(broker)).await else { return Ok(()) };
        let (publisher, consumers) = opened?;
        let ended = stop.child_token();
        let mut lanes = JoinSet::new();
        for (settings, consumer) in consumers {
            let worker = Arc::new(self.worker(settings, &publisher));
            tracing::info!(event = settings.event_type.name(), queue = settings.queue, "consuming");
            lanes.spawn(lane::run(worker, consumer, stop.clone(), ended.clone()));
        }
        let first = tokio::select! {
            biased;
            first = lanes.join_next() => first,
            () = broker.failed() => None,
        };
        // Whatever happened to one lane, the next session has both of them again.
        ended.cancel();
        let mut result = first.map_or(Ok(()), of_lane);
        while let Some(next) = lanes.join_next().await {
            result = result.and(of_lane(next));
        }
        result
    }

    fn worker(&self, lane: &LaneSettings, publisher: &Arc<Publisher>) -> Worker {
        Worker {
            lane: lane.clone(),
            breaker: self.settings.breaker,
            ladder: self.settings.ladder.clone(),
            settler: Settler {
                queue: lane.queue.clone(),
                dead_letter_exchange: self.settings.amqp.dead_letter_exchange.clone(),
                publisher: Arc::clone(publisher),
            },
            vendor: Arc::clone(&self.vendor),
            metrics: Arc::clone(&self.metrics),
            readiness: Arc::clone(&self.readiness),
            fresh: self.fresh,
        }
    }
}

fn reconnect_delays() -> Delays {
    Delays::endless(RECONNECT.0, RECONNECT.1)
}

/// What a lane ended with; a task that was aborted or panicked ends the session like any failure.
fn of_lane(ended: Result<Result<(), BrokerError>, JoinError>) -> Result<(), BrokerError> {
    ended.unwrap_or_else(|error| Err(BrokerError::Lost(error.to_string())))
}
