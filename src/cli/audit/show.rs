//! What was done for somebody, or because of one message.

use super::{AuditQuestionError, Proof, Span, tell_whether_whole};
use crate::cli::terminal::{OutputError, plain, say, say_json, table, tell};
use crate::event::canonical;
use crate::secrecy::Seal;
use crate::telemetry::audit::{Files, Line};
use chrono::SecondsFormat;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Whose lines are wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// Those about this address, domain or URL, whatever its case.
    Address(String),
    /// Those of the event or message with this id.
    Id(String),
}

pub(super) fn show(
    paths: &[PathBuf],
    seal: &Seal,
    wanted: &Wanted,
    span: &Span,
    json: bool,
) -> Result<Proof, AuditQuestionError> {
    let mut shown = Shown { json, found: 0, rows: Vec::new(), said: Ok(()) };
    // What was asked for is shown where no line says what became of it: the daemon was killed, or is at it just now.
    let mut open = BTreeMap::<String, Vec<(Line, bool)>>::new();
    let files = Files::read(paths, seal, |line, is_sealed| {
        let delivery = line.text("delivery").unwrap_or_default();
        let is_asked = line.kind() == "asked";
        if !is_asked {
            open.remove(delivery);
        }
        match span.has(line.at) && wanted.is_met(line) {
            true if is_asked => {
                let asked = open.entry(delivery.to_owned()).or_default();
                // One that was under way in a rotation is in both files.
                if !asked.iter().any(|(other, _)| other.entry == line.entry) {
                    asked.push((line.clone(), is_sealed));
                }
            }
            true => shown.add(line, is_sealed),
            false => {}
        }
    })?;
    open.values().flatten().for_each(|(line, is_sealed)| shown.add(line, *is_sealed));
    let Shown { found, rows, said, .. } = shown;
    said?;
    if !rows.is_empty() {
        say(&table(&HEADER, rows))?;
    }
    let proof = tell_whether_whole(&files);
    match found {
        0 => tell("no line is about that"),
        1 => tell("1 line"),
        lines => tell(&format!("{lines} lines")),
    }
    Ok(if found > 0 { proof } else { Proof::Wanting })
}

/// What was found, as far as it is not said already.
struct Shown {
    json: bool,
    found: usize,
    rows: Vec<Vec<String>>,
    said: Result<(), OutputError>,
}

impl Shown {
    fn add(&mut self, line: &Line, is_sealed: bool) {
        self.found += 1;
        if !self.json {
            self.rows.extend(told(line, is_sealed));
        } else if self.said.is_ok() {
            self.said = say_json(&object(line, is_sealed));
        }
    }
}

impl Wanted {
    fn is_met(&self, line: &Line) -> bool {
        let letter = line.entry.get("letter");
        let of_letter = |name: &str| letter.and_then(|it| it.get(name)?.as_str());
        let either = |name: &str, of: &str| [line.text(name), of_letter(of)].into_iter().flatten();
        match self {
            Wanted::Id(id) => {
                let ids = either("event_id", "id").chain(line.text("message_id"));
                ids.into_iter().any(|it| it == id)
            }
            Wanted::Address(address) => {
                let address = canonical(address);
                let members = commands(line).filter_map(|it| it.get("member")?.as_str());
                let mut all = either("subject", "subject").chain(members);
                all.any(|it| canonical(it) == address)
            }
        }
    }
}

const HEADER: [&str; 9] = [
    "WRITTEN AT",
    "EVENT ID",
    "ABOUT",
    "BECAME",
    "DONE",
    "ON",
    "RESULT",
    "SEEN GONE AT",
    "REQUEST",
];

/// A row for each command, and one where there was none.
fn told(line: &Line, is_sealed: bool) -> Vec<Vec<String>> {
    let text = |name: &str| line.text(name).unwrap_or_default();
    let letter = |name: &str| line.entry.get("letter").and_then(|it| it.get(name)?.as_str());
    let word = |text: &str| plain(if text.is_empty() { "-" } else { text }, 64);
    let mark = if is_sealed { "" } else { "! " };
    let became = match (line.kind(), text("disposition")) {
        ("settled", "ack") => line.text("result").unwrap_or("ack").to_owned(),
        ("settled", disposition) => {
            let why = [disposition, text("reason"), text("code")];
            why.into_iter().filter(|it| !it.is_empty()).collect::<Vec<_>>().join(" ")
        }
        ("asked", _) => "asked, no answer".to_owned(),
        ("interrupted", _) => "interrupted".to_owned(),
        (kind, _) => format!("{kind} by {}", text("user")),
    };
    let id = line.text("event_id").or(line.text("message_id")).or(letter("id"));
    let about = line.text("subject").or(letter("subject"));
    let head = [
        format!("{mark}{}", line.at.to_rfc3339_opts(SecondsFormat::Millis, true)),
        word(id.unwrap_or_default()),
        word(about.unwrap_or_default()),
        word(&became),
    ];
    let done = commands(line).map(|command| {
        let of = |name: &str| command.get(name).and_then(Value::as_str).unwrap_or_default();
        let on = [of("group_id"), of("entry_id")].concat();
        let requests = command.get("requests").and_then(Value::as_array);
        let last = requests.and_then(|it| it.last());
        let request = last.and_then(|it| it.get("vendor_id").or(it.get("id"))?.as_str());
        let done = [of("operation"), &on, of("result"), of("seen_gone_at")];
        let done = done.into_iter().chain([request.unwrap_or_default()]).map(word);
        head.iter().cloned().chain(done).collect()
    });
    let rows: Vec<Vec<String>> = done.collect();
    let nothing = || vec![head.iter().cloned().chain(["-"; 5].map(str::to_owned)).collect()];
    if rows.is_empty() { nothing() } else { rows }
}

fn commands(line: &Line) -> impl Iterator<Item = &Value> {
    line.entry.get("commands").and_then(Value::as_array).into_iter().flatten()
}

/// The line as it was written, and whether its seal is right.
fn object(line: &Line, is_sealed: bool) -> Map<String, Value> {
    let mut object = line.entry.clone();
    for (name, value) in [
        ("chain", json!(line.head.chain)),
        ("line", json!(line.head.lines)),
        ("at", json!(line.at)),
        ("sealed", json!(is_sealed)),
    ] {
        object.insert(name.to_owned(), value);
    }
    object
}
