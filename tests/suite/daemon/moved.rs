//! What was published straight to a lane's queue, or moved to it.

use crate::support::broker::{DEAD_LETTERS, OFFBOARDED, UNBLOCK};
use crate::support::eventually;
use crate::support::program::run;
use crate::support::world::World;
use lapin::BasicProperties;
use lapin::options::{BasicGetOptions, BasicRejectOptions, QueueBindOptions};
use lapin::types::FieldTable;
use mimecast_eventd::event::EventType;
use serde_json::json;

#[tokio::test]
async fn a_bare_body_that_was_published_or_moved_straight_to_a_queue_is_of_its_lanes_type() {
    let world = World::hmac().await;
    let body = |who: &str| json!({"emailAddress": format!("{who}@example.com"), "groupIds": ["group-1"], "id": "entry-1", "note": "HALF"});
    let body = |who: &str| body(who).to_string().replace("HALF", r"\ud83d").into_bytes();
    let people = ["straight", "moved", "by-key", "hired", "other", "of-other"];
    for who in people {
        world.fake.add_member("group-1", &format!("{who}@example.com"));
    }
    let channel = world.vhost.channel().await;
    let (options, none) = (QueueBindOptions::default(), FieldTable::default());
    let (queue, events, key) = (OFFBOARDED.into(), "events".into(), "user.hired".into());
    channel.queue_bind(queue, events, key, options, none).await.unwrap();

    // What the broker itself dead-letters has no headers of ours.
    for lane in EventType::ALL {
        run(&world.variables, &["pause", lane.name(), "--why", "a test"]).await;
    }
    for (queue, exchange, key, who) in [
        (OFFBOARDED, "", OFFBOARDED, "moved"),
        (OFFBOARDED, "events", "user.offboarded", "by-key"),
        (OFFBOARDED, "events", "user.hired", "hired"),
        (UNBLOCK, "events", "url.unblock", "other"),
        (UNBLOCK, "", UNBLOCK, "of-other"),
    ] {
        world.vhost.publish_to(exchange, key, &body(who), BasicProperties::default()).await;
        let got = eventually("it is in its queue", async || {
            channel.basic_get(queue.into(), BasicGetOptions::default()).await.unwrap()
        });
        got.await.reject(BasicRejectOptions { requeue: false }).await.unwrap();
    }
    // The management UI moves all of a queue, with properties and headers, through the default exchange.
    for _ in 1..people.len() {
        let letter = world.vhost.take(DEAD_LETTERS).await;
        assert!(letter.headers.contains_key("x-death"), "{:?}", letter.headers);
        world.vhost.publish_to("", OFFBOARDED, &letter.body, letter.properties).await;
    }
    world.vhost.publish_to("", OFFBOARDED, &body("straight"), BasicProperties::default()).await;
    for lane in EventType::ALL {
        run(&world.variables, &["resume", lane.name()]).await;
    }
    let settled = world.daemon.settled(people.len()).await;
    for (who, stays) in people.into_iter().zip([false, false, false, true, true, true]) {
        let is_member = world.fake.is_member("group-1", &format!("{who}@example.com"));
        assert_eq!(is_member, stays, "{who}: {settled:?}");
    }
    let mut keys = Vec::new();
    for _ in 0..3 {
        let letter = world.vhost.take(DEAD_LETTERS).await;
        assert_eq!(letter.header("x-eventd-reason"), "unsupported");
        keys.push(letter.header("x-eventd-routing-key").to_owned());
    }
    keys.sort_unstable();
    assert_eq!(keys, [UNBLOCK, "url.unblock", "user.hired"]);
}
