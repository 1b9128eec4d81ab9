//! A settler whose channel is gone while its connection lives.

use crate::support::broker::Vhost;
use crate::support::settings::{self, named};
use fake_mimecast::{Credentials, FakeMimecast};
use lapin::BasicProperties;
use lapin::options::{QueueDeclareOptions, QueueDeleteOptions};
use lapin::types::FieldTable;
use mimecast_eventd::broker::{Broker, BrokerError, Consumer, Publisher, Settler};
use mimecast_eventd::verdict::{Disposition, Fault, History};

#[tokio::test]
async fn what_cannot_be_told_any_more_is_lost_and_never_counts_as_settled() {
    let fault = || Fault::new("panic", "");
    for disposition in [Disposition::Ack, Disposition::Return, Disposition::Requeue(fault())] {
        let (vhost, fake) = (Vhost::new().await, FakeMimecast::start(Credentials::default()).await);
        let mut variables = settings::hmac(&fake);
        variables.extend([named("AMQP__URL", &vhost.url)]);
        let settings = settings::read(&variables).unwrap();
        let (options, none) = (QueueDeclareOptions::default(), FieldTable::default());
        let channel = vhost.channel().await;
        channel.queue_declare("lane".into(), options, none).await.unwrap();

        let broker = Broker::connect(&settings.amqp, |_| {}).await.unwrap();
        let mut consumer = Consumer::open(&broker, "lane").await.unwrap();
        let settler = Settler {
            queue: "lane".into(),
            dead_letter_exchange: String::new(),
            dry_run: false,
            publisher: Publisher::open(&broker).await.unwrap(),
        };
        consumer.consume().await.unwrap();
        vhost.publish_to("", "lane", b"{}", BasicProperties::default()).await;
        let delivery = consumer.next().await.unwrap();
        channel.queue_delete("lane".into(), QueueDeleteOptions::default()).await.unwrap();
        consumer
            .get()
            .await
            .expect_err("the broker closes a channel that asks for a queue that is gone");

        let history = History::default();
        let settled = settler.settle(&delivery, &disposition, &history, chrono::Utc::now).await;
        let is_lost = matches!(settled, Err(BrokerError::SettleLost | BrokerError::Lost(_)));
        assert!(is_lost, "{disposition:?}: {settled:?}");
    }
}
