//! Every order of events in small worlds, many in larger ones, and rules that are broken on purpose.

use model::exploration::explore;
use model::walk::walk;
use model::worlds::{self, one_lane, two_messages};
use model::{Faults, Item, Mistake, Protocol};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

#[test]
fn every_order_of_events_in_a_small_world_keeps_the_rules() {
    for world in worlds::all().into_iter().filter(|world| !world.is_large) {
        let explored = explore(&world.protocol);
        let explored = explored.unwrap_or_else(|story| panic!("{}:\n{story}", world.name));
        // A world in which next to nothing happens proves next to nothing.
        assert!(explored.states > 1_000 && explored.longest > 20, "{}: {explored:?}", world.name);
        let row = explored.row(world.name);
        assert!(page().contains(&row), "docs/proof.md does not have this row: {row}");
    }
}

#[test]
fn the_page_has_a_row_for_every_world() {
    let is_told = |name: &str| page().contains(&format!("| {name} | "));
    let missing: Vec<&str> =
        worlds::all().iter().map(|world| world.name).filter(|it| !is_told(it)).collect();
    assert_eq!(missing, [""; 0], "docs/proof.md has no row for these");
}

fn page() -> String {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/proof.md");
    fs::read_to_string(page).expect("the page is part of the repository")
}

#[test]
fn ten_thousand_walks_through_a_large_world_keep_the_rules_and_end() {
    let protocol = worlds::for_walks();
    let mut lengths = BTreeSet::new();
    for seed in 0..10_000 {
        lengths.insert(walk(&protocol, seed).unwrap_or_else(|story| panic!("{story}")));
    }
    assert!(lengths.len() > 100, "they are much the same: {lengths:?}");
}

#[test]
fn a_seed_repeats_its_walk_exactly() {
    let protocol = Protocol { mistake: Some(Mistake::BlameAtOnce), ..worlds::for_walks() };
    let story = (0..100).find_map(|seed| walk(&protocol, seed).err().map(|story| (seed, story)));
    let (seed, story) = story.expect("a walk in a hundred meets an outage");
    assert_eq!(walk(&protocol, seed), Err(story));
}

/// What the checker tells of a world in which a rule is broken on purpose.
fn story_of(mistake: Mistake, protocol: Protocol) -> String {
    let protocol = Protocol { mistake: Some(mistake), has_to_end: false, ..protocol };
    explore(&protocol).expect_err("the mistake is noticed")
}

fn crash() -> Faults {
    Faults { crashes: 1, ..Faults::default() }
}

fn outage() -> Faults {
    Faults { outages: 1, ..Faults::default() }
}

#[test]
fn an_ack_before_the_copy_loses_a_message() {
    let story = story_of(Mistake::AckFirst, two_messages(crash()));
    assert!(story.starts_with("Broken: nothing is lost."), "{story}");
    assert!(story.contains("reaches lane 0. It fails at it."), "{story}");
    assert!(story.contains("  8. Lane 0 tells the broker what becomes of the poison"), "{story}");
    assert!(!story.contains("  9. "), "there is a shorter one: {story}");
}

#[test]
fn a_return_that_counts_makes_an_innocent_a_dead_letter_in_an_outage() {
    let lanes = vec![vec![Item::Good(1), Item::Good(2)]];
    let protocol = Protocol { lanes, ..two_messages(outage()) };
    let story = story_of(Mistake::ParkByRequeue, protocol);
    assert!(story.starts_with("Broken: no innocent is a dead letter."), "{story}");
    assert!(story.contains("FAULT: the vendor falls ill."), "{story}");
    assert!(story.contains("delivery_limit"), "{story}");
}

#[test]
fn a_lane_that_goes_on_without_an_answer_is_noticed() {
    let story = story_of(Mistake::ResumeBlindly, two_messages(outage()));
    assert!(
        story.starts_with("Broken: no lane goes on before the vendor has answered."),
        "{story}"
    );
    assert!(story.contains("pauses"), "{story}");
}

#[test]
fn blame_without_evidence_makes_an_innocent_a_dead_letter() {
    let story = story_of(Mistake::BlameAtOnce, two_messages(outage()));
    assert!(story.starts_with("Broken: no innocent is a dead letter."), "{story}");
    assert!(story.contains("retries_exhausted"), "{story}");
}

#[test]
fn a_probe_with_more_than_one_attempt_is_noticed() {
    let story = story_of(Mistake::ProbeWithAllAttempts, two_messages(outage()));
    assert!(story.starts_with("Broken: a paused lane asks once with each probe."), "{story}");
}

#[test]
fn poison_that_excuses_poison_is_told_as_a_circle() {
    let lanes = vec![vec![Item::Poison, Item::Poison]];
    let protocol = Protocol { lanes, mistake: Some(Mistake::ForgetRelapses), ..one_lane(outage()) };
    let story = explore(&protocol).expect_err("the mistake is noticed");
    assert!(story.starts_with("Broken: everything ends."), "{story}");
    assert!(story.contains("And then again and again:"), "{story}");
}
