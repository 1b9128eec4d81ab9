//! Private RabbitMQ nodes. One is shared by the whole run; tests that restart or kill have their own.

use super::certificates::Authority;
use super::path;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

/// A running node. It stops when this is dropped, or when the test process ends for whatever reason.
pub struct Node {
    node: xtask::node::Node,
    process: String,
    management: String,
    authority: String,
    amqps_port: String,
}

/// The node that all tests share, and whose certificates it has for TLS.
pub struct Shared {
    /// The node.
    pub node: Node,
    /// The CA of its certificate, and of clients that it accepts.
    pub authority: Authority,
    /// The file of that CA.
    pub ca: PathBuf,
}

impl Shared {
    /// The node and its CA.
    pub fn node() -> &'static Shared {
        static SHARED: OnceLock<Shared> = OnceLock::new();
        SHARED.get_or_init(|| {
            let folder = folder_of_this_run("shared-node");
            let (authority, certificates) = (Authority::new(), folder.join("tls"));
            std::fs::create_dir_all(&certificates).unwrap();
            authority.write_server(&certificates, time::Duration::days(1));
            let variables = [("BROKER_TLS_DIR", certificates.as_os_str())];
            let node = Node::start_with(&folder, &variables);
            Shared { node, authority, ca: certificates.join("ca.pem") }
        })
    }
}

/// The folder for a node of this run alone, because another run may be under way in the same tree.
/// What runs that are over have left behind is removed.
pub fn folder_of_this_run(name: &str) -> PathBuf {
    // Programs of another version may see no more of the machine than the folder for such things.
    let folders = match std::env::var_os("BROKER_PROGRAMS") {
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
        &Shared::node().node
    }

    /// Starts a node in `folder`; one that was there before comes back with its ports and data.
    pub fn start(folder: &Path) -> Node {
        Node::start_with(folder, &[])
    }

    /// Starts one with variables of `xtask::node::Options`, which says what they mean.
    pub fn start_with(folder: &Path, variables: &[(&str, &OsStr)]) -> Node {
        let given = |name: &str| variables.iter().find(|(known, _)| *known == name);
        let mut options = xtask::node::Options::from_variables(|name| {
            given(name).map(|(_, value)| (*value).to_owned()).or_else(|| std::env::var_os(name))
        })
        .expect("the variables are right");
        // Nobody needs what is in a test's node when the test is over.
        options.stop_timeout = Duration::ZERO;
        let node = xtask::node::Node::start(folder, &options).expect("a broker can be started");
        let url = node.amqp_url();
        let authority = url.split_once('@').and_then(|(_, rest)| rest.split_once('/'));
        Node {
            process: node.process().to_string(),
            management: node.management_url(),
            authority: authority.expect("user@host:port/vhost").0.to_owned(),
            amqps_port: node.amqps_port().map(|port| port.to_string()).unwrap_or_default(),
            node,
        }
    }

    /// Host and port for AMQP.
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// The port for AMQP over TLS.
    pub fn amqps_port(&self) -> &str {
        &self.amqps_port
    }

    /// The id of its process.
    pub fn process(&self) -> &str {
        &self.process
    }

    /// The base URL of the management API.
    pub fn management(&self) -> &str {
        &self.management
    }

    /// The name among the nodes of its cluster.
    pub fn name(&self) -> String {
        self.node.name()
    }

    /// Returns the value of Erlang expressions in the node. They end with a full stop.
    pub fn evaluate(&self, expressions: &str) -> String {
        // The node reads them from one file, and tests run side by side.
        static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
        let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        self.node.evaluate(expressions).expect("the node evaluates them")
    }

    /// The first two numbers of its version.
    pub fn version(&self) -> (u32, u32) {
        let told = self.full_version();
        let mut numbers = told.split('.').map(|number| number.parse().expect("a number"));
        let mut next = || numbers.next().expect("a version has numbers");
        (next(), next())
    }

    /// Its version as it tells it.
    pub fn full_version(&self) -> String {
        self.evaluate("rabbit_misc:version().").trim_matches('"').to_owned()
    }

    /// Kills the node without a warning, as a power cut would.
    pub fn kill(self) {
        self.node.kill();
    }

    /// Stops the node in good order, so that everything it knows is on disk.
    pub fn stop(self) {
        self.node.stop();
    }
}
