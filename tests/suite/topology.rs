//! What the broker has to have before anything is consumed, declared or only checked.

use crate::support::broker::{DEAD_LETTERS, UNBLOCK, Vhost};
use crate::support::daemon::Daemon;
use crate::support::eventually;
use crate::support::settings::{self, Variables, named};
use fake_mimecast::{Credentials, FakeMimecast};
use lapin::options::{QueueDeclareOptions, QueueDeleteOptions};
use lapin::types::FieldTable;

#[tokio::test]
async fn a_queue_with_other_arguments_is_named_and_nothing_is_consumed() {
    let vhost = Vhost::new().await;
    let channel = vhost.channel().await;
    let durable = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
    channel.queue_declare(UNBLOCK.into(), durable, FieldTable::default()).await.unwrap();
    let fake = FakeMimecast::start(Credentials::default()).await;
    let mut variables = settings::hmac(&fake);
    variables.extend([named("AMQP__URL", &vhost.url)]);
    let daemon = Daemon::start(&variables).await;
    let ended = eventually("the daemon tells of it", async || {
        daemon.logged("the session ended").first().cloned()
    })
    .await;
    let error = ended["error"].as_str().unwrap();
    assert!(error.contains("inequivalent arg 'x-"), "{error}");
    assert!(error.contains(UNBLOCK) && error.contains("delete it"), "{error}");
    assert_eq!(daemon.get("/readyz").await.0, 503);
}

#[tokio::test]
async fn verify_declares_nothing_and_names_everything_that_is_missing() {
    let vhost = Vhost::new().await;
    let fake = FakeMimecast::start(Credentials::default()).await;
    let mut variables = settings::hmac(&fake);
    variables.extend([named("AMQP__URL", &vhost.url), named("AMQP__TOPOLOGY", "verify")]);
    let daemon = Daemon::start(&variables).await;
    let ended = eventually("the daemon tells of it", async || {
        daemon.logged("the session ended").first().cloned()
    })
    .await;
    let error = ended["error"].as_str().unwrap();
    for missing in ["'events'", "'mimecast-eventd.dead-letter'", UNBLOCK, "user.offboarded"] {
        assert!(error.contains(missing), "{missing} is not named in: {error}");
    }
    assert_eq!(vhost.depth(UNBLOCK).await, None);
    assert_eq!(vhost.depth(DEAD_LETTERS).await, None);

    variables.extend([named("AMQP__TOPOLOGY", "declare")]);
    Daemon::start(&variables).await.wait_until_ready().await;
    daemon.wait_until_ready().await;
}

/// A virtual host that the daemon has declared everything in, and the settings to verify it.
async fn declared() -> (Vhost, FakeMimecast, Variables) {
    let vhost = Vhost::new().await;
    let fake = FakeMimecast::start(Credentials::default()).await;
    let mut variables = settings::hmac(&fake);
    variables.extend([named("AMQP__URL", &vhost.url)]);
    Daemon::start(&variables).await.wait_until_ready().await;
    variables.extend([named("AMQP__TOPOLOGY", "verify")]);
    (vhost, fake, variables)
}

async fn refusal(variables: &Variables) -> String {
    let daemon = Daemon::start(variables).await;
    let ended = eventually("the daemon tells of it", async || {
        daemon.logged("the session ended").first().cloned()
    })
    .await;
    assert_eq!(daemon.get("/readyz").await.0, 503);
    ended["error"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn verify_accepts_what_declare_has_made_and_leaves_no_trace() {
    let (vhost, _fake, variables) = declared().await;
    let daemon = Daemon::start(&variables).await;
    daemon.wait_until_ready().await;
    vhost.wait_for_depth(DEAD_LETTERS, 0).await;
    assert!(vhost.take_now(DEAD_LETTERS).await.is_none());
}

#[tokio::test]
async fn verify_names_an_argument_that_differs_and_a_delivery_limit_that_is_missing() {
    let (_vhost, _fake, mut variables) = declared().await;
    variables.extend([named("EVENTS__URL_UNBLOCK__DELIVERY_LIMIT", "7")]);
    let error = refusal(&variables).await;
    assert!(error.contains("inequivalent arg 'x-delivery-limit'"), "{error}");
    assert!(error.contains(UNBLOCK) && error.contains("'7'") && error.contains("'20'"), "{error}");

    let (vhost, _fake, variables) = declared().await;
    let channel = vhost.channel().await;
    channel.queue_delete(UNBLOCK.into(), QueueDeleteOptions::default()).await.unwrap();
    let durable = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
    let mut quorum = FieldTable::default();
    quorum.insert("x-queue-type".into(), lapin::types::AMQPValue::LongString("quorum".into()));
    channel.queue_declare(UNBLOCK.into(), durable, quorum).await.unwrap();
    let error = refusal(&variables).await;
    assert!(error.contains("inequivalent arg 'x-") && error.contains("current is none"), "{error}");
}

#[tokio::test]
async fn verify_finds_a_dead_letter_exchange_that_leads_nowhere() {
    let (vhost, _fake, variables) = declared().await;
    let channel = vhost.channel().await;
    let (queue, exchange) = (DEAD_LETTERS.into(), DEAD_LETTERS.into());
    channel.queue_unbind(queue, exchange, "#".into(), FieldTable::default()).await.unwrap();
    let error = refusal(&variables).await;
    assert!(error.contains("dead letters of user.offboarded would be lost"), "{error}");
}
