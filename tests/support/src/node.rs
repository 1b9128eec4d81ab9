//! Private RabbitMQ nodes. One is shared by the whole run; tests that restart or kill have their own.

use super::path;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::OnceLock;

/// A running node. It stops when this is dropped, or when the test process ends for whatever reason.
pub struct Node {
    child: Child,
    stdin: Option<ChildStdin>,
    folder: PathBuf,
    facts: BTreeMap<String, String>,
}

/// The folder for a node of this run alone, because another run may be under way in the same tree.
/// What runs that are over have left behind is removed.
pub fn folder_of_this_run(name: &str) -> PathBuf {
    // Programs of another version may see no more of the machine than the folder for such things.
    let folders = match programs() {
        Some(_) => std::env::temp_dir(),
        None => path::temporary_folder(),
    };
    for entry in std::fs::read_dir(&folders).unwrap() {
        let path = entry.unwrap().path();
        let file_name = path.file_name().expect("an entry has a name").to_string_lossy();
        let run = file_name.strip_prefix(name).and_then(|rest| rest.strip_prefix('-'));
        if run.is_some_and(|run| !Path::new("/proc").join(run).exists()) {
            let _removed_by_another = std::fs::remove_dir_all(path);
        }
    }
    folders.join(format!("{name}-{}", std::process::id()))
}

impl Node {
    /// The node that all tests share; virtual hosts keep them apart.
    pub fn shared() -> &'static Node {
        static SHARED: OnceLock<Node> = OnceLock::new();
        SHARED.get_or_init(|| {
            let folder = folder_of_this_run("shared-node");
            Node::start(&folder)
        })
    }

    /// Starts a node in `folder`; one that was there before comes back with its ports and data.
    pub fn start(folder: &Path) -> Node {
        Node::start_with(folder, &[])
    }

    /// Starts one with variables for `scripts/broker/node.sh`, which says what they mean.
    pub fn start_with(folder: &Path, variables: &[(&str, &OsStr)]) -> Node {
        let script = path::workspace().join("scripts/broker/node.sh");
        let mut command = Command::new(script);
        command.arg(folder).stdin(Stdio::piped()).stdout(Stdio::piped());
        // Nobody needs what is in a test's node when the test is over.
        command.env("BROKER_STOP_TIMEOUT", "0");
        command.envs(variables.iter().copied());
        let mut child = command.spawn().expect("scripts/broker/node.sh can be run");
        let stdin = child.stdin.take();
        let lines = BufReader::new(child.stdout.take().expect("stdout is piped")).lines();
        let lines = lines.map_while(Result::ok).take_while(|line| line != "READY");
        let facts: BTreeMap<String, String> = lines
            .filter_map(|line| line.split_once('=').map(|(name, fact)| (name.into(), fact.into())))
            .collect();
        assert!(
            facts.contains_key("PID"),
            "no broker: scripts/broker/node.sh said why on standard error"
        );
        Node { child, stdin, folder: folder.to_owned(), facts }
    }

    /// Host and port for AMQP.
    pub fn authority(&self) -> &str {
        let url = &self.facts["AMQP_URL"];
        url.split_once('@')
            .and_then(|(_, rest)| rest.split_once('/'))
            .expect("user@host:port/vhost")
            .0
    }

    /// The port for AMQP over TLS.
    pub fn amqps_port(&self) -> &str {
        &self.facts["AMQPS_PORT"]
    }

    /// The id of its process.
    pub fn process(&self) -> &str {
        &self.facts["PID"]
    }

    /// The base URL of the management API.
    pub fn management(&self) -> &str {
        &self.facts["MANAGEMENT_URL"]
    }

    /// Runs `rabbitmqctl` on the node, and gives what it says.
    pub async fn control(&self, arguments: &[&str]) -> String {
        let mut command = tokio::process::Command::new(rabbitmqctl());
        command.args(arguments).env("HOME", &self.folder);
        let facts = std::fs::read_to_string(self.folder.join("node.env")).expect("a node has it");
        for (name, fact) in facts.lines().filter_map(|line| line.split_once('=')) {
            match name {
                "NODE_NAME" => command.env("RABBITMQ_NODENAME", fact),
                "EPMD_PORT" => command.env("ERL_EPMD_PORT", fact),
                _ => &mut command,
            };
        }
        let output = command.output().await.expect("rabbitmqctl can be run");
        assert!(output.status.success(), "rabbitmqctl {arguments:?}: {output:?}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// The first two numbers of its version.
    pub async fn version(&self) -> (u32, u32) {
        let told = self.full_version().await;
        let mut numbers = told.split('.').map(|number| number.parse().expect("a number"));
        let mut next = || numbers.next().expect("a version has numbers");
        (next(), next())
    }

    /// Its version as it tells it.
    pub async fn full_version(&self) -> String {
        let told = self.control(&["--quiet", "eval", "rabbit_misc:version()."]).await;
        told.trim().trim_matches('"').to_owned()
    }

    /// Kills the node without a warning, as a power cut would.
    pub fn kill(self) {
        self.signal("-KILL");
    }

    /// Stops the node in good order, so that everything it knows is on disk.
    pub fn stop(self) {
        self.signal("-TERM");
    }

    fn signal(mut self, signal: &str) {
        let sent = Command::new("kill").args([signal, &self.facts["PID"]]).status();
        assert!(sent.expect("kill can be run").success(), "the node was gone already");
        self.child.wait().expect("the script ends with its node");
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        drop(self.stdin.take());
        let _gone = self.child.wait();
    }
}

/// The folder with the broker's programs, where others than the installed ones are to be used.
fn programs() -> Option<PathBuf> {
    std::env::var_os("BROKER_PROGRAMS").map(PathBuf::from)
}

/// Beside the server: the one in /usr/sbin insists on being root or rabbitmq.
fn rabbitmqctl() -> PathBuf {
    if let Some(programs) = programs() {
        return programs.join("rabbitmqctl");
    }
    let beside = Path::new("/usr/lib/rabbitmq/bin/rabbitmqctl");
    if beside.exists() { beside.to_owned() } else { "rabbitmqctl".into() }
}
