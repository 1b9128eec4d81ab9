//! The vendor behind the listener: answers requests, late or never where a fault says so.

use std::fmt;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use hyper::Request;
use hyper::body::Bytes;
use tokio::sync::{Notify, watch};

use crate::credentials::Credentials;
use crate::generation::Generation;
use crate::protocol::Asked;
use crate::reply::Reply;
use crate::state::State;

pub(crate) struct Vendor {
    state: Mutex<State>,
    /// Told about each call that arrives.
    pub(crate) arrival: Notify,
    /// How often held calls were let go.
    releases: watch::Sender<u64>,
}

/// A connection that ends without a whole reply.
#[derive(Clone, Debug)]
pub(crate) enum Cut {
    Closed,
    Reset,
    /// These bytes are all that is sent.
    Truncated(Vec<u8>),
}

impl fmt::Display for Cut {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Closed => "closed without a reply",
            Self::Reset => "reset without a reply",
            Self::Truncated(_) => "closed within a reply",
        })
    }
}

impl std::error::Error for Cut {}

/// What becomes of a call.
pub(crate) enum Verdict {
    Answer(Reply),
    Cut(Cut),
    Hang,
    Delay(Duration),
    Hold,
}

impl Vendor {
    pub(crate) fn new(credentials: Credentials) -> Self {
        Self {
            state: Mutex::new(State::new(credentials)),
            arrival: Notify::new(),
            releases: watch::Sender::new(0),
        }
    }

    /// Lets go the calls that are held by now.
    pub(crate) fn release(&self) {
        self.releases.send_modify(|releases| *releases += 1);
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("a panic elsewhere has already failed the test")
    }

    pub(crate) async fn answer(
        &self,
        generation: Generation,
        request: &Request<Bytes>,
    ) -> Result<Reply, Cut> {
        let Some(operation) = generation.operation_at(request.uri().path()) else {
            return Ok(self.state().refuse_path(request));
        };
        let (asked, violation) = Asked::read(generation, operation, request);
        if violation.is_none() {
            let measured = self.state().measure(&asked);
            if let Some((latency, reply)) = measured {
                if !latency.is_zero() {
                    // The runtime's own timer counts whole milliseconds, and ends up to two later.
                    let waiting = tokio::task::spawn_blocking(move || std::thread::sleep(latency));
                    waiting.await.expect("a sleep does not panic");
                }
                return Ok(reply);
            }
        }
        // Made before anybody can know of the call, so that no release is missed.
        let mut releases = self.releases.subscribe();
        let (index, verdict) = self.state().receive(request, &asked, violation);
        // Only now, so that whoever waits for a call finds it with its reply wherever there is one.
        self.arrival.notify_waiters();
        match verdict {
            Verdict::Answer(reply) => Ok(reply),
            Verdict::Cut(cut) => Err(cut),
            // hyper drops this future when the client closes the connection.
            Verdict::Hang => std::future::pending().await,
            Verdict::Delay(delay) => {
                tokio::time::sleep(delay).await;
                Ok(self.state().proceed(index, &asked))
            }
            Verdict::Hold => {
                releases.changed().await.expect("the sender is our own");
                Ok(self.state().proceed(index, &asked))
            }
        }
    }
}
