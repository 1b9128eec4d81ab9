//! A lane for one session: consume, pause, consume again, and finish at a stop.

use super::pause::Paused;
use super::worker::{Carried, InWork, Worker, flat};
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
    let mut in_work = InWork::new();
    let result = loop {
        worker.readiness.enter(worker.lane.event_type, LaneState::Consuming, "");
        let paused = match consume(&worker, &mut consumer, &mut in_work, &ended).await {
            Ok(Some(reason)) => Paused::begin(&worker, reason),
            Ok(None) if stop.is_cancelled() => {
                break finish(&worker, &mut consumer, &mut in_work).await;
            }
            Ok(None) => break Err(BrokerError::Lost("the connection ended".into())),
            Err(error) => break Err(error),
        };
        if let Err(error) = paused.run(&mut consumer, &mut in_work, &ended).await {
            break Err(error);
        }
    };
    in_work.detach_all();
    result
}

/// Consumes until the lane has to pause, or until `ended`.
async fn consume(
    worker: &Arc<Worker>,
    consumer: &mut Consumer,
    in_work: &mut InWork,
    ended: &CancellationToken,
) -> Result<Option<Carried>, BrokerError> {
    loop {
        tokio::select! {
            biased;
            () = ended.cancelled() => return Ok(None),
            Some(carried) = in_work.join_next() => match flat(carried)? {
                Carried::Settled => {}
                held @ (Carried::Stuck(..) | Carried::NotTaken(..)) => return Ok(Some(held)),
            },
            delivery = consumer.next() => {
                let message = worker.receive(delivery?);
                in_work.spawn(Arc::clone(worker).carry(message, false, ended.clone()));
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
    while let Some(carried) = in_work.join_next().await {
        match flat(carried)? {
            Carried::Settled => {}
            Carried::Stuck(message, _) | Carried::NotTaken(message, ..) => {
                worker.give_back(&message).await?;
            }
        }
    }
    Ok(())
}
