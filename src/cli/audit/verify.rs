//! Whether files are whole, and where the first one is broken.

use super::{AuditQuestionError, Proof, place};
use crate::cli::terminal::{BAD, GOOD, OutputError, coloured, say, say_json, tell};
use crate::secrecy::Seal;
use crate::telemetry::audit::{self, Broken, Chain, Files};
use chrono::SecondsFormat;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::PathBuf;

pub(super) fn verify(
    paths: &[PathBuf],
    seal: &Seal,
    (head, from_first, strict): (Option<&str>, bool, bool),
    json: bool,
) -> Result<Proof, AuditQuestionError> {
    let mut missing: BTreeSet<String> = head.map(str::to_lowercase).into_iter().collect();
    let mut is_strictly_whole = true;
    if strict && !paths.iter().any(|path| audit::is_left(path)) {
        is_strictly_whole = false;
        tell(
            "beside none of these files stands where the daemon has left them (.NAME.head): nobody can tell whether \
              lines are missing at the end",
        );
    }
    for path in paths.iter().filter(|_| strict) {
        match audit::left_at(path, seal) {
            Ok(left) => missing.extend(left),
            Err(why) => {
                is_strictly_whole = false;
                tell(&why);
            }
        }
    }
    let files = Files::read(paths, seal, |line, is_sealed| {
        if is_sealed {
            missing.remove(&line.head.seal.to_lowercase());
        }
    })?;
    for chain in &files.chains {
        if json { say_json(&object(chain)) } else { say(&words(chain)) }?;
    }
    for broken in &files.broken {
        say_broken(broken, json)?;
    }
    if files.chains.is_empty() {
        tell("there is no line of an audit trail in these files");
    }
    for seal in &missing {
        tell(&format!(
            "no line has the seal {seal}: lines are missing at the end, or it is another chain's"
        ));
    }
    let lacks_first = from_first && files.chains.iter().any(|chain| chain.first > 1);
    if lacks_first {
        tell("a chain does not begin with its line 1: lines are missing at the beginning");
    }
    is_strictly_whole &= !strict || files.chains.iter().all(|chain| chain.mismatches == 0);
    let is_whole = files.broken.is_empty()
        && !files.chains.is_empty()
        && missing.is_empty()
        && !lacks_first
        && is_strictly_whole;
    let (proof, said) = match is_whole {
        true => (Proof::Whole, coloured(GOOD, "whole")),
        false => (Proof::Wanting, coloured(BAD, "NOT WHOLE")),
    };
    if !json {
        say(&said)?;
    }
    Ok(proof)
}

fn words(chain: &Chain) -> String {
    let Chain { first, head, written: (from, until), torn, mismatches, .. } = chain;
    let moment = |at: &chrono::DateTime<chrono::Utc>| at.to_rfc3339_opts(SecondsFormat::Secs, true);
    let (from, until) = (moment(from), moment(until));
    let mut words = format!(
        "chain {}: lines {first} to {}, from {from} to {until}\n  the seal of the last is {}",
        head.chain, head.lines, head.seal
    );
    if *first > 1 {
        words.push_str("\n  what came before its first line is in older files");
    }
    if *torn > 0 {
        words.push_str(&format!("\n  torn lines that a start repaired: {torn}"));
    }
    if *mismatches > 0 {
        words.push_str(&format!(
            "\n  times that a start found it other than the daemon had left it: {mismatches}"
        ));
    }
    words
}

fn object(chain: &Chain) -> Value {
    let Chain { first, head, written: (from, until), torn, mismatches, .. } = chain;
    json!({
        "chain": head.chain, "first": first, "lines": head.lines, "head": head.seal,
        "from": from, "until": until, "repaired": torn, "mismatches": mismatches,
    })
}

fn say_broken(broken: &Broken, json: bool) -> Result<(), OutputError> {
    let Broken { file, line, why } = broken;
    match json {
        true => say_json(&json!({"broken": {"file": file, "line": line, "why": why}})),
        false => say(&format!("{} {}", coloured(BAD, "BROKEN"), place(broken))),
    }
}
