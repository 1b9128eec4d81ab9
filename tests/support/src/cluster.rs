//! A cluster of three broker nodes that can be killed one by one.

use super::daemon::bound_to_us;
use super::eventually;
use super::node::{Node, folder_of_this_run};
use std::ffi::OsString;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tokio::net::TcpStream;
use tokio::process::Child;

/// The nodes find each other by an epmd that outlives each of them.
pub struct Cluster {
    folder: PathBuf,
    epmd_port: String,
    nodes: [Option<Node>; 3],
    _epmd: Child,
}

impl Cluster {
    /// Starts three nodes, of which the second and the third join the first.
    pub async fn start() -> Cluster {
        super::install_crypto_provider();
        let folder = folder_of_this_run("cluster");
        let _nothing_left = std::fs::remove_dir_all(&folder);
        let (epmd, epmd_port) = epmd().await;
        let nodes = [None, None, None];
        let mut cluster = Cluster { folder, epmd_port, nodes, _epmd: epmd };
        for number in 0..cluster.nodes.len() {
            let node = cluster.folder_of(number);
            std::fs::create_dir_all(&node).unwrap();
            private(&node.join(".erlang.cookie"), "of-one-cluster");
        }
        std::fs::write(cluster.configuration(), "").unwrap();
        cluster.start_node(0).await;
        let join = format!(
            "cluster_formation.peer_discovery_backend = classic_config\n\
             cluster_formation.classic_config.nodes.1 = {}\n",
            cluster.node(0).name()
        );
        std::fs::write(cluster.configuration(), join).unwrap();
        cluster.start_node(1).await;
        cluster.start_node(2).await;
        cluster
    }

    /// A node that runs.
    pub fn node(&self, number: usize) -> &Node {
        self.nodes[number].as_ref().expect("the node runs")
    }

    /// The addresses of all nodes, as one setting, for one virtual host.
    pub fn url(&self, vhost: &str) -> String {
        let nodes = self.nodes.iter().flatten();
        let url = |node: &Node| format!("amqp://guest:guest@{}/{vhost}", node.authority());
        nodes.map(url).collect::<Vec<_>>().join(",")
    }

    /// Kills a node without a warning.
    pub async fn kill_node(&mut self, number: usize) {
        let node = self.nodes[number].take().expect("the node runs");
        tokio::task::spawn_blocking(move || node.kill()).await.unwrap();
    }

    /// Starts a node, which comes back into the cluster with its ports and data.
    pub async fn start_node(&mut self, number: usize) {
        let (folder, epmd_port) = (self.folder_of(number), OsString::from(&self.epmd_port));
        let configuration = self.configuration().into_os_string();
        let starting = tokio::task::spawn_blocking(move || {
            let variables = [
                ("BROKER_EPMD_PORT", epmd_port.as_os_str()),
                ("BROKER_EXTRA_CONFIG", configuration.as_os_str()),
            ];
            Node::start_with(&folder, &variables)
        });
        self.nodes[number] = Some(starting.await.unwrap());
    }

    /// Waits until no queue would lose its majority with this node, as it says itself.
    pub async fn can_do_without(&self, number: usize) {
        let management = self.node(number).management();
        let url = format!("{management}/api/health/checks/node-is-quorum-critical");
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        eventually(&format!("every queue can do without node {number}"), async || {
            let asked = http.get(&url).basic_auth("guest", Some("guest")).send().await;
            asked.ok().filter(|answer| answer.status().is_success())
        })
        .await;
    }

    fn folder_of(&self, number: usize) -> PathBuf {
        self.folder.join(format!("node-{number}"))
    }

    fn configuration(&self) -> PathBuf {
        self.folder.join("cluster.conf")
    }
}

/// An epmd on a port of its own.
async fn epmd() -> (Child, String) {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let port = free.port().to_string();
    let mut command = bound_to_us("epmd");
    command.args(["-port", &port, "-address", "127.0.0.1"]);
    // It complains of who connects and says nothing, as we do.
    command.stdin(Stdio::null()).stderr(Stdio::null());
    let epmd = command.kill_on_drop(true).spawn().unwrap();
    eventually("epmd listens", async || TcpStream::connect(free).await.ok()).await;
    (epmd, port)
}

/// Erlang insists that nobody else can read it.
fn private(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o400)).unwrap();
}
