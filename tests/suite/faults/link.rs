//! Faults of the link to the broker, and of what is declared there.

use super::message::Kind;
use super::report::close;
use super::scene::Scene;
use crate::support::broker::{DEAD_LETTERS, UNBLOCK};
use fake_mimecast::FaultKind;
use lapin::options::{ExchangeDeleteOptions, QueueDeleteOptions};
use std::time::Duration;

#[tokio::test]
async fn a_connection_to_the_broker_that_is_cut_in_mid_work_loses_nothing() {
    let mut scene = Scene::with(&[]).await;
    scene.api(FaultKind::Delay { milliseconds: 100 });
    for _ in 0..10 {
        scene.publish(20).await;
        scene.calls(2).await;
        let before = scene.connections().await;
        scene.broker_link.cut();
        scene.healed();
        scene.reconnected(before).await;
    }
    close(scene, "broker connection cut").await;
}

#[tokio::test]
async fn a_connection_to_the_broker_that_is_cut_while_lanes_are_paused_loses_nothing() {
    let mut scene = Scene::with(&[]).await;
    scene.api(FaultKind::status(503));
    scene.publish(40).await;
    for _ in 0..10 {
        scene.paused().await;
        let before = scene.connections().await;
        scene.broker_link.cut();
        scene.reconnected(before).await;
    }
    scene.api_well();
    scene.healed();
    close(scene, "broker connection cut, API down").await;
}

#[tokio::test]
async fn a_link_to_the_broker_that_is_half_open_loses_nothing() {
    let mut scene = Scene::with(&[]).await;
    scene.api(FaultKind::Delay { milliseconds: 100 });
    scene.publish(20).await;
    scene.calls(2).await;
    scene.broker_link.freeze();
    scene.publish(20).await;
    scene.disconnected().await;
    scene.broker_link.open();
    scene.healed();
    close(scene, "broker link half-open").await;
}

#[tokio::test]
async fn a_link_to_the_broker_that_is_slow_loses_nothing() {
    let mut scene = Scene::with(&[]).await;
    scene.broker_link.slow(Duration::from_millis(50));
    scene.healed();
    scene.publish(40).await;
    close(scene, "broker link slow").await;
}

#[tokio::test]
async fn a_broker_that_is_not_there_at_the_start_is_waited_for() {
    let mut scene = Scene::with(&[]).await;
    scene.stop_daemon().await;
    scene.publish(20).await;
    scene.broker_link.refuse();
    scene.start_daemon().await;
    scene.session_ended(2).await;
    scene.broker_link.open();
    scene.healed();
    close(scene, "broker not there at start").await;
}

#[tokio::test]
async fn a_lane_whose_queue_is_deleted_declares_it_again_and_goes_on() {
    let mut scene = Scene::with(&[]).await;
    let channel = scene.vhost.channel().await;
    let before = scene.connections().await;
    channel.queue_delete(UNBLOCK.into(), QueueDeleteOptions::default()).await.unwrap();
    scene.healed();
    scene.one_reconnected(before).await;
    scene.daemon().wait_until_ready().await;
    scene.publish(40).await;
    close(scene, "lane queue deleted").await;
}

#[tokio::test]
async fn a_dead_letter_exchange_that_is_deleted_comes_back_and_no_dead_letter_is_lost() {
    let mut scene = Scene::with(&[]).await;
    scene.publish(20).await;
    let channel = scene.vhost.channel().await;
    let delete = ExchangeDeleteOptions::default();
    let before = scene.connections().await;
    channel.exchange_delete(DEAD_LETTERS.into(), delete).await.unwrap();
    scene.healed();
    scene.publish_one(Kind::Malformed).await;
    scene.publish(19).await;
    scene.one_reconnected(before).await;
    close(scene, "dead-letter exchange deleted").await;
}

#[tokio::test]
async fn a_dead_letter_queue_that_is_unbound_keeps_messages_until_it_is_bound_again() {
    let mut scene = Scene::with(&[]).await;
    scene.vhost.unbind_dead_letters().await;
    scene.publish(40).await;
    scene.paused().await;
    scene.vhost.bind_dead_letters().await;
    scene.healed();
    close(scene, "dead-letter queue unbound").await;
}
