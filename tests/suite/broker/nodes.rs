//! The nodes of a cluster: which of them is asked for a connection, and for how long.

use crate::support::settings::{self, named};
use mimecast_eventd::broker::Broker;
use mimecast_eventd::settings::Amqp;
use std::collections::BTreeSet;
use tokio::net::TcpListener;
use tokio::time::Instant;

/// Settings with a broker that has these nodes.
fn with_nodes(nodes: &[String]) -> Amqp {
    let mut variables = settings::hmac_without_url();
    let urls: Vec<String> = nodes.iter().map(|node| format!("amqp://{node}")).collect();
    variables.extend([
        named("AMQP__URL", &urls.join(",")),
        named("MIMECAST__BASE_URL", "http://127.0.0.1:1"),
    ]);
    settings::read(&variables).unwrap().amqp
}

#[tokio::test]
async fn not_every_connection_is_asked_of_the_same_node_first() {
    // Both refuse it, and the error names them in their turn.
    let nodes = ["127.0.0.1:1", "127.0.0.1:2"].map(str::to_owned);
    let amqp = with_nodes(&nodes);
    let mut first = BTreeSet::new();
    for _ in 0..100 {
        let refused = Broker::connect(&amqp, |_| {}).await.unwrap_err().to_string();
        let place = |node: &String| refused.find(node).expect("each of them was asked");
        first.extend(nodes.iter().min_by_key(|node| place(node)));
    }
    assert_eq!(first.len(), 2, "{first:?}");
}

#[tokio::test(start_paused = true)]
async fn a_node_that_says_nothing_holds_others_up_for_a_third_of_the_time_that_one_alone_has() {
    for (count, seconds) in [(1, 30), (3, 30), (2, 20)] {
        let (mut silent, mut nodes) = (Vec::new(), Vec::new());
        for _ in 0..count {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            nodes.push(listener.local_addr().unwrap().to_string());
            silent.push(listener);
        }
        let (amqp, begun) = (with_nodes(&nodes), Instant::now());
        let error = Broker::connect(&amqp, |_| {}).await.unwrap_err().to_string();
        assert_eq!(begun.elapsed().as_secs(), seconds, "{count} nodes");
        assert_eq!(error.matches("no answer in time").count(), count, "{error}");
    }
}
