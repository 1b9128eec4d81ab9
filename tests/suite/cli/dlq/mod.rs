//! Dead letters in the hands of people, most of it on a real broker.

mod finding;
mod looking;
mod settling;
mod staying;

use crate::support::broker::DEAD_LETTERS;
use crate::support::world::World;
use fake_mimecast::{Fault, FaultKind};
use lapin::BasicProperties;

/// A world with one dead letter of each of these, in this order: `rejected` by the vendor with the id
/// `refused`, `malformed` without an id, and an unblocking that is `malformed` with the id `m-2`.
async fn world_of_dead_letters() -> World {
    let world = World::hmac().await;
    world.fake.inject(
        Fault::always(FaultKind::fail("err_validation_blocked")).for_item_containing("closed"),
    );
    world.offboard("refused", "ada@example.com", &["closed"]).await;
    world.vhost.wait_for_depth(DEAD_LETTERS, 1).await;
    world.vhost.publish("user.offboarded", b"not JSON", BasicProperties::default()).await;
    world.vhost.wait_for_depth(DEAD_LETTERS, 2).await;
    let named = BasicProperties::default().with_message_id("m-2".into());
    world.vhost.publish("url.unblock", br#"{"id":7}"#, named).await;
    world.vhost.wait_for_depth(DEAD_LETTERS, 3).await;
    world
}
