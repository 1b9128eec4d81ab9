//! Health calls: what each answer to them says, and that they change nothing.

use super::{ATTEMPTS, BOTH, Pair};
use fake_mimecast::{Fault, FaultKind};
use mimecast_eventd::command::Operation;
use mimecast_eventd::vendor::{Effort, Health};
use std::time::Duration;
use tokio::time::Instant;

impl Pair {
    async fn health(&self, operation: Operation, groups: &[&str]) -> Health {
        let effort = Effort { probe: true, deadline: Instant::now() + Duration::from_secs(10) };
        let groups: Vec<String> = groups.iter().map(|group| (*group).to_owned()).collect();
        self.vendor.health(operation, &groups, effort, &self.stop).await
    }
}

#[tokio::test]
async fn every_operation_is_answered_and_nothing_is_changed() {
    for generation in BOTH {
        let pair = Pair::new(generation).await;
        pair.fake.add_member("group-1", "ada@example.com");
        pair.fake.add_url("entry-1");
        for operation in Operation::ALL {
            for groups in [&[][..], &["group-1"], &["no group of this tenant"]] {
                assert_eq!(pair.health(operation, groups).await, Health::Answered, "{operation:?}");
            }
        }
        assert!(pair.fake.is_member("group-1", "ada@example.com") && pair.fake.has_url("entry-1"));
        assert_eq!(pair.fake.violations(), [""; 0]);
    }
}

#[tokio::test]
async fn what_is_forbidden_for_one_group_is_asked_for_another() {
    let forbidden = || FaultKind::fail("err_xdk_operation_forbidden_for_address");
    let remove = Operation::RemoveGroupMember;
    for (item, groups, is_forbidden) in [
        // A tenant that forbids what it does not know.
        ("mimecast-eventd-health-", &[][..], true),
        ("mimecast-eventd-health-", &["group-1"], false),
        // A group that nobody may change.
        ("group-1", &["group-1"], false),
        ("group-1", &["group-1", "group-2"], false),
        // A permission that is missing.
        ("", &["group-1", "group-2"], true),
    ] {
        let pair = Pair::new(BOTH[0]).await;
        pair.fake.add_group("group-2");
        pair.fake.inject(Fault::always(forbidden()).for_item_containing(item));
        let health = pair.health(remove, groups).await;
        assert_eq!(matches!(health, Health::Forbidden(_)), is_forbidden, "{item} {groups:?}");
        assert_eq!(health == Health::Answered, !is_forbidden, "{item} {groups:?}");
    }
}

#[tokio::test]
async fn some_groups_of_the_tenant_are_found_to_ask_for() {
    let pair = Pair::new(BOTH[0]).await;
    let effort = || Effort { probe: true, deadline: Instant::now() + Duration::from_secs(10) };
    assert_eq!(pair.vendor.some_groups(effort(), &pair.stop).await, ["group-1"]);
    (2..10).for_each(|number| pair.fake.add_group(&format!("group-{number}")));
    assert_eq!(pair.vendor.some_groups(effort(), &pair.stop).await.len(), 3);
    for kind in [FaultKind::status(503), FaultKind::NotJson, FaultKind::Forbidden] {
        pair.fake.inject(Fault::always(kind).for_operation(fake_mimecast::Operation::FindGroups));
        assert_eq!(pair.vendor.some_groups(effort(), &pair.stop).await, [""; 0]);
        pair.fake.heal();
    }
}

#[tokio::test]
async fn whoever_is_not_mimecast_or_refuses_us_has_not_answered() {
    for (kind, code) in [
        (FaultKind::status(503), "http_503"),
        (FaultKind::Html { status: 200 }, "no_verdict"),
        (FaultKind::status(404), "http_404"),
        (FaultKind::Reset, "connection"),
        (FaultKind::Unauthorized, "err_xdk_invalid_signature"),
        (FaultKind::Forbidden, "app_forbidden"),
    ] {
        let pair = Pair::new(BOTH[0]).await;
        pair.fake.inject(Fault::always(kind.clone()));
        let health = pair.health(Operation::DeleteManagedUrl, &[]).await;
        let Health::NotAnswered(fault) = health else { panic!("{kind:?}: {health:?}") };
        assert_eq!(fault.code, code, "{kind:?}");
        pair.fake.heal();
        assert_eq!(pair.health(Operation::DeleteManagedUrl, &[]).await, Health::Answered);
    }
}

#[tokio::test]
async fn a_quota_that_is_used_up_and_a_stop_leave_it_open() {
    let pair = Pair::with(BOTH[0], &[ATTEMPTS]).await;
    let hour = FaultKind::Throttle { reset_milliseconds: Some(3_600_000), retry_after: None };
    pair.fake.inject(Fault::next(hour));
    assert_eq!(pair.health(Operation::FindGroups, &[]).await, Health::OutOfTime);
    pair.stop.cancel();
    assert_eq!(pair.health(Operation::DeleteManagedUrl, &[]).await, Health::OutOfTime);
}
