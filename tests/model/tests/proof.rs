//! Every order of events in small worlds, many in larger ones, and rules that are broken on purpose.

use model::Item::{Good, Poison, Refused};
use model::exploration::explore;
use model::walk::walk;
use model::worlds::{self, HALF_OUTAGE, NONE, OUTAGE, forbidden, one};
use model::{Faults, Mistake, Protocol};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

const CRASH: Faults = Faults { crashes: 1, ..NONE };
const STOP: Faults = Faults { stops: 1, ..NONE };

#[test]
fn every_order_of_events_in_a_small_world_keeps_the_rules() {
    for world in worlds::all().into_iter().filter(|world| !world.is_large) {
        let explored = explore(&world.protocol);
        let explored = explored.unwrap_or_else(|story| panic!("{}:\n{story}", world.name));
        // A world in which next to nothing happens proves next to nothing.
        assert!(explored.states > 10 && explored.longest > 5, "{}: {explored:?}", world.name);
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
    let protocol = Protocol { mistake: Some(Mistake::BlameWithoutAsking), ..worlds::for_walks() };
    let story = (0..100).find_map(|seed| walk(&protocol, seed).err().map(|story| (seed, story)));
    let (seed, story) = story.expect("a walk in a hundred meets an outage");
    assert_eq!(walk(&protocol, seed), Err(story));
}

/// The story of a world in which a `mistake` is made, which breaks this `rule`.
fn story_of(mistake: Mistake, rule: &str, protocol: Protocol) -> String {
    let has_to_end = rule == ENDS;
    let protocol = Protocol { mistake: Some(mistake), has_to_end, ..protocol };
    let story = explore(&protocol).expect_err("the mistake is noticed");
    assert!(story.starts_with(&format!("Broken: {rule}.")), "{story}");
    story
}

const ENDS: &str = "everything ends";
const PAYS: &str = "no outage and no restart costs a good message anything";

#[test]
fn an_ack_before_the_copy_loses_a_message() {
    let story =
        story_of(Mistake::AckFirst, "nothing is lost", one(vec![Poison(1), Good(1)], CRASH));
    assert!(
        story.contains(
            "  7. replica 0: poison message 1: it is settled further. The broker has forgotten it"
        ),
        "{story}"
    );
    assert!(!story.contains("  8. "), "there is a shorter one: {story}");
}

#[test]
fn parking_in_a_way_that_counts_spends_the_delivery_limit_in_an_outage_and_at_a_stop() {
    let good = || vec![Good(1), Good(2)];
    let story = story_of(Mistake::ParkByRequeue, PAYS, one(good(), OUTAGE));
    assert!(story.contains("pauses until a health call is answered"), "{story}");
    let story = story_of(Mistake::ReturnAtStop, PAYS, one(good(), STOP));
    assert!(story.contains("it is told to stop"), "{story}");
}

#[test]
fn blame_without_a_health_call_or_without_another_call_costs_a_good_message_a_delay() {
    for mistake in [Mistake::BlameWithoutAsking, Mistake::BlameWithoutAnotherCall] {
        let story = story_of(mistake, PAYS, one(vec![Good(1)], OUTAGE));
        assert!(story.contains("decides on good message 1: retry"), "{story}");
        let asks = story.contains("a health call is made");
        assert_eq!(asks, mistake == Mistake::BlameWithoutAnotherCall, "{story}");
    }
}

#[test]
fn a_lane_that_resumes_without_an_answer_is_noticed() {
    let rule = "no lane that is paused for health resumes without an answer";
    story_of(Mistake::ResumeBlindly, rule, one(vec![Good(1), Good(2)], OUTAGE));
}

#[test]
fn a_lane_that_begins_with_a_message_without_an_answer_is_noticed() {
    let rule = "a lane that is paused for health begins with no message";
    story_of(Mistake::ProbeWithoutAnswer, rule, one(vec![Good(1), Good(2)], OUTAGE));
}

#[test]
fn a_probe_with_more_than_one_attempt_is_noticed() {
    let poison = (1..=3).map(Poison).collect();
    story_of(Mistake::ProbeWithAllAttempts, "a probe makes one attempt", one(poison, NONE));
}

#[test]
fn without_a_streak_a_partial_outage_costs_every_message_a_delay() {
    let good = (1..=3).map(Good).collect();
    let rule = "a partial outage costs two messages a delay, and no more";
    story_of(Mistake::NoStreak, rule, one(good, HALF_OUTAGE));
}

#[test]
fn a_streak_that_is_never_released_is_told_as_a_circle() {
    let poison = (1..=3).map(Poison).collect();
    let story = story_of(Mistake::NeverRelease, ENDS, one(poison, NONE));
    assert!(story.contains("And then again and again:"), "{story}");
}

// A limit that docs/proof.md names: it is to be turned round by whoever mends it.

#[test]
fn found_a_refused_message_alone_goes_round_where_health_calls_are_forbidden() {
    let story = explore(&forbidden(one(vec![Refused], NONE))).expect_err("nobody decides on it");
    assert!(story.contains("And then again and again:"), "{story}");
}
