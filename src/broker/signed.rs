//! Publishes copies that show to be ours.

use super::authorship::Authorship;
use super::connection::BrokerError;
use super::publisher::{Publication, Publisher};
use lapin::BasicProperties;

/// Publishes a copy as safely as the publisher does, with what shows that it is ours.
///
/// # Errors
///
/// [`BrokerError::NotTaken`] when the copy is not safe; others with the connection.
pub(super) async fn publish(
    publisher: &Publisher,
    authorship: &Authorship,
    copy: Publication<'_>,
    properties: BasicProperties,
) -> Result<(), BrokerError> {
    let sign = |properties| {
        let signed = authorship.sign(properties, copy.body, publisher.frame_max());
        signed.map_err(|cause| BrokerError::NotTaken { exchange: copy.exchange.into(), cause })
    };
    let sent = publisher.publish(copy, sign(properties.clone())?).await;
    match sent {
        Err(BrokerError::NotTaken { cause, .. }) if authorship.learn(&cause) => {
            publisher.publish(copy, sign(properties)?).await
        }
        sent => sent,
    }
}
