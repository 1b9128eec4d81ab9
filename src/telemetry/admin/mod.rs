//! The admin port: `/metrics`, `/livez`, `/readyz` and the status for people over HTTP.
//!
//! Who can reach the port may send anything, or nothing, on as many connections as they like. A thread of its own serves
//! it, so that `/livez` answers while the daemon is busy, and every thing that a client can take has a bound
//! ([`connections`]). A reply that costs something is made twice a second at most, for all who ask ([`shared`]).

mod connections;
mod endpoints;
mod lingering;
mod pulse;
mod shared;

use connections::Connections;
use endpoints::Endpoints;
pub use endpoints::Shown;
use pulse::Pulse;
use std::io;
use std::net::SocketAddr;
use std::thread;
use tokio::net::TcpSocket;
use tokio::runtime::{Builder, Handle};
use tokio_util::sync::{CancellationToken, DropGuard};

/// Bytes that the system takes of a reply before its client has read them. The system doubles it.
const SENT_BYTES: u32 = 32 * 1024;

/// Connections that wait in the system until they are accepted: Linux has no more by default (`net.core.somaxconn`). One
/// that finds no place tries again after a second, which is too late for `/livez`.
const WAITING: u32 = 4096;

/// The listener for the admin endpoints, bound but not serving yet.
#[derive(Debug)]
pub struct Admin {
    listener: std::net::TcpListener,
}

/// The admin endpoints are served for as long as this lives.
#[derive(Debug)]
pub struct Serving {
    _until_dropped: DropGuard,
}

impl Admin {
    /// Binds `address`.
    ///
    /// # Errors
    ///
    /// The error of the system, for example that the port is taken.
    pub fn bind(address: SocketAddr) -> io::Result<Admin> {
        let socket = match address {
            SocketAddr::V4(_) => TcpSocket::new_v4()?,
            SocketAddr::V6(_) => TcpSocket::new_v6()?,
        };
        socket.set_reuseaddr(true)?;
        // Each connection has it from here.
        socket.set_send_buffer_size(SENT_BYTES)?;
        socket.bind(address)?;
        Ok(Admin { listener: socket.listen(WAITING)?.into_std()? })
    }

    /// Returns the address that it really listens on.
    ///
    /// # Errors
    ///
    /// The error of the system.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves in a thread of its own. Call it in the runtime whose work is shown.
    ///
    /// # Errors
    ///
    /// When the system has no thread or no descriptor for it.
    pub fn serve(self, shown: Shown) -> io::Result<Serving> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let inside = runtime.enter();
        let listener = tokio::net::TcpListener::from_std(self.listener)?;
        drop(inside);
        let (stop, work) = (CancellationToken::new(), Handle::current());
        let pulse = Pulse::start(&stop);
        let stopped = stop.clone();
        thread::Builder::new().name("admin".to_owned()).spawn(move || {
            let connections = Connections::new(Endpoints::new(shown, pulse, work));
            runtime.block_on(stopped.run_until_cancelled(connections.serve(listener)));
        })?;
        Ok(Serving { _until_dropped: stop.drop_guard() })
    }
}
