//! The binary as a command for people: what it says, and how it ends.

use super::path::daemon_program;
use super::settings::Variables;
use serde_json::Value;
use std::process::Stdio;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;

/// What a command came to.
#[derive(Debug)]
pub struct Ran {
    /// Exit code; `None` after a signal.
    pub code: Option<i32>,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Ran {
    /// The lines of data.
    pub fn lines(&self) -> Vec<&str> {
        self.out.lines().collect()
    }

    /// The lines of data, each an object.
    pub fn objects(&self) -> Vec<Value> {
        self.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// One field of each object.
    pub fn field(&self, name: &str) -> Vec<Value> {
        self.objects().iter().map(|object| object[name].clone()).collect()
    }
}

/// Runs the binary with nothing in its environment but `variables`.
pub async fn run(variables: &Variables, arguments: &[&str]) -> Ran {
    run_with(variables, arguments, b"").await
}

/// The same, with something to read on standard input.
pub async fn run_with(variables: &Variables, arguments: &[&str], input: &[u8]) -> Ran {
    let mut child = command(variables, arguments).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let writing = async {
        // A command that wants none may be over before it was written.
        let _ended = stdin.write_all(input).await;
        drop(stdin);
    };
    let (output, ()) = tokio::join!(child.wait_with_output(), writing);
    let output = output.unwrap();
    Ran {
        code: output.status.code(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

/// The same by way of a command that becomes the binary, as `sh` does after `exec`.
pub async fn run_by(way: &[&str], variables: &Variables, arguments: &[&str]) -> Ran {
    let daemon = daemon_program();
    let daemon = daemon.to_str().expect("the path is text");
    let program = [way, &[daemon], arguments].concat();
    let mut command = Command::new(program[0]);
    command.args(&program[1..]).env_clear().envs(variables).kill_on_drop(true);
    let output = command.stdin(Stdio::null()).output().await.unwrap();
    Ran {
        code: output.status.code(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Runs the binary with `stdout` as its output; gives its exit code, and what it says beside that.
pub async fn run_into(
    stdout: impl Into<Stdio>,
    variables: &Variables,
    arguments: &[&str],
) -> (Option<i32>, String) {
    let mut command = command(variables, arguments);
    let child = command.stdin(Stdio::null()).stdout(stdout).spawn().unwrap();
    // It has the only end of a pipe from here on.
    drop(command);
    let output = child.wait_with_output().await.unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

/// The binary, ready to be run.
pub fn command(variables: &Variables, arguments: &[&str]) -> Command {
    let mut command = Command::new(daemon_program());
    command.args(arguments).env_clear().envs(variables).kill_on_drop(true);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs the binary; gives what it said, and the most memory that it took, in KiB.
pub async fn run_measured(variables: &Variables, arguments: &[&str]) -> (String, usize) {
    let mut child = command(variables, arguments).spawn().unwrap();
    let (process, mut most) = (child.id().unwrap(), 0);
    let mut out = child.stdout.take().unwrap();
    let reading = tokio::spawn(async move {
        let mut text = String::new();
        out.read_to_string(&mut text).await.unwrap();
        text
    });
    while child.try_wait().unwrap().is_none() {
        most = most.max(most_memory(process).unwrap_or_default());
        tokio::task::yield_now().await;
    }
    (reading.await.unwrap(), most)
}

/// The most memory that a process has had so far, in KiB; `None` once it is over.
pub fn most_memory(process: u32) -> Option<usize> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().trim_end_matches(" kB").parse().ok()
}
