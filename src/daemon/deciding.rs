//! What becomes of a message: it is understood, and then each of its commands is carried out.

use super::message::Message;
use super::worker::Worker;
use crate::command::Intent;
use crate::event::{Envelope, Event, EventError};
use crate::settings::Settings;
use crate::telemetry::{Report, WriteAhead};
use crate::vendor::{Effort, Vendor};
use crate::verdict::{Conclusion, Disposition, Done, History, Pausing, Stuck};
use std::sync::Arc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

impl Worker {
    /// What becomes of a message, once what it asks for is done as far as that is possible now. It touches no broker.
    pub(super) async fn decide(
        &self,
        message: &mut Message,
        effort: Effort<'_>,
        ended: &CancellationToken,
    ) -> Result<Disposition, Pausing> {
        message.report.begin();
        let refused_before = self.streak().refused();
        let decided = match self.handle(message, effort, ended).await {
            Ok(disposition) => Ok(disposition),
            Err(stuck) => {
                // Rare, so on the heap: each message would carry the room for it along.
                Box::pin(self.judge(message, stuck, ended)).await
            }
        };
        if message.report.history.has_changed() {
            self.streak().end(&refused_before);
            *self.unchanged_since() = None;
        }
        decided
    }

    /// Does what a message asks for, as far as that is possible now; again for another tenant that comes into force
    /// meanwhile, for which nothing of it is decided or done.
    pub(super) async fn handle(
        &self,
        Message { delivery, report, audit, unwritten, .. }: &mut Message,
        effort: Effort<'_>,
        ended: &CancellationToken,
    ) -> Result<Disposition, Stuck> {
        loop {
            let (vendor, settings) = (self.vendor.now(), self.settings());
            let intents = match self.understand(&delivery.envelope, &settings, report) {
                Ok(intents) => intents,
                Err(disposition) => return Ok(disposition),
            };
            let (lane, envelope) = (self.lane.event_type.name(), &delivery.envelope);
            let ahead = audit.as_deref().map(|audit| report.write_ahead(audit, lane, envelope));
            let effort = Effort { write_ahead: ahead.as_ref(), ..effort };
            let done = self.fulfil(&vendor, &intents, &mut report.history, effort, ended).await;
            *unwritten = ahead.and_then(WriteAhead::into_failure);
            let is_acked = matches!(done, Ok(Disposition::Ack));
            if is_acked || !vendor.is_replaced() || ended.is_cancelled() {
                return done;
            }
            report.history.done = Done::default();
        }
    }

    /// What the vendor is to be asked for now. A mistake is told at once, however far away the time is.
    ///
    /// # Errors
    ///
    /// What becomes of the message when that is nothing.
    fn understand(
        &self,
        envelope: &Envelope,
        Settings { contract, pseudonyms, .. }: &Settings,
        report: &mut Report,
    ) -> Result<Vec<Intent>, Disposition> {
        let lane = self.lane.event_type;
        let refuse = |error: EventError| Disposition::of_event_error(&error);
        let event = Arc::new(Event::parse(envelope, lane, &contract.reading).map_err(refuse)?);
        report.tell(&event, pseudonyms);
        let intents = Intent::of_event(&event, contract.default_groups(lane)).map_err(refuse)?;
        let now = (self.fresh)().at;
        let admitted =
            contract.guards.admit(&event, envelope.user_id.as_deref(), envelope.timestamp, now);
        admitted.map_err(|breach| Disposition::of_breach(&breach))?;
        match event.left(now).map_err(refuse)? {
            Some(left) => Err(Disposition::of_time_left(left)),
            None => Ok(intents),
        }
    }

    /// Each intent in turn, whatever became of the others; but none if one of them is denied.
    async fn fulfil(
        &self,
        vendor: &Vendor,
        intents: &[Intent],
        history: &mut History,
        effort: Effort<'_>,
        ended: &CancellationToken,
    ) -> Result<Disposition, Stuck> {
        history.done = std::mem::take(&mut history.done).of(|| vendor.digest(intents));
        history.note(history.done.result());
        let open = intents.iter().enumerate().filter(|(place, _)| !history.done.has(*place));
        let open: Vec<(usize, &Intent)> = open.collect();
        let asked: Vec<&Intent> = open.iter().map(|(_, intent)| *intent).collect();
        if let Err(conclusion) = vendor.admit(&asked, history, effort, ended).await {
            return Disposition::of_conclusions(vec![conclusion]);
        }
        let count = open.len();
        let mut conclusions = Vec::with_capacity(count);
        for (place, intent) in open {
            if !conclusions.is_empty() && Instant::now() >= effort.deadline {
                conclusions.push(Conclusion::OutOfTime);
                continue;
            }
            // The rest needs no question then: none of it may be done now.
            match conclusions.last() {
                Some(Conclusion::Limited(wait)) => {
                    conclusions.push(Conclusion::Limited(*wait));
                    continue;
                }
                Some(Conclusion::Stopped) => break,
                Some(_) | None => {}
            }
            let conclusion = vendor.fulfil(intent, history, effort, ended).await;
            // Of one alone nothing is left once it is done.
            if conclusion.holds() && intents.len() > 1 {
                let applied = conclusion == Conclusion::Applied;
                history.done.add(place, applied, || vendor.digest(intents));
            }
            let is_answered = !matches!(
                conclusion,
                Conclusion::Stuck(_) | Conclusion::Limited(_) | Conclusion::Stopped
            );
            conclusions.push(conclusion);
            if is_answered && conclusions.len() < count {
                self.answered.notify_one();
            }
        }
        Disposition::of_conclusions(conclusions)
    }
}
