//! Two faults at once, pair by pair: each alone may be survived, and both together not.
//!
//! A run tries one pair in eight, which ones a seed says that is printed: `FAULTS_SEED=...` tries the
//! same again. `FAULTS_PAIRS=all` tries them all.

use super::op::{self, Op};
use super::report;
use super::scene::Scene;
use crate::support::disturbed::Disturbed;
use std::io::Write as _;

/// Faults that last until they are healed, but for the ends of the daemon and of its connection. What is
/// done to the broker itself comes last, so that the other fault is there meanwhile.
const FAULTS: [Op; 20] = [
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
    Op::UnbindDeadLetters,
    Op::DeleteDeadLetterExchange,
    Op::KillDaemon,
    Op::StopDaemon,
    Op::RestartBroker,
    Op::BlockBroker,
];

/// How many of these lists of pairs are tried at once: they mostly wait.
const WORKERS: usize = 3;

#[test]
fn no_two_faults_at_once_lose_a_message() {
    let seed = op::number("FAULTS_SEED").unwrap_or_else(|| uuid::Uuid::new_v4().as_u64_pair().0);
    let share =
        if std::env::var_os("FAULTS_PAIRS").is_some_and(|which| which == "all") { 1 } else { 8 };
    let first = usize::try_from(seed % share).expect("it is below eight");
    let share = usize::try_from(share).expect("it is at most eight");
    let all = pairs();
    let tried: Vec<[Op; 2]> = all.iter().copied().skip(first).step_by(share).collect();
    let (count, all) = (tried.len(), all.len());
    let _shown = writeln!(std::io::stderr().lock(), "{count} of {all} pairs, FAULTS_SEED={seed}");
    let (with_node, without): (Vec<_>, Vec<_>) =
        tried.into_iter().partition(|pair| pair.iter().any(|op| op.needs_a_node()));
    std::thread::scope(|scope| {
        let shares = without.chunks(without.len().div_ceil(WORKERS)).chain([&with_node[..]]);
        let workers: Vec<_> = shares.map(|pairs| scope.spawn(move || survive(pairs))).collect();
        workers.into_iter().for_each(|worker| worker.join().expect("every pair survives"));
    });
    report::pairs(count);
}

/// Every two that can be there at once: one answer of the vendor replaces the other.
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

/// Lets the pairs happen one after another, and insists after each that all has come to its end.
fn survive(pairs: &[[Op; 2]]) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut node = match pairs.iter().flatten().any(|op| op.needs_a_node()) {
            true => Some(Disturbed::node().await),
            false => None,
        };
        let own = [("MIMECAST__TIMEOUT", "1s"), ("DRAIN_TIMEOUT", "1s")];
        let mut scene = match &node {
            Some(node) => Scene::on(node.running(), &own).await,
            None => Scene::with(&own).await,
        };
        for pair in pairs {
            happen(*pair, &mut scene, node.as_mut()).await;
        }
        let account = scene.end().await;
        assert!(account.is_closed(), "{pairs:?}\n{account}");
        scene.vhost.delete().await;
    });
}

async fn happen(pair: [Op; 2], scene: &mut Scene, mut node: Option<&mut Disturbed>) {
    for fault in pair {
        scene.publish(10).await;
        fault.happen(scene, node.as_deref_mut()).await;
    }
    // A daemon that has ended begins anew while the other fault lasts.
    Op::StartDaemon.happen(scene, None).await;
    Op::Wait(100).happen(scene, None).await;
    op::heal(scene, node.as_deref()).await;
    scene.daemon().wait_until_ready().await;
    let going_on = scene.unsettled().await.join(", ");
    let account = scene.ledger.account();
    assert!(going_on.is_empty(), "{pair:?}: still going on: {going_on}");
    assert!(account.lost.is_empty() && account.unexpected.is_empty(), "{pair:?}: {account}");
}
