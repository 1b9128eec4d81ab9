//! A connection that stays open after its reply until the client closes it. Otherwise the system would keep what the
//! client has not read, for minutes and for any number of clients.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// Maximum bytes that are read, and discarded, of a client that sends more than its request.
const MOST_DISCARDED: usize = 64 * 1024;

/// The stream, and what is done once the reply is on its way.
pub(super) struct Lingering<F> {
    stream: TcpStream,
    is_sent: Option<F>,
    discarded: usize,
}

impl<F: FnOnce() + Unpin> Lingering<F> {
    /// Where this is dropped before the client has closed the connection, the system discards what it has of the reply.
    pub(super) fn new(stream: TcpStream, is_sent: F) -> Lingering<F> {
        // Without it the system keeps more, which is no reason not to reply.
        let _kept = stream.set_zero_linger();
        Lingering { stream, is_sent: Some(is_sent), discarded: 0 }
    }
}

impl<F: Unpin> AsyncRead for Lingering<F> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<F: FnOnce() + Unpin> AsyncWrite for Lingering<F> {
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
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, buffers)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    /// Comes when the client has closed the connection.
    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Some(is_sent) = self.is_sent.take() {
            is_sent();
            ready!(Pin::new(&mut self.stream).poll_shutdown(context))?;
        }
        while self.discarded < MOST_DISCARDED {
            let mut bytes = [0; 1024];
            let mut buffer = ReadBuf::new(&mut bytes);
            ready!(Pin::new(&mut self.stream).poll_read(context, &mut buffer))?;
            if buffer.filled().is_empty() {
                break;
            }
            self.discarded += buffer.filled().len();
        }
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncWriteExt;
    use tokio::net::TcpListener;

    /// How much is read of a client that sends so many bytes after its request, until the connection ends.
    async fn discarded(bytes: usize) -> usize {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        let sending = tokio::spawn(async move {
            // Nobody may read that much.
            let _sent = client.write_all(&vec![0; bytes]).await;
            client
        });
        let mut lingering = Lingering::new(stream, || ());
        let mut client = sending.await.unwrap();
        if bytes < MOST_DISCARDED {
            client.shutdown().await.unwrap();
        }
        lingering.shutdown().await.unwrap();
        lingering.discarded
    }

    #[tokio::test]
    async fn what_a_client_sends_after_its_request_is_read_up_to_the_bound_and_no_further() {
        assert_eq!(discarded(MOST_DISCARDED - 1).await, MOST_DISCARDED - 1);
        // The connection ends although the client has not closed it.
        assert_eq!(discarded(MOST_DISCARDED).await, MOST_DISCARDED);
        assert!(discarded(2 * MOST_DISCARDED).await < MOST_DISCARDED + 1024);
    }
}
