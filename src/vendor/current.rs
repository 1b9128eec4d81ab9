//! The vendor as the settings of now say, which a reload replaces as a whole.

use super::transport::TransportError;
use super::vendor::Vendor;
use crate::command::{Guards, Operation};
use crate::settings::Mimecast;
use crate::verdict::{Health, Policy};
use std::sync::{Arc, PoisonError, RwLock};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// The vendor as the settings of now say.
#[derive(Debug)]
pub struct CurrentVendor {
    vendor: RwLock<Arc<Vendor>>,
}

impl CurrentVendor {
    /// This one, until the settings change.
    pub fn new(vendor: Vendor) -> CurrentVendor {
        CurrentVendor { vendor: RwLock::new(Arc::new(vendor)) }
    }

    /// The vendor of now. Whatever begins with it ends with it.
    pub fn now(&self) -> Arc<Vendor> {
        Arc::clone(&self.vendor.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// From now on with these. What was learned stays as long as who calls is the same.
    ///
    /// # Errors
    ///
    /// When the HTTP client cannot be made; then everything is as it was.
    pub fn renew(
        &self,
        settings: &Mimecast,
        policy: Policy,
        guards: Guards,
    ) -> Result<(), TransportError> {
        let old = self.now();
        let new = Arc::new(old.renewed(settings, policy, guards)?);
        *self.vendor.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&new);
        // Only now: whoever waits with the old one begins again with the new.
        old.replace_by(&new);
        Ok(())
    }

    /// [`Vendor::health`], of the vendor of now even if that changes meanwhile.
    pub async fn health(
        &self,
        operation: Operation,
        group: Option<&str>,
        deadline: Instant,
        ended: &CancellationToken,
    ) -> Health {
        loop {
            let vendor = self.now();
            let health = vendor.health(operation, group, deadline, ended).await;
            if !vendor.is_replaced() || ended.is_cancelled() {
                return health;
            }
        }
    }

    /// [`Vendor::ask_anew`], of the vendor of now.
    pub fn ask_anew(&self) {
        self.now().ask_anew();
    }
}
