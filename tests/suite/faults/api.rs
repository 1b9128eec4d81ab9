//! Faults of the vendor, and of the way to it.

use super::report::close;
use super::scene::Scene;
use crate::support::relay::Relay;
use fake_mimecast::FaultKind;
use std::time::Duration;

#[tokio::test]
async fn an_api_that_is_down_loses_nothing() {
    fails_for_ten_probes("API answers 503", FaultKind::status(503)).await;
}

#[tokio::test]
async fn an_api_that_resets_connections_loses_nothing() {
    fails_for_ten_probes("API resets connections", FaultKind::Reset).await;
}

#[tokio::test]
async fn an_api_that_talks_garbage_loses_nothing() {
    fails_for_ten_probes("API talks garbage", FaultKind::NotJson).await;
}

#[tokio::test]
async fn an_api_that_hangs_loses_nothing() {
    let mut scene = Scene::with(&[("MIMECAST__TIMEOUT", "1s")]).await;
    scene.api(FaultKind::Hang);
    scene.publish(40).await;
    scene.paused().await;
    scene.probes(4).await;
    scene.api_well();
    scene.healed();
    close(scene, "API hangs").await;
}

#[tokio::test]
async fn an_api_whose_replies_are_lost_is_asked_again() {
    fails_for_ten_probes("API replies are lost", FaultKind::LoseReply).await;
}

#[tokio::test]
async fn an_api_that_refuses_the_credentials_loses_nothing() {
    let mut scene = Scene::with(&[]).await;
    scene.publish(10).await;
    scene.fake.refuse_credentials(true);
    scene.publish(30).await;
    scene.paused().await;
    scene.probes(10).await;
    scene.api_well();
    scene.healed();
    close(scene, "API refuses the credentials").await;
}

#[tokio::test]
async fn an_api_that_is_out_of_quota_is_waited_for() {
    let mut scene = Scene::with(&[]).await;
    scene.fake.limit(10, Duration::from_millis(200));
    scene.healed();
    scene.publish(40).await;
    close(scene, "API is out of quota").await;
}

#[tokio::test]
async fn an_api_that_is_not_reachable_loses_nothing() {
    link_fails("API is not reachable", Relay::refuse).await;
}

#[tokio::test]
async fn an_api_behind_a_half_open_link_loses_nothing() {
    link_fails("API link half-open", Relay::freeze).await;
}

#[tokio::test]
async fn replies_that_are_lost_on_the_way_are_asked_for_again() {
    link_fails("API link loses replies", Relay::swallow).await;
}

/// Publishes before and during a fault of the link that lasts until both lanes are paused.
async fn link_fails(row: &str, fail: fn(&Relay)) {
    let mut scene = Scene::with(&[("MIMECAST__TIMEOUT", "1s")]).await;
    scene.publish(10).await;
    fail(&scene.api_link);
    scene.publish(30).await;
    scene.paused().await;
    scene.api_link.open();
    scene.healed();
    close(scene, row).await;
}

/// Publishes before and during a fault of every call that lasts for ten calls of paused lanes.
async fn fails_for_ten_probes(row: &str, kind: FaultKind) {
    let mut scene = Scene::with(&[]).await;
    scene.publish(10).await;
    scene.api(kind);
    scene.publish(20).await;
    scene.paused().await;
    scene.publish(10).await;
    scene.probes(10).await;
    scene.api_well();
    scene.healed();
    close(scene, row).await;
}
