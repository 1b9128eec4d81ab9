//! One set of credentials and one base URL, and all that was learned with them.

use super::caller::Caller;
use super::directory::Directory;
use super::known::Known;
use super::page_sizes::PageSizes;
use super::quota::Quota;
use super::transport::TransportError;
use super::url_scan::UrlScan;
use crate::command::Operation;
use crate::settings::Mimecast;
use chrono::{DateTime, Utc};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::Mutex as Turns;
use tokio_util::sync::CancellationToken;

/// Who calls, and all that was learned by it. Other settings of Mimecast make another one, which begins with nothing;
/// look-ups that are under way then learn for the old one.
#[derive(Debug)]
pub(super) struct Tenant {
    /// Who calls.
    pub caller: Caller,
    /// Health calls, and what Mimecast has answered lately.
    pub known: Known,
    /// The ids of groups by their names.
    pub directory: Directory,
    /// Those that wait for the managed URL entries.
    pub url_scan: UrlScan,
    /// The pages that Mimecast takes.
    pub page_sizes: PageSizes,
    /// Held while a long list is read.
    pub long_lists: Turns<()>,
    /// The time by the last reply, in its words, and by our clock.
    pub told_time: Mutex<Option<(String, DateTime<Utc>)>>,
    /// Cancelled once another one is in force: no call is begun with this one any more.
    pub replaced: CancellationToken,
    quotas: Mutex<BTreeMap<Operation, Quota>>,
}

impl Tenant {
    /// Nothing is known yet, and nothing is sent.
    ///
    /// # Errors
    ///
    /// When the HTTP client cannot be made.
    pub(super) fn new(settings: &Mimecast) -> Result<Tenant, TransportError> {
        let timings = settings.timings;
        Ok(Tenant {
            caller: Caller::new(settings)?,
            known: Known::default(),
            directory: Directory::default(),
            url_scan: UrlScan::default(),
            page_sizes: PageSizes::new(timings.page_size),
            long_lists: Turns::default(),
            told_time: Mutex::default(),
            replaced: CancellationToken::new(),
            quotas: Mutex::new(Operation::ALL.map(|it| (it, Quota::new(timings))).into()),
        })
    }

    pub(super) fn with_quota<T>(
        &self,
        operation: Operation,
        act: impl FnOnce(&mut Quota) -> T,
    ) -> T {
        act(self.quotas().get_mut(&operation).expect("every operation has one from the start"))
    }

    pub(super) fn quotas(&self) -> MutexGuard<'_, BTreeMap<Operation, Quota>> {
        self.quotas.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
