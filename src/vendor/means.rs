//! What a reload of the settings replaces: who calls, how often, and what is against it.

use super::caller::Caller;
use super::group_policy::GroupPolicies;
use super::page_sizes::PageSizes;
use super::transport::TransportError;
use crate::command::Guards;
use crate::settings::{Mimecast, Timings};
use crate::verdict::Policy;
use std::sync::Arc;
use std::time::Duration;

/// What a reload of the settings replaces, as a whole. Whatever is under way goes on with what it began
/// with; the next attempt has the new.
#[derive(Debug)]
pub(super) struct Means {
    settings: Mimecast,
    /// Who calls.
    pub caller: Arc<Caller>,
    /// How often a call is tried.
    pub policy: Policy,
    /// What is against it.
    pub guards: Guards,
    /// The groups that the guards name.
    pub group_policies: GroupPolicies,
    /// The pages that Mimecast takes.
    pub page_sizes: PageSizes,
}

impl Means {
    /// Sets everything up; nothing is sent yet.
    ///
    /// # Errors
    ///
    /// When the HTTP client cannot be made.
    pub(super) fn new(
        settings: &Mimecast,
        policy: Policy,
        guards: Guards,
    ) -> Result<Means, TransportError> {
        Ok(Means::with(Arc::new(Caller::new(settings)?), settings, policy, guards))
    }

    /// The next ones. Connections and access token stay as long as who calls is the same.
    ///
    /// # Errors
    ///
    /// When the HTTP client cannot be made.
    pub(super) fn renewed(
        &self,
        settings: &Mimecast,
        policy: Policy,
        guards: Guards,
    ) -> Result<Means, TransportError> {
        if *settings == self.settings {
            return Ok(Means::with(Arc::clone(&self.caller), settings, policy, guards));
        }
        Means::new(settings, policy, guards)
    }

    /// How long the id of a group is remembered by its name.
    pub(super) fn group_cache(&self) -> Duration {
        self.settings.group_cache
    }

    /// The waits and limits that are no settings.
    pub(super) fn timings(&self) -> Timings {
        self.settings.timings
    }

    fn with(caller: Arc<Caller>, settings: &Mimecast, policy: Policy, guards: Guards) -> Means {
        let group_policies = GroupPolicies::new(settings.group_cache);
        let (settings, page_sizes) = (settings.clone(), PageSizes::new(settings.timings.page_size));
        Means { settings, caller, policy, guards, group_policies, page_sizes }
    }
}
