//! Reads a list of Mimecast page by page, without keeping it.
//!
//! A list changes while it is read, and pages were seen that overlap. So a reading counts only if it is
//! consistent: no entry twice, no page twice, and no fewer entries than the list says it has. Anything else is
//! read again, and proves nothing.

use super::fingerprints::Fingerprints;
use super::list_page::ListPage;
use super::vendor::{Effort, Vendor};
use crate::command::{Call, Operation, Page};
use crate::verdict::{Cause, Conclusion, Fault, History, Stuck};
use serde_json::Value;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

/// Entries of one list at most: four times more than were ever heard of. Eight bytes are kept of each.
const MOST_ENTRIES: u64 = 400_000;

/// Entries of a list that is read beside any number of others: of longer ones there is one at a time.
const MANY_ENTRIES: u64 = 4_000;

/// Bytes of all pages of a list at most.
const MOST_BYTES: u64 = 512 << 20;

/// Pages of one list at most; they may be empty.
const MOST_PAGES: u64 = 100_000;

/// What is said of a list that is longer.
const NO_END: &str = "the list has no end";

/// Why a list was not read.
pub(super) enum PageError {
    /// Mimecast refuses the question, whatever the size of a page.
    Refused(Fault),
    /// The pages do not make one list.
    Inconsistent(Fault),
    /// There was no answer, or no time for one.
    Unanswered(Conclusion),
}

/// What was read of a list so far.
#[derive(Default)]
struct Reading {
    entries: u64,
    pages: u64,
    bytes: u64,
    total: Option<u64>,
    identities: Fingerprints,
    tokens: Fingerprints,
}

impl Vendor {
    /// Reads the whole list that `call` asks for. `begin` makes the value that is read into, again for each time
    /// that the list has to be read; `read` adds one entry to it.
    ///
    /// # Errors
    ///
    /// [`PageError`]. A list whose pages do not fit together is read again, as often as a call is tried. Pages
    /// that Mimecast refuses, or does not manage, are asked for in half the size, down to the smallest.
    pub(super) async fn read_list<T>(
        &self,
        operation: Operation,
        call: impl Fn(Page<'_>) -> Call,
        begin: impl Fn() -> T,
        read: impl Fn(&mut T, &Value),
        (history, effort, ended): (&mut History, Effort<'_>, &CancellationToken),
    ) -> Result<T, PageError> {
        let mut size = self.tenant.page_sizes.of(operation);
        let (mut readings, mut patience) = (0, effort);
        loop {
            let mut into = begin();
            let asking = (&mut *history, effort, ended);
            match self
                .read_pages((size, patience), &call, |entry| read(&mut into, entry), asking)
                .await
            {
                Ok(()) => return Ok(into),
                Err(error) if error.may_be_the_size() && size > Page::SMALLEST => {
                    let half = if effort.probe { Page::SMALLEST } else { size / 2 };
                    size = half.max(Page::SMALLEST);
                    // An outage looks the same, and is not to take seven times as long.
                    patience = Effort { probe: true, ..effort };
                }
                Err(PageError::Inconsistent(fault)) => {
                    readings += 1;
                    if readings >= self.readings(effort) {
                        return Err(PageError::Inconsistent(fault));
                    }
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Reads pages of this size; the first of them with as many attempts as `patience` allows.
    async fn read_pages(
        &self,
        (size, patience): (u64, Effort<'_>),
        call: impl Fn(Page<'_>) -> Call,
        mut read: impl FnMut(&Value),
        (history, effort, ended): (&mut History, Effort<'_>, &CancellationToken),
    ) -> Result<(), PageError> {
        let (mut reading, mut token) = (Reading::default(), None::<String>);
        let (mut turn, late) = (None, || PageError::Unanswered(Conclusion::OutOfTime));
        loop {
            // Unlike a change, which is tried once whatever the time, so that a message gets on.
            if Instant::now() >= effort.deadline {
                return Err(late());
            }
            let asked = call(Page { size, token: token.as_deref() });
            let effort = if token.is_none() { patience } else { effort };
            let concluding = Box::pin(self.conclude(&asked, history, effort, ended));
            let body = match concluding.await {
                (Conclusion::Applied, body) => {
                    // Before the list ends: there may be no time for all of it, and the next reading begins so.
                    self.tenant.page_sizes.remember(asked.operation, size);
                    body
                }
                // The place in the list is not known any more; what was asked for is as it was.
                (Conclusion::Refused(_, fault), _) if token.is_some() => {
                    return Err(PageError::Inconsistent(fault));
                }
                (Conclusion::Refused(_, fault), _) => return Err(PageError::Refused(fault)),
                (Conclusion::Stuck(stuck), _) if stuck.cause == Cause::Forbidden => {
                    return Err(match token {
                        Some(_) => PageError::Inconsistent(stuck.fault),
                        None => PageError::Refused(stuck.fault),
                    });
                }
                (
                    conclusion @ (Conclusion::AlreadyGone
                    | Conclusion::NotFound
                    | Conclusion::Stuck(_)
                    | Conclusion::Limited(_)
                    | Conclusion::OutOfTime
                    | Conclusion::Stopped),
                    _,
                ) => return Err(PageError::Unanswered(conclusion)),
            };
            reading.add_bytes(body.len()).map_err(inconsistent)?;
            let answer = ListPage::read(asked.operation, &body).map_err(inconsistent)?;
            token = reading.add(asked.operation, &answer).map_err(inconsistent)?;
            answer.entries.iter().for_each(&mut read);
            if token.is_none() {
                return Ok(());
            }
            drop((answer, body));
            if reading.entries > MANY_ENTRIES && turn.is_none() {
                let wait = self.tenant.long_lists.lock();
                turn = Some(timeout_at(effort.deadline, wait).await.map_err(|_| late())?);
            }
        }
    }
}

impl PageError {
    /// The conclusion of a message for which a list could not be read, one of this `group` if it is. That a question is
    /// refused says nothing of the event.
    pub(super) fn conclude(self, operation: Operation, group: Option<&str>) -> Conclusion {
        let (cause, fault) = match self {
            PageError::Unanswered(conclusion) => return conclusion,
            PageError::Inconsistent(fault) => (Cause::Inconsistent, fault),
            PageError::Refused(fault) => (Cause::Passing, fault),
        };
        Conclusion::Stuck(Stuck { operation, group: group.map(str::to_owned), cause, fault })
    }

    /// Whether smaller pages may help: the question was refused, or was too much.
    fn may_be_the_size(&self) -> bool {
        match self {
            PageError::Refused(_) => true,
            PageError::Inconsistent(_) => false,
            PageError::Unanswered(conclusion) => match conclusion {
                // A connection that does not come about has nothing to do with what is asked for.
                Conclusion::Stuck(stuck) => match stuck.cause {
                    Cause::Passing => {
                        !matches!(&*stuck.fault.code, "connect" | "token" | "no_token")
                    }
                    Cause::Forbidden => true,
                    Cause::Inconsistent | Cause::Contradicted | Cause::Guarded | Cause::Refused => {
                        false
                    }
                },
                Conclusion::Applied
                | Conclusion::AlreadyGone
                | Conclusion::NotFound
                | Conclusion::Refused(..)
                | Conclusion::Limited(_)
                | Conclusion::OutOfTime
                | Conclusion::Stopped => false,
            },
        }
    }
}

fn inconsistent(what: &str) -> PageError {
    PageError::Inconsistent(Fault::new("inconsistent_list", what))
}

/// What tells an entry from all others: its id, or the address or domain of a member.
fn identity(operation: Operation, entry: &Value) -> Option<String> {
    let text = |name: &str| match entry.get(name) {
        Some(Value::String(text)) => Some(text.clone()).filter(|text| !text.is_empty()),
        Some(Value::Number(number)) => Some(number.to_string()),
        None | Some(Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_)) => None,
    };
    match operation {
        Operation::GetGroupMembers => text("emailAddress").or_else(|| text("domain")),
        Operation::FindGroups
        | Operation::GetAllManagedUrls
        | Operation::RemoveGroupMember
        | Operation::DeleteManagedUrl => text("id"),
    }
}

impl Reading {
    /// Adds the size of a page.
    fn add_bytes(&mut self, bytes: usize) -> Result<(), &'static str> {
        self.bytes += bytes as u64;
        if self.bytes > MOST_BYTES { Err(NO_END) } else { Ok(()) }
    }

    /// Adds a page, and returns the token of the next one.
    fn add(
        &mut self,
        operation: Operation,
        answer: &ListPage,
    ) -> Result<Option<String>, &'static str> {
        for entry in &answer.entries {
            if identity(operation, entry).is_some_and(|it| !self.identities.add(&it)) {
                return Err("the list has an entry twice");
            }
        }
        self.entries += answer.entries.len() as u64;
        self.pages += 1;
        if self.entries > MOST_ENTRIES || self.pages > MOST_PAGES {
            return Err(NO_END);
        }
        // Some page says how many entries it has itself; that is no total.
        let total = answer.total.filter(|total| *total >= self.entries);
        if total.is_some_and(|now| self.total.is_some_and(|before| now < before)) {
            return Err("the list became shorter while it was read");
        }
        self.total = total.or(self.total);
        match &answer.next {
            Some(token) if self.tokens.add(token) => Ok(Some(token.clone())),
            Some(_) => Err("the pages go round in a circle"),
            None if self.total.is_some_and(|total| self.entries < total) => {
                Err("the pages have fewer entries than the list")
            }
            None => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// Reads these pages of managed URL entries, each with its ids, its total and the next token.
    fn read(pages: &[(&[&str], Option<u64>, Option<&str>)]) -> Result<u64, &'static str> {
        let operation = Operation::GetAllManagedUrls;
        let mut reading = Reading::default();
        for (ids, total, next) in pages {
            let entries: Vec<Value> = ids.iter().map(|id| json!({"id": id})).collect();
            let pagination = json!({"totalCount": total, "next": next});
            let body = json!({"meta": {"pagination": pagination}, "data": entries, "fail": []});
            let answer = ListPage::read(operation, body.to_string().as_bytes())?;
            reading.add(operation, &answer)?;
        }
        Ok(reading.entries)
    }

    #[test]
    fn pages_make_a_list_only_if_they_fit_together() {
        let one = (&["a", "b"][..], Some(3), Some("next"));
        assert_eq!(read(&[one, (&["c"], Some(3), None)]), Ok(3));
        assert_eq!(read(&[(&[], Some(0), None)]), Ok(0));
        for (pages, problem) in [
            (vec![one, (&["b"][..], Some(3), None)], "the list has an entry twice"),
            (vec![(&["a", "a"][..], None, None)], "the list has an entry twice"),
            (vec![one, (&["c"][..], Some(4), None)], "the pages have fewer entries than the list"),
            (vec![one, (&[][..], Some(2), None)], "the list became shorter while it was read"),
            (vec![one, (&["c"][..], Some(9), Some("next"))], "the pages go round in a circle"),
            (vec![(&["a"][..], Some(31), None)], "the pages have fewer entries than the list"),
        ] {
            assert_eq!(read(&pages), Err(problem), "{pages:?}");
        }
    }

    #[test]
    fn an_entry_is_the_same_by_its_id_or_by_its_name_as_it_is_written() {
        let same = |operation, one: Value, other: Value| {
            let identity = |entry| identity(operation, &entry);
            identity(one).is_some_and(|one| Some(one) == identity(other))
        };
        assert!(same(Operation::GetAllManagedUrls, json!({"id": 7}), json!({"id": 7, "x": 1})));
        assert!(!same(Operation::FindGroups, json!({"id": "a"}), json!({"id": "A"})));
        let member = |address: &str| json!({"emailAddress": address, "domain": "example.com"});
        let members = Operation::GetGroupMembers;
        assert!(same(members, member("ada@example.com"), member("ada@example.com")));
        assert!(
            !same(members, member("ADA@example.com"), member("ada@example.com")),
            "both are to go"
        );
        assert!(!same(members, member("ada@example.com"), member("bob@example.com")));
    }

    #[test]
    fn a_total_that_is_smaller_than_what_was_read_is_no_total() {
        let pages = [(&["a", "b"][..], Some(1), Some("next")), (&["c"][..], Some(1), None)];
        assert_eq!(read(&pages), Ok(3));
    }

    #[test]
    fn a_list_has_so_many_bytes_pages_and_entries_and_no_more() {
        let mut reading = Reading::default();
        assert_eq!(reading.add_bytes(MOST_BYTES as usize), Ok(()));
        assert_eq!(reading.add_bytes(1), Err(NO_END));

        let page = |number: u64, entries: u64| ListPage {
            entries: (0..entries).map(|it| json!({"id": number * 500 + it})).collect(),
            total: None,
            next: Some(number.to_string()),
        };
        let add = |reading: &mut Reading, number, entries| {
            reading.add(Operation::GetAllManagedUrls, &page(number, entries)).map(|_| ())
        };
        let mut reading = Reading::default();
        for number in 0..MOST_PAGES {
            assert_eq!(add(&mut reading, number, 0), Ok(()));
        }
        assert_eq!(add(&mut reading, MOST_PAGES, 0), Err(NO_END));

        let mut reading = Reading::default();
        for number in 0..MOST_ENTRIES / 500 {
            assert_eq!(add(&mut reading, number, 500), Ok(()));
        }
        assert_eq!(add(&mut reading, MOST_ENTRIES / 500, 1), Err(NO_END));
    }
}
