//! Publishes copies that show to be ours.

use super::authorship::Authorship;
use super::connection::BrokerError;
use super::publication::Publication;
use super::publisher::Publisher;
use super::reduction::bare;
use lapin::BasicProperties;

/// Publishes a copy as safely as the publisher does, with what shows that it is ours. One that the broker refuses for its
/// properties is sent again without those that it may have refused.
///
/// # Errors
///
/// [`BrokerError::NotTaken`] when the copy is not safe; others with the connection.
pub(super) async fn publish(
    publisher: &Publisher,
    authorship: &Authorship,
    copy: Publication<'_>,
    mut properties: BasicProperties,
) -> Result<(), BrokerError> {
    loop {
        let signed = authorship.sign(properties.clone(), copy.body, publisher.frame_max());
        let not_taken = |cause| BrokerError::NotTaken { exchange: copy.exchange.into(), cause };
        let sent = publisher.publish(copy, signed.map_err(not_taken)?).await;
        match &sent {
            Err(BrokerError::NotTaken { cause, .. }) if authorship.learn(cause) => {}
            // RabbitMQ and its plugins refuse properties and headers with this word.
            Err(BrokerError::NotTaken { cause, .. })
                if cause.starts_with("PRECONDITION_FAILED") =>
            {
                let Some(bare) = bare(&properties) else { return sent };
                properties = bare;
            }
            Ok(()) | Err(_) => return sent,
        }
    }
}
