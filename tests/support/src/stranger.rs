//! A producer that writes its own frames: it can send what no well-behaved client would.
//!
//! AMQP texts are bytes to it, and header tables are as deep as one likes (AMQP 0-9-1, chapters 2 and 4).

use super::broker::Vhost;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A connection with one channel that confirms.
pub struct Stranger {
    stream: TcpStream,
}

/// One message, in bytes.
#[derive(Clone, Default)]
pub struct Sent {
    /// The exchange.
    pub exchange: Vec<u8>,
    /// The routing key.
    pub routing_key: Vec<u8>,
    /// Which properties there are, and the properties themselves.
    pub flags: u16,
    /// The encoded properties.
    pub properties: Vec<u8>,
    /// The body.
    pub body: Vec<u8>,
}

/// The flag of the content type.
pub const CONTENT_TYPE: u16 = 1 << 15;
/// The flag of the headers.
pub const HEADERS: u16 = 1 << 13;
/// The flag of the message id.
pub const MESSAGE_ID: u16 = 1 << 7;

impl Stranger {
    /// Connects to the broker of `vhost`, as `user` with a password of the same name.
    pub async fn to(vhost: &Vhost, user: &str) -> Stranger {
        let authority = vhost.url.split_once('@').unwrap().1.split_once('/').unwrap().0;
        let mut stranger = Stranger { stream: TcpStream::connect(authority).await.unwrap() };
        stranger.stream.write_all(b"AMQP\x00\x00\x09\x01").await.unwrap();
        stranger.until(10, 10).await;
        let login = long(format!("\0{user}\0{user}").as_bytes());
        let start_ok = [&long(&[])[..], &short(b"PLAIN"), &login, &short(b"en_US")];
        stranger.say(0, 10, 11, &start_ok.concat()).await;
        let mut tuned = stranger.until(10, 30).await;
        let heartbeat = tuned.len() - 2;
        tuned[heartbeat..].fill(0);
        stranger.say(0, 10, 31, &tuned).await;
        stranger.say(0, 10, 40, &[&short(vhost.name.as_bytes())[..], &[0, 0]].concat()).await;
        stranger.until(10, 41).await;
        stranger.say(1, 20, 10, &[0]).await;
        stranger.until(20, 11).await;
        stranger.say(1, 85, 10, &[0]).await;
        stranger.until(85, 11).await;
        stranger
    }

    /// Publishes, and waits until the message is in its queues.
    pub async fn publish(&mut self, sent: &Sent) {
        let names = [short(&sent.exchange), short(&sent.routing_key)].concat();
        self.say(1, 60, 40, &[&[0, 0][..], &names, &[0]].concat()).await;
        let size = (sent.body.len() as u64).to_be_bytes();
        let flags = sent.flags.to_be_bytes();
        let header = [&[0, 60, 0, 0][..], &size, &flags, &sent.properties].concat();
        self.write(2, 1, &header).await;
        for part in sent.body.chunks(100_000) {
            self.write(3, 1, part).await;
        }
        self.until(60, 80).await;
    }

    async fn say(&mut self, channel: u16, class: u16, method: u16, arguments: &[u8]) {
        let payload = [&class.to_be_bytes()[..], &method.to_be_bytes(), arguments].concat();
        self.write(1, channel, &payload).await;
    }

    async fn write(&mut self, kind: u8, channel: u16, payload: &[u8]) {
        let size = u32::try_from(payload.len()).unwrap().to_be_bytes();
        let frame = [&[kind], &channel.to_be_bytes()[..], &size, payload, &[0xCE]].concat();
        self.stream.write_all(&frame).await.unwrap();
    }

    /// Reads on until the broker says this, and gives what it says with it.
    async fn until(&mut self, class: u16, method: u16) -> Vec<u8> {
        let wanted = [class.to_be_bytes(), method.to_be_bytes()].concat();
        loop {
            let mut start = [0; 7];
            let read = tokio::time::timeout(super::DEADLINE, self.stream.read_exact(&mut start));
            read.await.expect("the broker answers").expect("the broker lets us go on");
            let size = u32::from_be_bytes(start[3..].try_into().unwrap());
            let mut payload = vec![0; usize::try_from(size).unwrap() + 1];
            self.stream.read_exact(&mut payload).await.unwrap();
            payload.pop();
            if start[0] == 1 && payload.starts_with(&wanted) {
                return payload.split_off(4);
            }
        }
    }
}

/// A short text: its length in one byte.
pub fn short(text: &[u8]) -> Vec<u8> {
    [&[u8::try_from(text.len()).unwrap()], text].concat()
}

/// A long text, a table or an array: its length in four bytes.
pub fn long(bytes: &[u8]) -> Vec<u8> {
    [&u32::try_from(bytes.len()).unwrap().to_be_bytes(), bytes].concat()
}

/// A header with a text.
pub fn header(name: &[u8], text: &[u8]) -> Vec<u8> {
    [&short(name), &b"S"[..], &long(text)].concat()
}

/// A header with tables inside each other.
pub fn deep_header(name: &[u8], depth: usize) -> Vec<u8> {
    let empty = [&b"F"[..], &long(&[])].concat();
    let nested = (1..depth)
        .fold(empty, |inner, _| [&b"F"[..], &long(&[&short(b"k"), &inner[..]].concat())].concat());
    [short(name), nested].concat()
}
