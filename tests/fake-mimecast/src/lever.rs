//! What a test does to a running fake, and what it asks of it.

use std::time::Duration;

use chrono::{TimeDelta, Utc};
use tokio::time::Instant;

use crate::FakeMimecast;
use crate::call::{Call, Operation};
use crate::entry::Entry;
use crate::fault::Fault;
use crate::kind::FaultKind;

impl FakeMimecast {
    /// Adds a group without members, unless there is a group of this id.
    pub fn add_group(&self, group_id: &str) {
        self.vendor.state().tenant.add_group(group_id);
    }

    /// Gives a group another name than its id; it is added if there is none.
    pub fn name_group(&self, group_id: &str, name: &str) {
        self.vendor.state().tenant.name_group(group_id, name);
    }

    /// Takes a group away: its id is unknown from now on.
    pub fn remove_group(&self, group_id: &str) {
        self.vendor.state().tenant.remove_group(group_id);
    }

    /// Makes an address or a domain a member of a group, which is added if there is none.
    pub fn add_member(&self, group_id: &str, address_or_domain: &str) {
        let mut state = self.vendor.state();
        state.tenant.add_member(group_id, address_or_domain);
    }

    /// Whether an address or a domain is a member of a group.
    pub fn is_member(&self, group_id: &str, address_or_domain: &str) -> bool {
        let state = self.vendor.state();
        state.tenant.is_member(group_id, address_or_domain)
    }

    /// Adds a managed URL.
    pub fn add_url(&self, id: &str) {
        self.vendor.state().tenant.add_url(id);
    }

    /// Adds a managed URL, or replaces it: `action` is block or permit, `match_type` explicit or domain.
    pub fn add_managed_url(&self, id: &str, url: &str, action: &str, match_type: &str) {
        let entry = Entry::new(url, action, match_type);
        self.vendor.state().tenant.add_entry(id, entry);
    }

    /// Adds a managed URL that is listed as it stands here, under its own `id`.
    ///
    /// # Panics
    ///
    /// If it has no `id`.
    pub fn add_listed_url(&self, listed: serde_json::Value) {
        let id = listed["id"].as_str().expect("an entry has an id").to_owned();
        self.vendor.state().tenant.add_entry(&id, Entry::listed(listed));
    }

    /// Lets the second page of a list show entries of the first one, and hide as many of its own, in so many
    /// readings.
    pub fn overlap_pages(&self, operation: Operation, readings: u64) {
        self.vendor.state().lists.overlap(operation, readings);
    }

    /// Answers each call for a page of more than `most` entries so.
    pub fn largest_page(&self, operation: Operation, most: usize, kind: FaultKind) {
        self.vendor.state().lists.largest.push((operation, most, kind));
    }

    /// Gives a managed URL, which is added if there is none, a second id: the vendor may tell another
    /// one at each reading. Who deletes by either has deleted both.
    ///
    /// # Panics
    ///
    /// If `other_id` names a URL already.
    pub fn add_url_alias(&self, id: &str, other_id: &str) {
        assert!(!self.has_url(other_id), "{other_id:?} names a managed URL already");
        self.vendor.state().tenant.add_url_alias(id, other_id);
    }

    /// Whether there is a managed URL of this id.
    pub fn has_url(&self, id: &str) -> bool {
        self.vendor.state().tenant.has_url(id)
    }

    /// Every request to the operations and to the token endpoint, in the order of arrival.
    pub fn calls(&self) -> Vec<Call> {
        self.vendor.state().calls.clone()
    }

    /// What was received that a well-behaved client never sends.
    pub fn violations(&self) -> Vec<String> {
        self.vendor.state().violations.clone()
    }

    /// Orders a fault, after those that were ordered before.
    ///
    /// # Panics
    ///
    /// If the fault's status or headers could not be sent as HTTP.
    pub fn inject(&self, fault: Fault) {
        check(&fault);
        self.vendor.state().faults.add(fault);
    }

    /// Orders these faults in place of all that were ordered before. No call comes in between.
    ///
    /// # Panics
    ///
    /// If a fault's status or headers could not be sent as HTTP.
    pub fn inject_instead(&self, faults: impl IntoIterator<Item = Fault>) {
        let faults: Vec<Fault> = faults.into_iter().inspect(check).collect();
        let mut state = self.vendor.state();
        state.faults.clear();
        faults.into_iter().for_each(|fault| state.faults.add(fault));
    }

    /// Clears all faults. Calls that one has already met are not saved.
    pub fn heal(&self) {
        self.vendor.state().faults.clear();
    }

    /// Lets go the calls that a fault of [`FaultKind::Hold`] holds by now.
    pub fn release(&self) {
        self.vendor.release();
    }

    /// Answers all calls as if their credentials were wrong, or stops doing so.
    pub fn refuse_credentials(&self, refuse: bool) {
        self.vendor.state().gate.credentials_refused = refuse;
    }

    /// Answers all rightly signed calls with 418, as when the life of the keys is over, or stops doing
    /// so.
    pub fn expire_keys(&self, expire: bool) {
        self.vendor.state().gate.keys_expired = expire;
    }

    /// Leaves the application of API 2.0 only the products of these operations; without its product
    /// an operation is answered with 403. API 1.0 knows no products.
    pub fn products(&self, operations: &[Operation]) {
        self.vendor.state().gate.products = operations.to_vec();
    }

    /// Puts the fake's clock so far before that of the host, or behind it. By its clock the fake dates
    /// its replies and judges `x-mc-date`; tokens live by that of the host.
    ///
    /// # Panics
    ///
    /// If there is no such time.
    pub fn set_clock_ahead(&self, ahead: TimeDelta) {
        assert!(Utc::now().checked_add_signed(ahead).is_some(), "no clock is {ahead} ahead");
        self.vendor.state().gate.clock_ahead = ahead;
    }

    /// From now on every token issued so far is answered with `token_expired`.
    pub fn revoke_tokens(&self) {
        self.vendor.state().gate.tokens.revoke_all(Instant::now());
    }

    /// How long the tokens live that are issued from now on.
    pub fn token_lifetime(&self, seconds: u64) {
        let lifetime = Duration::from_secs(seconds);
        self.vendor.state().gate.tokens.set_lifetime(lifetime);
    }

    /// How many tokens were issued.
    pub fn tokens_issued(&self) -> u64 {
        self.vendor.state().gate.tokens.issued()
    }

    /// Lets in so many calls of the known key and client, instead of 800 in 5 s. All operations share
    /// them, and each token costs one. A call that is used comes back a window later.
    ///
    /// Calls with an unknown access key, client id or token count apart.
    pub fn limit(&self, calls: u64, window: Duration) {
        self.vendor.state().quota.set(None, calls, window);
    }

    /// Limits one operation besides: its calls need room in the shared limit and in this one.
    pub fn limit_operation(&self, operation: Operation, calls: u64, window: Duration) {
        self.vendor.state().quota.set(Some(operation), calls, window);
    }

    /// How many calls have arrived that change something.
    pub fn changes_called(&self) -> usize {
        self.vendor.state().operation_calls
    }

    /// Waits until at least `calls` calls that change something have arrived.
    ///
    /// # Panics
    ///
    /// If fewer have arrived when the deadline is over.
    pub async fn wait_for_calls(&self, calls: usize, deadline: Duration) {
        let arrived = async {
            loop {
                // Made before counting: an arrival between the two wakes it.
                let arrival = self.vendor.arrival.notified();
                if self.vendor.state().operation_calls >= calls {
                    return;
                }
                arrival.await;
            }
        };
        if tokio::time::timeout(deadline, arrived).await.is_err() {
            // Read beforehand: a panic with the state in hand would poison it for the server.
            let came = self.vendor.state().operation_calls;
            let lines: Vec<String> = self.calls().iter().map(Call::to_string).collect();
            panic!(
                "waited {deadline:?} for {calls} operation calls, but only {came} came; all calls:\n{}",
                lines.join("\n")
            );
        }
    }
}

fn check(fault: &Fault) {
    if let Err(error) = fault.kind.check() {
        panic!("{error}: {fault:?}");
    }
}
