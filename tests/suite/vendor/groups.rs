//! Groups by their names: one exact name over all pages, or a refusal that says so, and never a wrong
//! verdict from pages that do not fit together.

use super::{BOTH, Pair, member, remove, shown};
use crate::support::{DEADLINE, eventually};
use fake_mimecast::{Fault, FaultKind, Operation};
use mimecast_eventd::command::Intent;
use mimecast_eventd::vendor::Effort;
use mimecast_eventd::verdict::{Conclusion, History};
use serde_json::json;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub(super) fn leave(name: &str) -> Intent {
    let member = member("ada@example.com");
    Intent::Leave { name: name.into(), place: 0, member }
}

fn questions(pair: &Pair) -> usize {
    pair.fake.calls().iter().filter(|call| call.operation == Operation::FindGroups).count()
}

/// A reply of status 200 with this body.
pub(super) fn reply(body: &serde_json::Value) -> FaultKind {
    FaultKind::Status {
        status: 200,
        headers: BTreeMap::new(),
        body: body.to_string(),
        content_type: "application/json".into(),
    }
}

/// A page with one group of another name.
fn page(total: u64, next: Option<&str>) -> FaultKind {
    let folders = json!([{"id": "other", "description": "VIP mailing list"}]);
    let pagination = json!({"pageSize": 1, "totalCount": total, "next": next});
    let meta = json!({"status": 200, "pagination": pagination});
    reply(&json!({"meta": meta, "data": [{"folders": folders}], "fail": []}))
}

fn asked(kind: FaultKind) -> Fault {
    Fault::next(kind).for_operation(Operation::FindGroups)
}

#[tokio::test]
async fn a_group_is_found_by_its_exact_name_on_whatever_page_it_is() {
    for generation in BOTH {
        let pair = Pair::new(generation).await;
        // What contains the name is found too, and fills more than two pages.
        for number in 0..1_100 {
            pair.fake.name_group(&format!("group-{number:04}"), &format!("VIP mailing {number}"));
        }
        pair.fake.name_group("group-0999", "VIP mailing");
        pair.fake.name_group("group-lower", "vip mailing");
        pair.fake.add_member("group-0999", "ada@example.com");
        let (outcome, history) = pair.fulfil(&leave("VIP mailing")).await;
        assert_eq!((&*outcome, history.attempts, questions(&pair)), ("applied", 4, 3));
        assert!(!pair.fake.is_member("group-0999", "ada@example.com"));
        assert_eq!(pair.fake.violations(), [""; 0]);
    }
}

#[tokio::test]
async fn a_name_of_no_group_and_one_of_several_are_refused_and_nothing_is_removed() {
    let pair = Pair::new(BOTH[0]).await;
    pair.fake.name_group("one", "VIP");
    pair.fake.name_group("two", "VIP");
    let (conclusion, _) = pair.fulfilled(&leave("VIP")).await;
    let shown = format!("{conclusion:?}");
    assert!(shown.contains("Ambiguous") && shown.contains("2 groups (one, two)"), "{shown}");
    // The search for one spelling does not find the other.
    pair.fake.name_group("composed", "Ärzte");
    pair.fake.name_group("decomposed", "A\u{308}rzte");
    assert_eq!(pair.fulfil(&leave("Ärzte")).await.0, "ambiguous ambiguous");
    let (outcome, _) = pair.fulfil(&leave("VI")).await;
    assert_eq!(outcome, "rejected group_not_found");
    assert_eq!(pair.operation_calls(), 0);
}

#[tokio::test]
async fn of_many_groups_of_one_name_twenty_are_told_and_of_a_near_name_128_bytes() {
    let pair = Pair::new(BOTH[0]).await;
    for number in 0..20 {
        pair.fake.name_group(&format!("vip-{number}"), "VIP");
        let expected = match number {
            0 => continue,
            19 => "20 or more groups (".to_owned(),
            _ => format!("{} groups (", number + 1),
        };
        let shown = format!("{:?}", pair.fulfilled(&leave("VIP")).await.0);
        assert!(shown.contains(&expected), "{shown}");
    }
    pair.fake.name_group("one-more", "VIP");
    let shown = format!("{:?}", pair.fulfilled(&leave("VIP")).await.0);
    assert!(
        shown.contains("20 or more groups (") && shown.matches("vip-").count() == 19,
        "{shown}"
    );
    for (spaces, shown_bytes) in [(126, 128), (127, 128)] {
        let pair = Pair::new(BOTH[0]).await;
        pair.fake.name_group("near", &format!("M{}N", " ".repeat(spaces)));
        let shown = format!("{:?}", pair.fulfilled(&leave("MN")).await.0);
        let told = if spaces + 2 <= shown_bytes {
            format!("M{}N", " ".repeat(spaces))
        } else {
            format!("M{}", " ".repeat(127))
        };
        assert!(shown.contains(&told), "{shown}");
        assert_eq!(shown.contains(&format!("M{}N", " ".repeat(spaces))), spaces == 126, "{shown}");
    }
}

#[tokio::test]
async fn an_id_is_remembered_and_looked_up_once_more_when_it_is_not_taken_any_longer() {
    for generation in BOTH {
        let pair = Pair::new(generation).await;
        pair.fake.name_group("old", "VIP");
        for _ in 0..3 {
            pair.fake.add_member("old", "ada@example.com");
            assert_eq!(pair.fulfil(&leave("VIP")).await.0, "applied");
        }
        assert_eq!(questions(&pair), 1, "it is remembered");
        pair.fake.remove_group("old");
        pair.fake.name_group("new", "VIP");
        pair.fake.add_member("new", "ada@example.com");
        assert_eq!(pair.fulfil(&leave("VIP")).await.0, "applied");
        assert!(!pair.fake.is_member("new", "ada@example.com"));
        pair.fake.remove_group("new");
        assert_eq!(pair.fulfil(&leave("VIP")).await.0, "rejected group_not_found");
    }
}

#[tokio::test]
async fn a_member_that_is_not_found_by_a_remembered_id_is_looked_for_in_the_group_of_now() {
    let pair = Pair::new(BOTH[0]).await;
    pair.fake.name_group("one", "VIP");
    assert_eq!(pair.fulfil(&leave("VIP")).await.0, "not_found");
    assert_eq!((questions(&pair), pair.operation_calls()), (1, 1));
    // The same id again: it is asked for, and nothing else is to be done.
    assert_eq!(pair.fulfil(&leave("VIP")).await.0, "not_found");
    assert_eq!((questions(&pair), pair.operation_calls()), (2, 2));
    pair.fake.name_group("one", "Former VIP");
    pair.fake.name_group("two", "VIP");
    pair.fake.add_member("two", "ada@example.com");
    assert_eq!(pair.fulfil(&leave("VIP")).await.0, "applied");
    assert!(!pair.fake.is_member("two", "ada@example.com"));
    // Where it came before, "not found" may be our own doing, and the group is another one all the same.
    pair.fake.name_group("two", "Former VIP");
    pair.fake.name_group("three", "VIP");
    pair.fake.add_member("three", "ada@example.com");
    let mut history = History { repeated: true, ..History::default() };
    assert_eq!(shown(&pair.fulfilled_after(&mut history, &leave("VIP")).await), "applied");
    assert!(!pair.fake.is_member("three", "ada@example.com"));
}

#[tokio::test]
async fn an_id_that_was_just_told_and_is_refused_is_not_asked_for_again() {
    let own = [("MIMECAST__GROUP_CACHE", "0s")];
    let pair = Pair::with(BOTH[0], &own).await;
    pair.fake.name_group("one", "VIP");
    let refusal = FaultKind::fail("err_validation_id");
    pair.fake.inject(Fault::always(refusal).for_operation(Operation::RemoveGroupMember));
    for asked in 1..=2 {
        assert_eq!(pair.fulfil(&leave("VIP")).await.0, "rejected err_validation_id");
        assert_eq!((questions(&pair), pair.operation_calls()), (asked, asked));
    }
}

#[tokio::test]
async fn pages_that_do_not_fit_together_are_read_again_and_never_a_verdict() {
    let circle = || page(9, Some("again"));
    let no_list = || reply(&json!({"meta": {"status": 200}, "data": {}, "fail": []}));
    let no_groups = || reply(&json!({"meta": {"status": 200}, "data": [{}], "fail": []}));
    let of_nothing = || FaultKind::fail("err_validation_page_token");
    for faults in [
        vec![circle(), circle()],
        // It became shorter, and has as many as it says: something moved to a page that was read already.
        vec![page(3, Some("next")), page(2, None)],
        // It ends before it should.
        vec![page(3, None)],
        vec![page(9, Some("next")), of_nothing()],
        vec![no_list()],
        vec![no_groups()],
    ] {
        let shown = format!("{faults:?}");
        let pair = Pair::new(BOTH[0]).await;
        pair.fake.name_group("one", "VIP");
        pair.fake.add_member("one", "ada@example.com");
        faults.into_iter().for_each(|fault| pair.fake.inject(asked(fault)));
        assert_eq!(pair.fulfil(&leave("VIP")).await.0, "applied", "{shown}");
    }
    let pair = Pair::new(BOTH[0]).await;
    pair.fake.name_group("one", "VIP");
    pair.fake.inject(Fault::always(circle()).for_operation(Operation::FindGroups));
    let (outcome, _) = pair.fulfil(&leave("VIP")).await;
    assert_eq!(outcome, "inconsistent inconsistent_list");
    assert_eq!(questions(&pair), 6, "three readings of two pages");
}

#[tokio::test]
async fn a_fault_in_the_middle_of_a_list_is_tried_again_where_it_was() {
    let pair = Pair::new(BOTH[1]).await;
    for number in 0..1_100 {
        pair.fake.name_group(&format!("group-{number:04}"), &format!("VIP {number}"));
    }
    pair.fake.name_group("group-1099", "VIP");
    let hold = Fault::next(FaultKind::Delay { milliseconds: 0 });
    pair.fake.inject(hold.for_operation(Operation::FindGroups));
    pair.fake.inject(asked(FaultKind::status(503)));
    pair.fake.inject(asked(FaultKind::Truncated));
    assert_eq!(pair.fulfil(&leave("VIP")).await.0, "not_found");
    assert_eq!(questions(&pair), 5, "three pages, and two attempts that failed");
}

#[tokio::test]
async fn that_a_question_may_not_be_asked_is_never_the_groups_fault() {
    let pair = Pair::new(BOTH[1]).await;
    pair.fake.name_group("one", "VIP");
    // A change that was done shows that the caller may change, not that it may ask.
    assert_eq!(pair.fulfil(&leave("VIP")).await.0, "not_found");
    for kind in [
        FaultKind::FlatFail { status: 403, code: "app_forbidden".into() },
        FaultKind::FlatFail { status: 403, code: "some_permission".into() },
        FaultKind::fail("err_xdk_operation_forbidden_for_address"),
    ] {
        pair.fake
            .inject_instead([Fault::always(kind.clone()).for_operation(Operation::FindGroups)]);
        let (outcome, _) = pair.fulfil(&leave("another")).await;
        let is_ours = ["unauthorized ", "unavailable "].iter().any(|it| outcome.starts_with(it));
        assert!(is_ours, "{kind:?}: {outcome}");
    }
    assert_eq!(pair.execute(&remove("one", "ada@example.com")).await.0, "not_found");
}

#[tokio::test]
async fn no_list_is_begun_after_the_deadline() {
    let pair = Pair::new(BOTH[0]).await;
    pair.fake.name_group("one", "VIP");
    let (outcome, history) = pair.fulfil_until(&leave("VIP"), Instant::now()).await;
    assert_eq!((&*outcome, history.attempts), ("throttled", 0));
    assert_eq!(pair.fake.calls(), []);
}

#[tokio::test]
async fn a_group_that_got_its_name_after_the_event_was_admitted_is_protected_all_the_same() {
    let own = [("POLICY__PROTECTED_GROUPS", r#"["id-of-board"]"#)];
    let pair = Pair::with(BOTH[0], &own).await;
    pair.fake.name_group("id-of-board", "VIP");
    pair.fake.add_member("id-of-board", "ada@example.com");
    // Nobody admits the event here, as if nobody had been called so when somebody did.
    assert_eq!(pair.fulfil(&leave("VIP")).await.0, "denied protected_groups");
    assert_eq!(pair.operation_calls(), 0);
}

#[tokio::test]
async fn a_stop_ends_the_wait_for_groups_that_another_message_asks_for() {
    let own = [("POLICY__PROTECTED_GROUPS", r#"["id-of-board"]"#)];
    let pair = Pair::with(BOTH[0], &own).await;
    pair.fake.name_group("id-of-board", "Board");
    pair.fake.inject(asked(FaultKind::Hold));
    let intent = Intent::Command(remove("group-1", "ada@example.com"));
    let admitted = async |stop: &CancellationToken, time: Duration| {
        let effort = Effort::new(false, Instant::now() + time);
        pair.vendor().admit(&[&intent], &mut History::default(), effort, stop).await
    };
    let (never, stop) = (CancellationToken::new(), CancellationToken::new());
    let (first, ()) = tokio::join!(admitted(&never, DEADLINE), async {
        eventually("the first asks", async || pair.fake.calls().first().cloned()).await;
        // Without the stop it would wait for as long as it may.
        let (second, ()) = tokio::join!(admitted(&stop, Duration::from_secs(4)), async {
            tokio::task::yield_now().await;
            stop.cancel();
        });
        assert!(matches!(second, Err(Conclusion::Stopped)), "{second:?}");
        pair.fake.release();
    });
    assert!(first.is_ok(), "{first:?}");
}
