//! Removals of members that are read back, and by every spelling under which Mimecast may list them.

use super::inventory::success;
use super::{BOTH, Pair, remove, shown};
use fake_mimecast::{Fault, FaultKind, Operation};
use mimecast_eventd::command::Intent;
use mimecast_eventd::verdict::History;

/// Müller, as a directory may write it that takes letters and their marks apart.
const DECOMPOSED: &str = "mu\u{308}ller@example.com";

async fn verifying() -> Pair {
    Pair::with(BOTH[0], &[("POLICY__VERIFY_EFFECT", "true")]).await
}

fn leaves(group: &str, address: &str) -> Intent {
    Intent::Command(remove(group, address))
}

#[tokio::test]
async fn of_several_removals_only_that_is_seen_which_was_read_back() {
    let pair = verifying().await;
    ["kept", "left"].iter().for_each(|group| pair.fake.add_member(group, "ada@example.com"));
    let lie = Fault::always(success()).for_operation(Operation::RemoveGroupMember);
    pair.fake.inject(lie.for_item_containing("kept"));
    let mut history = History::default();
    for (group, expected) in [("kept", "contradicted effect_not_seen"), ("left", "applied")] {
        let intent = leaves(group, "ada@example.com");
        assert_eq!(shown(&pair.fulfilled_after(&mut history, &intent).await), expected);
    }
    let seen = history.executions.iter().map(|it| it.seen_gone_at.is_some());
    assert_eq!(seen.collect::<Vec<_>>(), [false, true]);
}

#[tokio::test]
async fn an_outage_at_a_spelling_that_is_listed_is_an_outage_and_no_contradiction() {
    let pair = verifying().await;
    pair.fake.add_member("staff", DECOMPOSED);
    let outage = Fault::always(FaultKind::status(503)).for_item_containing(DECOMPOSED);
    pair.fake.inject(outage);
    let intent = leaves("staff", "müller@example.com");
    assert_eq!(pair.fulfil(&intent).await.0, "unavailable http_503");
    pair.fake.heal();
    assert_eq!(pair.fulfil(&intent).await.0, "applied");
    assert!(!pair.fake.is_member("staff", DECOMPOSED));
}

#[tokio::test]
async fn a_name_that_may_be_the_member_keeps_no_readable_spelling_in_the_group() {
    let pair = verifying().await;
    pair.fake.add_member("staff", DECOMPOSED);
    pair.fake.add_member("staff", "SMTP:müller@example.com");
    let (outcome, _) = pair.fulfil(&leaves("staff", "müller@example.com")).await;
    assert_eq!(outcome, "inconsistent unreadable_member");
    assert!(!pair.fake.is_member("staff", DECOMPOSED));
}

#[tokio::test]
async fn that_mimecast_refuses_the_other_spelling_of_a_domain_is_no_refusal_of_the_event() {
    let pair = Pair::new(BOTH[0]).await;
    let refusal = FaultKind::fail("err_validation_invalid_email_address");
    pair.fake.inject(Fault::always(refusal).for_item_containing("bücher"));
    let (outcome, _) = pair.fulfil(&leaves("group-1", "ada@bücher.example")).await;
    assert_eq!((&*outcome, pair.operation_calls()), ("not_found", 2));
}

#[tokio::test]
async fn ten_spellings_of_a_member_are_removed_of_each_reading_and_too_many_are_no_success() {
    // Of three readings the last one has to see that nothing is left.
    for (spellings, expected) in [(20, "applied"), (21, "contradicted effect_not_seen")] {
        let pair = verifying().await;
        let address = "üüüüü@example.com";
        let spelled: Vec<String> = (1..=spellings)
            .map(|number: usize| {
                let letter =
                    |place: usize| if number >> place & 1 == 1 { "u\u{308}" } else { "ü" };
                (0..5).map(letter).chain(["@example.com"]).collect()
            })
            .collect();
        spelled.iter().for_each(|name| pair.fake.add_member("staff", name));
        let (outcome, _) = pair.fulfil(&leaves("staff", address)).await;
        assert_eq!(outcome, expected, "{spellings} spellings");
        assert!(!spelled.iter().any(|name| pair.fake.is_member("staff", name)), "{spellings}");
    }
}
