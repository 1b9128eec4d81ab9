//! Quotas of Mimecast, which are waited for before they are exceeded: one for each operation, or one for all.

use crate::support::DEADLINE;
use crate::support::eventually;
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
    let left = r#"eventd_api_quota_remaining{operation="delete_managed_url"}"#;
    let left = world.daemon.metric(left).await;
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
async fn an_offboarding_does_not_wait_for_the_quota_of_another_operation() {
    let world = World::hmac().await;
    // Longer than anything here is waited for.
    let throttle = FaultKind::Throttle { reset_milliseconds: Some(300_000), retry_after: None };
    world.fake.inject(Fault::next(throttle).for_operation(Operation::DeleteManagedUrl));
    world.unblock("e-1", "entry-1").await;
    let throttled =
        r#"eventd_api_requests_total{operation="delete_managed_url",outcome="throttled"}"#;
    world.daemon.wait_for_metric(throttled, 1.0).await;
    world.offboard("e-2", "ada@example.com", &["group-1"]).await;
    let settled = world.daemon.settled(1).await;
    assert_eq!(
        (&settled[0]["event_id"], &settled[0]["disposition"]),
        (&"e-2".into(), &"ack".into())
    );
    // A wait shows while it lasts.
    let waited = "eventd_api_throttled_seconds_total";
    eventually("the wait is counted", async || {
        (world.daemon.metric(waited).await > 2.0).then_some(())
    })
    .await;
    assert_eq!(world.fake.calls().len(), 2, "the other call still waits");
}

#[tokio::test]
async fn of_a_quota_that_all_operations_share_offboardings_have_first_what_opens() {
    let world = World::hmac().await;
    // Both kinds are refused until the same moment.
    let throttle = FaultKind::Throttle { reset_milliseconds: Some(3000), retry_after: None };
    world.fake.inject(Fault::next(throttle.clone()).for_operation(Operation::DeleteManagedUrl));
    world.fake.inject(Fault::next(throttle).for_operation(Operation::RemoveGroupMember));
    for number in 0..5 {
        world.unblock(&format!("url-{number}"), "entry-1").await;
        world.offboard(&format!("access-{number}"), "ada@example.com", &["group-1"]).await;
    }
    world.daemon.settled(10).await;
    let answered = world.fake.calls().into_iter().filter(|call| call.status == Some(200));
    let (mut removals, mut deletions) = (Vec::new(), Vec::new());
    for call in answered {
        let is_removal = call.operation == Operation::RemoveGroupMember;
        if is_removal { &mut removals } else { &mut deletions }.push(call.at);
    }
    assert_eq!((removals.len(), deletions.len()), (5, 5));
    assert!(removals.iter().max() < deletions.iter().min(), "{removals:?} {deletions:?}");
}
