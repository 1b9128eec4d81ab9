//! Acks of many messages go together, and leave out what is still in work.

use crate::support::broker::{DEAD_LETTERS, UNBLOCK};
use crate::support::world::World;
use fake_mimecast::{Fault, FaultKind};

const MESSAGES: usize = 150;

#[tokio::test]
async fn what_is_in_work_among_many_that_are_acked_together_is_not_acked_with_them() {
    let mut world = World::with(&[("EVENTS__URL_UNBLOCK__PREFETCH", "64")]).await;
    for held in ["held-1", "held-2"] {
        world.fake.add_url(held);
        world.fake.inject(Fault::always(FaultKind::Hold).for_item_containing(held));
    }
    for number in 0..MESSAGES {
        let entry = match number {
            20 => "held-1".to_owned(),
            21 => "held-2".to_owned(),
            number => format!("entry-{number}"),
        };
        world.fake.add_url(&entry);
        world.unblock(&format!("e-{number}"), &entry).await;
    }
    world.daemon.settled(MESSAGES - 2).await;
    world.daemon.signal("KILL");
    world.daemon.ended().await;
    world.vhost.wait_for_depth(UNBLOCK, 2).await;
    assert!(world.fake.has_url("held-1") && world.fake.has_url("held-2"));

    world.fake.heal();
    world.restart_daemon().await;
    world.daemon.settled(2).await;
    world.vhost.wait_for_depth(UNBLOCK, 0).await;
    world.vhost.wait_for_depth(DEAD_LETTERS, 0).await;
    let applied = world.fake.calls().iter().filter(|call| call.applied).count();
    assert_eq!(applied, MESSAGES, "each is applied, and once");
}
