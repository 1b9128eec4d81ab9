//! Faults of the daemon itself: that it ends, in good order or without a warning.

use super::report::close;
use super::scene::Scene;
use fake_mimecast::{Fault, FaultKind};

#[tokio::test]
async fn a_daemon_that_is_killed_in_mid_work_leaves_nothing_undone() {
    let mut scene = Scene::with(&[]).await;
    scene.api(FaultKind::Delay { milliseconds: 100 });
    for _ in 0..3 {
        scene.publish(20).await;
        scene.calls(2).await;
        scene.kill_daemon().await;
        scene.healed();
        scene.start_daemon().await;
    }
    close(scene, "daemon killed").await;
}

#[tokio::test]
async fn a_daemon_that_is_stopped_in_mid_work_leaves_nothing_undone() {
    let mut scene = Scene::with(&[]).await;
    scene.api(FaultKind::Delay { milliseconds: 100 });
    for _ in 0..3 {
        scene.publish(20).await;
        scene.calls(2).await;
        scene.stop_daemon().await;
        scene.healed();
        scene.start_daemon().await;
    }
    close(scene, "daemon stopped").await;
}

#[tokio::test]
async fn a_daemon_that_is_killed_again_and_again_leaves_what_it_died_over_to_the_broker() {
    let mut scene = Scene::with(&[
        ("EVENTS__USER_OFFBOARDED__DELIVERY_LIMIT", "3"),
        ("EVENTS__URL_UNBLOCK__DELIVERY_LIMIT", "3"),
    ])
    .await;
    scene.ledger.broker_may_give_up = true;
    scene.fake.inject_instead([Fault::always(FaultKind::Hang)]);
    scene.publish(40).await;
    for _ in 0..4 {
        scene.calls(2).await;
        scene.kill_daemon().await;
        scene.start_daemon().await;
    }
    scene.api_well();
    scene.healed();
    close(scene, "daemon killed too often").await;
}

#[tokio::test]
async fn a_daemon_that_is_stopped_while_the_api_is_down_leaves_all_queued() {
    let mut scene = Scene::with(&[]).await;
    scene.api(FaultKind::status(503));
    scene.publish(40).await;
    scene.paused().await;
    scene.stop_daemon().await;
    scene.api_well();
    scene.healed();
    scene.start_daemon().await;
    close(scene, "daemon stopped, API down").await;
}

#[tokio::test]
async fn a_daemon_that_is_stopped_while_the_broker_is_away_leaves_all_queued() {
    let mut scene = Scene::with(&[]).await;
    scene.api(FaultKind::Delay { milliseconds: 100 });
    scene.publish(40).await;
    scene.calls(2).await;
    let before = scene.ended_sessions();
    scene.broker_link.refuse();
    scene.session_ended(before + 1).await;
    scene.stop_daemon().await;
    scene.broker_link.open();
    scene.healed();
    scene.start_daemon().await;
    close(scene, "daemon stopped, broker away").await;
}

#[tokio::test]
async fn a_daemon_that_is_stopped_over_a_half_open_link_leaves_all_queued() {
    let mut scene = Scene::with(&[("AMQP__HEARTBEAT", "10m"), ("DRAIN_TIMEOUT", "2s")]).await;
    scene.api(FaultKind::Delay { milliseconds: 100 });
    scene.publish(40).await;
    scene.calls(2).await;
    scene.broker_link.freeze();
    scene.stop_daemon().await;
    scene.broker_link.open();
    scene.healed();
    scene.start_daemon().await;
    close(scene, "daemon stopped, link half-open").await;
}
