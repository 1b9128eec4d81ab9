//! Connections to the broker that are cut, and made again each time.

use super::report::close;
use super::scene::Scene;
use fake_mimecast::FaultKind;

/// So that ten connections in a row take seconds.
const SHORT_WAITS: [(&str, &str); 1] = [("TIMINGS", "first_reconnect=50ms,last_reconnect=500ms")];

#[tokio::test]
async fn a_connection_to_the_broker_that_is_cut_in_mid_work_loses_nothing() {
    let mut scene = Scene::with(&SHORT_WAITS).await;
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
    let mut scene = Scene::with(&SHORT_WAITS).await;
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
