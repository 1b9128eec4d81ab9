//! A TCP relay that stands between two parties and does to them what networks do.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;

/// What the relay does to bytes and connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// Passes everything on.
    Open,
    /// Passes everything on, each piece so much later.
    Slow(Duration),
    /// Keeps connections and passes nothing on, in either direction: a half-open link.
    Frozen,
    /// Passes on what is asked, and loses what is answered.
    Swallowing,
    /// Nobody listens any more, and every connection is closed.
    Refusing,
}

/// Which way bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    There,
    Back,
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
    /// Keeps the port while nobody listens, or it would be given to somebody else's socket, and whoever
    /// connects to it would wait for an answer instead of being refused.
    _port: TcpSocket,
    state: Arc<watch::Sender<State>>,
    accepting: tokio::task::JoinHandle<()>,
}

impl Relay {
    /// Starts one that passes everything on to `target` (host and port).
    pub async fn to(target: &str) -> Relay {
        let port = bound_to((Ipv4Addr::LOCALHOST, 0).into());
        let address = port.local_addr().unwrap();
        let listener = listen(address);
        let state = Arc::new(watch::Sender::new(State { mode: Mode::Open, cuts: 0 }));
        let accepting = tokio::spawn(accept(listener, target.to_owned(), Arc::clone(&state)));
        Relay { address, _port: port, state, accepting }
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
        self.enter(Mode::Frozen);
    }

    /// Passes everything on, each piece so much later, until [`Relay::open`].
    pub fn slow(&self, by: Duration) {
        self.enter(Mode::Slow(by));
    }

    /// Passes on what is asked and loses what is answered, until [`Relay::open`].
    pub fn swallow(&self) {
        self.enter(Mode::Swallowing);
    }

    /// Closes every connection and refuses new ones, until [`Relay::open`].
    pub fn refuse(&self) {
        self.enter(Mode::Refusing);
    }

    /// Passes everything on again. Connections that lost something are of no use any more.
    pub fn open(&self) {
        self.state.send_modify(|state| {
            state.cuts += u64::from(state.mode == Mode::Swallowing);
            state.mode = Mode::Open;
        });
    }

    fn enter(&self, mode: Mode) {
        self.state.send_modify(|state| state.mode = mode);
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.accepting.abort();
        self.cut();
    }
}

async fn accept(mut listener: TcpListener, target: String, state: Arc<watch::Sender<State>>) {
    let address = listener.local_addr().unwrap();
    let mut watched = state.subscribe();
    loop {
        let State { mode, cuts } = *watched.borrow_and_update();
        if mode == Mode::Refusing {
            drop(listener);
            let Ok(_) = watched.wait_for(|state| state.mode != Mode::Refusing).await else {
                return;
            };
            listener = listen(address);
            continue;
        }
        tokio::select! {
            biased;
            changed = watched.changed() => if changed.is_err() {
                return;
            },
            accepted = listener.accept() => {
                let Ok((near, _)) = accepted else { return };
                let Ok(far) = TcpStream::connect(&target).await else { continue };
                let (near_reads, near_writes) = near.into_split();
                let (far_reads, far_writes) = far.into_split();
                tokio::spawn(pass(Way::There, near_reads, far_writes, watched.clone(), cuts));
                tokio::spawn(pass(Way::Back, far_reads, near_writes, watched.clone(), cuts));
            }
        }
    }
}

fn listen(address: SocketAddr) -> TcpListener {
    bound_to(address).listen(64).unwrap()
}

/// A socket that is bound and refuses connections as long as it does not listen. Several of ours may
/// be bound to one address.
fn bound_to(address: SocketAddr) -> TcpSocket {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_reuseport(true).unwrap();
    socket.bind(address).unwrap();
    socket
}

/// Passes bytes on until either side ends or the connections made before `cuts` are cut.
async fn pass(
    way: Way,
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut state: watch::Receiver<State>,
    cuts: u64,
) {
    let mut buffer = [0; 16 * 1024];
    loop {
        let State { mode, cuts: cuts_now } = *state.borrow_and_update();
        if cuts_now != cuts || mode == Mode::Refusing {
            return;
        }
        tokio::select! {
            biased;
            changed = state.changed() => if changed.is_err() {
                return;
            },
            read = from.read(&mut buffer), if mode != Mode::Frozen => {
                let Ok(length @ 1..) = read else { return };
                if let Mode::Slow(by) = mode {
                    tokio::time::sleep(by).await;
                }
                let lost = mode == Mode::Swallowing && way == Way::Back;
                if !lost && to.write_all(&buffer[..length]).await.is_err() {
                    return;
                }
            }
        }
    }
}
