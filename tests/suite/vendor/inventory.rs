//! Managed URLs by what they block: every entry that is exactly this URL, and no other.

use super::{BOTH, Pair, effort, shown};
use crate::support::DEADLINE;
use fake_mimecast::{Fault, FaultKind, Operation};
use futures_util::future::join;
use mimecast_eventd::command::Intent;
use mimecast_eventd::event::ManagedUrl;
use mimecast_eventd::verdict::{CommandResult, Conclusion, History, Judgment};
use serde_json::json;
use std::collections::BTreeMap;

pub(super) fn unblock(url: &str) -> Intent {
    Intent::Unblock(ManagedUrl::parse(url).unwrap())
}

fn readings(pair: &Pair) -> usize {
    pair.fake.calls().iter().filter(|call| call.operation == Operation::GetAllManagedUrls).count()
}

/// Whether the message is at fault without a health call, rather than Mimecast.
fn is_at_fault(conclusion: &Conclusion) -> bool {
    matches!(conclusion, Conclusion::Stuck(stuck) if stuck.judge() == Some(Judgment::AtFault))
}

/// What a change is answered with that is none.
pub(super) fn success() -> FaultKind {
    FaultKind::Status {
        status: 200,
        headers: BTreeMap::new(),
        body: r#"{"meta":{"status":200},"data":[],"fail":[]}"#.into(),
        content_type: "application/json".into(),
    }
}

#[tokio::test]
async fn every_entry_that_blocks_the_url_is_deleted_and_no_other_is_touched() {
    for generation in BOTH {
        let pair = Pair::new(generation).await;
        let page = "https://example.com/page?a=b";
        for (id, url, action, match_type) in [
            ("first", page, "block", "explicit"),
            ("once-more", "HTTPS://EXAMPLE.com:443/page?a=b", "Block", "Explicit"),
            ("encoded", "https://example.com./%70age?%61=b", "block", "explicit"),
            ("permitted", page, "permit", "explicit"),
            ("domain-permitted", page, "permit", "domain"),
            ("other-domain", "https://example.org/page", "block", "domain"),
            ("port", "https://example.com:8443/page?a=b", "block", "explicit"),
            ("other-query", "https://example.com/page?a=c", "block", "explicit"),
            ("no-query", "https://example.com/page", "block", "explicit"),
            ("case", "https://example.com/Page?a=b", "block", "explicit"),
            ("www", "https://www.example.com/page?a=b", "block", "explicit"),
        ] {
            pair.fake.add_managed_url(id, url, action, match_type);
        }
        // They are on more than one page.
        (0..1_200).for_each(|number| pair.fake.add_url(&format!("filler-{number}")));
        let (outcome, _) = pair.fulfil(&unblock("https://example.com/page?a=b#top")).await;
        assert_eq!(outcome, "applied");
        let left = ["first", "once-more", "encoded"].map(|id| pair.fake.has_url(id));
        assert_eq!(left, [false; 3]);
        let others = ["permitted", "domain-permitted", "other-domain", "port", "other-query"];
        for id in others.into_iter().chain(["no-query", "case", "www"]) {
            assert!(pair.fake.has_url(id), "{id} is gone");
        }
        assert_eq!(readings(&pair), 6, "three pages, before and after");
        assert_eq!(pair.fake.violations(), [""; 0]);
        let commands = |result: &str| {
            pair.metric(&format!(
                "eventd_commands_total{{operation=\"delete_managed_url\",result=\"{result}\"}}"
            ))
        };
        assert_eq!((commands("applied"), commands("not_found")), (3.0, 0.0));
        assert_eq!(pair.fulfil(&unblock(page)).await.0, "not_found");
        assert_eq!((commands("applied"), commands("not_found")), (3.0, 1.0));
    }
}

#[tokio::test]
async fn a_url_that_another_entry_blocks_as_well_is_rejected_with_the_id_of_that_entry() {
    for (url, match_type) in [
        ("https://example.com", "domain"),
        ("http://EXAMPLE.com./other", "domain"),
        ("http://example.com/page", "explicit"),
    ] {
        for has_own in [true, false] {
            let pair = Pair::new(BOTH[0]).await;
            if has_own {
                pair.fake.add_managed_url("own", "https://example.com/page", "block", "explicit");
            }
            pair.fake.add_managed_url("wider", url, "block", match_type);
            let (page, mut asking) = (unblock("https://example.com/page"), History::default());
            let looked_up = pair.vendor().look_up(&page, &mut asking, effort(), &pair.stop).await;
            let (conclusion, history) = pair.fulfilled(&page).await;
            assert_eq!(looked_up.as_ref(), Err(&conclusion), "who only asks is told the same");
            let shown = format!("{conclusion:?}");
            let is_told = ["Rejected", "blocked_by_another_entry", "the entry wider blocks"];
            assert!(is_told.iter().all(|it| shown.contains(it)), "{shown}");
            let left = ["own", "wider"].map(|id| pair.fake.has_url(id));
            assert_eq!(left, [false, true]);
            let applied = has_own.then_some(CommandResult::Applied);
            assert_eq!(history.result, applied, "nothing is reported that was not done");
        }
    }
}

#[tokio::test]
async fn an_entry_that_cannot_be_read_leaves_open_whether_a_url_of_its_host_is_blocked() {
    let pair = Pair::new(BOTH[0]).await;
    let unreadable = json!({"id": "odd", "action": "block", "matchType": "explicit",
        "scheme": "https", "domain": "example.com", "port": "x", "path": "/page"});
    pair.fake.add_listed_url(unreadable);
    let (conclusion, _) = pair.fulfilled(&unblock("https://example.com/page")).await;
    let shown = format!("{conclusion:?}");
    assert!(shown.contains("unreadable_entry") && shown.contains("the entry odd"), "{shown}");
    assert!(is_at_fault(&conclusion), "the list was answered");
    assert_eq!(pair.fulfil(&unblock("https://example.org/page")).await.0, "not_found");
    pair.fake.add_managed_url("own", "https://example.com/page", "block", "explicit");
    let (outcome, _) = pair.fulfil(&unblock("https://example.com/page")).await;
    assert_eq!(outcome, "inconsistent unreadable_entry");
    assert!(!pair.fake.has_url("own"), "what can be read is deleted");
}

#[tokio::test]
async fn a_list_that_shows_an_entry_twice_is_read_again_and_never_says_that_a_url_is_free() {
    let wanted = "https://example.com/page";
    for lasting in [false, true] {
        let pair = Pair::new(BOTH[0]).await;
        (0..600).for_each(|number| pair.fake.add_url(&format!("a-{number:03}")));
        pair.fake.add_managed_url("z", wanted, "block", "explicit");
        // The second page begins where the first one does, and hides the last entry.
        pair.fake.overlap_pages(Operation::GetAllManagedUrls, if lasting { u64::MAX } else { 1 });
        let (outcome, _) = pair.fulfil(&unblock(wanted)).await;
        assert_eq!(outcome, if lasting { "inconsistent inconsistent_list" } else { "applied" });
        assert_eq!(pair.fake.has_url("z"), lasting);
    }
}

#[tokio::test]
async fn pages_that_are_refused_or_too_much_are_asked_for_in_half_the_size() {
    let wanted = "https://example.com/page";
    for (most, kind) in [
        (100, FaultKind::fail("err_validation_page_size")),
        (100, FaultKind::status(400)),
        (50, FaultKind::FlatFail { status: 403, code: "err_of_tomorrow".into() }),
        (10, FaultKind::status(503)),
        (40, FaultKind::Html { status: 502 }),
    ] {
        let pair = Pair::new(BOTH[0]).await;
        (0..60).for_each(|number| pair.fake.add_url(&format!("a-{number:02}")));
        pair.fake.add_managed_url("z", wanted, "block", "explicit");
        pair.fake.largest_page(Operation::GetAllManagedUrls, most, kind.clone());
        assert_eq!(pair.fulfil(&unblock(wanted)).await.0, "applied", "{kind:?}");
        let before = readings(&pair);
        assert_eq!(pair.fulfil(&unblock(wanted)).await.0, "not_found", "{kind:?}");
        let pages = 60_usize.div_ceil(most.min(60));
        assert!(readings(&pair) - before <= pages * 2, "{kind:?}: the size is remembered");
    }
    let pair = Pair::new(BOTH[0]).await;
    pair.fake.add_managed_url("z", wanted, "block", "explicit");
    pair.fake.largest_page(Operation::GetAllManagedUrls, 9, FaultKind::fail("err_new"));
    assert_eq!(pair.fulfil(&unblock(wanted)).await.0, "unavailable err_new");
}

#[tokio::test]
async fn a_place_in_the_list_that_is_lost_is_read_again_with_pages_of_the_same_size() {
    let pair = Pair::new(BOTH[0]).await;
    (0..600).for_each(|number| pair.fake.add_url(&format!("a-{number:03}")));
    let lost = Fault::next(FaultKind::fail("err_validation_page_token")).for_later_page();
    pair.fake.inject(lost.for_operation(Operation::GetAllManagedUrls));
    assert_eq!(pair.fulfil(&unblock("https://example.com/page")).await.0, "not_found");
    assert_eq!(readings(&pair), 4, "two pages, and both of them again");
}

#[tokio::test]
async fn a_page_that_is_larger_than_a_reply_may_be_is_asked_for_in_half_the_size() {
    let pair = Pair::new(BOTH[0]).await;
    // 600 of them have 6 MB.
    for number in 0..600 {
        let url = format!("https://example.org/{number}/{}", "a".repeat(10_000));
        pair.fake.add_managed_url(&format!("a-{number:03}"), &url, "block", "explicit");
    }
    pair.fake.add_managed_url("z", "https://example.com/page", "block", "explicit");
    assert_eq!(pair.fulfil(&unblock("https://example.com/page")).await.0, "applied");
}

#[tokio::test]
async fn an_entry_that_is_told_under_another_id_is_deleted_by_that() {
    let pair = Pair::new(BOTH[0]).await;
    pair.fake.add_managed_url("one", "https://example.com", "block", "explicit");
    pair.fake.add_url_alias("one", "another");
    assert_eq!(pair.fulfil(&unblock("https://example.com/")).await.0, "applied");
    assert!(!pair.fake.has_url("one"));
}

#[tokio::test]
async fn a_url_that_stays_blocked_is_no_success_and_not_tried_for_ever() {
    let pair = Pair::new(BOTH[0]).await;
    pair.fake.add_managed_url("one", "https://example.com", "block", "explicit");
    pair.fake.inject(Fault::always(success()).for_operation(Operation::DeleteManagedUrl));
    let (conclusion, _) = pair.fulfilled(&unblock("https://example.com")).await;
    assert_eq!(shown(&conclusion), "inconsistent still_listed");
    assert!(is_at_fault(&conclusion), "the list was answered");
    assert_eq!((readings(&pair), pair.operation_calls()), (4, 4));
}

#[tokio::test]
async fn one_reading_serves_all_that_wait_and_who_comes_midway_waits_for_the_next() {
    let pair = Pair::new(BOTH[0]).await;
    let hold = Fault::next(FaultKind::Hold).for_operation(Operation::GetAllManagedUrls);
    pair.fake.inject(hold);
    let urls: Vec<Intent> =
        (0..5).map(|number| unblock(&format!("https://example.com/{number}"))).collect();
    let later = async {
        // The first reading has begun, and has not seen what is blocked now.
        crate::support::eventually("the inventory is asked for", async || {
            (readings(&pair) == 1).then_some(())
        })
        .await;
        pair.fake.add_managed_url("late", "https://example.com/4", "block", "explicit");
        let others = futures_util::future::join_all(urls[1..].iter().map(|url| pair.fulfil(url)));
        let released = async { pair.fake.release() };
        join(others, released).await.0
    };
    let (first, others) = join(pair.fulfil(&urls[0]), later).await;
    assert_eq!(first.0, "not_found");
    let others: Vec<&str> = others.iter().map(|(outcome, _)| &**outcome).collect();
    assert_eq!(others, ["not_found", "not_found", "not_found", "applied"]);
    assert_eq!(readings(&pair), 3, "the first, one for four, and one after the deletion");
}

#[tokio::test]
async fn a_reading_that_is_given_up_is_no_harm_to_those_that_wait_for_it() {
    let pair = Pair::new(BOTH[0]).await;
    pair.fake.add_managed_url("one", "https://example.com/one", "block", "explicit");
    let hang = Fault::next(FaultKind::Hang).for_operation(Operation::GetAllManagedUrls);
    pair.fake.inject(hang);
    let (url, other) = (unblock("https://example.com/one"), unblock("https://example.com/two"));
    let soon = tokio::time::Instant::now() + std::time::Duration::from_millis(300);
    let (given_up, served) = join(pair.fulfil_until(&other, soon), pair.fulfil(&url)).await;
    assert_eq!((&*given_up.0, &*served.0), ("throttled", "applied"));
}

#[tokio::test]
async fn a_refusal_of_the_inventory_condemns_no_url() {
    for kind in [
        FaultKind::fail("err_validation_null"),
        FaultKind::fail("err_new"),
        FaultKind::FlatFail { status: 403, code: "app_forbidden".into() },
        FaultKind::EmptyBody { status: 400 },
    ] {
        let pair = Pair::new(BOTH[1]).await;
        let always = Fault::always(kind.clone()).for_operation(Operation::GetAllManagedUrls);
        pair.fake.inject(always);
        let (outcome, _) = pair.fulfil(&unblock("https://example.com")).await;
        let is_stuck = ["unavailable ", "unauthorized "].iter().any(|it| outcome.starts_with(it));
        assert!(is_stuck, "{kind:?}: {outcome}");
    }
}

#[tokio::test]
async fn a_stop_ends_the_wait_for_the_inventory() {
    let pair = Pair::new(BOTH[0]).await;
    let throttled = FaultKind::Throttle { reset_milliseconds: Some(200_000), retry_after: None };
    pair.fake.inject(Fault::next(throttled).for_operation(Operation::GetAllManagedUrls));
    let (one, other) = (unblock("https://example.com/one"), unblock("https://example.com/two"));
    let stop = async {
        crate::support::eventually("the inventory is asked for", async || {
            (readings(&pair) == 1).then_some(())
        })
        .await;
        pair.stop.cancel();
    };
    let far = tokio::time::Instant::now() + DEADLINE * 20;
    let both = join(pair.fulfil_until(&one, far), pair.fulfil_until(&other, far));
    let ((one, other), ()) = join(both, stop).await;
    assert_eq!((&*one.0, &*other.0), ("stopped", "stopped"));
}

#[tokio::test]
async fn however_many_entries_block_a_url_none_is_deleted_after_the_deadline() {
    let pair = Pair::new(BOTH[0]).await;
    for number in 0..50 {
        let id = format!("entry-{number}");
        pair.fake.add_managed_url(&id, "https://example.com/a", "block", "explicit");
    }
    let slow = Fault::always(FaultKind::Delay { milliseconds: 300 });
    pair.fake.inject(slow.for_operation(Operation::DeleteManagedUrl));
    let soon = tokio::time::Instant::now() + std::time::Duration::from_secs(2);
    let (outcome, _) = pair.fulfil_until(&unblock("https://example.com/a"), soon).await;
    assert_eq!(outcome, "throttled");
    // Each takes 300 ms, so that there is no time for ten.
    assert!(pair.operation_calls() < 10, "{} deletions", pair.operation_calls());
    pair.fake.heal();
    assert_eq!(pair.fulfil(&unblock("https://example.com/a")).await.0, "applied", "it goes on");
}
