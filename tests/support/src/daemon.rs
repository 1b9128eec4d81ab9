//! The real binary as a child process: its log, its endpoints, its signals and its end.

use super::path::daemon_program;
use super::settings::Variables;
use super::{DEADLINE, eventually};
use serde_json::Value;
use std::io::Write as _;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;

/// The lines of a log that a test shows at most.
const SHOWN: usize = 10_000;

/// A running daemon; killed when dropped. A test that fails shows its log.
pub struct Daemon {
    child: Child,
    reading: Option<JoinHandle<()>>,
    log: Arc<Mutex<Vec<String>>>,
    http: reqwest::Client,
    admin: String,
}

impl Daemon {
    /// Starts the binary with nothing in its environment but `variables`, and waits until its admin
    /// endpoints are there.
    pub async fn start(variables: &Variables) -> Daemon {
        Daemon::start_by(&[], variables).await
    }

    /// The same, by way of a command that becomes the binary.
    pub async fn start_by(way: &[&str], variables: &Variables) -> Daemon {
        super::install_crypto_provider();
        let daemon = program(variables);
        let program = [way, &[&daemon, "run"]].concat();
        let mut child = bound_to_us(program[0])
            .args(&program[1..])
            .env_clear()
            .envs(variables)
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let log = Arc::new(Mutex::new(Vec::new()));
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let written = Arc::clone(&log);
        let reading = tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                written.lock().unwrap().push(line);
            }
        });
        let http = reqwest::Client::builder().no_proxy().timeout(DEADLINE).build().unwrap();
        let reading = Some(reading);
        let mut daemon = Daemon { child, reading, log, http, admin: String::new() };
        daemon.admin = eventually("the daemon says where its endpoints are", async || {
            let started = daemon.logged("started").into_iter().next()?;
            Some(format!("http://{}", started["admin"].as_str()?))
        })
        .await;
        daemon
    }

    /// Address and port of the admin endpoints.
    pub fn authority(&self) -> String {
        self.admin.replace("http://", "")
    }

    /// The log so far, line by line.
    pub fn lines(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }

    /// The events in the log with this message.
    pub fn logged(&self, message: &str) -> Vec<Value> {
        let lines = self.lines();
        let events = lines.iter().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        events.filter(|event| event["message"] == message).collect()
    }

    /// Waits until this message is in the log `times` times.
    pub async fn wait_for_logged(&self, message: &str, times: usize) {
        eventually(&format!("{message:?} is in the log {times} times"), async || {
            (self.logged(message).len() >= times).then_some(())
        })
        .await;
    }

    /// Waits until `count` messages are settled, and gives their log lines.
    pub async fn settled(&self, count: usize) -> Vec<Value> {
        eventually(&format!("{count} messages are settled"), async || {
            Some(self.logged("settled")).filter(|settled| settled.len() >= count)
        })
        .await
    }

    /// Status and body of one of the admin endpoints.
    pub async fn get(&self, path: &str) -> (u16, String) {
        let response = self.http.get(format!("{}{path}", self.admin)).send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }

    /// What it says of itself to programs.
    pub async fn status(&self) -> Value {
        let (code, text) = self.get("/status.json").await;
        assert_eq!(code, 200);
        serde_json::from_str(&text).unwrap()
    }

    /// The value of one series, written as in the exposition.
    pub async fn metric(&self, series: &str) -> f64 {
        let (_, text) = self.get("/metrics").await;
        let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("no series {series} in\n{text}")).parse().unwrap()
    }

    /// Waits until the series has the value.
    pub async fn wait_for_metric(&self, series: &str, value: f64) {
        eventually(&format!("{series} is {value}"), async || {
            (self.metric(series).await == value).then_some(())
        })
        .await;
    }

    /// Waits until the series has at least the value.
    pub async fn wait_for_at_least(&self, series: &str, value: f64) {
        eventually(&format!("{series} is at least {value}"), async || {
            (self.metric(series).await >= value).then_some(())
        })
        .await;
    }

    /// Waits until `/readyz` says that every lane consumes.
    pub async fn wait_until_ready(&self) {
        eventually("the daemon is ready", async || {
            (self.get("/readyz").await.0 == 200).then_some(())
        })
        .await;
    }

    /// Sends a signal, such as `TERM`.
    pub fn signal(&self, signal: &str) {
        let process = self.process().to_string();
        let sent =
            std::process::Command::new("kill").args([&format!("-{signal}"), &process]).status();
        assert!(sent.unwrap().success());
    }

    /// Waits for the end and for the last line of the log, and gives the exit code; `None` after a
    /// signal.
    pub async fn ended(&mut self) -> Option<i32> {
        let ended = async {
            let status = self.child.wait().await.unwrap();
            if let Some(reading) = self.reading.take() {
                reading.await.unwrap();
            }
            status.code()
        };
        tokio::time::timeout(DEADLINE, ended).await.expect("the daemon ends in time")
    }

    /// The id of its process.
    pub fn process(&self) -> u32 {
        self.child.id().expect("the daemon is running")
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let (mut log, lines) = (std::io::stderr().lock(), self.lines());
            for line in &lines[lines.len().saturating_sub(SHOWN)..] {
                let _shown = writeln!(log, "daemon: {line}");
            }
        }
    }
}

/// The program, or that of `tests/impatient.rs` where the variables have `TIMINGS` for it.
fn program(variables: &Variables) -> String {
    let program = daemon_program();
    let program = match variables.contains_key("TIMINGS") {
        true => program.with_file_name("examples").join("impatient"),
        false => program,
    };
    program.into_os_string().into_string().expect("the path is text")
}

/// A command that ends when the thread does that started it, be it killed: a test runs in one thread
/// from its beginning to its end.
pub fn bound_to_us(program: &str) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", program]);
    command
}
