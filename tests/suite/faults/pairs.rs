//! Two faults at once, pair by pair: each alone may be survived, and both together not.
//!
//! A run tries the pairs of `TRIED`, which has each fault at least once. `FAULTS_PAIRS=all` tries
//! every pair.

use super::op::{self, Op};
use super::report;
use super::scene::Scene;
use crate::support::disturbed::Disturbed;

/// Faults that last until they are healed, except for the ends of the daemon. A fault of the broker
/// itself comes last, so that the other fault is there meanwhile.
const FAULTS: [Op; 21] = [
    Op::ApiDown,
    Op::ApiSlow,
    Op::ApiHangs,
    Op::ApiResets,
    Op::ApiTalksGarbage,
    Op::ApiThrottles,
    Op::RefuseCredentials,
    Op::LoseReply,
    Op::ApiRefuses,
    Op::FreezeApi,
    Op::LoseReplies,
    Op::SlowBroker,
    Op::FreezeBroker,
    Op::RefuseBroker,
    Op::RefuseDeadLetters,
    Op::DeleteDeadLetterExchange,
    Op::FillDisk,
    Op::KillDaemon,
    Op::StopDaemon,
    Op::RestartBroker,
    Op::BlockBroker,
];

/// The pairs that every run tries.
const TRIED: [[Op; 2]; 13] = [
    [Op::ApiDown, Op::DeleteDeadLetterExchange],
    [Op::ApiSlow, Op::KillDaemon],
    [Op::ApiSlow, Op::FillDisk],
    [Op::FillDisk, Op::KillDaemon],
    [Op::ApiHangs, Op::FreezeBroker],
    [Op::ApiResets, Op::StopDaemon],
    [Op::ApiTalksGarbage, Op::RefuseBroker],
    [Op::ApiThrottles, Op::SlowBroker],
    [Op::RefuseCredentials, Op::RefuseDeadLetters],
    [Op::LoseReply, Op::BlockBroker],
    [Op::ApiRefuses, Op::RestartBroker],
    [Op::FreezeApi, Op::KillDaemon],
    [Op::LoseReplies, Op::FreezeBroker],
];

#[test]
fn no_answer_of_the_api_and_another_fault_lose_a_message() {
    survive(|[first, second]| FAULTS[..3].contains(&first) && !second.needs_a_node());
}

#[test]
fn no_useless_answer_of_the_api_and_another_fault_lose_a_message() {
    survive(|[first, second]| FAULTS[3..6].contains(&first) && !second.needs_a_node());
}

#[test]
fn no_fault_of_a_link_or_of_the_daemon_and_another_fault_lose_a_message() {
    survive(|[first, second]| !is_an_answer(first) && !second.needs_a_node());
}

#[test]
fn no_fault_of_the_broker_and_another_fault_lose_a_message() {
    survive(|[_, second]| second.needs_a_node());
}

#[test]
fn every_fault_is_in_a_pair_that_every_run_tries() {
    let all = pairs();
    assert!(TRIED.iter().all(|pair| all.contains(pair)));
    assert!(FAULTS.iter().all(|fault| TRIED.as_flattened().contains(fault)));
}

/// Every two that can be there at once: one answer of the API replaces the other.
fn pairs() -> Vec<[Op; 2]> {
    let of = |(place, first): (usize, &Op)| {
        let first = *first;
        let others = FAULTS[place + 1..].iter().copied();
        others
            .filter(move |second| !(is_an_answer(first) && is_an_answer(*second)))
            .map(move |second| [first, second])
    };
    FAULTS.iter().enumerate().flat_map(of).collect()
}

fn is_an_answer(op: Op) -> bool {
    FAULTS[..6].contains(&op)
}

/// Lets the pairs that `belongs` selects happen one after another, and checks after each that every
/// message has come to its end.
fn survive(belongs: impl Fn([Op; 2]) -> bool) {
    let all = std::env::var_os("FAULTS_PAIRS").is_some_and(|which| which == "all");
    let tried = if all { pairs() } else { TRIED.to_vec() };
    let tried: Vec<[Op; 2]> = tried.into_iter().filter(|pair| belongs(*pair)).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut node = match tried.iter().flatten().any(|op| op.needs_a_node()) {
            true => Some(Disturbed::node().await),
            false => None,
        };
        let own = [("MIMECAST__TIMEOUT", "1s"), ("DRAIN_TIMEOUT", "1s")];
        let mut scene = match &node {
            Some(node) => Scene::on(node.running(), &own).await,
            None => Scene::with(&own).await,
        };
        for pair in &tried {
            happen(*pair, &mut scene, node.as_mut()).await;
        }
        let account = scene.end().await;
        assert!(account.is_closed(), "{tried:?}\n{account}");
        scene.vhost.delete().await;
    });
    report::pairs(tried.len());
}

async fn happen(pair: [Op; 2], scene: &mut Scene, mut node: Option<&mut Disturbed>) {
    for fault in pair {
        scene.publish(10).await;
        fault.happen(scene, node.as_deref_mut()).await;
    }
    // A daemon that has ended begins again while the other fault lasts.
    Op::StartDaemon.happen(scene, None).await;
    Op::Wait(100).happen(scene, None).await;
    op::heal(scene, node.as_deref()).await;
    scene.daemon().wait_until_ready().await;
    let going_on = scene.unsettled().await.join(", ");
    let account = scene.ledger.account();
    assert!(going_on.is_empty(), "{pair:?}: still going on: {going_on}");
    assert!(account.lost.is_empty() && account.unexpected.is_empty(), "{pair:?}: {account}");
}
