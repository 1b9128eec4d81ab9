//! What is published, and what tells it from others while its confirm is waited for.

use lapin::options::BasicPublishOptions;
use lapin::types::ShortString;
use lapin::{BasicProperties, Channel, PublisherConfirm};

/// What is published: a copy of one message for one place, or a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Publication<'a> {
    /// The delivery tag of the original; copies of nothing have none.
    pub of: Option<u64>,
    /// Whether a queue has to take it; else that nobody listens is as good.
    pub mandatory: bool,
    /// The exchange that it is for.
    pub exchange: &'a str,
    /// Its routing key.
    pub routing_key: &'a str,
    /// Its body.
    pub body: &'a [u8],
}

/// What tells a copy from others.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Sent {
    pub(super) of: Option<u64>,
    exchange: ShortString,
    routing_key: ShortString,
}

impl Sent {
    pub(super) fn of(copy: &Publication<'_>) -> Option<Sent> {
        let exchange = ShortString::try_new(copy.exchange).ok()?;
        let routing_key = ShortString::try_new(copy.routing_key).ok()?;
        Some(Sent { of: copy.of, exchange, routing_key })
    }

    /// Where it goes: to a queue by the default exchange, or to an exchange.
    pub(super) fn place(&self) -> (&str, &str) {
        match self.exchange.as_str() {
            "" => ("", self.routing_key.as_str()),
            exchange => (exchange, ""),
        }
    }

    pub(super) async fn send(
        &self,
        channel: &Channel,
        Publication { mandatory, body, .. }: &Publication<'_>,
        properties: BasicProperties,
    ) -> Result<PublisherConfirm, lapin::Error> {
        let options = BasicPublishOptions { mandatory: *mandatory, immediate: false };
        let (exchange, routing_key) = (self.exchange.clone(), self.routing_key.clone());
        channel.basic_publish(exchange, routing_key, options, body, properties).await
    }
}
