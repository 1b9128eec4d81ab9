//! Publishes at a steady pace, and looks at the wire between broker and consumer when each message is acked.

use crate::Failed;
use crate::filling::{body, publish};
use clap::ArgMatches;
use lapin::Connection;
use lapin::options::ConfirmSelectOptions;
use std::collections::{BTreeMap, VecDeque};
use std::io::{self, Write as _};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::time::Instant;

/// Frames of AMQP 0-9-1: type, channel and size come before the payload, and one byte after it.
const START: usize = 7;
const METHOD: u8 = 1;
const DELIVER: [u8; 4] = [0, 60, 0, 60];
const ACK: [u8; 4] = [0, 60, 0, 80];

/// What is known of the messages. Nothing else is in the queue, so that they come in the order in which they
/// were published.
#[derive(Default)]
struct Messages {
    published: VecDeque<Instant>,
    /// When those were published that were handed out and not acked yet, by connection, channel and tag.
    handed_out: BTreeMap<(usize, u16, u64), Instant>,
    latencies: Vec<Duration>,
}

#[derive(Default)]
struct Wire {
    messages: Mutex<Messages>,
    acked: Notify,
}

/// Says where the consumer is to connect, publishes once it is asked to by a line on standard input, and
/// prints the time from publish to ack of each message, in microseconds.
pub(crate) async fn pace(
    connection: &Connection,
    broker: &str,
    arguments: &ArgMatches,
) -> Result<(), Failed> {
    let number = |name: &str| *arguments.get_one::<usize>(name).expect("clap insists on it");
    let queue = arguments.get_one::<String>("queue").expect("clap insists on it");
    let (messages, interval) = (number("messages"), Duration::from_secs(1) / number("rate") as u32);
    let wire = Arc::<Wire>::default();
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    writeln!(io::stdout(), "relay on port {}", listener.local_addr()?.port())?;
    tokio::spawn(relay(listener, address(broker)?, Arc::clone(&wire)));
    tokio::task::spawn_blocking(|| io::stdin().read_line(&mut String::new())).await??;

    let channel = connection.create_channel().await?;
    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    let mut ticks = tokio::time::interval(interval);
    for place in 0..messages {
        ticks.tick().await;
        wire.with(|messages| messages.published.push_back(Instant::now()));
        publish(&channel, queue, &body(place, 1)).await?;
    }
    while wire.with(|known| known.latencies.len()) < messages {
        wire.acked.notified().await;
    }
    let latencies = wire.with(|known| std::mem::take(&mut known.latencies));
    let microseconds: Vec<u128> = latencies.iter().map(Duration::as_micros).collect();
    writeln!(io::stdout(), "{}", serde_json::to_string(&microseconds)?)?;
    Ok(())
}

/// Where the broker listens.
fn address(url: &str) -> Result<String, Failed> {
    let url = reqwest::Url::parse(url)?;
    let host = url.host_str().ok_or("the broker's URL names no host")?;
    Ok(format!("{host}:{}", url.port().unwrap_or(5672)))
}

async fn relay(listener: TcpListener, broker: String, wire: Arc<Wire>) -> io::Result<()> {
    for number in 0.. {
        let (near, _) = listener.accept().await?;
        let far = TcpStream::connect(&broker).await?;
        near.set_nodelay(true)?;
        far.set_nodelay(true)?;
        let ((from_consumer, to_consumer), (from_broker, to_broker)) =
            (near.into_split(), far.into_split());
        let (here, there) = (Arc::clone(&wire), Arc::clone(&wire));
        // The consumer begins with the eight bytes of the protocol's header.
        tokio::spawn(carry(from_consumer, to_broker, 8, move |frame| here.acked(number, frame)));
        tokio::spawn(carry(from_broker, to_consumer, 0, move |frame| {
            there.delivered(number, frame)
        }));
    }
    Ok(())
}

/// Carries bytes, and shows each whole frame after `skip` bytes.
async fn carry(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut skip: usize,
    see: impl Fn(&[u8]),
) -> io::Result<()> {
    let (mut chunk, mut begun) = (vec![0; 64 * 1024], Vec::new());
    loop {
        let count = from.read(&mut chunk).await?;
        if count == 0 {
            return to.shutdown().await;
        }
        to.write_all(&chunk[..count]).await?;
        let skipped = skip.min(count);
        skip -= skipped;
        begun.extend_from_slice(&chunk[skipped..count]);
        while let Some(end) = end_of_frame(&begun) {
            see(&begun[..end]);
            begun.drain(..end);
        }
    }
}

fn end_of_frame(begun: &[u8]) -> Option<usize> {
    let size = begun.get(3..START)?.try_into().map(u32::from_be_bytes).ok()? as usize;
    (begun.len() > START + size).then_some(START + size + 1)
}

impl Wire {
    fn with<T>(&self, act: impl FnOnce(&mut Messages) -> T) -> T {
        act(&mut self.messages.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn delivered(&self, connection: usize, frame: &[u8]) {
        let Some((channel, method)) = method(frame, DELIVER) else { return };
        // The consumer's tag comes first.
        let tag = method.first().and_then(|length| number(&method[usize::from(*length) + 1..]));
        self.with(|messages| {
            if let (Some(tag), Some(published)) = (tag, messages.published.pop_front()) {
                messages.handed_out.insert((connection, channel, tag), published);
            }
        });
    }

    fn acked(&self, connection: usize, frame: &[u8]) {
        let now = Instant::now();
        let Some((channel, method)) = method(frame, ACK) else { return };
        let Some(tag) = number(method) else { return };
        let first = if method.get(8) == Some(&1) { 0 } else { tag };
        self.with(|messages| {
            let range = (connection, channel, first)..=(connection, channel, tag);
            let acked: Vec<_> = messages.handed_out.range(range).map(|(key, _)| *key).collect();
            for key in acked {
                let published = messages.handed_out.remove(&key);
                messages.latencies.extend(published.map(|published| now - published));
            }
        });
        self.acked.notify_one();
    }
}

/// The channel and the arguments of a frame with this method.
fn method(frame: &[u8], wanted: [u8; 4]) -> Option<(u16, &[u8])> {
    let arguments = frame.get(START..)?.strip_prefix(&wanted)?;
    (frame[0] == METHOD).then(|| (u16::from_be_bytes([frame[1], frame[2]]), arguments))
}

fn number(bytes: &[u8]) -> Option<u64> {
    bytes.get(..8)?.try_into().map(u64::from_be_bytes).ok()
}
