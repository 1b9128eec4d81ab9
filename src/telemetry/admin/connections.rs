//! The connections to the admin port, and the bounds of each and of all of them.
//!
//! A connection has one request. Where there are too many, one that waits makes room for the newest: a client that holds
//! connections open keeps nobody else from `/livez`.

use super::endpoints::{Endpoint, Endpoints};
use super::lingering::Lingering;
use crate::telemetry::descriptors;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::task::{AbortHandle, yield_now};
use tokio::time::sleep;

/// Maximum number of connections. Each takes a descriptor, and up to [`MOST_HEAD_BYTES`] of memory.
const MOST_CONNECTIONS: usize = 64;

/// The number of connections where descriptors are rare: enough for a probe, a scrape and somebody who looks.
const FEWEST_CONNECTIONS: usize = 4;

/// Descriptors that clients of the admin port never take: those of the lanes, of calls to Mimecast, and of files.
const RESERVED_DESCRIPTORS: u64 = 128;

/// Connections without a request that keep their places before those that wait for long replies: a request of `/livez`
/// that takes a moment longer than its connection is not lost in a flood of others.
const KEPT_HEADS: usize = 16;

/// Maximum bytes of the head of a request.
const MOST_HEAD_BYTES: usize = 16 * 1024;

/// Maximum time for the head of a request. A client in the same network sends it in a millisecond.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);

/// Maximum time of a connection, whatever its client does or leaves undone.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(30);

/// Maximum time for a long reply, once its turn has come: it is as long as Prometheus waits by default.
const REPLY_TIMEOUT: Duration = Duration::from_secs(10);

/// Connections that are accepted in one go. With [`BREATH`] it bounds what a flood of connections costs, and a thousand that
/// wait before the port are through in a twentieth of a second.
const MOST_AT_ONCE: usize = 64;

/// The shortest time between two goes, in which what was accepted is served.
const BREATH: Duration = Duration::from_millis(1);

/// The wait after a connection could not be accepted, for want of descriptors as a rule.
const NOT_ACCEPTED: Duration = Duration::from_millis(20);

/// Serves connections.
pub(super) struct Connections {
    endpoints: Arc<Endpoints>,
    open: Arc<Open>,
}

/// The open connections, by their age: the first is the oldest.
struct Open {
    connections: Mutex<BTreeMap<u64, Connection>>,
    most: usize,
    /// Long replies that may be sent at a time: half of the places, so that the others can make room.
    long_replies: Arc<Semaphore>,
}

struct Connection {
    /// Known as soon as the connection is served.
    task: Option<AbortHandle>,
    stage: Stage,
}

/// How far a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Its request has not come yet, or has a short reply, which is sent at once.
    Head,
    /// Its long reply is not made yet, or others are sent theirs.
    Waiting,
    /// Its long reply is sent. It makes no room for others.
    Sending,
    /// Everything is sent, and the client has not closed the connection yet.
    Sent,
}

/// The place of one connection among the open ones, until this is dropped.
struct Place {
    open: Arc<Open>,
    number: u64,
}

/// The turn of a connection among the long replies.
#[derive(Default)]
struct Turn {
    taken: Mutex<Option<OwnedSemaphorePermit>>,
    begun: Notify,
}

impl Connections {
    pub(super) fn new(endpoints: Endpoints) -> Connections {
        let open = Open::new(most_connections(descriptors::limit()));
        Connections { endpoints: Arc::new(endpoints), open: Arc::new(open) }
    }

    /// Accepts connections for as long as it is polled.
    pub(super) async fn serve(self, listener: TcpListener) {
        let (mut number, mut is_failing) = (0, false);
        loop {
            for _ in 0..MOST_AT_ONCE {
                match listener.accept().await {
                    Ok((stream, _)) => {
                        number += 1;
                        self.begin(number, stream);
                        // The one that made room is closed before the next one comes.
                        yield_now().await;
                        is_failing = false;
                    }
                    Err(error) => {
                        if !std::mem::replace(&mut is_failing, true) {
                            tracing::warn!(%error, "a connection to the admin port was not accepted");
                        }
                        sleep(NOT_ACCEPTED).await;
                    }
                }
            }
            sleep(BREATH).await;
        }
    }

    fn begin(&self, number: u64, stream: TcpStream) {
        let place = Open::enter(&self.open, number);
        let endpoints = Arc::clone(&self.endpoints);
        let task = tokio::spawn(serve(stream, endpoints, place)).abort_handle();
        if let Some(connection) = self.open.connections().get_mut(&number) {
            connection.task = Some(task);
        }
    }
}

/// Serves one request, for as long as it may take.
async fn serve(stream: TcpStream, endpoints: Arc<Endpoints>, place: Place) {
    let turn = Turn::default();
    let stream = Lingering::new(stream, || {
        place.enter(Stage::Sent);
        turn.end();
    });
    let service = service_fn(|request: Request<Incoming>| {
        let endpoint = Endpoint::of(request.method(), request.uri().path());
        let (endpoints, place, turn) = (&endpoints, &place, &turn);
        async move {
            if endpoint.is_long() {
                place.enter(Stage::Waiting);
            }
            let reply = endpoints.reply(endpoint).await;
            if endpoint.is_long() {
                turn.take(place).await;
            }
            Ok::<Response<Full<Bytes>>, Infallible>(reply.into())
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(MOST_HEAD_BYTES)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service);
    tokio::select! {
        // What went wrong is known to the client, if there is one.
        _ended = connection => {}
        () = sleep(CONNECTION_TIMEOUT) => {}
        () = turn.over() => {}
    }
}

/// The number of connections where the process may have so many descriptors.
fn most_connections(limit: Option<u64>) -> usize {
    let left = limit.map_or(u64::MAX, |limit| limit.saturating_sub(RESERVED_DESCRIPTORS));
    let left = usize::try_from(left).unwrap_or(usize::MAX);
    left.clamp(FEWEST_CONNECTIONS, MOST_CONNECTIONS)
}

impl Open {
    fn new(most: usize) -> Open {
        let long_replies = Arc::new(Semaphore::new(most / 2));
        Open { connections: Mutex::default(), most, long_replies }
    }

    /// Adds a connection. Where it is one too many, another one is closed.
    fn enter(open: &Arc<Open>, number: u64) -> Place {
        let mut connections = open.connections();
        if connections.len() >= open.most {
            let closed = one_that_waits(&connections).and_then(|it| connections.remove(&it));
            if let Some(task) = closed.and_then(|connection| connection.task) {
                task.abort();
            }
        }
        connections.insert(number, Connection { task: None, stage: Stage::Head });
        Place { open: Arc::clone(open), number }
    }

    fn connections(&self) -> MutexGuard<'_, BTreeMap<u64, Connection>> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Chooses the connection that makes room: one that has its reply, the oldest without a request where these are many, or
/// else the youngest that waits for a long reply. The others that wait have theirs within a second, and there is room
/// again.
fn one_that_waits(connections: &BTreeMap<u64, Connection>) -> Option<u64> {
    let in_stage = |stage| connections.iter().filter(move |(_, it)| it.stage == stage);
    let (heads, oldest_head) = (in_stage(Stage::Head).count(), in_stage(Stage::Head).next());
    let youngest = in_stage(Stage::Waiting).next_back().filter(|_| heads <= KEPT_HEADS);
    in_stage(Stage::Sent).next().or(youngest).or(oldest_head).map(|(number, _)| *number)
}

impl Place {
    fn enter(&self, stage: Stage) {
        if let Some(connection) = self.open.connections().get_mut(&self.number) {
            connection.stage = stage;
        }
    }
}

impl Turn {
    /// Waits for the turn.
    async fn take(&self, place: &Place) {
        // Nobody closes the semaphore.
        let turn = Arc::clone(&place.open.long_replies).acquire_owned().await;
        *self.taken() = turn.ok();
        place.enter(Stage::Sending);
        self.begun.notify_one();
    }

    /// The reply is sent.
    fn end(&self) {
        self.taken().take();
    }

    fn taken(&self) -> MutexGuard<'_, Option<OwnedSemaphorePermit>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Comes when the turn was taken and its time is up.
    async fn over(&self) {
        self.begun.notified().await;
        sleep(REPLY_TIMEOUT).await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.open.connections().remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::super::Admin;
    use super::super::pulse::Pulse;
    use super::*;
    use crate::telemetry::{Board, Metrics, Readiness, Shown};
    use std::net::SocketAddr;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpSocket;
    use tokio::runtime::Handle;
    use tokio::time::Instant;
    use tokio_util::sync::CancellationToken;

    const HEAD: &[u8] = b"GET /livez HTTP/1.1\r\nHost: x\r\n";

    /// The port with so many connections at most, by the clock of the test.
    async fn port(most: usize) -> (SocketAddr, Arc<Open>) {
        let metrics = Arc::new(Metrics::new("test"));
        let shown = Shown {
            readiness: Arc::new(Readiness::new([], Arc::clone(&metrics))),
            metrics,
            board: Arc::<Board>::default(),
            audit: None,
            fresh: Arc::new(Box::new(|| (chrono::DateTime::UNIX_EPOCH, uuid::Uuid::nil()))),
        };
        let pulse = Pulse::start(&CancellationToken::new());
        let endpoints = Arc::new(Endpoints::new(shown, pulse, Handle::current()));
        let open = Arc::new(Open::new(most));
        let listener = Admin::bind("127.0.0.1:0".parse().unwrap()).unwrap().listener;
        let address = listener.local_addr().unwrap();
        let listener = TcpListener::from_std(listener).unwrap();
        tokio::spawn(Connections { endpoints, open: Arc::clone(&open) }.serve(listener));
        (address, open)
    }

    /// Connects, and sends this.
    async fn client(port: SocketAddr, sent: &[u8]) -> TcpStream {
        let mut stream = TcpStream::connect(port).await.unwrap();
        stream.write_all(sent).await.unwrap();
        stream
    }

    /// The reply, up to the end of the connection.
    async fn reply(mut stream: TcpStream) -> String {
        let mut reply = Vec::new();
        // A connection that makes room is reset.
        let _ended = stream.read_to_end(&mut reply).await;
        String::from_utf8(reply).unwrap()
    }

    /// Waits until so many connections are open.
    async fn wait_for_open(open: &Open, count: usize) {
        for _ in 0..1000 {
            if open.connections().len() == count {
                return;
            }
            sleep(BREATH).await;
        }
        panic!("{} connections are open, not {count}", open.connections().len());
    }

    async fn get(port: SocketAddr, path: &str) -> String {
        reply(client(port, format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes()).await)
            .await
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_has_one_request() {
        let (port, open) = port(4).await;
        let two = [HEAD, b"\r\n", HEAD, b"\r\n"].concat();
        let replies = reply(client(port, &two).await).await;
        assert_eq!(replies.matches("HTTP/1.1 200 OK").count(), 1, "{replies}");
        assert!(replies.contains("connection: close"), "{replies}");
        wait_for_open(&open, 0).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_its_client_does_not_close_is_closed_after_half_a_minute() {
        let ((port, open), begun) = (port(4).await, Instant::now());
        let mut idle = client(port, &[HEAD, b"\r\n"].concat()).await;
        let mut reply = String::new();
        idle.read_to_string(&mut reply).await.unwrap();
        assert!(reply.ends_with("ok\n"), "{reply}");
        while !open.connections().is_empty() {
            sleep(BREATH).await;
        }
        let took = begun.elapsed();
        assert!(
            (CONNECTION_TIMEOUT..CONNECTION_TIMEOUT + Duration::from_millis(50)).contains(&took),
            "{took:?}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn half_a_head_and_none_at_all_are_closed_after_five_seconds() {
        let (port, _) = port(4).await;
        for sent in [b"", HEAD] {
            let begun = Instant::now();
            assert_eq!(reply(client(port, sent).await).await, "");
            let took = begun.elapsed();
            assert!(
                (HEAD_TIMEOUT..HEAD_TIMEOUT + Duration::from_millis(50)).contains(&took),
                "{took:?}"
            );
        }
        // A byte now and then does not make it longer.
        let (mut slow, begun) = (client(port, HEAD).await, Instant::now());
        while slow.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        assert!(begun.elapsed() <= HEAD_TIMEOUT + Duration::from_secs(2), "{:?}", begun.elapsed());
    }

    #[tokio::test]
    async fn a_head_of_16_kib_is_read_and_a_longer_one_is_refused() {
        let (port, _) = port(4).await;
        let head = |bytes: usize| {
            let (begin, end) = (&b"GET /livez HTTP/1.1\r\nx: "[..], &b"\r\n\r\n"[..]);
            [begin, &vec![b'x'; bytes - begin.len() - end.len()], end].concat()
        };
        let whole = reply(client(port, &head(MOST_HEAD_BYTES)).await).await;
        assert!(whole.starts_with("HTTP/1.1 200 "), "{whole}");
        let longer = reply(client(port, &head(MOST_HEAD_BYTES + 1)).await).await;
        assert!(longer.starts_with("HTTP/1.1 431 "), "{longer}");
    }

    #[tokio::test(start_paused = true)]
    async fn the_oldest_connection_makes_room_for_one_too_many_and_for_none_before() {
        let (port, open) = port(MOST_CONNECTIONS).await;
        let mut silent = Vec::new();
        for _ in 0..MOST_CONNECTIONS - 1 {
            silent.push(client(port, HEAD).await);
        }
        assert!(get(port, "/livez").await.ends_with("ok\n"));
        wait_for_open(&open, MOST_CONNECTIONS - 1).await;
        silent.push(client(port, HEAD).await);
        assert!(get(port, "/livez").await.ends_with("ok\n"));
        // It has taken the place of the first, and of no other.
        wait_for_open(&open, MOST_CONNECTIONS - 1).await;
        assert_eq!(reply(silent.remove(0)).await, "");
        silent[0].write_all(b"\r\n").await.unwrap();
        assert!(reply(silent.remove(0)).await.ends_with("ok\n"));
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_slow_to_read_a_long_reply_has_ten_seconds_and_half_of_the_places() {
        let (port, open) = port(4).await;
        let slow = async || {
            let socket = TcpSocket::new_v4().unwrap();
            socket.set_recv_buffer_size(1024).unwrap();
            let mut stream = socket.connect(port).await.unwrap();
            stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").await.unwrap();
            stream
        };
        let replying =
            || open.connections().values().filter(|it| it.stage == Stage::Sending).count();
        let mut readers = Vec::new();
        for _ in 0..4 {
            readers.push(slow().await);
        }
        for _ in 0..9 {
            assert!(get(port, "/livez").await.ends_with("ok\n"));
        }
        assert_eq!((replying(), open.long_replies.available_permits()), (2, 0));
        // The two that waited have their turns then.
        tokio::time::sleep(REPLY_TIMEOUT * 2 + Duration::from_secs(2)).await;
        assert_eq!((replying(), open.long_replies.available_permits()), (0, 2));
        assert!(get(port, "/metrics").await.contains("eventd_build_info{"));
    }

    #[test]
    fn the_oldest_of_many_heads_makes_room_or_else_the_youngest_of_those_that_wait() {
        use Stage::{Head, Sending, Sent, Waiting};
        let chosen = |stages: &[(usize, Stage)]| {
            let stages =
                stages.iter().flat_map(|&(count, stage)| std::iter::repeat_n(stage, count));
            let open = (1..).zip(stages.map(|stage| Connection { task: None, stage })).collect();
            one_that_waits(&open)
        };
        assert_eq!(chosen(&[(2, Waiting), (KEPT_HEADS + 1, Head)]), Some(3));
        assert_eq!(chosen(&[(2, Waiting), (KEPT_HEADS, Head)]), Some(2));
        assert_eq!(chosen(&[(2, Sending), (2, Head), (1, Sending)]), Some(3));
        assert_eq!(
            chosen(&[(2, Sending), (1, Waiting), (KEPT_HEADS + 1, Head), (2, Sent)]),
            Some(21)
        );
        assert_eq!(chosen(&[(2, Sending)]), None);
    }

    #[test]
    fn descriptors_are_left_for_the_work() {
        let reserved = RESERVED_DESCRIPTORS;
        for (limit, most) in [
            (None, MOST_CONNECTIONS),
            (Some(1024), MOST_CONNECTIONS),
            (Some(reserved + 64), MOST_CONNECTIONS),
            (Some(reserved + 63), 63),
            (Some(reserved + 4), FEWEST_CONNECTIONS),
            (Some(reserved), FEWEST_CONNECTIONS),
            (Some(0), FEWEST_CONNECTIONS),
        ] {
            assert_eq!(most_connections(limit), most, "{limit:?}");
        }
    }
}
