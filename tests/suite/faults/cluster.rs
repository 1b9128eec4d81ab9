//! Several replicas of the daemon on a cluster of several nodes, all of which can die.

use super::report;
use super::scene::Scene;
use crate::support::broker::Vhost;
use crate::support::cluster::Cluster;
use crate::support::daemon::Daemon;
use fake_mimecast::FaultKind;

#[tokio::test]
#[ignore = "three nodes that start twice take a minute of two processors"]
async fn a_cluster_whose_nodes_die_in_turn_and_replicas_that_die_with_them_lose_nothing() {
    let mut cluster = Cluster::start().await;
    let vhost = Vhost::on(cluster.node(0)).await;
    let url = cluster.url(&vhost.name);
    let mut scene = Scene::at(vhost, cluster.node(0), &[("AMQP__URL", &url)]).await;
    // Each would need a trail of its own.
    scene.trail = None;
    scene.variables.remove("EVENTD_AUDIT__PATH");
    for _ in 0..2 {
        add_replica(&mut scene).await;
    }
    scene.api(FaultKind::Delay { milliseconds: 100 });
    for node in 0..3 {
        scene.publish(20).await;
        scene.calls(2).await;
        cluster.can_do_without(node).await;
        cluster.kill_node(node).await;
        scene.vhost.move_to(cluster.node((node + 1) % 3)).await;
        // Two of three are a majority: the work goes on.
        scene.publish(20).await;
        scene.calls(2).await;
        scene.kill_daemon().await;
        scene.daemon = Some(scene.replicas.remove(0));
        add_replica(&mut scene).await;
        cluster.start_node(node).await;
        scene.healed();
    }
    // The virtual host goes with the cluster.
    drop(report::finish(scene, "cluster and replicas killed").await);
}

async fn add_replica(scene: &mut Scene) {
    let replica = Daemon::start(&scene.variables).await;
    replica.wait_until_ready().await;
    scene.replicas.push(replica);
}
