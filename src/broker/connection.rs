//! The connection to RabbitMQ: made, watched and closed here, never recovered behind our back.

use crate::settings::{Address, Amqp};
use crate::telemetry::Readiness;
use futures_util::{Stream, StreamExt};
use lapin::tcp::{OwnedIdentity, OwnedTLSConfig};
use lapin::uri::{
    AMQPAuthority, AMQPQueryString, AMQPScheme, AMQPUri, AMQPUserInfo, SASLMechanism,
};
use lapin::{Channel, Connection, ConnectionProperties, ErrorKind, Event};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How long the broker may take to accept a connection, the handshakes included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);

/// What can go wrong between the daemon and the broker. Each ends the session, and the next one
/// starts with nothing of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BrokerError {
    /// No connection came about.
    #[error("cannot connect to the broker at {address}: {cause}")]
    Connect {
        /// Host and port.
        address: String,
        /// Why.
        cause: String,
    },
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
    #[error("the broker did not take a copy for the exchange {exchange}: {cause}")]
    NotTaken {
        /// Where it was published.
        exchange: String,
        /// Why.
        cause: String,
    },
}

/// One connection.
#[derive(Debug)]
pub struct Broker {
    connection: Connection,
    /// Comes when the connection has failed.
    failed: CancellationToken,
    /// Comes when it has failed, or when nobody needs it any more.
    over: CancellationToken,
}

impl Broker {
    /// Connects. lapin's own recovery stays off: with it, a broker that stays away leaves streams
    /// pending for ever without an error.
    ///
    /// # Errors
    ///
    /// [`BrokerError::Connect`], in words that say what to look at.
    pub async fn connect(
        settings: &Amqp,
        readiness: &Arc<Readiness>,
    ) -> Result<Broker, BrokerError> {
        let properties =
            ConnectionProperties::default().with_connection_name("mimecast-eventd".into());
        let failed = |cause: String| BrokerError::Connect {
            address: format!("{}:{}", settings.address.host, settings.address.port),
            cause,
        };
        let runtime = lapin::runtime::default_runtime().map_err(|error| failed(cause(&error)))?;
        let connecting =
            Connection::connect_uri_with_config(uri(settings), properties, tls(settings), runtime);
        match tokio::time::timeout(CONNECT_TIMEOUT, connecting).await {
            Ok(Ok(connection)) => {
                let failed = CancellationToken::new();
                let over = failed.child_token();
                let watching =
                    watch(connection.events_listener(), failed.clone(), Arc::clone(readiness));
                tokio::spawn(watching);
                Ok(Broker { connection, failed, over })
            }
            Ok(Err(error)) => Err(failed(cause(&error))),
            Err(_) => Err(failed("no answer in time".into())),
        }
    }

    /// Comes when the connection has failed.
    pub async fn failed(&self) {
        self.failed.cancelled().await;
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
        self.connection.create_channel().await.map_err(lost)
    }

    /// Closes the connection; what is not settled goes back to its queue.
    pub async fn close(self) {
        if let Err(error) = self.connection.close(200, "stopped".into()).await {
            tracing::debug!(error = cause(&error), "the connection could not be closed cleanly");
        }
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.over.cancel();
    }
}

/// Watches for what happens to the connection as a whole: that it fails, which a paused lane would
/// not notice, and that the broker stops taking messages because it is short of memory or disk.
async fn watch(
    mut events: impl Stream<Item = Event> + Unpin,
    failed: CancellationToken,
    readiness: Arc<Readiness>,
) {
    while let Some(event) = events.next().await {
        if let Event::ConnectionBlocked(reason) = event {
            tracing::warn!(reason, "the broker takes no messages for now");
            readiness.blocked(Some(&reason));
        } else if matches!(event, Event::ConnectionUnblocked) {
            tracing::info!("the broker takes messages again");
            readiness.blocked(None);
        } else if matches!(event, Event::Error(_)) {
            break;
        }
    }
    readiness.blocked(None);
    failed.cancel();
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

fn uri(settings: &Amqp) -> AMQPUri {
    let Address { tls, host, port, vhost, username, password } = &settings.address;
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
            host: host.clone(),
            port: *port,
        },
        vhost: vhost.clone(),
        query: AMQPQueryString {
            heartbeat: Some(heartbeat),
            auth_mechanism: Some(mechanism),
            ..AMQPQueryString::default()
        },
    }
}

fn tls(settings: &Amqp) -> OwnedTLSConfig {
    OwnedTLSConfig {
        identity: settings.client_certificate.as_ref().map(|own| OwnedIdentity::PKCS8 {
            pem: own.certificate.clone().into_bytes(),
            key: own.key.reveal().as_bytes().to_vec(),
        }),
        cert_chain: settings.ca.clone(),
    }
}
