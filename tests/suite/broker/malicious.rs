//! Somebody at the broker's address who is no broker: the program says so, lives on, and works as soon as there is one.

use crate::support::broker::Vhost;
use crate::support::daemon::Daemon;
use crate::support::eventually;
use crate::support::node::Node;
use crate::support::program::{most_memory, run};
use crate::support::settings::{self, Variables, named};
use fake_mimecast::{Credentials, FakeMimecast};
use futures_util::future::join_all;
use lapin::BasicProperties;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};

/// What the daemon has in memory at most, in KiB, whoever it speaks to.
const MOST_MEMORY: usize = 64 << 10;

/// Somebody at an address on loopback: says something to whoever connects, or passes everything on to the broker.
struct Somebody {
    authority: String,
    says: Arc<Mutex<Option<Vec<u8>>>>,
}

impl Somebody {
    async fn who_says(words: Vec<u8>) -> Somebody {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let authority = listener.local_addr().unwrap().to_string();
        let says = Arc::new(Mutex::new(Some(words)));
        let now = Arc::clone(&says);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let words = now.lock().unwrap().clone();
                tokio::spawn(serve(client, words));
            }
        });
        Somebody { authority, says }
    }

    fn is_a_broker_now(&self) {
        *self.says.lock().unwrap() = None;
    }
}

async fn serve(mut client: TcpStream, words: Option<Vec<u8>>) {
    let Some(words) = words else {
        let mut broker = TcpStream::connect(Node::shared().authority()).await.unwrap();
        let _ended = copy_bidirectional(&mut client, &mut broker).await;
        return;
    };
    let mut header = [0; 8];
    // Whoever it is may have enough of it at any time.
    if client.read_exact(&mut header).await.is_ok() && client.write_all(&words).await.is_ok() {
        let _rest = client.read_to_end(&mut Vec::new()).await;
    }
}

fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
    let size = u32::try_from(payload.len()).unwrap();
    [&[kind, 0, 0], &size.to_be_bytes()[..], payload, &[0xCE]].concat()
}

fn long(bytes: &[u8]) -> Vec<u8> {
    [&u32::try_from(bytes.len()).unwrap().to_be_bytes(), bytes].concat()
}

/// An array in an array, so many times.
fn deep(times: usize) -> Vec<u8> {
    let inner = (0..times).fold(Vec::new(), |inner, _| [&b"A"[..], &long(&inner)].concat());
    [&b"\x04deep"[..], &inner].concat()
}

fn start(properties: &[u8]) -> Vec<u8> {
    let fields = [long(properties), long(b"PLAIN"), long(b"en_US")].concat();
    frame(1, &[&[0, 10, 0, 10, 0, 9][..], &fields].concat())
}

/// What somebody can say before the login.
fn words() -> Vec<(&'static str, Vec<u8>)> {
    let table = long(&deep(18_000));
    vec![
        ("deep properties", start(&deep(18_000))),
        ("a method of clients", frame(1, &[&[0, 10, 0, 11][..], &table].concat())),
        ("a declaration", frame(1, &[&[0, 50, 0, 10, 0, 0, 0, 0][..], &table].concat())),
        ("deep headers", {
            let properties = [&[0, 60, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x20, 0][..], &table];
            frame(2, &properties.concat())
        }),
        ("four gigabytes", vec![1, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF]),
        ("a frame without an end", [&[1, 0, 0, 0, 1, 0, 0][..], &vec![0; 32 << 20]].concat()),
        ("another protocol", b"AMQP\x00\x01\x00\x00".to_vec()),
        ("much of the same", start(b"").repeat(200_000)),
        ("heartbeats", frame(8, b"").repeat(4 << 20)),
        ("nothing", Vec::new()),
    ]
}

async fn variables(somebody: &Somebody) -> (Vhost, FakeMimecast, Variables) {
    let (vhost, fake) = (Vhost::new().await, FakeMimecast::start(Credentials::default()).await);
    let mut variables = settings::hmac(&fake);
    variables.extend([named("AMQP__URL", &vhost.url_by(&somebody.authority))]);
    (vhost, fake, variables)
}

#[tokio::test]
async fn whatever_somebody_says_before_the_login_every_command_ends_with_a_word() {
    join_all(words().into_iter().map(async |(what, words)| {
        let somebody = Somebody::who_says(words).await;
        let (_vhost, _fake, variables) = variables(&somebody).await;
        for arguments in [&["dlq", "list"][..], &["check"]] {
            let ran = run(&variables, arguments).await;
            assert_eq!(ran.code, Some(1), "{what}: {arguments:?}: {ran:?}");
            let said = [ran.out, ran.err].concat();
            assert!(
                said.contains(&somebody.authority) || said.contains("127.0.0.1"),
                "{what}: {said}"
            );
            assert!(!said.contains("panic"), "{what}: {said}");
        }
    }))
    .await;
}

#[tokio::test]
async fn the_daemon_lives_on_and_works_as_soon_as_there_is_a_broker() {
    join_all(words().into_iter().map(async |(what, words)| {
        let somebody = Somebody::who_says(words).await;
        let (vhost, fake, variables) = variables(&somebody).await;
        let daemon = Daemon::start(&variables).await;
        daemon.wait_for_logged("the session ended", 2).await;
        let peak = most_memory(daemon.process()).expect("the daemon lives");
        assert!(peak < MOST_MEMORY, "{what}: {} MiB", peak >> 10);
        somebody.is_a_broker_now();
        daemon.wait_until_ready().await;
        fake.add_url("entry-1");
        let body = br#"{"id":"entry-1"}"#;
        vhost.publish("url.unblock", body, BasicProperties::default()).await;
        eventually(what, async || (!fake.has_url("entry-1")).then_some(())).await;
    }))
    .await;
}
