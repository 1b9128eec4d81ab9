//! The stream that the client reads and writes: the connection with the sieve in it.
//!
//! The client takes a transport of one's own when it is the TCP stream of its runtime. So the runtime
//! here is tokio's in everything but that stream.

use super::sieve::{FRAME_MAX, Sieve};
use crate::settings::{Address, Amqp, Node};
use async_rs::traits::Reactor;
use async_rs::util::RuntimeParts;
use async_rs::{Runtime, Tokio};
use futures_util::Stream;
use futures_util::io::{AsyncRead, AsyncWrite};
use lapin::AsyncTcpStream;
use lapin::tcp::{OwnedIdentity, OwnedTLSConfig};
use lapin::uri::{
    AMQPAuthority, AMQPQueryString, AMQPScheme, AMQPUri, AMQPUserInfo, SASLMechanism,
};
use std::io::{self, IoSlice, Read, Write};
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

/// Bytes that are read at once.
const CHUNK: usize = 16 * 1024;

/// A stream of the operating system's, perhaps inside TLS.
type Bare = AsyncTcpStream<<Tokio as Reactor>::TcpStream>;

/// The runtime whose TCP streams have a sieve in them.
pub(super) type Sieving = RuntimeParts<Tokio, SievingReactor>;

/// The runtime that this is called in, with a sieve in its TCP streams.
pub(super) fn runtime() -> Runtime<Sieving> {
    let tokio = Tokio::current();
    Runtime::new(RuntimeParts::new(tokio.clone(), SievingReactor(tokio)))
}

/// The addresses of `node`, in the order of the system's resolver, which has a time limit.
///
/// # Errors
///
/// Why there are none.
pub(super) async fn addresses(node: &Node, limit: Duration) -> Result<Vec<SocketAddr>, String> {
    let resolving = tokio::net::lookup_host((node.host.as_str(), node.port));
    let resolved = tokio::time::timeout(limit, resolving).await;
    let resolved = resolved.map_err(|_| "its name is not resolved in time".to_owned())?;
    Ok(resolved.map_err(|error| error.to_string())?.collect())
}

/// Connects to `address`, encrypted if `uri` says so, and puts `sieve` into what is read. A certificate has to be that of
/// the host in `uri`, whichever of its addresses this is.
pub(super) async fn connect(
    (uri, address): (&AMQPUri, SocketAddr),
    tls: &OwnedTLSConfig,
    sieve: Sieve,
) -> io::Result<AsyncTcpStream<Sieved>> {
    let plain = AsyncTcpStream::Plain(Tokio::current().tcp_connect_addr(address).await?);
    let stream = match uri.scheme {
        AMQPScheme::AMQP => plain,
        AMQPScheme::AMQPS => plain.into_tls(&uri.authority.host, tls.as_ref()).await?,
    };
    Ok(AsyncTcpStream::Plain(Sieved::new(stream, sieve)))
}

/// How the client is told where `node` is, and who we are.
pub(super) fn uri(settings: &Amqp, node: &Node) -> AMQPUri {
    let Address { tls, vhost, username, password, .. } = &settings.address;
    let heartbeat = u16::try_from(settings.heartbeat.as_secs()).unwrap_or(u16::MAX);
    let mechanism = match settings.client_certificate {
        Some(_) => SASLMechanism::External,
        None => SASLMechanism::Plain,
    };
    AMQPUri {
        scheme: if *tls { AMQPScheme::AMQPS } else { AMQPScheme::AMQP },
        authority: AMQPAuthority {
            userinfo: AMQPUserInfo {
                username: username.clone(),
                password: password.reveal().to_owned(),
            },
            host: node.host.clone(),
            port: node.port,
        },
        vhost: vhost.clone(),
        query: AMQPQueryString {
            heartbeat: Some(heartbeat),
            frame_max: Some(FRAME_MAX),
            auth_mechanism: Some(mechanism),
            ..AMQPQueryString::default()
        },
    }
}

/// What TLS takes of the settings.
pub(super) fn tls(settings: &Amqp) -> OwnedTLSConfig {
    OwnedTLSConfig {
        identity: settings.client_certificate.as_ref().map(|own| OwnedIdentity::PKCS8 {
            pem: own.certificate.clone().into_bytes(),
            key: own.key.reveal().as_bytes().to_vec(),
        }),
        cert_chain: settings.ca.clone(),
    }
}

/// A stream that is sifted as it is read.
pub(super) struct Sieved {
    stream: Bare,
    sieve: Sieve,
    chunk: Vec<u8>,
    /// What is sifted, and how much of it was read already.
    sifted: Vec<u8>,
    read: usize,
}

impl Sieved {
    fn new(stream: Bare, sieve: Sieve) -> Sieved {
        Sieved { stream, sieve, chunk: vec![0; CHUNK], sifted: Vec::new(), read: 0 }
    }
}

impl AsyncRead for Sieved {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let Sieved { stream, sieve, chunk, sifted, read } = &mut *self;
        while *read == sifted.len() {
            sifted.clear();
            *read = 0;
            let count = ready!(Pin::new(&mut *stream).poll_read(context, chunk))?;
            if count == 0 {
                return Poll::Ready(Ok(0));
            }
            let sifting = sieve.sift(&chunk[..count], sifted);
            sifting.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        }
        let count = buffer.len().min(sifted.len() - *read);
        buffer[..count].copy_from_slice(&sifted[*read..*read + count]);
        *read += count;
        Poll::Ready(Ok(count))
    }
}

impl AsyncWrite for Sieved {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_close(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_close(context)
    }
}

/// Tokio's reactor, with a sieve in its TCP streams.
#[derive(Clone, Debug)]
pub(super) struct SievingReactor(Tokio);

impl Reactor for SievingReactor {
    type TcpStream = Sieved;
    type Sleep = <Tokio as Reactor>::Sleep;

    fn register<H: Read + Write + AsFd + AsRawFd + Send + 'static>(
        &self,
        socket: H,
    ) -> io::Result<impl AsyncRead + AsyncWrite + Send + Unpin + 'static> {
        self.0.register(socket)
    }

    fn sleep(&self, duration: Duration) -> Self::Sleep {
        self.0.sleep(duration)
    }

    fn interval(&self, duration: Duration) -> impl Stream<Item = Instant> + Send + 'static {
        self.0.interval(duration)
    }

    fn tcp_connect_addr(
        &self,
        address: SocketAddr,
    ) -> impl Future<Output = io::Result<Sieved>> + Send + 'static {
        let connecting = self.0.tcp_connect_addr(address);
        async move { Ok(Sieved::new(AsyncTcpStream::Plain(connecting.await?), Sieve::default())) }
    }
}
