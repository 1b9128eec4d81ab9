//! Reads the managed URL entries of Mimecast, once for all messages that wait for them.

use super::url_entry::UrlEntry;
use super::url_scan::{Findings, Sought};
use super::vendor::{Effort, Vendor};
use crate::command::{Call, Operation};
use crate::verdict::{Cause, Conclusion, Fault, History, Reason, Stuck};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

impl Vendor {
    /// All entries that are sought, as they are after this was asked for.
    ///
    /// # Errors
    ///
    /// The conclusion, where they could not be read.
    pub(super) async fn entries(
        &self,
        sought: &Sought,
        history: &mut History,
        effort: Effort<'_>,
        ended: &CancellationToken,
    ) -> Result<Findings, Conclusion> {
        let found = async {
            loop {
                if self.is_replaced() {
                    return Err(Conclusion::Stopped);
                }
                let mut answered = self.tenant.url_scan.wait(sought);
                let turn = tokio::select! {
                    biased;
                    answer = &mut answered => Err(answer),
                    turn = self.tenant.url_scan.turns.lock() => Ok(turn),
                };
                let answer = match turn {
                    Ok(_turn) => {
                        self.read_for_all(history, effort, ended).await;
                        answered.await
                    }
                    Err(answer) => answer,
                };
                match answer {
                    // The reading of another message was given up, or was stopped for that one.
                    Err(_) => {}
                    Ok(Err(Conclusion::Stopped)) if !ended.is_cancelled() => {}
                    // It was the other one's time that was over.
                    Ok(Err(Conclusion::OutOfTime)) if Instant::now() < effort.deadline => {}
                    Ok(found) => return found,
                }
            }
        };
        let found = tokio::time::timeout_at(effort.deadline, found).await;
        found.unwrap_or(Err(Conclusion::OutOfTime))
    }

    /// Expects that nothing else blocks the page whose own entries are gone.
    ///
    /// # Errors
    ///
    /// [`Conclusion::Refused`] where another entry does; a passing fault where that cannot be read.
    pub(super) fn expect_unblocked(&self, found: Findings) -> Result<(), Conclusion> {
        if let Some(id) = found.wider {
            let detail = format!("the entry {id} blocks the URL as well, together with others");
            let fault = Fault::new("blocked_by_another_entry", &detail);
            return Err(Conclusion::Refused(Reason::Rejected, fault));
        }
        let Some(id) = found.unreadable else { return Ok(()) };
        let detail = format!("the entry {id} may block the URL, and cannot be read");
        Err(not_shown(Fault::new("unreadable_entry", &detail)))
    }

    /// Reads the entries once, for all that wait by now.
    async fn read_for_all(
        &self,
        history: &mut History,
        effort: Effort<'_>,
        ended: &CancellationToken,
    ) {
        let waiting = self.tenant.url_scan.take_waiting();
        if waiting.is_empty() {
            return;
        }
        let operation = Operation::GetAllManagedUrls;
        let read = self
            .read_list(
                operation,
                Call::get_all_managed_urls,
                || vec![Findings::default(); waiting.len()],
                |found, entry| {
                    let entry = UrlEntry::read(entry);
                    waiting.iter().zip(found).for_each(|(one, found)| found.add(one, &entry));
                },
                (history, effort, ended),
            )
            .await;
        let found = read.map_err(|error| error.conclude(operation, None));
        for (place, one) in waiting.into_iter().enumerate() {
            // A message that does not wait any more has run out of time.
            let _nobody = one.answer.send(match &found {
                Ok(found) => Ok(found[place].clone()),
                Err(conclusion) => Err(conclusion.clone()),
            });
        }
    }
}

/// The conclusion where Mimecast has answered, and its list does not show what was to be.
pub(super) fn not_shown(fault: Fault) -> Conclusion {
    let (operation, cause) = (Operation::GetAllManagedUrls, Cause::Inconsistent);
    Conclusion::Stuck(Stuck { operation, group: None, cause, fault })
}
