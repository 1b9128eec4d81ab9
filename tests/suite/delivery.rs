//! What becomes of a message: every row of the table, on a real broker.

use crate::support::broker::{DEAD_LETTERS, OFFBOARDED, UNBLOCK};
use crate::support::settings;
use crate::support::world::World;
use fake_mimecast::{Fault, FaultKind};
use std::time::Duration;

const DEADLINE: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_message_whose_command_is_applied_is_acked() {
    let world = World::hmac().await;
    world.fake.add_member("group-1", "ada@example.com");
    world.offboard("e-1", "ada@example.com", &["group-1"]).await;
    let settled = world.daemon.settled(1).await;
    assert_eq!(settled[0]["disposition"], "ack");
    assert!(!world.fake.is_member("group-1", "ada@example.com"));
    world.vhost.wait_for_depth(OFFBOARDED, 0).await;
}
