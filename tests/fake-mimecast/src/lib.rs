//! A fake of the Mimecast API for tests, demonstrations and measurements.
//!
//! [`FakeMimecast`] serves both generations of the API at once on the loopback interface, each at an
//! address of its own: API 1.0 takes signed requests only, API 2.0 hands out tokens and takes
//! requests that bear them. Behind both is one tenant. They speak plain HTTP, or TLS with a
//! certificate of the test's.
//!
//! The fake works out signatures and keeps tokens by itself, without any of the daemon's code, so
//! that both must have understood the vendor in the same way for a call to pass. Anything that a
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
//! A request is looked at in this order: violations; faults of the transport (`Hang`, `Delay`, `Hold`,
//! `Reset`, `Truncated`); credentials and products; quota; the other faults; the operation itself.
//! Who is known and refused uses nothing of the quota up. Who is not known has a quota apart, which
//! is looked at before the credentials.
//!
//! - `server` carries connections, `vendor` answers requests, `state` decides what becomes of them;
//! - `generation` says what is served where, `protocol` reads requests and finds what `violation`
//!   describes, `reply` knows the shapes of replies;
//! - `gate` lets calls in by `credentials` or `token`, `tenant` is what they change, a managed URL is an
//!   `entry` of it; lists are shown by the `page`;
//! - `quota` limits them, with `bucket`s;
//! - `fault` holds what is ordered, `kind` what it does, `call` what is remembered;
//! - `lever` is what a test does to a running fake and asks of it; a `load` is for measurements;
//! - `control` does all this for scripts, at the endpoints under `/_fake/`.

mod bucket;
mod call;
mod control;
mod credentials;
mod entry;
mod fault;
mod gate;
mod generation;
mod kind;
mod lever;
mod lists;
mod load;
mod page;
mod protocol;
mod quota;
mod reply;
mod server;
mod state;
mod tenant;
mod token;
mod vendor;
mod violation;

use std::convert::Infallible;
use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;

pub use call::{AuthorizationKind, Call, Operation};
pub use credentials::Credentials;
pub use fault::{Fault, Matches, Times};
pub use kind::FaultKind;

use generation::Generation;
use vendor::Vendor;

const FREE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// A running fake. It serves until it is dropped.
pub struct FakeMimecast {
    vendor: Arc<Vendor>,
    address: SocketAddr,
    oauth2_address: SocketAddr,
    is_tls: bool,
    servers: [JoinHandle<Infallible>; 2],
}

impl FakeMimecast {
    /// Starts on two free ports of the loopback interface.
    ///
    /// # Panics
    ///
    /// If there are no free ports, or the secret key is not base64.
    pub async fn start(credentials: Credentials) -> Self {
        Self::bind([FREE; 2], credentials, None)
            .await
            .expect("the loopback interface has free ports and the secret key is base64")
    }

    /// Starts API 1.0 on this address, and API 2.0 on a free port beside it.
    ///
    /// # Errors
    ///
    /// If the address cannot be bound, or the secret key is not base64.
    pub async fn start_on(address: SocketAddr, credentials: Credentials) -> io::Result<Self> {
        Self::start_on_both(address, SocketAddr::new(address.ip(), 0), credentials).await
    }

    /// Starts API 1.0 on the first address and API 2.0 on the second.
    ///
    /// # Errors
    ///
    /// If an address cannot be bound, or the secret key is not base64.
    pub async fn start_on_both(
        address: SocketAddr,
        oauth2_address: SocketAddr,
        credentials: Credentials,
    ) -> io::Result<Self> {
        Self::bind([address, oauth2_address], credentials, None).await
    }

    /// Starts on two free ports of the loopback interface, where it speaks TLS only.
    ///
    /// The URLs name `localhost`; for another name that the certificate holds there are the ports.
    ///
    /// # Panics
    ///
    /// If there are no free ports, or the secret key is not base64.
    pub async fn start_with_tls(credentials: Credentials, tls: Arc<ServerConfig>) -> Self {
        Self::bind([FREE; 2], credentials, Some(tls))
            .await
            .expect("the loopback interface has free ports and the secret key is base64")
    }

    async fn bind(
        [address, oauth2_address]: [SocketAddr; 2],
        credentials: Credentials,
        tls: Option<Arc<ServerConfig>>,
    ) -> io::Result<Self> {
        if !credentials.secret_key_is_base64() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "the secret key is not base64",
            ));
        }
        let listener = TcpListener::bind(address).await?;
        let oauth2_listener = TcpListener::bind(oauth2_address).await?;
        let vendor = Arc::new(Vendor::new(credentials));
        let tls = tls.map(TlsAcceptor::from);
        Ok(Self {
            address: listener.local_addr()?,
            oauth2_address: oauth2_listener.local_addr()?,
            is_tls: tls.is_some(),
            servers: [(listener, Generation::One), (oauth2_listener, Generation::Two)].map(
                |(listener, generation)| {
                    let vendor = Arc::clone(&vendor);
                    tokio::spawn(server::serve(listener, tls.clone(), generation, vendor))
                },
            ),
            vendor,
        })
    }

    /// Stops, and returns when the addresses are free again. Merely dropping the fake stops it a
    /// little later.
    pub async fn stop(mut self) {
        for server in &mut self.servers {
            server.abort();
            // It ends by being aborted, and that is all there is to know.
            let _ = server.await;
        }
    }

    /// Where API 1.0 is: `http://127.0.0.1:PORT`, or `https://localhost:PORT` with TLS.
    pub fn base_url(&self) -> String {
        self.url(self.address)
    }

    /// Where API 2.0 is, tokens included: `http://127.0.0.1:PORT`, or `https://localhost:PORT` with
    /// TLS.
    pub fn oauth2_url(&self) -> String {
        self.url(self.oauth2_address)
    }

    /// The address that API 1.0 listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The address that API 2.0 listens on.
    pub fn oauth2_address(&self) -> SocketAddr {
        self.oauth2_address
    }

    fn url(&self, address: SocketAddr) -> String {
        if self.is_tls {
            format!("https://localhost:{}", address.port())
        } else {
            format!("http://{address}")
        }
    }
}

impl fmt::Debug for FakeMimecast {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("FakeMimecast")
            .field("address", &self.address)
            .field("oauth2_address", &self.oauth2_address)
            .finish_non_exhaustive()
    }
}

impl Drop for FakeMimecast {
    fn drop(&mut self) {
        self.servers.iter().for_each(JoinHandle::abort);
    }
}
