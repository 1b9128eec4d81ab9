//! Whether a message is at fault whose attempts are used up, or Mimecast is unwell: the daemon asks, by a health call.

use super::message::Message;
use super::worker::Worker;
use crate::command::Operation;
use crate::telemetry::Report;
use crate::vendor::Effort;
use crate::verdict::{Blame, Disposition, Health, Judgment, Pausing, Stuck, Until};
use tokio_util::sync::CancellationToken;

impl Worker {
    /// What becomes of a message that is stuck: the health call of the operation first, then its own call again, with
    /// one attempt. Where another operation is stuck then, the same for that one.
    ///
    /// # Errors
    ///
    /// Why the lane is to pause.
    pub(super) async fn judge(
        &self,
        message: &mut Message,
        mut stuck: Stuck,
        ended: &CancellationToken,
    ) -> Result<Disposition, Pausing> {
        // However long its attempts have taken, it is judged.
        let effort = Effort::new(true, message.deadline);
        let (mut answered, mut may_be_final) = (Vec::<Operation>::new(), true);
        loop {
            let Stuck { operation, group, .. } = &stuck;
            let judgment = match stuck.judge() {
                Some(judgment) => judgment,
                None if answered.contains(operation) => Judgment::AtFault,
                None => {
                    let asking =
                        self.vendor.health(*operation, group.as_deref(), effort.deadline, ended);
                    asking.await.judge(&stuck)
                }
            };
            match judgment {
                Judgment::Again { is_final } => {
                    answered.push(stuck.operation);
                    may_be_final &= is_final;
                    match self.handle(message, effort, ended).await {
                        Ok(disposition) => return Ok(disposition),
                        Err(again) => stuck = again,
                    }
                }
                Judgment::AtFault if may_be_final => return self.blame(message, stuck),
                // A question that is refused is never the fault of the event.
                Judgment::AtFault if !stuck.keeps_changes_back() => {
                    return self.defer(stuck, &message.report, effort, ended).await;
                }
                Judgment::AtFault => return self.blame(message, stuck.undecided()),
                Judgment::OutOfTime if ended.is_cancelled() => return Ok(Disposition::of_stop()),
                Judgment::OutOfTime => return Ok(Disposition::of_no_time()),
                Judgment::Doubt(_) if self.streak().refuse(message.identity()) => {
                    return self.blame(message, stuck);
                }
                Judgment::Doubt(pausing) | Judgment::Pause(pausing)
                    if stuck.keeps_changes_back() =>
                {
                    return Err(pausing);
                }
                Judgment::Doubt(_) | Judgment::Pause(_) => {
                    return self.defer(stuck, &message.report, effort, ended).await;
                }
            }
        }
    }

    /// What becomes of a message that is at fault. Several in a row pause the lane.
    fn blame(&self, message: &Message, stuck: Stuck) -> Result<Disposition, Pausing> {
        let history = &message.report.history;
        let counts = stuck.may_be_everybodys() && !history.has_changed();
        let blame = if counts { self.streak().add(message.identity()) } else { Blame::Message };
        let stuck = match blame {
            Blame::Message => stuck,
            Blame::Nobody => stuck.undecided(),
            Blame::Mimecast => {
                return Err(Pausing { until: Until::Changed, fault: stuck.fault });
            }
        };
        Ok(Disposition::of_stuck(stuck, &self.ladder, history))
    }

    /// What becomes of a message whose question is not answered: others need not wait for it, as long as Mimecast
    /// takes the changes of the lane.
    async fn defer(
        &self,
        stuck: Stuck,
        report: &Report,
        effort: Effort<'_>,
        ended: &CancellationToken,
    ) -> Result<Disposition, Pausing> {
        let change = Operation::of(self.lane.event_type);
        let until = |operation| Until::Answered { operation, group: None };
        match self.vendor.health(change, None, effort.deadline, ended).await {
            Health::NotAnswered(fault) => Err(Pausing { until: until(change), fault }),
            Health::Forbidden(fault) => Err(Pausing { until: Until::Decided, fault }),
            Health::OutOfTime if ended.is_cancelled() => Ok(Disposition::of_stop()),
            Health::OutOfTime => Ok(Disposition::of_no_time()),
            Health::Answered | Health::Unclear(_) => {
                let since = report.history.first_failed_at;
                let failing = since.and_then(|since| ((self.fresh)().at - since).to_std().ok());
                Ok(Disposition::of_unanswered(stuck, failing.unwrap_or_default()))
            }
        }
    }
}
