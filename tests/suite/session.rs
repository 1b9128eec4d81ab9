//! Sessions with the broker: each way in which one ends, and that the next one takes over.

use crate::support::broker::{UNBLOCK, Vhost};
use crate::support::daemon::Daemon;
use crate::support::node::Node;
use crate::support::relay::Relay;
use crate::support::settings::{self, named};
use crate::support::world::World;
use crate::support::{DEADLINE, eventually};
use fake_mimecast::{FakeMimecast, Fault, FaultKind};
use lapin::options::QueueDeleteOptions;

#[tokio::test]
async fn a_connection_that_is_cut_is_made_anew_and_the_message_comes_again() {
    let relay = Relay::to(Node::shared().authority()).await;
    let world = World::by(&relay.authority(), &[]).await;
    world.fake.add_url("entry-1");
    world.fake.inject(Fault::next(FaultKind::Delay { milliseconds: 500 }));
    world.unblock("e-1", "entry-1").await;
    world.fake.wait_for_calls(1, DEADLINE).await;
    relay.cut();

    let settled = r#"eventd_messages_settled_total{disposition="ack",event="url.unblock"}"#;
    world.daemon.wait_for_metric(settled, 1.0).await;
    assert!(!world.fake.has_url("entry-1"));
    // The first handling went on to its end, and its ack had nowhere to go.
    world.daemon.wait_for_metric("eventd_settle_lost_total", 1.0).await;
    world.daemon.wait_for_metric("eventd_amqp_connections_total", 2.0).await;
    world.daemon.wait_for_metric("eventd_amqp_connected", 1.0).await;
    world.vhost.wait_for_depth(UNBLOCK, 0).await;
}

#[tokio::test]
async fn a_link_that_is_half_open_is_given_up_after_two_heartbeats() {
    let relay = Relay::to(Node::shared().authority()).await;
    let world = World::by(&relay.authority(), &[("AMQP__HEARTBEAT", "1s")]).await;
    relay.freeze();
    world.daemon.wait_for_metric("eventd_amqp_connected", 0.0).await;
    assert_eq!(world.daemon.get("/readyz").await.0, 503);
    relay.cut();
    relay.open();
    world.daemon.wait_until_ready().await;
    world.unblock("e-1", "entry-1").await;
    assert_eq!(world.daemon.settled(1).await[0]["disposition"], "ack");
}

#[tokio::test]
async fn a_consumer_that_is_cancelled_by_the_broker_comes_back() {
    let world = World::hmac().await;
    let channel = world.vhost.channel().await;
    channel.queue_delete(UNBLOCK.into(), QueueDeleteOptions::default()).await.unwrap();
    let ended = eventually("the daemon tells of it", async || {
        world.daemon.logged("the session ended").first().cloned()
    })
    .await;
    assert!(ended["error"].as_str().unwrap().contains(UNBLOCK), "{ended}");
    world.vhost.wait_for_consumer(UNBLOCK).await;
    world.daemon.wait_until_ready().await;
    world.unblock("e-1", "entry-1").await;
    assert_eq!(world.daemon.settled(1).await[0]["disposition"], "ack");
}

#[tokio::test]
async fn a_broker_that_is_not_there_is_waited_for_and_one_that_dies_is_found_again() {
    let folder = tempfile::tempdir().unwrap();
    let node = Node::start(folder.path(), None);
    let vhost = Vhost::on(&node).await;
    let fake = FakeMimecast::start(fake_mimecast::Credentials::default()).await;
    let mut variables = settings::hmac(&fake);
    variables.extend([named("AMQP__URL", &vhost.url)]);
    node.kill();

    let daemon = Daemon::start(&variables).await;
    eventually("the daemon says that it cannot connect", async || {
        daemon.logged("the session ended").first().cloned()
    })
    .await;
    let (status, why) = daemon.get("/readyz").await;
    assert_eq!(status, 503);
    assert!(why.contains("user.offboarded disconnected: cannot connect to the broker"), "{why}");
    assert_eq!(daemon.get("/livez").await.0, 200);
    assert_eq!(daemon.metric("eventd_amqp_connected").await, 0.0);

    let node = Node::start(folder.path(), None);
    daemon.wait_until_ready().await;
    // In good order first: RabbitMQ may lose a quorum queue that is killed right after its birth.
    node.stop();
    daemon.wait_for_metric("eventd_amqp_connected", 0.0).await;
    let node = Node::start(folder.path(), None);
    daemon.wait_until_ready().await;
    node.kill();
    daemon.wait_for_metric("eventd_amqp_connected", 0.0).await;
    let _node = Node::start(folder.path(), None);
    daemon.wait_until_ready().await;
    daemon.wait_for_metric("eventd_amqp_connections_total", 3.0).await;
}
