//! A body that is too large for a copy, in a lane that pauses.

use crate::support::broker::DEAD_LETTERS;
use crate::support::eventually;
use crate::support::node::Node;
use crate::support::wire::{Hold, Method, Wire};
use crate::support::world::World;
use fake_mimecast::{Fault, FaultKind};

#[tokio::test]
async fn a_large_body_that_comes_as_its_lane_pauses_is_dead_lettered_whole() {
    let wire = Wire::to(Node::shared().authority()).await;
    let own = [("MIMECAST__TIMEOUT", "1s"), ("RETRY__ATTEMPTS", "1")];
    let world = World::by(&wire.authority(), &own).await;
    // After a message that was settled the lane takes several at a time.
    world.unblock("e-0", "entry-0").await;
    world.daemon.settled(1).await;
    world.fake.inject(Fault::always(FaultKind::Hang));
    world.unblock("e-1", "entry-1").await;
    world.daemon.wait_for_at_least(r#"eventd_messages_in_flight{event="url.unblock"}"#, 1.0).await;
    // The broker delivers it before it answers the cancellation of the consumer.
    wire.hold(Hold::Everything);
    let body = format!("{{\"id\":\"entry-1\",\"note\":\"{}\"}}", "x".repeat(300_000));
    world.publish_bare("url.unblock", &body).await;
    eventually("the broker delivers three messages", async || {
        (wire.broker_said(|method| *method == Method::Deliver).len() >= 3).then_some(())
    })
    .await;
    wire.wait_for("basic.cancel", 1, |method| *method == Method::Cancel).await;
    wire.hold(Hold::Nothing);
    world.fake.heal();
    let dead_letter = world.vhost.take(DEAD_LETTERS).await;
    assert!(dead_letter.body == body.as_bytes(), "{:?}", dead_letter.headers);
    assert!(dead_letter.headers.contains_key("x-death"));
}
