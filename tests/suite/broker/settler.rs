//! A settler by itself, with what the daemon seldom comes to.

use crate::support::broker::Vhost;
use crate::support::node::Node;
use crate::support::settings::{self, named};
use crate::support::wire::{Method, Wire};
use fake_mimecast::{Credentials, FakeMimecast};
use lapin::BasicProperties;
use lapin::options::{QueueDeclareOptions, QueueDeleteOptions};
use lapin::types::FieldTable;
use mimecast_eventd::broker::{
    Authorship, Broker, BrokerError, Consumer, Delivery, Publisher, Settler,
};
use mimecast_eventd::verdict::{Disposition, Fault, History, Reason};
use std::sync::Arc;

const QUEUE: &str = "lane";

/// A settler and the message that it is to settle, handed out by `consumer`.
struct Lane {
    vhost: Vhost,
    wire: Wire,
    broker: Broker,
    consumer: Consumer,
    settler: Settler,
    delivery: Delivery,
}

impl Lane {
    async fn new(dry_run: bool) -> Lane {
        let (vhost, fake) = (Vhost::new().await, FakeMimecast::start(Credentials::default()).await);
        let wire = Wire::to(Node::shared().authority()).await;
        let mut variables = settings::hmac(&fake);
        variables.extend([named("AMQP__URL", &vhost.url_by(&wire.authority()))]);
        let settings = settings::read(&variables).unwrap();
        let (options, none) = (QueueDeclareOptions::default(), FieldTable::default());
        vhost.channel().await.queue_declare(QUEUE.into(), options, none).await.unwrap();
        vhost.publish_to("", QUEUE, b"{}", BasicProperties::default()).await;

        let broker = Broker::connect(&settings.amqp, |_| {}).await.unwrap();
        let authorship = Authorship::of(&settings.amqp);
        let mut consumer = Consumer::open(&broker, QUEUE, Arc::clone(&authorship)).await.unwrap();
        consumer.consume().await.unwrap();
        let delivery = consumer.next().await.unwrap();
        let publisher = Publisher::open(&broker).await.unwrap();
        let dead_letter_exchange = "nowhere".to_owned();
        let settler =
            Settler { queue: QUEUE.into(), dead_letter_exchange, dry_run, publisher, authorship };
        Lane { vhost, wire, broker, consumer, settler, delivery }
    }

    async fn settle(&self, disposition: &Disposition) -> Result<(), BrokerError> {
        self.settle_other(&self.delivery, disposition).await
    }

    async fn settle_other(
        &self,
        delivery: &Delivery,
        disposition: &Disposition,
    ) -> Result<(), BrokerError> {
        let history = History::default();
        self.settler.copy(delivery, disposition, &history, chrono::Utc::now).await?;
        self.settler.settle(delivery, disposition).await
    }
}

fn requeue() -> Disposition {
    Disposition::Requeue(Fault::new("panic", ""))
}

#[tokio::test]
async fn a_message_whose_body_was_not_kept_is_never_replaced_by_an_empty_copy() {
    let mut lane = Lane::new(false).await;
    lane.delivery.envelope.passed_over = Some(300_000);
    let settled = lane.settle(&Disposition::Park(Fault::new("paused", ""))).await;
    assert!(matches!(settled, Err(BrokerError::NotTaken { .. })), "{settled:?}");
    assert_eq!(lane.vhost.depth(QUEUE).await, Some((0, 1)), "there is no copy");
    lane.broker.close().await;
    assert_eq!(lane.vhost.take(QUEUE).await.body, b"{}");
}

#[tokio::test]
async fn what_cannot_be_told_any_more_is_lost_and_never_counts_as_settled() {
    for disposition in [Disposition::Ack, Disposition::Return, requeue()] {
        let mut lane = Lane::new(false).await;
        let channel = lane.vhost.channel().await;
        channel.queue_delete(QUEUE.into(), QueueDeleteOptions::default()).await.unwrap();
        let widened = lane.consumer.widen(2).await;
        widened.expect_err("the broker closes the channel over a queue that is gone");
        let settled = lane.settle(&disposition).await;
        let is_lost = matches!(settled, Err(BrokerError::SettleLost | BrokerError::Lost(_)));
        assert!(is_lost, "{disposition:?}: {settled:?}");
    }
}

#[tokio::test]
async fn a_dry_run_gives_back_what_a_stop_returns_and_is_done_with_everything_else() {
    let dead = Disposition::DeadLetter(Reason::Rejected, Fault::new("err_new", ""));
    let parked = Disposition::Park(Fault::new("http_503", ""));
    let is_kept = Method::Nack { requeue: true };
    for (disposition, expected) in [
        (Disposition::Ack, Method::Ack),
        (dead, Method::Ack),
        (parked, Method::Ack),
        (requeue(), Method::Ack),
        (Disposition::Return, is_kept),
    ] {
        let lane = Lane::new(true).await;
        lane.settle(&disposition).await.unwrap();
        let said = lane.wire.wait_for("what becomes of it", 1, is_settlement).await;
        assert_eq!(said.len(), 1, "{disposition:?}: {said:?}");
        assert_eq!(said[0].method, expected, "{disposition:?}");
        let is_copy = |method: &Method| matches!(method, Method::Publish { .. });
        assert!(lane.wire.client_said(is_copy).is_empty(), "{disposition:?} sends a copy on");
    }
}

#[tokio::test]
async fn what_was_given_back_keeps_the_acks_of_others_together() {
    let mut lane = Lane::new(false).await;
    for _ in 0..2 {
        lane.vhost.publish_to("", QUEUE, b"{}", BasicProperties::default()).await;
    }
    lane.consumer.widen(3).await.unwrap();
    let (second, third) =
        (lane.consumer.next().await.unwrap(), lane.consumer.next().await.unwrap());
    lane.settle(&Disposition::Return).await.unwrap();
    let ack = |delivery| lane.settle_other(delivery, &Disposition::Ack);
    let (one, other) = tokio::join!(ack(&second), ack(&third));
    assert!(one.is_ok() && other.is_ok(), "{one:?}, {other:?}");
    // By its end everything was said.
    lane.broker.close().await;
    assert_eq!(lane.wire.client_said(|method| *method == Method::Ack).len(), 1);
    lane.vhost.wait_for_depth(QUEUE, 1).await;
}

fn is_settlement(method: &Method) -> bool {
    matches!(method, Method::Ack | Method::Nack { .. } | Method::Reject { .. })
}
