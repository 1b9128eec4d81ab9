//! The sessions of one lane with the broker, one after the other, until a stop. A lane has its own, so
//! that whatever breaks a connection costs this lane alone.

use super::depths::Watch;
use super::drain::Drain;
use super::hand::{Hand, Prompt};
use super::lane;
use super::reload::Current;
use super::worker::Worker;
use crate::broker::{
    Announcer, Answers, Authorship, Broker, BrokerError, Consumer, Depths, Publisher, Settler,
    topology,
};
use crate::settings::{Amqp, LaneSettings, Settings, Timings};
use crate::telemetry::{Audit, Board, LaneState, Metrics, Readiness};
use crate::vendor::{CurrentVendor, Stamp};
use crate::verdict::{Delays, Streak};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::task::JoinError;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Maximum time until the reason is known of a channel that the broker has closed.
const REASON: Duration = Duration::from_secs(1);

/// What the sessions of one lane are made of.
pub(super) struct Sessions {
    pub settings: Current,
    pub hand: Hand,
    pub watch: Watch,
    pub lane: LaneSettings,
    pub streak: Arc<Mutex<Streak>>,
    pub unchanged_since: Arc<Mutex<Option<Instant>>>,
    pub prompt: Arc<Prompt>,
    pub vendor: Arc<CurrentVendor>,
    pub metrics: Arc<Metrics>,
    pub readiness: Arc<Readiness>,
    pub board: Arc<Board>,
    pub audit: Option<Arc<Audit>>,
    pub drain: Drain,
    pub fresh: fn() -> Stamp,
    /// How long a delivery is held at most, where the broker was seen to leave us less time than is usual.
    pub held: Mutex<Option<Duration>>,
}

impl Sessions {
    /// One session after the other, until `stop`.
    pub(super) async fn run(self: Arc<Self>, stop: CancellationToken) {
        let event = self.lane.event_type;
        self.watch.begin(&self.metrics);
        let Timings { first_reconnect: first, last_reconnect: last, .. } =
            self.settings.borrow().timings;
        let mut delays = Delays::endless(first, last);
        while !stop.is_cancelled() {
            let settled = Arc::new(AtomicBool::new(false));
            // In a task of its own, so that a panic in it ends this session and nothing else.
            let session = Arc::clone(&self).session(Arc::clone(&settled), stop.clone());
            let result = tokio::spawn(self.drain.until_cut(session)).await;
            let result =
                result.map_or_else(|error| Err(lost(error)), |ended| ended.unwrap_or(Ok(())));
            self.metrics.disconnected(event);
            self.watch.end(&self.metrics);
            let Err(error) = result else { break };
            self.readiness.enter(event, LaneState::Disconnected, &error.to_string());
            if let Some(timeout) = error.acknowledgement_timeout() {
                // Somewhat less, so that what is in work can still be settled.
                *self.held() = Some(timeout * 2 / 3);
            }
            // Not after a mere connection: a message may be what sessions die of.
            if settled.load(Ordering::Relaxed) {
                delays = Delays::endless(first, last);
            }
            let wait = delays.next().unwrap_or(last);
            let again_in_ms = wait.as_millis() as u64;
            tracing::error!(event = event.name(), %error, again_in_ms, "the session ended");
            let _either = stop.run_until_cancelled(tokio::time::sleep(wait)).await;
        }
        self.readiness.enter(event, LaneState::Disconnected, "stopped");
    }

    /// One session: everything in it is new, and thrown away with it. `Ok` is a stop. It notes when
    /// something was `settled`.
    async fn session(
        self: Arc<Self>,
        settled: Arc<AtomicBool>,
        stop: CancellationToken,
    ) -> Result<(), BrokerError> {
        // As they are now: what concerns the connection counts from here on.
        let settings = Arc::clone(&self.settings.borrow());
        let (event, readiness) = (self.lane.event_type, Arc::clone(&self.readiness));
        let connecting =
            Connections::make(&settings.amqp, move |reason| readiness.blocked(event, reason));
        let Some(connections) = stop.run_until_cancelled(connecting).await else { return Ok(()) };
        let connections = connections?;
        self.metrics.connected(event);
        tracing::info!(event = event.name(), "connected to the broker");
        let Some(opened) = stop.run_until_cancelled(self.open(&connections, &settings)).await
        else {
            return Ok(());
        };
        let (settler, mut consumer) = opened?;
        let announcer = announcer(&connections.copies, &settings);
        let worker = Arc::new(self.worker((settler, announcer), settled, &settings));
        let (mut depths, publisher) = (Depths::default(), &worker.settler.publisher);
        let (watched, with) = ((&*settings, &self.lane), (&mut depths, publisher));
        let watching = self.watch.run(&connections.deliveries, watched, with, &self.metrics);
        let result = tokio::select! {
            result = work(&worker, &mut consumer, &connections, &stop) => result,
            never = watching => never,
        };
        // While its channels are still there: one that is just being closed keeps the connection from
        // ending well, and what the broker was told last from reaching it.
        connections.close().await;
        result
    }

    /// Opens everything that a session needs. The broker can fall silent over any of it, as a queue
    /// without a leader does, so that there is a limit to the waiting.
    async fn open(
        &self,
        Connections { deliveries, copies }: &Connections,
        settings: &Settings,
    ) -> Result<(Settler, Consumer), BrokerError> {
        let opening = async {
            topology::prepare(deliveries, settings, &self.lane).await?;
            let (queue, authorship) = (&self.lane.queue, Authorship::of(&settings.amqp));
            let settler = Settler {
                queue: queue.clone(),
                dead_letter_exchange: settings.amqp.dead_letter_exchange.clone(),
                dry_run: settings.contract.guards.dry_run,
                publisher: Publisher::open(copies).await?,
                authorship: Arc::clone(&authorship),
            };
            Ok((settler, Consumer::open(deliveries, queue, authorship).await?))
        };
        let silent = BrokerError::Lost("no answer while queues and consumers were set up".into());
        tokio::time::timeout(settings.timings.open, opening).await.unwrap_or(Err(silent))
    }

    /// The longest time that the broker leaves us a delivery, if it has said so.
    fn held(&self) -> MutexGuard<'_, Option<Duration>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn worker(
        &self,
        (settler, announcer): (Settler, Announcer),
        settled: Arc<AtomicBool>,
        settings: &Settings,
    ) -> Worker {
        Worker {
            lane: self.lane.clone(),
            ladder: settings.ladder.clone(),
            settings: self.settings.clone(),
            hand: self.hand.clone(),
            settler,
            announcer,
            settled,
            held: self.held().unwrap_or(settings.timings.held).min(settings.timings.held),
            answered: Notify::new(),
            streak: Arc::clone(&self.streak),
            unchanged_since: Arc::clone(&self.unchanged_since),
            prompt: Arc::clone(&self.prompt),
            vendor: Arc::clone(&self.vendor),
            metrics: Arc::clone(&self.metrics),
            readiness: Arc::clone(&self.readiness),
            board: Arc::clone(&self.board),
            audit: self.audit.clone(),
            drain: self.drain.clone(),
            fresh: self.fresh,
        }
    }
}

fn lost(error: JoinError) -> BrokerError {
    BrokerError::Lost(error.to_string())
}

/// Who tells others what became of messages. A dry run does not.
fn announcer(broker: &Broker, settings: &Settings) -> Announcer {
    let is_real = !settings.contract.guards.dry_run;
    let answers = || Answers::open(broker, settings.amqp.clone(), settings.own_queues.clone());
    Announcer {
        exchange: settings.amqp.outcome_exchange.clone().filter(|_| is_real),
        answers: (settings.amqp.reply && is_real).then(answers),
    }
}

/// The connections of one session. A broker that is short of memory or disk reads no more from whoever publishes
/// (RabbitMQ, "Memory and Disk Alarms"), so that acks and copies must not share one.
struct Connections {
    /// Deliveries come over this one, and what becomes of them is told over it.
    deliveries: Broker,
    /// Copies go over this one.
    copies: Broker,
}

impl Connections {
    /// Makes them. `on_blocked` is told why the broker takes no messages for now, and when it takes them again.
    async fn make(
        amqp: &Amqp,
        on_blocked: impl Fn(Option<&str>) + Send + Sync + 'static,
    ) -> Result<Connections, BrokerError> {
        let (deliveries, copies) =
            tokio::try_join!(Broker::connect(amqp, |_| {}), Broker::connect(amqp, on_blocked))?;
        Ok(Connections { deliveries, copies })
    }

    /// Comes when one of them has failed, with the reason.
    async fn failed(&self) -> BrokerError {
        tokio::select! {
            error = self.deliveries.failed() => error,
            error = self.copies.failed() => error,
        }
    }

    /// Closes them, if they can still be closed; what is not settled goes back to its queue.
    async fn close(self) {
        tokio::join!(self.deliveries.close(), self.copies.close());
    }
}

/// Works until `stop`, or until a connection has failed or the lane ends its session.
async fn work(
    worker: &Arc<Worker>,
    consumer: &mut Consumer,
    connections: &Connections,
    stop: &CancellationToken,
) -> Result<(), BrokerError> {
    let ended = stop.child_token();
    let mut lane = pin!(lane::run(worker, consumer, stop, &ended));
    tokio::select! {
        biased;
        result = &mut lane => match result {
            // Why, the broker says beside it.
            Err(BrokerError::SettleLost) => {
                let said = tokio::time::timeout(REASON, connections.failed());
                Err(said.await.unwrap_or(BrokerError::SettleLost))
            }
            result => result,
        },
        lost = connections.failed() => {
            ended.cancel();
            lane.await.map_err(|_| lost)
        }
    }
}
