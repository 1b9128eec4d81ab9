//! A relay that reads AMQP: what was really said to the broker and by it, whatever the two make of
//! it, and what the broker said can be held back.
//!
//! It reads frames and the few methods that tests ask about (AMQP 0-9-1, "General Frame Format").

use super::eventually;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Frames of methods; others carry content or heartbeats.
const METHOD_FRAME: u8 = 1;

/// One method, said on one of the connections.
#[derive(Clone, Debug)]
pub struct Said {
    /// The party that said it.
    pub by: Party,
    /// Connections are numbered from 0 as they are made.
    pub connection: usize,
    /// The method.
    pub method: Method,
}

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Party {
    /// The daemon.
    Client,
    /// The broker.
    Broker,
}

/// The methods that tests ask about, with what they ask of them.
#[expect(missing_docs, reason = "the names are those of AMQP 0-9-1")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Method {
    Qos {
        prefetch: u16,
    },
    Consume,
    Cancel,
    Publish {
        exchange: String,
        routing_key: String,
        mandatory: bool,
    },
    Get,
    Deliver,
    Ack,
    Reject {
        requeue: bool,
    },
    Nack {
        requeue: bool,
    },
    /// Any other, by class and number.
    Other(u16, u16),
}

/// What of the broker's is held back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// Nothing.
    Nothing,
    /// Confirms of what was published: what they confirm is done, and nobody is told.
    Confirms,
    /// Answers to declarations of queues.
    Declarations,
    /// Answers to who opens a channel.
    Channels,
    /// Everything, the first word too.
    Everything,
}

/// A relay on loopback, for as long as it lives.
pub struct Wire {
    address: SocketAddr,
    said: Arc<Mutex<Vec<Said>>>,
    hold: watch::Sender<Hold>,
    deadly: Arc<Mutex<Option<Vec<u8>>>>,
    accepting: tokio::task::JoinHandle<()>,
}

impl Wire {
    /// Starts one that passes everything on to `target` (host and port).
    pub async fn to(target: &str) -> Wire {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let said = Arc::new(Mutex::new(Vec::new()));
        let hold = watch::Sender::new(Hold::Nothing);
        let deadly = Arc::default();
        let of_all = (Arc::clone(&said), hold.subscribe(), Arc::clone(&deadly));
        let accepting = tokio::spawn(accept(listener, target.to_owned(), of_all));
        Wire { address, said, hold, deadly, accepting }
    }

    /// From now on a connection ends on which the broker says something with `text` in it.
    pub fn cut_on(&self, text: &str) {
        *self.deadly.lock().unwrap() = Some(text.as_bytes().to_vec());
    }

    /// Where to connect instead of the target.
    pub fn authority(&self) -> String {
        self.address.to_string()
    }

    /// Holds this back from now on, or lets it go.
    pub fn hold(&self, what: Hold) {
        self.hold.send_replace(what);
    }

    /// What the client said that `wanted` wants, in its order.
    pub fn client_said(&self, wanted: impl Fn(&Method) -> bool) -> Vec<Said> {
        self.said_by(Party::Client, wanted)
    }

    /// The same of the broker, whether it was held back or not.
    pub fn broker_said(&self, wanted: impl Fn(&Method) -> bool) -> Vec<Said> {
        self.said_by(Party::Broker, wanted)
    }

    /// Waits until the client has said `count` such things.
    pub async fn wait_for(
        &self,
        what: &str,
        count: usize,
        wanted: impl Fn(&Method) -> bool,
    ) -> Vec<Said> {
        eventually(&format!("the client says {what} {count} times"), async || {
            Some(self.client_said(&wanted)).filter(|said| said.len() >= count)
        })
        .await
    }

    /// Waits until the broker has said such a thing, whether it was held back or not.
    pub async fn wait_for_broker(&self, what: &str, wanted: impl Fn(&Method) -> bool) {
        eventually(what, async || self.broker_said(&wanted).first().cloned()).await;
    }

    fn said_by(&self, party: Party, wanted: impl Fn(&Method) -> bool) -> Vec<Said> {
        let said = self.said.lock().unwrap();
        said.iter().filter(|said| said.by == party && wanted(&said.method)).cloned().collect()
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// Writes down what one party says on one connection.
#[derive(Clone)]
struct Ear {
    by: Party,
    connection: usize,
    said: Arc<Mutex<Vec<Said>>>,
    deadly: Arc<Mutex<Option<Vec<u8>>>>,
}

impl Ear {
    /// Whether the connection is to end over this frame.
    fn is_deadly(&self, frame: &[u8]) -> bool {
        let deadly = self.deadly.lock().unwrap();
        self.by == Party::Broker
            && deadly.as_ref().is_some_and(|text| {
                frame.windows(text.len()).any(|window| window == text.as_slice())
            })
    }

    /// Writes down the method in `frame`, if it is one, and gives it.
    fn hear(&self, frame: &[u8]) -> Option<Method> {
        let method = method(frame)?;
        let Ear { by, connection, .. } = *self;
        let said = Said { by, connection, method: method.clone() };
        self.said.lock().unwrap().push(said);
        Some(method)
    }
}

type OfAll = (Arc<Mutex<Vec<Said>>>, watch::Receiver<Hold>, Arc<Mutex<Option<Vec<u8>>>>);

async fn accept(listener: TcpListener, target: String, (said, hold, deadly): OfAll) {
    let mut connections = tokio::task::JoinSet::new();
    for connection in 0.. {
        let Ok((near, _)) = listener.accept().await else { return };
        let Ok(far) = TcpStream::connect(&target).await else { continue };
        let (near_reads, near_writes) = near.into_split();
        let (far_reads, far_writes) = far.into_split();
        let (said, deadly) = (Arc::clone(&said), Arc::clone(&deadly));
        let client = Ear { by: Party::Client, connection, said, deadly };
        let broker = Ear { by: Party::Broker, ..client.clone() };
        let hold = hold.clone();
        connections.spawn(async move {
            // Either direction takes the other with it when it ends.
            tokio::select! {
                () = pass(near_reads, far_writes, client, None) => {}
                () = pass(far_reads, near_writes, broker, Some(hold)) => {}
            }
        });
    }
}

/// Passes frames on until either side ends; what has to be held waits for its time.
async fn pass(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    ear: Ear,
    mut hold: Option<watch::Receiver<Hold>>,
) {
    let (mut buffer, mut held) = (Vec::new(), Vec::new());
    loop {
        let now = hold.as_mut().map_or(Hold::Nothing, |hold| *hold.borrow_and_update());
        let mut go = if now == Hold::Nothing { std::mem::take(&mut held) } else { Vec::new() };
        while let Some(length) = length(&buffer) {
            let frame: Vec<u8> = buffer.drain(..length).collect();
            if ear.is_deadly(&frame) {
                return;
            }
            let method = ear.hear(&frame);
            let stays = ear.by == Party::Broker && now.holds(method.as_ref());
            if stays { held.extend(frame) } else { go.extend(frame) }
        }
        if to.write_all(&go).await.is_err() {
            return;
        }
        let changed = async {
            match &mut hold {
                Some(hold) => hold.changed().await.is_ok(),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            still_there = changed => if !still_there {
                return;
            },
            read = from.read_buf(&mut buffer) => if !matches!(read, Ok(1..)) {
                return;
            },
        }
    }
}

impl Hold {
    fn holds(self, method: Option<&Method>) -> bool {
        match self {
            Hold::Nothing => false,
            Hold::Everything => true,
            Hold::Confirms => {
                matches!(method, Some(Method::Ack | Method::Nack { .. }))
            }
            Hold::Declarations => method == Some(&Method::Other(50, 11)),
            Hold::Channels => method == Some(&Method::Other(20, 11)),
        }
    }
}

/// The length of what `buffer` begins with, once all of it is there: the client's header before
/// everything else, or a frame.
fn length(buffer: &[u8]) -> Option<usize> {
    let length = match buffer {
        [b'A', ..] => 8,
        [_, _, _, size @ ..] if size.len() >= 4 => {
            let size = u32::from_be_bytes(size[..4].try_into().expect("these are four bytes"));
            usize::try_from(size).expect("a frame fits into memory") + 8
        }
        _ => return None,
    };
    (buffer.len() >= length).then_some(length)
}

fn method(frame: &[u8]) -> Option<Method> {
    if frame[0] != METHOD_FRAME {
        return None;
    }
    let mut fields = Fields(&frame[7..]);
    Some(match (fields.short(), fields.short()) {
        (60, 10) => {
            let _size = (fields.short(), fields.short());
            Method::Qos { prefetch: fields.short() }
        }
        (60, 20) => Method::Consume,
        (60, 30) => Method::Cancel,
        (60, 40) => {
            fields.short();
            let (exchange, routing_key) = (fields.text(), fields.text());
            Method::Publish { exchange, routing_key, mandatory: fields.bit(0) }
        }
        (60, 60) => Method::Deliver,
        (60, 70) => Method::Get,
        (60, 80) => Method::Ack,
        (60, 90) => Method::Reject { requeue: fields.after_tag().bit(0) },
        (60, 120) => Method::Nack { requeue: fields.after_tag().bit(1) },
        (class, number) => Method::Other(class, number),
    })
}

/// What is left of a method's fields.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn bytes(&mut self, count: usize) -> &'a [u8] {
        let (bytes, rest) = self.0.split_at(count);
        self.0 = rest;
        bytes
    }

    fn short(&mut self) -> u16 {
        u16::from_be_bytes(self.bytes(2).try_into().expect("these are two bytes"))
    }

    fn text(&mut self) -> String {
        let length = usize::from(self.bytes(1)[0]);
        String::from_utf8_lossy(self.bytes(length)).into_owned()
    }

    fn after_tag(mut self) -> Fields<'a> {
        self.bytes(8);
        self
    }

    fn bit(&self, number: u8) -> bool {
        self.0[0] & (1 << number) != 0
    }
}
