//! The audit trail of a scene, compared with the fake's own record of what it has done.

use fake_mimecast::Call;
use mimecast_eventd::secrecy::Seal;
use mimecast_eventd::telemetry::audit::{Files, Line};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;
use tempfile::TempDir;

/// The audit trail of the daemons of a scene, one after the other.
pub struct Trail {
    _folder: TempDir,
    path: PathBuf,
}

impl Trail {
    /// Nothing is in it yet.
    pub fn new() -> Trail {
        let folder = TempDir::new().expect("there is room for a folder");
        let path = folder.path().join("audit.jsonl");
        Trail { _folder: folder, path }
    }

    /// The value of `audit.path`.
    pub fn path(&self) -> &str {
        self.path.to_str().expect("the path is text")
    }

    /// Leaves this process no room for a line more, or any room again.
    pub fn fill(&self, process: u32, is_full: bool) {
        let size = self.path.metadata().map_or(0, |it| it.len());
        let most = if is_full { format!("{size}:") } else { "unlimited:".to_owned() };
        let arguments = ["--pid", &process.to_string(), &format!("--fsize={most}")];
        let set = Command::new("prlimit").args(arguments).status();
        assert!(set.expect("there is a prlimit").success());
    }

    /// What is wrong with it: each change that Mimecast made is a request in exactly one line, and all lines are whole.
    pub fn compare(&self, calls: &[Call]) -> Vec<String> {
        let mut told = BTreeMap::<String, usize>::new();
        let files = Files::read(std::slice::from_ref(&self.path), &Seal::default(), |line, _| {
            if ["settled", "interrupted"].contains(&line.kind()) {
                requests(line).for_each(|id| *told.entry(id).or_default() += 1);
            }
        });
        let files = files.expect("the trail can be read");
        let broken = files.broken.iter().map(|it| format!("the trail is broken: {it}"));
        let changes = calls.iter().filter(|call| call.operation.is_change() && call.applied);
        let wrong = changes.filter_map(|call| {
            let id = call.request_id.as_deref().unwrap_or_default();
            let lines = told.get(id).copied().unwrap_or_default();
            (lines != 1).then(|| format!("the trail has {lines} lines of {id}: {call}"))
        });
        broken.chain(wrong).collect()
    }
}

impl Default for Trail {
    fn default() -> Trail {
        Trail::new()
    }
}

fn requests(line: &Line) -> impl Iterator<Item = String> {
    let list = |value: &Value, name: &str| value[name].as_array().cloned().unwrap_or_default();
    let commands =
        line.entry.get("commands").and_then(Value::as_array).cloned().unwrap_or_default();
    let requests = commands.into_iter().flat_map(move |command| list(&command, "requests"));
    requests.filter_map(|request| Some(request["id"].as_str()?.to_owned()))
}
