//! Reads a list of the vendor page by page, without keeping it.

use super::vendor::{Effort, Vendor};
use crate::command::{Call, Operation};
use crate::verdict::{Cause, Conclusion, Fault, History, Stuck};
use serde_json::Value;
use std::collections::HashSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// More pages than any list has: the vendor is going round in a circle.
const MOST_PAGES: usize = 10_000;

/// One page of a list.
struct Page {
    /// What stands in `data`.
    data: Vec<Value>,
    /// The token of the next page, if there is one.
    next: Option<String>,
    /// How many entries the whole list has, as this page says.
    total: Option<u64>,
}

impl Vendor {
    /// Reads the whole list that `call` asks for page by page. `begin` makes what is read into, anew for
    /// each time that the list has to be read; `read` takes the `data` of a page and says how many
    /// entries it has, `None` where it has none of the kind.
    ///
    /// # Errors
    ///
    /// What asking came to, when the whole list could not be read: a list that changes while it is read,
    /// or whose pages do not fit together, is read again, as often as a call is tried.
    pub(super) async fn read_list<T>(
        &self,
        operation: Operation,
        call: impl Fn(Option<&str>) -> Call,
        begin: impl Fn() -> T,
        read: impl Fn(&mut T, &[Value]) -> Option<u64>,
        (history, effort, ended): (&mut History, Effort, &CancellationToken),
    ) -> Result<T, Conclusion> {
        let mark = self.evidence(operation).mark();
        let mut readings = 0;
        loop {
            readings += 1;
            let mut into = begin();
            let asking = (&mut *history, effort, ended);
            match self.read_pages(&call, |data| read(&mut into, data), asking).await {
                Ok(()) => return Ok(into),
                Err(Broken::Off(conclusion)) => return Err(conclusion),
                Err(Broken::Inconsistent(_)) if readings < self.readings(effort) => {}
                Err(Broken::Inconsistent(fault)) => {
                    // The vendor has answered since then, so that this is no outage.
                    let stuck = Stuck { operation, cause: Cause::Passing, mark, own: 0, fault };
                    return Err(Conclusion::Stuck(stuck));
                }
            }
        }
    }

    async fn read_pages(
        &self,
        call: impl Fn(Option<&str>) -> Call,
        mut read: impl FnMut(&[Value]) -> Option<u64>,
        (history, effort, ended): (&mut History, Effort, &CancellationToken),
    ) -> Result<(), Broken> {
        let (mut next, mut known) = (None::<String>, HashSet::new());
        let (mut entries, mut total) = (0, None);
        loop {
            // Unlike a change, which is tried once whatever the time, so that a message gets on.
            if Instant::now() >= effort.deadline {
                return Err(Broken::Off(Conclusion::OutOfTime));
            }
            let asked = call(next.as_deref());
            let concluding = Box::pin(self.conclude(&asked, history, effort, ended));
            let (conclusion, body) = concluding.await;
            match conclusion {
                Conclusion::Applied => {}
                // The place in the list is not known any more; what was asked for is as it was.
                Conclusion::Refused(_, fault) if next.is_some() => {
                    return Err(Broken::Inconsistent(fault));
                }
                conclusion @ (Conclusion::AlreadyGone
                | Conclusion::Refused(..)
                | Conclusion::Stuck(_)
                | Conclusion::Limited(_)
                | Conclusion::OutOfTime
                | Conclusion::Stopped) => return Err(Broken::Off(conclusion)),
            }
            let page = Page::read(&body).ok_or_else(|| broken("a page has no list"))?;
            entries += read(&page.data).ok_or_else(|| broken("a page has other entries"))?;
            if page.total.is_some_and(|now| total.is_some_and(|before| now < before)) {
                return Err(broken("the list became shorter while it was read"));
            }
            total = page.total.or(total);
            match page.next {
                Some(token) if known.len() < MOST_PAGES && known.insert(token.clone()) => {
                    next = Some(token);
                }
                Some(_) => return Err(broken("the pages go round in a circle")),
                None if total.is_some_and(|total| entries < total) => {
                    return Err(broken("the pages have fewer entries than the list"));
                }
                None => return Ok(()),
            }
        }
    }
}

/// Why a list was not read to its end.
enum Broken {
    /// A page could not be had.
    Off(Conclusion),
    /// The pages do not make one list.
    Inconsistent(Fault),
}

fn broken(what: &str) -> Broken {
    Broken::Inconsistent(Fault::new("inconsistent_list", what))
}

impl Page {
    fn read(body: &[u8]) -> Option<Page> {
        let mut body: Value = serde_json::from_slice(body).ok()?;
        let pagination = body.pointer("/meta/pagination").cloned().unwrap_or_default();
        let next = pagination.get("next").and_then(Value::as_str).filter(|token| !token.is_empty());
        Some(Page {
            next: next.map(str::to_owned),
            total: pagination.get("totalCount").and_then(Value::as_u64),
            data: match body.get_mut("data")?.take() {
                Value::Array(data) => data,
                Value::Null
                | Value::Bool(_)
                | Value::Number(_)
                | Value::String(_)
                | Value::Object(_) => return None,
            },
        })
    }
}
