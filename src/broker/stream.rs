//! The stream that the client reads and writes: the connection with the sieve in it.
//!
//! The client takes a transport of one's own when it is the TCP stream of its runtime. So the runtime
//! here is tokio's in everything but that stream.

use super::sieve::Sieve;
use async_rs::traits::Reactor;
use async_rs::util::RuntimeParts;
use async_rs::{Runtime, Tokio};
use futures_util::Stream;
use futures_util::io::{AsyncRead, AsyncWrite};
use lapin::AsyncTcpStream;
use lapin::tcp::{AMQPUriTcpExt, OwnedTLSConfig};
use lapin::uri::AMQPUri;
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

/// Connects, encrypted if `uri` says so, and puts `sieve` into what is read.
pub(super) async fn connect(
    uri: &AMQPUri,
    tls: &OwnedTLSConfig,
    sieve: Sieve,
) -> io::Result<AsyncTcpStream<Sieved>> {
    let stream = uri.connect_with_config_async(tls.as_ref(), &Runtime::tokio_current()).await?;
    Ok(AsyncTcpStream::Plain(Sieved::new(stream, sieve)))
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
