//! Health calls: what each answer to them says, and that they change nothing.

use super::{ATTEMPTS, BOTH, Pair, delete, remove_ada};
use fake_mimecast::{Fault, FaultKind};
use mimecast_eventd::command::Operation;
use mimecast_eventd::vendor::Effort;
use mimecast_eventd::verdict::Health;
use std::time::Duration;
use tokio::time::Instant;

impl Pair {
    async fn health(&self, operation: Operation, group: Option<&str>) -> Health {
        let effort = Effort::new(true, Instant::now() + Duration::from_secs(10));
        self.vendor().health_call(operation, group.map(str::to_owned), effort, &self.stop).await
    }

    /// The calls of an operation so far.
    fn calls_of(&self, operation: Operation) -> usize {
        self.fake.calls().iter().filter(|call| call.operation.path() == operation.path()).count()
    }
}

#[tokio::test]
async fn every_operation_is_answered_and_nothing_is_changed() {
    for generation in BOTH {
        let pair = Pair::new(generation).await;
        pair.fake.add_member("group-1", "ada@example.com");
        pair.fake.add_url("entry-1");
        for operation in Operation::ALL {
            for group in [None, Some("group-1"), Some("no group of this tenant")] {
                assert_eq!(pair.health(operation, group).await, Health::Answered, "{operation:?}");
            }
        }
        assert!(pair.fake.is_member("group-1", "ada@example.com") && pair.fake.has_url("entry-1"));
        assert_eq!(pair.fake.violations(), [""; 0]);
    }
}

#[tokio::test]
async fn what_fails_for_one_group_is_asked_for_another() {
    let forbidden = || FaultKind::fail("err_xdk_operation_forbidden_for_address");
    let unknown = || FaultKind::FlatFail { status: 403, code: "of_tomorrow".into() };
    let bare = || FaultKind::FlatFail { status: 403, code: String::new() };
    for kind in [forbidden(), unknown(), bare(), FaultKind::status(503)] {
        for (items, group, is_answered) in [
            // A tenant that forbids what it does not know, and tells its groups.
            (&["mimecast-eventd-health-"][..], None, true),
            (&["mimecast-eventd-health-"], Some("group-1"), true),
            // A group that nobody may change.
            (&["group-1"], Some("group-1"), true),
            (&["group-1", "mimecast-eventd-health-"], Some("group-1"), true),
            // A permission that is missing.
            (&["group-1", "group-2", "mimecast-eventd-health-"], Some("group-1"), false),
            // Groups that nobody may change, perhaps.
            (&["group-1", "group-2"], Some("group-1"), true),
        ] {
            let pair = Pair::new(BOTH[0]).await;
            pair.fake.add_group("group-2");
            for item in items {
                pair.fake.inject(Fault::always(kind.clone()).for_item_containing(*item));
            }
            let health = pair.health(Operation::RemoveGroupMember, group).await;
            assert_eq!(health == Health::Answered, is_answered, "{kind:?} {items:?} {group:?}");
        }
    }
}

#[tokio::test]
async fn a_group_that_was_answered_and_is_forbidden_now_leaves_it_open() {
    for kind in [
        FaultKind::fail("err_xdk_operation_forbidden_for_address"),
        FaultKind::FlatFail { status: 403, code: "of_tomorrow".into() },
        FaultKind::fail("err_of_tomorrow"),
    ] {
        let pair = Pair::new(BOTH[0]).await;
        let forbid = || {
            let of = fake_mimecast::Operation::RemoveGroupMember;
            pair.fake.inject(Fault::always(kind.clone()).for_operation(of));
        };
        let health = || pair.health(Operation::RemoveGroupMember, None);
        forbid();
        assert!(matches!(health().await, Health::Forbidden(_)), "nothing was answered before");
        pair.fake.heal();
        assert_eq!(pair.execute(&remove_ada()).await.0, "not_found");
        forbid();
        assert!(matches!(health().await, Health::Forbidden(_)), "{kind:?}");
        // Nor does it help that one that is made up is not there.
        pair.fake.heal();
        pair.fake.inject(Fault::always(kind.clone()).for_item_containing("group-"));
        assert!(matches!(health().await, Health::Forbidden(_)), "{kind:?}");
        pair.fake.heal();
        assert_eq!(health().await, Health::Answered);
    }
}

#[tokio::test]
async fn an_entry_that_is_made_up_and_forbidden_says_nothing_once_a_real_one_was_answered() {
    let pair = Pair::new(BOTH[0]).await;
    let kind = FaultKind::FlatFail { status: 403, code: "of_tomorrow".into() };
    pair.fake.inject(Fault::always(kind).for_item_containing("mimecast-eventd-health-"));
    let health = || pair.health(Operation::DeleteManagedUrl, None);
    assert!(matches!(health().await, Health::Forbidden(_)));
    assert_eq!(pair.execute(&delete("entry-1")).await.0, "not_found");
    assert!(matches!(health().await, Health::Unclear(_)));
}

#[tokio::test]
async fn all_that_wait_share_one_health_call_of_their_operation() {
    let pair = Pair::with(BOTH[0], &[ATTEMPTS, ("MIMECAST__TIMEOUT", "1s")]).await;
    pair.fake.inject(Fault::always(FaultKind::Delay { milliseconds: 300 }));
    let ask = |operation| {
        let deadline = Instant::now() + Duration::from_secs(10);
        pair.current.health(operation, None, deadline, &pair.stop)
    };
    let remove = Operation::RemoveGroupMember;
    // Those that come while one is in flight share the next one: it may have been answered before their own failure.
    let asked = [remove, remove, remove, Operation::DeleteManagedUrl].map(ask);
    let healths = futures_util::future::join_all(asked).await;
    assert_eq!(healths, [const { Health::Answered }; 4]);
    assert_eq!((pair.calls_of(remove), pair.calls_of(Operation::DeleteManagedUrl)), (2, 1));
    assert_eq!(ask(remove).await, Health::Answered);
    assert_eq!(pair.calls_of(remove), 3, "the next one is another call");
    // That Mimecast did not answer counts for all of them.
    pair.fake.heal();
    pair.fake.inject(Fault::always(FaultKind::Hang));
    let asked = [ask(remove), ask(remove), ask(remove)];
    let healths = futures_util::future::join_all(asked).await;
    assert!(healths.iter().all(|it| matches!(it, Health::NotAnswered(_))), "{healths:?}");
    assert!(pair.calls_of(remove) <= 3 + 2, "one call, of several forms");
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
        let health = pair.health(Operation::DeleteManagedUrl, None).await;
        let Health::NotAnswered(fault) = health else { panic!("{kind:?}: {health:?}") };
        assert_eq!(fault.code, code, "{kind:?}");
        pair.fake.heal();
        assert_eq!(pair.health(Operation::DeleteManagedUrl, None).await, Health::Answered);
    }
}

#[tokio::test]
async fn a_quota_that_is_used_up_and_a_stop_leave_it_open() {
    let pair = Pair::with(BOTH[0], &[ATTEMPTS]).await;
    let hour = FaultKind::Throttle { reset_milliseconds: Some(3_600_000), retry_after: None };
    pair.fake.inject(Fault::next(hour));
    assert_eq!(pair.health(Operation::FindGroups, None).await, Health::OutOfTime);
    pair.stop.cancel();
    assert_eq!(pair.health(Operation::DeleteManagedUrl, None).await, Health::OutOfTime);
}
