//! Carries connections: requests in, replies or cuts out.

use std::convert::Infallible;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use crate::control;
use crate::generation::Generation;
use crate::vendor::{Cut, Vendor};

/// Serves until it is dropped, and then takes its connections along.
pub(crate) async fn serve(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    generation: Generation,
    vendor: Arc<Vendor>,
) -> Infallible {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(carry(stream, tls.clone(), generation, Arc::clone(&vendor)));
                }
                // Too many open files: it passes as other connections end.
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn carry(
    stream: TcpStream,
    tls: Option<TlsAcceptor>,
    generation: Generation,
    vendor: Arc<Vendor>,
) {
    // Without it small replies wait for acknowledgements, which would spoil a measurement. It
    // fails only on a connection that is gone already.
    let _ = stream.set_nodelay(true);
    match tls {
        None => {
            if let Some((stream, cut)) = converse(stream, generation, vendor).await {
                end(stream, &cut, |stream| stream).await;
            }
        }
        Some(tls) => {
            // A client that does not come to terms with us goes away.
            let Ok(stream) = tls.accept(stream).await else {
                return;
            };
            if let Some((stream, cut)) = converse(stream, generation, vendor).await {
                end(stream, &cut, |stream| stream.get_ref().0).await;
            }
        }
    }
}

/// Gives the stream back if it is to be cut.
async fn converse<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    generation: Generation,
    vendor: Arc<Vendor>,
) -> Option<(S, Cut)> {
    let service = service_fn(move |request| {
        let vendor = Arc::clone(&vendor);
        async move { respond(&vendor, generation, request).await }
    });
    // The fake has a clock of its own for the dates.
    let mut connection = http1::Builder::new()
        .auto_date_header(false)
        .serve_connection(TokioIo::new(stream), service);
    let error = (&mut connection).await.err()?;
    // An error that is not ours is a client that went away.
    let cut = error.source().and_then(<dyn Error>::downcast_ref::<Cut>)?.clone();
    Some((connection.into_parts().io.into_inner(), cut))
}

async fn respond(
    vendor: &Vendor,
    generation: Generation,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Cut> {
    let (head, body) = request.into_parts();
    // A client that goes away in the middle of its request has not made one.
    let body = body.collect().await.map_err(|_| Cut::Closed)?.to_bytes();
    let request = Request::from_parts(head, body);
    let reply = if request.uri().path().starts_with(control::PREFIX) {
        control::answer(vendor, &request)
    } else {
        vendor.answer(generation, &request).await?
    };
    let now = vendor.state().gate.now();
    Ok(reply.into_response(now))
}

/// The stream closes when it is dropped; what differs is what the client sees before. Over TLS none
/// of these ends is a farewell either.
async fn end<S: AsyncWrite + Unpin>(mut stream: S, cut: &Cut, tcp: fn(&S) -> &TcpStream) {
    // Failures below mean that the client has left first, which ends the connection just as well.
    match cut {
        Cut::Closed => {}
        Cut::Reset => {
            let _ = tcp(&stream).set_zero_linger();
        }
        Cut::Truncated(half) => {
            let _ = stream.write_all(half).await;
            let _ = stream.flush().await;
        }
    }
}
