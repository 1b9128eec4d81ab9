//! Publishes that somebody left, and says whether a queue has it.
//!
//! usage: offboard ADDRESS GROUP...
//!
//! The broker is the one at `AMQP_URL`, the exchange `AMQP_EXCHANGE` (events).

use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::{BasicProperties, Confirmation, Connection, ConnectionProperties};
use std::error::Error;
use uuid::Uuid;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    // Only amqps:// needs it; rustls wants to be told which to use.
    let _another_is_there = rustls::crypto::ring::default_provider().install_default();
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().ok_or("usage: offboard ADDRESS GROUP...")?;
    let groups: Vec<String> = arguments.collect();
    let id = Uuid::new_v4().to_string();
    let event = serde_json::json!({
        "specversion": "1.0",
        "id": id,
        "source": "/hr",
        "type": "user.offboarded",
        "time": chrono::Utc::now().to_rfc3339(),
        "data": {"emailAddress": address, "groups": groups},
    });
    let url = std::env::var("AMQP_URL")?;
    let exchange = std::env::var("AMQP_EXCHANGE").unwrap_or_else(|_| "events".into());
    let connection = Connection::connect(&url, ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    let options = BasicPublishOptions { mandatory: true, immediate: false };
    let properties = BasicProperties::default()
        .with_content_type("application/cloudevents+json".into())
        .with_delivery_mode(2)
        .with_message_id(id.as_str().into());
    let (exchange, routing_key) = (exchange.as_str().into(), "user.offboarded".into());
    let body = event.to_string();
    let sent = channel.basic_publish(exchange, routing_key, options, body.as_bytes(), properties);
    match sent.await?.await? {
        Confirmation::Ack(None) => {}
        Confirmation::Ack(Some(_)) => Err("no queue is bound: the event would be lost")?,
        Confirmation::Nack(_) => Err("the broker refused it: try again later")?,
        Confirmation::NotRequested => Err("the channel has no confirms")?,
    }
    connection.close(200, "done".into()).await?;
    #[expect(clippy::print_stdout, reason = "it is what the example has to say")]
    {
        println!("{id}");
    }
    Ok(())
}
