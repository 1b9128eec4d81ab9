//! A TCP relay that stands between two parties and does to them what networks do.

use std::net::SocketAddr;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// What the relay does to bytes and connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// Passes everything on.
    Open,
    /// Keeps connections and passes nothing on, in either direction: a half-open link.
    Frozen,
}

/// The mode, and how often every connection was cut: a count, so that no cut is missed.
#[derive(Clone, Copy, Debug)]
struct State {
    mode: Mode,
    cuts: u64,
}

/// A relay on loopback, for as long as it lives.
pub struct Relay {
    address: SocketAddr,
    state: Arc<watch::Sender<State>>,
    accepting: tokio::task::JoinHandle<()>,
}

impl Relay {
    /// Starts one that passes everything on to `target` (host and port).
    pub async fn to(target: &str) -> Relay {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(watch::Sender::new(State { mode: Mode::Open, cuts: 0 }));
        let accepting = tokio::spawn(accept(listener, target.to_owned(), Arc::clone(&state)));
        Relay { address, state, accepting }
    }

    /// Where to connect instead of the target.
    pub fn authority(&self) -> String {
        self.address.to_string()
    }

    /// Closes every connection; new ones are let through.
    pub fn cut(&self) {
        self.state.send_modify(|state| state.cuts += 1);
    }

    /// Passes nothing on, until [`Relay::open`].
    pub fn freeze(&self) {
        self.state.send_modify(|state| state.mode = Mode::Frozen);
    }

    /// Passes everything on again.
    pub fn open(&self) {
        self.state.send_modify(|state| state.mode = Mode::Open);
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.accepting.abort();
        self.cut();
    }
}

async fn accept(listener: TcpListener, target: String, state: Arc<watch::Sender<State>>) {
    loop {
        let Ok((near, _)) = listener.accept().await else { return };
        let watched = state.subscribe();
        let cuts = watched.borrow().cuts;
        let Ok(far) = TcpStream::connect(&target).await else { continue };
        let (near_reads, near_writes) = near.into_split();
        let (far_reads, far_writes) = far.into_split();
        tokio::spawn(pass(near_reads, far_writes, watched.clone(), cuts));
        tokio::spawn(pass(far_reads, near_writes, watched, cuts));
    }
}

/// Passes bytes on until either side ends or the connections made before `cuts` are cut.
async fn pass(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut state: watch::Receiver<State>,
    cuts: u64,
) {
    let mut buffer = [0; 16 * 1024];
    loop {
        let State { mode, cuts: cuts_now } = *state.borrow_and_update();
        if cuts_now != cuts {
            return;
        }
        tokio::select! {
            biased;
            changed = state.changed() => if changed.is_err() {
                return;
            },
            read = from.read(&mut buffer), if mode == Mode::Open => match read {
                Ok(0) | Err(_) => return,
                Ok(length) => if to.write_all(&buffer[..length]).await.is_err() {
                    return;
                },
            },
        }
    }
}
