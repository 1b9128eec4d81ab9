//! Fills a queue with what is to be drained.

use crate::Failed;
use clap::ArgMatches;
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::{BasicProperties, Channel, Confirmation, Connection, PublisherConfirm};
use std::collections::VecDeque;

/// Unconfirmed messages at a time.
const WINDOW: usize = 512;

/// Publishes as many offboardings as are asked for; done when all are safe.
pub(crate) async fn fill(connection: &Connection, arguments: &ArgMatches) -> Result<(), Failed> {
    let number = |name: &str| *arguments.get_one::<usize>(name).expect("clap insists on it");
    let queue = arguments.get_one::<String>("queue").expect("clap insists on it");
    let channel = connection.create_channel().await?;
    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    let mut unconfirmed = VecDeque::new();
    for place in 0..number("messages") {
        if unconfirmed.len() == WINDOW {
            confirmed(unconfirmed.pop_front()).await?;
        }
        let body = body(place, number("groups"));
        unconfirmed.push_back(publish(&channel, queue, &body).await?);
    }
    while !unconfirmed.is_empty() {
        confirmed(unconfirmed.pop_front()).await?;
    }
    Ok(())
}

/// Publishes one message.
pub(crate) async fn publish(
    channel: &Channel,
    queue: &str,
    body: &[u8],
) -> Result<PublisherConfirm, lapin::Error> {
    let properties = BasicProperties::default()
        .with_content_type("application/cloudevents+json".into())
        .with_delivery_mode(2);
    let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
    channel.basic_publish("".into(), queue.into(), options, body, properties).await
}

async fn confirmed(confirm: Option<PublisherConfirm>) -> Result<(), Failed> {
    match confirm {
        None => Ok(()),
        Some(confirm) => match confirm.await? {
            Confirmation::Ack(None) => Ok(()),
            other @ (Confirmation::Ack(Some(_))
            | Confirmation::Nack(_)
            | Confirmation::NotRequested) => {
                Err(format!("the broker did not take a message: {other:?}").into())
            }
        },
    }
}

/// An offboarding from so many groups.
pub(crate) fn body(place: usize, groups: usize) -> Vec<u8> {
    let ids: Vec<String> = (0..groups).map(|group| format!("\"eNoVzr0group{group:04}\"")).collect();
    format!(
        concat!(
            r#"{{"specversion":"1.0","id":"e-{}","source":"/hr","type":"user.offboarded","#,
            r#""time":"2026-11-21T10:00:00Z","data":{{"emailAddress":"user{}@example.com","groupIds":[{}]}}}}"#
        ),
        place,
        place,
        ids.join(",")
    )
    .into_bytes()
}
