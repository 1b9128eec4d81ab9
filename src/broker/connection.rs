//! The connection to RabbitMQ: made, watched and closed here, never recovered behind our back.

use super::sieve::{LARGEST_LETTER, Sieve};
use super::stream;
use crate::event::MAX_BODY;
use crate::settings::{Amqp, Node, Timings};
use futures_util::{Stream, StreamExt};
use lapin::uri::AMQPUri;
use lapin::{Channel, Connection, ConnectionProperties, ErrorKind, Event};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// What can go wrong between the daemon and the broker. Each ends the session, and the next one
/// starts with nothing of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BrokerError {
    /// No connection came about.
    #[error("cannot connect to the broker at {0}")]
    Connect(String),
    /// A queue or exchange is not as it should be.
    #[error("{0}")]
    Topology(String),
    /// The connection or a channel ended.
    #[error("lost the broker: {0}")]
    Lost(String),
    /// The consumer ended although nobody asked for it; its queue may have been deleted.
    #[error("the broker cancelled the consumer of {0}")]
    Cancelled(String),
    /// An acknowledgement was not sent, because its channel is gone; the message comes again.
    #[error("a settlement was lost with its channel")]
    SettleLost,
    /// The broker would not take a copy; the original is kept.
    #[error("the broker did not take a copy for {}: {cause}", exchange_named(.exchange))]
    NotTaken {
        /// Where it was published.
        exchange: String,
        /// Why.
        cause: String,
    },
}

fn exchange_named(exchange: &str) -> String {
    let is_default = exchange.is_empty();
    if is_default { "the default exchange".into() } else { format!("the exchange {exchange}") }
}

/// What RabbitMQ says of a delivery that was not acknowledged in time (RabbitMQ, "Delivery Acknowledgement Timeout").
const TIMED_OUT: &str = "delivery acknowledgement";

impl BrokerError {
    /// How long the broker waits for an acknowledgement, where it says so because one did not come in time.
    pub fn acknowledgement_timeout(&self) -> Option<Duration> {
        let BrokerError::Lost(said) = self else { return None };
        let (_, rest) = said.split_once(TIMED_OUT)?.1.split_once("Timeout value used: ")?;
        let milliseconds = rest.split_once(" ms")?.0.parse().ok()?;
        Some(Duration::from_millis(milliseconds))
    }
}

/// One connection.
#[derive(Debug)]
pub struct Broker {
    connection: Arc<Connection>,
    timings: Timings,
    /// Comes when the connection has failed.
    failed: CancellationToken,
    /// Why it has.
    cause: Arc<OnceLock<String>>,
    /// Comes when it has failed, or when nobody needs it any more.
    over: CancellationToken,
    /// Why the broker takes no messages, while it does not.
    blocked: watch::Receiver<Option<String>>,
}

impl Broker {
    /// Connects to one of the nodes, which are tried in turn from a random one, so that not all daemons
    /// are at the same. `on_blocked` is told why the broker takes no messages for now, and when it
    /// takes them again.
    ///
    /// # Errors
    ///
    /// [`BrokerError::Connect`], in words that say what to look at.
    pub async fn connect(
        settings: &Amqp,
        on_blocked: impl Fn(Option<&str>) + Send + Sync + 'static,
    ) -> Result<Broker, BrokerError> {
        Broker::connect_for(settings, MAX_BODY as u64, on_blocked).await
    }

    /// Connects for people, who also look at what was too large for a lane.
    ///
    /// # Errors
    ///
    /// [`BrokerError::Connect`].
    pub async fn connect_for_people(settings: &Amqp) -> Result<Broker, BrokerError> {
        Broker::connect_for(settings, LARGEST_LETTER, |_| {}).await
    }

    async fn connect_for(
        settings: &Amqp,
        max_body: u64,
        on_blocked: impl Fn(Option<&str>) + Send + Sync + 'static,
    ) -> Result<Broker, BrokerError> {
        let nodes = &settings.address.nodes;
        let first = RandomState::new().build_hasher().finish() as usize % nodes.len().max(1);
        let (mut causes, mut ways) = (Vec::new(), Vec::new());
        for node in nodes.iter().cycle().skip(first).take(nodes.len()) {
            match stream::addresses(node, settings.timings.connect / 3).await {
                Ok(addresses) => ways.extend(addresses.into_iter().map(|address| (node, address))),
                Err(why) => causes.push(format!("{node}: {why}")),
            }
        }
        Broker::connect_by(settings, (ways, causes), max_body, on_blocked).await
    }

    /// Connects by the first of these ways that leads to the broker, or says what was wrong with each.
    async fn connect_by(
        settings: &Amqp,
        (ways, mut causes): (Vec<(&Node, SocketAddr)>, Vec<String>),
        max_body: u64,
        on_blocked: impl Fn(Option<&str>) + Send + Sync + 'static,
    ) -> Result<Broker, BrokerError> {
        let connect = settings.timings.connect;
        // An address that says nothing keeps nobody from the next one for long, be it of the same node.
        let limit = if ways.len() == 1 { connect } else { connect / 3 };
        for (node, address) in ways {
            match tokio::time::timeout(limit, open(settings, (node, address), max_body)).await {
                Ok(Ok(connection)) => {
                    return Ok(Broker::watched(connection, settings.timings, on_blocked));
                }
                Ok(Err(error)) => causes.push(format!("{node}: {}", cause(&error))),
                Err(_) => causes.push(format!("{node}: no answer in time from {}", address.ip())),
            }
        }
        Err(BrokerError::Connect(causes.join("; ")))
    }

    fn watched(
        connection: Connection,
        timings: Timings,
        on_blocked: impl Fn(Option<&str>) + Send + Sync + 'static,
    ) -> Broker {
        let (failed, cause) = (CancellationToken::new(), Arc::<OnceLock<String>>::default());
        let (blocking, blocked) = watch::channel(None);
        let (over, events) = (failed.child_token(), connection.events_listener());
        let end = (failed.clone(), Arc::clone(&cause));
        tokio::spawn(async move {
            let why = watch_over(events, &blocking, on_blocked).await;
            let (failed, cause) = end;
            cause.get_or_init(|| why);
            failed.cancel();
        });
        Broker { connection: Arc::new(connection), timings, failed, cause, over, blocked }
    }

    /// The waits and limits of this connection.
    pub(super) fn timings(&self) -> Timings {
        self.timings
    }

    /// Comes when the connection has failed, with the reason.
    pub async fn failed(&self) -> BrokerError {
        self.failed.cancelled().await;
        BrokerError::Lost(self.cause.get().cloned().unwrap_or_default())
    }

    /// The connection itself, as long as it is there.
    pub(super) fn connection(&self) -> Weak<Connection> {
        Arc::downgrade(&self.connection)
    }

    /// Why the broker takes no messages, while it does not.
    pub(super) fn blocked(&self) -> watch::Receiver<Option<String>> {
        self.blocked.clone()
    }

    /// Comes when the connection has failed, or when nobody needs it any more.
    pub(super) fn over(&self) -> CancellationToken {
        self.over.clone()
    }

    /// A new channel.
    ///
    /// # Errors
    ///
    /// [`BrokerError::Lost`].
    pub async fn channel(&self) -> Result<Channel, BrokerError> {
        self.new_channel().await.map_err(lost)
    }

    /// The same, with the client's own word for what went wrong.
    ///
    /// lapin 4.12.3 keeps the error of a channel that the broker has closed, and returns it to everybody who opens a
    /// channel with the same number on this connection. It counts them up and begins again from 1. That is no answer to
    /// this question: the connection has run out of channels.
    pub(super) async fn new_channel(&self) -> Result<Channel, lapin::Error> {
        let opened = self.connection.create_channel().await;
        opened.map_err(|error| match error.is_amqp_soft_error() {
            true => ErrorKind::ChannelsLimitReached.into(),
            false => error,
        })
    }

    /// Closes the connection, if it can still be closed; what is not settled goes back to its queue.
    pub async fn close(self) {
        let closing = self.connection.close(200, "stopped".into());
        match tokio::time::timeout(self.timings.close, closing).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::debug!(
                    error = cause(&error),
                    "the connection could not be closed cleanly"
                );
            }
            Err(_) => tracing::debug!("the connection could not be closed cleanly"),
        }
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.over.cancel();
    }
}

/// Watches for what happens to the connection as a whole until it has failed, and says why it has: a
/// paused lane would not notice. A channel that the broker closes is told here too; whoever uses it
/// notices, and the connection goes on.
async fn watch_over(
    mut events: impl Stream<Item = Event> + Unpin,
    blocking: &watch::Sender<Option<String>>,
    on_blocked: impl Fn(Option<&str>),
) -> String {
    let tell = |reason: Option<String>| {
        on_blocked(reason.as_deref());
        blocking.send_replace(reason);
    };
    let mut why = "the connection ended".to_owned();
    while let Some(event) = events.next().await {
        if let Event::ConnectionBlocked(reason) = event {
            tracing::warn!(reason, "the broker takes no messages for now");
            tell(Some(reason));
        } else if matches!(event, Event::ConnectionUnblocked) {
            tracing::info!("the broker takes messages again");
            tell(None);
        } else if let Event::Error(error) = event {
            let said = cause(&error);
            // Whose channel that was has lost all that it had in hand.
            if !error.is_amqp_soft_error() || said.contains(TIMED_OUT) {
                why = said;
                break;
            }
        }
    }
    tell(None);
    why
}

/// What an operation on a connection or channel died of.
pub(super) fn lost(error: lapin::Error) -> BrokerError {
    BrokerError::Lost(cause(&error))
}

/// What went wrong, in the broker's or the system's own words and without lapin's wrapping.
pub(super) fn cause(error: &lapin::Error) -> String {
    if let ErrorKind::ProtocolError(error) = error.kind() {
        return error.get_message().to_string();
    }
    let text = if let ErrorKind::IOError(error) = error.kind() {
        error.to_string()
    } else {
        error.to_string()
    };
    if text.contains("UnknownIssuer") || text.contains("BadSignature") {
        return format!("its certificate is not signed by a CA that is trusted ({text})");
    }
    text
}

/// A connection to `node` at one of its addresses. lapin's own recovery stays off: with it, a broker that stays away leaves
/// streams pending for ever without an error.
async fn open(
    settings: &Amqp,
    (node, address): (&Node, SocketAddr),
    max_body: u64,
) -> Result<Connection, lapin::Error> {
    let properties = ConnectionProperties::default().with_connection_name("mimecast-eventd".into());
    let tls = stream::tls(settings);
    let sieved = async move |uri: AMQPUri, _| {
        Ok(stream::connect((&uri, address), &tls, Sieve::up_to(max_body)).await?)
    };
    Connection::connector(stream::uri(settings, node), stream::runtime(), sieved, properties).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{Settings, Sources};
    use std::io::{Read, Write};
    use std::net::TcpListener;
    use tokio::time::Instant;

    fn settings() -> Amqp {
        let variables = [
            ("EVENTD_MIMECAST__BASE_URL", "http://127.0.0.1:1"),
            ("EVENTD_MIMECAST__AUTH", "oauth2"),
            ("EVENTD_MIMECAST__CLIENT_ID", "client-id"),
            ("EVENTD_MIMECAST__CLIENT_SECRET", "client-secret"),
        ];
        let variables = variables.map(|(name, value)| (name.into(), value.into()));
        Settings::read(Sources::gather([], variables, None)).unwrap().amqp
    }

    #[test]
    fn the_time_that_the_broker_waits_for_an_acknowledgement_is_read_where_it_says_it() {
        let said = "PRECONDITION_FAILED - delivery acknowledgement on channel 1 timed out. Timeout value used: 2000 \
                    ms. This timeout value can be configured, see consumers doc guide to learn more";
        let read = |said: &str| BrokerError::Lost(said.into()).acknowledgement_timeout();
        assert_eq!(read(said), Some(Duration::from_secs(2)));
        for other in ["Timeout value used: 2000 ms", "delivery acknowledgement", &said[..90]] {
            assert_eq!(read(other), None, "{other}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn each_address_of_a_name_has_its_own_time() {
        let node = Node { host: "rabbitmq.example.com".into(), port: 5672 };
        let silent: Vec<_> = (0..3).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
        let ways = silent.iter().map(|silent| (&node, silent.local_addr().unwrap())).collect();
        let begun = Instant::now();
        let refused = Broker::connect_by(&settings(), (ways, Vec::new()), 0, |_| {}).await;
        assert_eq!(begun.elapsed().as_secs(), 30);
        let refused = refused.unwrap_err().to_string();
        let one = "rabbitmq.example.com:5672: no answer in time from 127.0.0.1";
        assert_eq!(refused.matches(one).count(), 3, "{refused}");
    }

    /// Takes one connection as a broker does, and keeps it until the other end goes.
    fn accept(listener: &TcpListener) {
        const START: &[u8] = b"\0\x0a\0\x0a\0\x09\0\0\0\0\0\0\0\x05PLAIN\0\0\0\x05en_US";
        const TUNE: &[u8] = b"\0\x0a\0\x1e\x07\xff\0\x02\0\0\0\0";
        const OPEN_OK: &[u8] = b"\0\x0a\0\x29\0";
        let (mut stream, _) = listener.accept().unwrap();
        stream.read_exact(&mut [0; 8]).unwrap();
        // A start is answered by one frame, and a tune by two.
        for (method, answers) in [(START, 1), (TUNE, 2), (OPEN_OK, 0)] {
            let size = u32::try_from(method.len()).unwrap().to_be_bytes();
            stream.write_all(&[&[1, 0, 0], &size[..], method, &[0xCE]].concat()).unwrap();
            for _ in 0..answers {
                let mut head = [0; 7];
                stream.read_exact(&mut head).unwrap();
                let size = u32::from_be_bytes(head[3..].try_into().unwrap());
                stream.read_exact(&mut vec![0; size as usize + 1]).unwrap();
            }
        }
        // Whatever comes next is its end.
        let _gone = stream.read(&mut [0]);
    }

    #[tokio::test]
    async fn an_address_that_says_nothing_does_not_keep_a_connection_from_the_next_one() {
        let node = Node { host: "rabbitmq.example.com".into(), port: 5672 };
        let [silent, good] = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        let ways = [&silent, &good].map(|it| (&node, it.local_addr().unwrap())).to_vec();
        let mut settings = settings();
        settings.timings.connect = Duration::from_secs(6);
        std::thread::spawn(move || accept(&good));
        let connecting = Broker::connect_by(&settings, (ways, Vec::new()), 0, |_| {});
        // The time that one address alone has is enough for both.
        let broker = tokio::time::timeout(settings.timings.connect, connecting).await.unwrap();
        let broker = broker.unwrap();
        assert!(broker.connection().upgrade().unwrap().status().connected());
        silent.set_nonblocking(true).unwrap();
        silent.accept().expect("it was tried first");
    }
}
