//! Child processes.

use crate::failure::Result;
use std::ffi::OsStr;
use std::io::{self, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Sender, channel};
use std::sync::{LazyLock, Mutex, PoisonError};

/// Writes a line to standard error.
pub fn report(line: &str) {
    // Without a standard error there is nothing better to do.
    let _ignored = writeln!(io::stderr(), "xtask: {line}");
}

/// Writes a line to standard output, for scripts to read.
pub fn print(line: &str) -> Result {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()?;
    Ok(())
}

/// Returns the path of a program in `PATH`.
pub fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|file| file.is_file())
}

/// True when this process runs as root.
pub fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}

/// True when the command can be run and succeeds. It prints nothing.
pub fn succeeds(command: &mut Command) -> bool {
    let quiet = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    quiet.status().is_ok_and(|status| status.success())
}

/// True when the command can be run and succeeds. Its output goes to standard error.
pub fn succeeds_aloud(command: &mut Command) -> bool {
    let aloud = command.stdin(Stdio::null()).stdout(io::stderr());
    aloud.status().is_ok_and(|status| status.success())
}

/// Returns the standard output of a command; `None` when it fails.
pub fn output(command: &mut Command) -> Option<String> {
    let output = command.stdin(Stdio::null()).stderr(Stdio::inherit()).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout);
    output.status.success().then(|| text.trim_end().to_owned())
}

/// Returns a command with these arguments.
pub fn command<A: AsRef<OsStr>>(
    program: impl AsRef<OsStr>,
    arguments: impl IntoIterator<Item = A>,
) -> Command {
    let mut command = Command::new(program);
    command.args(arguments);
    command
}

/// Sends a signal, such as `TERM`.
pub fn signal(process: u32, signal: &str) -> bool {
    succeeds(&mut command("kill", [format!("-{signal}"), process.to_string()]))
}

/// Returns a command that gets `signal` when the thread ends that started it, also by a kill.
pub fn bound(program: impl AsRef<OsStr>, signal: &str) -> Command {
    static CAN_BIND: LazyLock<bool> =
        LazyLock::new(|| succeeds(&mut command("setpriv", ["--pdeathsig", "KILL", "true"])));
    if !*CAN_BIND {
        return Command::new(program);
    }
    let mut bound = command("setpriv", ["--pdeathsig", signal]);
    bound.arg(program);
    bound
}

/// Starts a command from a thread that lives as long as this process: a bound command then ends with the
/// process and with no thread of it before.
pub fn start(mut command: Command) -> io::Result<Child> {
    type Job = Box<dyn FnOnce() + Send>;
    static SUPERVISOR: LazyLock<Mutex<Sender<Job>>> = LazyLock::new(|| {
        let (jobs, waiting) = channel::<Job>();
        std::thread::spawn(move || waiting.into_iter().for_each(|job| job()));
        Mutex::new(jobs)
    });
    let (reply, started) = channel();
    let job = Box::new(move || {
        let _caller_is_gone = reply.send(command.spawn());
    });
    let jobs = SUPERVISOR.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let gone = || io::Error::other("the supervisor thread is gone");
    jobs.send(job).map_err(|_| gone())?;
    started.recv().map_err(|_| gone())?
}
