//! A fake of the Mimecast API for tests, demonstrations and measurements.
//!
//! [`FakeMimecast`] serves both generations of the API at once, over plain HTTP on the loopback
//! interface. It works out signatures and keeps tokens by itself, without any of the daemon's code,
//! so that both must have understood the vendor in the same way for a call to pass. Anything that a
//! well-behaved client never does is recorded as a violation. Faults are ordered in advance:
//!
//! ```
//! use fake_mimecast::{Credentials, FakeMimecast, Fault, FaultKind, Operation};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let fake = FakeMimecast::start(Credentials::default()).await;
//! fake.add_member("group-1", "ada@example.org");
//! fake.inject(Fault::next(FaultKind::LoseReply).for_item_containing("ada@"));
//! fake.inject(Fault::always(FaultKind::status(503)).for_operation(Operation::Token));
//! # }
//! ```
//!
//! A request is looked at in this order: violations; faults of the transport (`Hang`, `Delay`,
//! `Reset`, `Truncated`); credentials; quota; the other faults; the operation itself.
//!
//! - `server` carries connections, `vendor` answers requests, `state` decides what becomes of them;
//! - `protocol` reads requests and finds violations, `reply` knows the shapes of replies;
//! - `credentials` and `token` let calls in, `quota` limits them, `tenant` is what they change;
//! - `fault` holds what is ordered, `kind` what it does, `call` what is remembered;
//! - `control` does all this for scripts, at the endpoints under `/_fake/`.

mod call;
mod control;
mod credentials;
mod fault;
mod kind;
mod protocol;
mod quota;
mod reply;
mod server;
mod state;
mod tenant;
mod token;
mod vendor;

use std::convert::Infallible;
use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::Instant;

pub use call::{AuthorizationKind, Call, Operation};
pub use credentials::Credentials;
pub use fault::{Fault, Matches, Times};
pub use kind::FaultKind;

use vendor::Vendor;

/// A running fake. It serves until it is dropped.
pub struct FakeMimecast {
    vendor: Arc<Vendor>,
    address: SocketAddr,
    server: JoinHandle<Infallible>,
}

impl FakeMimecast {
    /// Starts on a free port of the loopback interface.
    ///
    /// # Panics
    ///
    /// If there is no free port, or the secret key is not base64.
    pub async fn start(credentials: Credentials) -> Self {
        Self::start_on(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), credentials)
            .await
            .expect("the loopback interface has a free port and the secret key is base64")
    }

    /// Starts on this address.
    ///
    /// # Errors
    ///
    /// If the address cannot be bound, or the secret key is not base64.
    pub async fn start_on(address: SocketAddr, credentials: Credentials) -> io::Result<Self> {
        if !credentials.secret_key_is_base64() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "the secret key is not base64",
            ));
        }
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let vendor = Arc::new(Vendor::new(credentials));
        let server = tokio::spawn(server::serve(listener, Arc::clone(&vendor)));
        Ok(Self { vendor, address, server })
    }

    /// Stops, and returns when the address is free again. Merely dropping the fake stops it a
    /// little later.
    pub async fn stop(mut self) {
        self.server.abort();
        // It ends by being aborted, and that is all there is to know.
        let _ = (&mut self.server).await;
    }

    /// `http://127.0.0.1:PORT`
    pub fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The address that the fake listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Makes an address or a domain a member of a group.
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

    /// Answers all calls as if their credentials were wrong, or stops doing so.
    pub fn refuse_credentials(&self, refuse: bool) {
        self.vendor.state().credentials_refused = refuse;
    }

    /// From now on every token issued so far is answered with `token_expired`.
    pub fn revoke_tokens(&self) {
        self.vendor.state().tokens.revoke_all(Instant::now());
    }

    /// How long the tokens live that are issued from now on.
    pub fn token_lifetime(&self, seconds: u64) {
        let lifetime = Duration::from_secs(seconds);
        self.vendor.state().tokens.set_lifetime(lifetime);
    }

    /// How many tokens were issued.
    pub fn tokens_issued(&self) -> u64 {
        self.vendor.state().tokens.issued()
    }

    /// Lets in so many authenticated operation calls per window. The first such call begins a
    /// window; tokens are not counted.
    pub fn limit(&self, calls: u64, window: Duration) {
        self.vendor.state().quota.set(calls, window);
    }

    /// Waits until at least `calls` operation calls have arrived; tokens are not counted.
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

impl fmt::Debug for FakeMimecast {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("FakeMimecast")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

impl Drop for FakeMimecast {
    fn drop(&mut self) {
        self.server.abort();
    }
}
