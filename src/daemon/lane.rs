//! A lane for one session: consume, pause, consume again, and finish at a stop.

use super::in_work::InWork;
use super::message::Held;
use super::pause::Pause;
use super::worker::Worker;
use crate::broker::{BrokerError, Consumer};
use crate::telemetry::LaneState;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// Works on what `consumer` delivers until `stop`, and then finishes what is in work. `ended`
/// comes with `stop` or when the session is over.
///
/// # Errors
///
/// Whatever ended the session. What is still in work then goes on in the background: its
/// settlement will be lost, and counted.
pub(super) async fn run(
    worker: Arc<Worker>,
    mut consumer: Consumer,
    stop: CancellationToken,
    ended: CancellationToken,
) -> Result<(), BrokerError> {
    let mut in_work = InWork::default();
    loop {
        worker.readiness.enter(worker.lane.event_type, LaneState::Consuming, "");
        match consume(&worker, &mut consumer, &mut in_work, &ended).await? {
            Some(held) => {
                let pause = Pause::begin(&worker, held);
                pause.run(&mut consumer, &mut in_work, &ended).await?;
            }
            None if stop.is_cancelled() => {
                return finish(&worker, &mut consumer, &mut in_work).await;
            }
            None => return Err(BrokerError::Lost("the connection ended".into())),
        }
    }
}

/// Consumes until the lane has to pause for a message that is held, or until `ended`.
async fn consume(
    worker: &Arc<Worker>,
    consumer: &mut Consumer,
    in_work: &mut InWork,
    ended: &CancellationToken,
) -> Result<Option<Held>, BrokerError> {
    loop {
        tokio::select! {
            biased;
            () = ended.cancelled() => return Ok(None),
            Some(carried) = in_work.next() => {
                if let Some(held) = carried? {
                    return Ok(Some(held));
                }
            }
            delivery = consumer.next() => {
                in_work.begin(worker, worker.receive(delivery?), ended);
            }
        }
    }
}

/// Takes no more messages, returns those that nobody began with, and waits for the others.
async fn finish(
    worker: &Worker,
    consumer: &mut Consumer,
    in_work: &mut InWork,
) -> Result<(), BrokerError> {
    for delivery in consumer.cancel().await? {
        worker.give_back(&worker.receive(delivery)).await?;
    }
    while let Some(carried) = in_work.next().await {
        if let Some(held) = carried? {
            worker.give_back(&held.into_message()).await?;
        }
    }
    Ok(())
}
