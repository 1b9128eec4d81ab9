//! The end of a message's story: written down, settled, counted and told.

use super::message::{Held, Message};
use super::obstacle::{NotSettled, Obstacle};
use super::worker::Worker;
use crate::broker::{Announcement, BrokerError};
use crate::telemetry::{OutcomeEvent, Report, span};
use crate::verdict::Disposition;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tracing::{Instrument, Span};

impl Worker {
    /// Settles a message as its report says; one is held whose copy the broker does not take, or whose line
    /// the audit trail does not.
    ///
    /// # Errors
    ///
    /// When the message is no longer ours, because its channel is gone.
    pub(super) async fn settle_or_hold(
        &self,
        mut message: Box<Message>,
    ) -> Result<Option<Held>, BrokerError> {
        let settled = self.settle_and_record(&mut message).await;
        message.left_by(settled)
    }

    /// Gives a message back to its queue, because we stop or may not hold it any longer.
    ///
    /// # Errors
    ///
    /// When the message is no longer ours, because its channel is gone.
    pub(super) async fn give_back(&self, mut message: Box<Message>) -> Result<(), BrokerError> {
        message.report.disposition = Disposition::Return;
        match self.settle_and_record(&mut message).await {
            Err(NotSettled::Lost(error)) => Err(error),
            // Nothing is needed for it but that the broker is there.
            Ok(()) | Err(NotSettled::Ours(_)) => Ok(()),
        }
    }

    /// Lets go of a message for which nothing can be done for now: a copy goes to the end of its queue, or else the
    /// message itself to its head. One whose copy was refused goes there at once.
    ///
    /// # Errors
    ///
    /// When the message is no longer ours, because its channel is gone.
    pub(super) async fn release(&self, held: Held) -> Result<(), BrokerError> {
        let message = match held {
            Held::NotSettled(message, ..) => message,
            Held::Pausing(message, pausing) => {
                match self.settle_or_hold(message.to_be_parked(pausing.fault)).await? {
                    None => return Ok(()),
                    Some(Held::NotSettled(message, ..) | Held::Pausing(message, _)) => message,
                }
            }
        };
        self.give_back(message).await
    }

    /// The same, of a message that stays with the caller.
    async fn settle_and_record(&self, message: &mut Message) -> Result<(), NotSettled> {
        let written = message.write_down(|| (self.fresh)().at).await;
        // What is only given back is given back even without that: its line is written when the message is dropped.
        if message.report.disposition != Disposition::Return {
            written.map_err(Obstacle::from)?;
        }
        let Message { delivery, report, .. } = &*message;
        let span = span::settle(&self.lane.queue, &delivery.envelope, &report.disposition);
        let settled = self.copy_and_settle(message).instrument(span.clone()).await;
        let Message { delivery, report, .. } = &*message;
        let disposition = &report.disposition;
        if settled.is_err() {
            span::failed(&span, "not_settled");
        }
        // That its time has not come is no mistake.
        let is_wait = matches!(disposition, Disposition::Wait(..));
        if let Some(fault) = disposition.fault().filter(|_| !is_wait) {
            span::failed(&Span::current(), &fault.code);
        }
        match &settled {
            Ok(outcome) => {
                self.settled.store(true, Ordering::Relaxed);
                self.record(report, message.since.elapsed());
                if let Some(outcome) = outcome {
                    self.announcer.answer(delivery, announcement(outcome));
                }
            }
            Err(BrokerError::NotTaken { .. }) => {}
            Err(_) => self.metrics.settle_lost(self.lane.event_type),
        }
        settled?;
        Ok(())
    }

    /// Publishes the copy of the message if it has one, tells what becomes of it, and settles it: who listens is told of
    /// a dead letter that is there.
    async fn copy_and_settle(
        &self,
        message: &mut Message,
    ) -> Result<Option<OutcomeEvent>, BrokerError> {
        let Message { delivery, report, .. } = &mut *message;
        if !report.is_copied {
            let Report { disposition, history, .. } = &*report;
            let now = || (self.fresh)().at;
            self.settler.copy(delivery, disposition, history, now).await?;
            report.is_copied = true;
        }
        let outcome = self.announce(message).await?;
        self.settler.settle(&message.delivery, &message.report.disposition).await?;
        Ok(outcome)
    }

    /// Tells whoever listens what becomes of the message, before it is settled: it is told once more when the message
    /// comes again.
    async fn announce(
        &self,
        Message { delivery, report, .. }: &mut Message,
    ) -> Result<Option<OutcomeEvent>, BrokerError> {
        if !self.announcer.is_needed() {
            return Ok(None);
        }
        let now = (self.fresh)().at;
        let outcome = report.outcome_event(self.lane.event_type, &delivery.envelope, now);
        if let Some(outcome) = outcome.as_ref().filter(|_| !report.is_announced) {
            let publisher = &self.settler.publisher;
            self.announcer.announce(publisher, delivery, announcement(outcome)).await?;
            report.is_announced = true;
        }
        Ok(outcome)
    }

    /// Counts and logs a message whose settlement the broker took.
    fn record(&self, report: &Report, took: Duration) {
        let (event, mut lag) = (self.lane.event_type, None);
        self.metrics.settled(event, &report.disposition, took);
        if report.is_effective() {
            let now = (self.fresh)().at;
            lag = report.lag(now);
            self.metrics.succeeded(event, now.timestamp_micros() as f64 / 1e6, lag);
        }
        if !matches!(report.disposition, Disposition::Wait(..)) {
            self.board.settled(event, report.settled(event.name(), took), lag);
        }
        report.log(event.name(), took);
    }
}

fn announcement(outcome: &OutcomeEvent) -> Announcement<'_> {
    Announcement {
        id: &outcome.id,
        event_type: &outcome.event_type,
        correlation_id: outcome.correlation_id.as_deref(),
        traceparent: outcome.traceparent.as_deref(),
        body: &outcome.body,
    }
}
