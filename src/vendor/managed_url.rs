//! Entries of managed URLs: those that block a URL, and those that have an id.

use super::inventory::{Answer, Found, Sought, Waiting};
use super::vendor::{Effort, Vendor};
use crate::command::{Call, Operation};
use crate::event::ManagedUrl;
use crate::verdict::{Cause, Conclusion, Fault, History, Stuck};
use serde_json::Value;
use std::collections::BTreeSet;
use tokio_util::sync::CancellationToken;

impl Vendor {
    /// All entries that are sought, as they are after this was asked for.
    ///
    /// # Errors
    ///
    /// What the look-up came to otherwise.
    pub(super) async fn entries(
        &self,
        sought: &Sought,
        history: &mut History,
        effort: Effort,
        ended: &CancellationToken,
    ) -> Answer {
        let found = async {
            loop {
                let mut answered = self.inventory.wait(sought);
                let turn = tokio::select! {
                    biased;
                    answer = &mut answered => Err(answer),
                    turn = self.inventory.turns.lock() => Ok(turn),
                };
                let answer = match turn {
                    Ok(_turn) => {
                        self.read_for_all(history, effort, ended).await;
                        answered.await
                    }
                    Err(answer) => answer,
                };
                match answer {
                    // The reading of somebody else was given up, or was stopped for that one.
                    Err(_) => {}
                    Ok(Err(Conclusion::Stopped)) if !ended.is_cancelled() => {}
                    Ok(found) => return found,
                }
            }
        };
        let found = tokio::time::timeout_at(effort.deadline, found).await;
        found.unwrap_or(Err(Conclusion::OutOfTime))
    }

    /// Reads the inventory once, for all that wait by now.
    async fn read_for_all(&self, history: &mut History, effort: Effort, ended: &CancellationToken) {
        let waiting = self.inventory.take_waiting();
        if waiting.is_empty() {
            return;
        }
        let found = self
            .read_list(
                Operation::GetAllManagedUrls,
                Call::get_all_managed_urls,
                || vec![BTreeSet::new(); waiting.len()],
                |found, data| {
                    for entry in data.iter().filter_map(Entry::read) {
                        for (one, found) in waiting.iter().zip(&mut *found) {
                            found.extend(entry.is_sought(one));
                        }
                    }
                    Some(data.len() as u64)
                },
                (history, effort, ended),
            )
            .await;
        let found = found.map_err(|conclusion| self.not_the_urls_fault(conclusion));
        for (place, one) in waiting.into_iter().enumerate() {
            // Whoever does not wait any more has run out of time.
            let _nobody = one.answer.send(match &found {
                Ok(found) => Ok(found[place].clone()),
                Err(conclusion) => Err(conclusion.clone()),
            });
        }
    }

    /// A refusal of the inventory speaks of no URL: none was asked for.
    fn not_the_urls_fault(&self, conclusion: Conclusion) -> Conclusion {
        match conclusion {
            Conclusion::Refused(_, fault) => self.stuck_in_the_inventory(fault),
            Conclusion::Applied
            | Conclusion::AlreadyGone
            | Conclusion::Stuck(_)
            | Conclusion::Limited(_)
            | Conclusion::OutOfTime
            | Conclusion::Stopped => conclusion,
        }
    }

    fn stuck_in_the_inventory(&self, fault: Fault) -> Conclusion {
        let operation = Operation::GetAllManagedUrls;
        let mark = self.evidence(operation).mark();
        Conclusion::Stuck(Stuck { operation, cause: Cause::Passing, mark, own: 0, fault })
    }
}

/// One entry of the inventory.
struct Entry<'a> {
    id: &'a str,
    blocks: bool,
    /// What it blocks, if that is one page: one that stands for a whole domain is not to go with it.
    blocked: Option<ManagedUrl>,
}

impl Entry<'_> {
    fn read(entry: &Value) -> Option<Entry<'_>> {
        let text = |name: &str| entry.get(name).and_then(Value::as_str);
        let is =
            |name: &str, word: &str| text(name).is_some_and(|it| it.eq_ignore_ascii_case(word));
        let blocks = is("action", "block");
        let blocked = if blocks && is("matchType", "explicit") {
            ManagedUrl::of_parts(
                text("scheme").unwrap_or_default(),
                text("domain").unwrap_or_default(),
                entry.get("port").and_then(Value::as_i64),
                text("path").unwrap_or_default(),
                text("queryString").unwrap_or_default(),
            )
        } else {
            None
        };
        Some(Entry { id: text("id")?, blocks, blocked })
    }

    fn is_sought(&self, waiting: &Waiting) -> Option<Found> {
        let is_sought = match &waiting.sought {
            Sought::Url(url) => self.blocked.as_ref() == Some(url),
            Sought::Ids(ids) => ids.contains(self.id),
        };
        is_sought.then(|| Found { id: self.id.to_owned(), blocks: self.blocks })
    }
}
