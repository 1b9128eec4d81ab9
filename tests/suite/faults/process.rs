//! A daemon that dies until the broker gives up its messages.

use super::report::close;
use super::scene::Scene;
use fake_mimecast::{Fault, FaultKind};

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
