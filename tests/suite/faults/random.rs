//! The promise under random lists of faults, one after another and at the same time.
//!
//! The lists come from a seed: `FAULTS_SEED=...` tries others, and `FAULTS_CASES=...` another number of
//! them. A list that fails is printed, and after it the
//! shortest one that was found to fail too: `FAULTS_REPLAY='[...]'` tries that one alone.

use super::op::{self, Op};
use super::report;
use super::scene::Scene;
use crate::support::disturbed::Disturbed;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestError, TestRng, TestRunner};
use std::io::Write as _;

/// How many lists are tried when nobody says.
const CASES: u32 = 6;

/// How many are tried at once: they mostly wait.
const WORKERS: u32 = 3;

#[test]
fn no_list_of_faults_loses_a_message() {
    if let Ok(list) = std::env::var("FAULTS_REPLAY") {
        let list: Vec<Op> = serde_json::from_str(&list).expect("FAULTS_REPLAY is a list of ops");
        return survive(&list);
    }
    let cases = op::number("FAULTS_CASES").map_or(CASES, |cases| u32::try_from(cases).unwrap());
    let seed = op::number("FAULTS_SEED").unwrap_or(1);
    let _shown = writeln!(std::io::stderr().lock(), "{cases} lists of FAULTS_SEED={seed}");
    let tried: u32 = std::thread::scope(|scope| {
        let share = |worker| cases / WORKERS + u32::from(worker < cases % WORKERS);
        let workers: Vec<_> = (0..WORKERS)
            .map(|worker| scope.spawn(move || try_lists(share(worker), seed, worker)))
            .collect();
        workers.into_iter().map(|worker| worker.join().expect("every list survives")).sum()
    });
    report::cases(tried);
}

/// Tries so many lists, and gives how many that were.
fn try_lists(cases: u32, seed: u64, worker: u32) -> u32 {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    bytes[8..12].copy_from_slice(&worker.to_le_bytes());
    let config =
        Config { cases, max_shrink_iters: 30, failure_persistence: None, ..Config::default() };
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let tested = TestRunner::new_with_rng(config, rng).run(&lists(), |list| {
        survive(&list);
        Ok(())
    });
    if let Err(TestError::Fail(reason, list)) = &tested {
        panic!("{reason}\nshortest found: {}", replay(list));
    }
    tested.unwrap();
    cases
}

/// A long run restarts the broker too, and has the node to itself meanwhile.
fn lists() -> impl Strategy<Value = Vec<Op>> {
    let is_long = op::number("FAULTS_CASES").is_some();
    let worst = if is_long { Op::RestartBroker } else { Op::CutBroker };
    let op = prop_oneof![
        20 => (1_u8..6).prop_map(Op::PublishGood),
        4 => Just(Op::PublishMalformed),
        4 => Just(Op::PublishRefused),
        2 => Just(Op::PublishPoison),
        4 => Just(Op::ApiDown),
        6 => Just(Op::ApiUp),
        4 => Just(Op::ApiSlow),
        2 => Just(Op::ApiResets),
        2 => Just(Op::ApiTalksGarbage),
        2 => Just(Op::ApiThrottles),
        2 => Just(Op::ApiRefuses),
        2 => Just(Op::FreezeApi),
        2 => Just(Op::ApiHangs),
        3 => Just(Op::RefuseCredentials),
        3 => Just(Op::LoseReply),
        2 => Just(Op::LoseReplies),
        5 => Just(Op::CutBroker),
        3 => Just(Op::FreezeBroker),
        2 => Just(Op::RefuseBroker),
        2 => Just(Op::SlowBroker),
        5 => Just(Op::ThawBroker),
        2 => Just(Op::RefuseDeadLetters),
        1 => Just(Op::DeleteDeadLetterExchange),
        1 => Just(worst),
        2 => Just(Op::FillDisk),
        3 => Just(Op::EmptyDisk),
        5 => Just(Op::KillDaemon),
        4 => Just(Op::StopDaemon),
        8 => Just(Op::StartDaemon),
        20 => (0_u16..400).prop_map(Op::Wait),
    ];
    proptest::collection::vec(op, 4..20)
}

/// Lets the list happen, heals everything, and insists that the ledger closes.
fn survive(list: &[Op]) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut node = match list.iter().any(|op| op.needs_a_node()) {
            true => Some(Disturbed::node().await),
            false => None,
        };
        let mut scene = match &node {
            Some(node) => Scene::on(node.running(), &[]).await,
            None => Scene::with(&[]).await,
        };
        for op in list {
            op.happen(&mut scene, node.as_mut()).await;
        }
        op::heal(&mut scene, node.as_ref()).await;
        let going_on = scene.unsettled().await.join(", ");
        let account = scene.end().await;
        assert!(account.is_closed(), "{}\n{account}", replay(list));
        assert!(going_on.is_empty(), "{}\nstill going on: {going_on}", replay(list));
        scene.vhost.delete().await;
    });
}

fn replay(list: &[Op]) -> String {
    format!("FAULTS_REPLAY='{}'", serde_json::to_string(list).unwrap())
}
