//! A private, throw-away RabbitMQ node, for any user.
//!
//! A folder used before brings back the same node: same name, ports and data. Several nodes may run at once, each
//! in its own folder. Everything listens on loopback only. The user is guest, the password guest. The node ends
//! with the process that started it, also when that is killed.
//!
//! The folder has `node.env` (name and ports), `rabbitmq.conf` (written at each start), `data/`,
//! `log/rabbit.log`, `log/start.log` and `.erlang.cookie`.

mod config;
mod evaluation;
pub mod foreground;
pub mod install;
mod options;
mod ports;
mod readiness;

pub use options::Options;

use crate::failure::{Failure, Result};
use crate::process::{bound, signal, start};
use ports::Ports;
use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A running node. It is stopped when this is dropped.
pub struct Node {
    server: Child,
    epmd: Child,
    ports: Ports,
    folder: PathBuf,
    options: Options,
}

impl Node {
    /// Starts a node in `folder` and waits until it is ready: it accepts AMQP connections and its management API
    /// answers.
    pub fn start(folder: &Path, options: &Options) -> Result<Node> {
        install::ensure()?;
        options.check()?;
        config::prepare(folder)?;
        let folder = folder.canonicalize()?;
        let (ports, epmd) = Ports::claim(&folder, options)?;
        config::write(&folder, &ports, options)?;
        let server = start(server(&folder, &ports, options)?);
        let server = server.map_err(Failure::during("cannot start RabbitMQ"))?;
        let mut node = Node { server, epmd, ports, folder, options: options.clone() };
        readiness::wait(&mut node)?;
        Ok(node)
    }

    /// The URL for AMQP.
    pub fn amqp_url(&self) -> String {
        format!("amqp://guest:guest@127.0.0.1:{}/%2f", self.ports.amqp())
    }

    /// The base URL of the management API.
    pub fn management_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.ports.management())
    }

    /// The port for AMQP over TLS, if the node has one.
    pub fn amqps_port(&self) -> Option<u16> {
        self.options.tls.as_ref().map(|_| self.ports.amqps())
    }

    /// The process ID of the Erlang VM.
    pub fn process(&self) -> u32 {
        self.server.id()
    }

    /// The name among Erlang nodes.
    pub fn name(&self) -> String {
        self.ports.node_name()
    }

    /// Returns the value of Erlang expressions in the node. They end with a full stop.
    pub fn evaluate(&self, expressions: &str) -> Result<String> {
        evaluation::evaluate(&self.folder, expressions)
    }

    /// True while the Erlang VM runs.
    pub fn is_running(&mut self) -> bool {
        matches!(self.server.try_wait(), Ok(None))
    }

    /// Kills the node without a warning, as a power cut would.
    pub fn kill(mut self) {
        self.options.stop_timeout = Duration::ZERO;
    }

    /// Stops the node in good order, so that everything it has is on disk.
    pub fn stop(mut self) {
        self.options.stop_timeout = Duration::from_secs(60);
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        end(&mut self.server, self.options.stop_timeout);
        end(&mut self.epmd, self.options.stop_timeout);
    }
}

/// Ends a process; after `patience` by a kill.
fn end(child: &mut Child, patience: Duration) {
    let deadline = Instant::now() + patience;
    if !patience.is_zero() {
        signal(child.id(), "TERM");
    }
    while matches!(child.try_wait(), Ok(None)) {
        if Instant::now() >= deadline {
            let _ended_meanwhile = child.kill();
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Directs the output of a command to the log of the start.
fn logged(command: &mut Command, folder: &Path) -> Result {
    let log: File = OpenOptions::new().append(true).open(folder.join("log/start.log"))?;
    command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    Ok(())
}

/// `RUNNING_UNDER_SYSTEMD` makes the script exec the VM instead of waiting for it. Schedulers are few and unbound,
/// tables small: nodes share a machine with each other and the tests. `+B i` makes the VM ignore Ctrl-C.
fn server(folder: &Path, ports: &Ports, options: &Options) -> Result<Command> {
    let server = install::server(options).ok_or_else(install::missing)?;
    let mut command = bound("env", options.end_signal());
    command.arg("-i");
    let mut set = |name: &str, value: &dyn AsRef<std::ffi::OsStr>| {
        let mut pair = std::ffi::OsString::from(name);
        pair.push("=");
        pair.push(value.as_ref());
        command.arg(pair);
    };
    set("PATH", &std::env::var_os("PATH").unwrap_or_default());
    set("HOME", &folder);
    set("ERL_EPMD_PORT", &ports.epmd.to_string());
    set("ERL_ZFLAGS", &evaluation::flags(folder)?);
    set("RABBITMQ_NODENAME", &ports.node_name());
    set("RABBITMQ_DIST_PORT", &ports.distribution().to_string());
    for (name, path) in [
        ("RABBITMQ_MNESIA_BASE", "data"),
        ("RABBITMQ_LOG_BASE", "log"),
        ("RABBITMQ_LOGS", "log/rabbit.log"),
        ("RABBITMQ_ENABLED_PLUGINS_FILE", "enabled_plugins"),
        ("RABBITMQ_CONFIG_FILE", "rabbitmq.conf"),
        ("RABBITMQ_CONFIG_FILES", "conf.d"),
        ("RABBITMQ_ADVANCED_CONFIG_FILE", "advanced.config"),
        ("RABBITMQ_CONF_ENV_FILE", "rabbitmq-env.conf"),
    ] {
        set(name, &folder.join(path));
    }
    for (name, value) in [
        ("LANG", "C.UTF-8"),
        ("ERL_EPMD_ADDRESS", "127.0.0.1"),
        ("ERL_MAX_PORTS", "4096"),
        ("ERL_CRASH_DUMP_SECONDS", "0"),
        ("RUNNING_UNDER_SYSTEMD", "true"),
        ("RABBITMQ_LOG", "-color"),
        ("RABBITMQ_SCHEDULER_BIND_TYPE", "u"),
        ("RABBITMQ_MAX_NUMBER_OF_PROCESSES", "65536"),
        ("RABBITMQ_MAX_NUMBER_OF_ATOMS", "1048576"),
        (
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS",
            "+S 2:2 +B i -kernel inet_dist_use_interface {127,0,0,1}",
        ),
    ] {
        set(name, &value);
    }
    command.arg(server);
    logged(&mut command, folder)?;
    Ok(command)
}
