//! The vendor's quota, shared by both lanes and waited for before it is exceeded.

use crate::support::DEADLINE;
use crate::support::broker::DEAD_LETTERS;
use crate::support::world::World;
use fake_mimecast::{Fault, FaultKind, Operation};
use std::time::Duration;

#[tokio::test]
async fn a_quota_that_is_used_up_is_waited_for_and_the_last_tenth_is_left_to_offboardings() {
    // One at a time, so that each call knows what the one before it was told.
    let world = World::with(&[("EVENTS__URL_UNBLOCK__PREFETCH", "1")]).await;
    // Far longer than it takes to come to the last tenth of it.
    let window = Duration::from_secs(8);
    world.fake.limit(10, window);
    for number in 0..12 {
        world.unblock(&format!("e-{number}"), "entry-1").await;
    }
    world.fake.wait_for_calls(9, DEADLINE).await;
    world.offboard("e-access", "ada@example.com", &["group-1"]).await;
    world.daemon.settled(13).await;

    let calls = world.fake.calls();
    assert!(calls.iter().all(|call| call.status == Some(200)), "no call had to be refused");
    assert_eq!(calls[9].operation, Operation::RemoveGroupMember, "access comes first");
    let waited = calls[10].at.duration_since(calls[0].at).unwrap();
    assert!(waited >= window, "the others did not wait until a call came back: {waited:?}");
    assert!(world.daemon.metric("eventd_api_throttled_seconds_total").await > 1.0);
    let left = world.daemon.metric("eventd_api_quota_remaining").await;
    assert!((0.0..10.0).contains(&left), "{left}");
}

#[tokio::test]
async fn the_last_tenth_of_a_quota_is_there_for_every_call_of_an_offboarding() {
    let own = [
        ("EVENTS__URL_UNBLOCK__PREFETCH", "1"),
        ("POLICY__VERIFY_EFFECT", "true"),
        ("POLICY__PROTECTED_GROUPS", r#"["Board"]"#),
    ];
    let world = World::with(&own).await;
    world.fake.name_group("id-of-board", "Board");
    world.fake.name_group("id-of-staff", "Staff");
    world.fake.add_member("id-of-staff", "ada@example.com");
    // Far longer than the test.
    world.fake.limit(60, Duration::from_secs(200));
    for number in 0..60 {
        world.unblock(&format!("e-{number}"), "entry-1").await;
    }
    // Of sixty calls six are kept back.
    world.fake.wait_for_calls(54, DEADLINE).await;
    let event = serde_json::json!({
        "specversion": "1.0", "id": "e-access", "source": "/hr", "type": "user.offboarded",
        "data": {"emailAddress": "ada@example.com", "groups": ["Staff"]},
    });
    world.publish("user.offboarded", &event.to_string()).await;
    let acked = r#"eventd_messages_settled_total{disposition="ack",event="user.offboarded"}"#;
    world.daemon.wait_for_metric(acked, 1.0).await;
    assert!(!world.fake.is_member("id-of-staff", "ada@example.com"));
    let calls = world.fake.calls();
    for operation in
        [Operation::FindGroups, Operation::RemoveGroupMember, Operation::GetGroupMembers]
    {
        assert!(calls.iter().any(|call| call.operation == operation), "{operation:?}");
    }
    assert!(calls.iter().all(|call| call.status == Some(200)), "no call had to be refused");
}

#[tokio::test]
async fn a_429_in_one_lane_makes_the_other_wait_too() {
    let world = World::hmac().await;
    let throttle = FaultKind::Throttle { reset_milliseconds: Some(1000), retry_after: None };
    world.fake.inject(Fault::next(throttle));
    world.unblock("e-1", "entry-1").await;
    world.fake.wait_for_calls(1, DEADLINE).await;
    world
        .daemon
        .wait_for_metric(
            r#"eventd_api_requests_total{operation="delete_managed_url",outcome="throttled"}"#,
            1.0,
        )
        .await;
    world.offboard("e-2", "ada@example.com", &["group-1"]).await;
    let settled = world.daemon.settled(2).await;
    assert!(settled.iter().all(|line| line["disposition"] == "ack"), "{settled:?}");
    let calls = world.fake.calls();
    let offboarding =
        calls.iter().find(|call| call.operation == Operation::RemoveGroupMember).unwrap();
    let waited = offboarding.at.duration_since(calls[0].at).unwrap();
    assert!(waited >= Duration::from_secs(1), "it waited {waited:?}");
    world.vhost.wait_for_depth(DEAD_LETTERS, 0).await;
}
