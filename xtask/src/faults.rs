//! Runs every test of a fault on three versions of RabbitMQ, and writes `docs/faults.md` from their reports. Nothing
//! in that page is written by hand.

use crate::failure::{Failure, Result};
use crate::later;
use crate::process::command;
use std::collections::BTreeSet;
use std::path::PathBuf;

const PAGE: &str = "docs/faults.md";

/// Random lists of faults with each broker, unless `FAULTS_CASES` is another number.
const CASES: &str = "30";

/// The lines of one broker's report.
struct Report(Vec<(String, String)>);

impl Report {
    /// Reads the lines that the tests have written.
    fn read(file: &std::path::Path) -> Result<Report> {
        let text = std::fs::read_to_string(file)?;
        let lines: BTreeSet<&str> = text.lines().collect();
        let pairs = lines.iter().filter_map(|line| line.split_once('\t'));
        Ok(Report(pairs.map(|(kind, fact)| (kind.to_owned(), fact.to_owned())).collect()))
    }

    fn facts(&self, kind: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(of, _)| of == kind).map(|(_, fact)| fact.as_str())
    }

    fn fact(&self, kind: &str) -> Result<&str> {
        let nothing = || Failure::failed(format!("the tests reported no {kind}"));
        self.facts(kind).next().ok_or_else(nothing)
    }

    fn pairs(&self) -> u32 {
        self.facts("pairs").filter_map(|count| count.parse::<u32>().ok()).sum()
    }

    /// Each row: what fails, and what became of it.
    fn rows(&self) -> impl Iterator<Item = (&str, &str)> {
        self.facts("row").filter_map(|fact| fact.split_once('\t')?.1.split_once('\t'))
    }
}

/// Runs the tests and writes the page.
pub fn run() -> Result {
    let folder = std::env::temp_dir().join(format!("faults-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let mut reports = Vec::new();
    for broker in [None, Some("4.0"), Some("4.3")] {
        let file = folder.join(broker.unwrap_or("installed"));
        let programs = match broker {
            Some(version) => Some(later::unpack(
                version,
                &crate::root().join(format!(".tools/rabbitmq-{version}")),
            )?),
            None => None,
        };
        test(&file, programs)?;
        reports.push(Report::read(&file)?);
    }
    std::fs::remove_dir_all(folder)?;
    std::fs::write(crate::root().join(PAGE), page(&reports)?)?;
    Ok(())
}

fn test(report: &std::path::Path, programs: Option<PathBuf>) -> Result {
    let tests = ["--include-ignored", "faults::", "broker::node", "--skip", "the_page_of_faults"];
    let mut cargo = command("cargo", ["test", "--locked", "--test", "suite", "--"]);
    cargo.args(tests).current_dir(crate::root()).env("FAULTS_REPORT", report);
    for (name, value) in [("FAULTS_CASES", CASES), ("FAULTS_PAIRS", "all")] {
        cargo.env(name, std::env::var_os(name).unwrap_or(value.into()));
    }
    cargo.envs(programs.map(|folder| ("BROKER_PROGRAMS", folder)));
    match cargo.status()?.success() {
        true => Ok(()),
        false => Err(Failure::failed("a test failed, or did not run")),
    }
}

fn page(reports: &[Report]) -> Result<String> {
    let first = reports.first().ok_or_else(|| Failure::failed("there is no report"))?;
    let versions: Vec<&str> = reports.iter().map(|it| it.fact("broker")).collect::<Result<_>>()?;
    let mut rows = String::new();
    for (number, (fault, _)) in first.rows().enumerate() {
        let results: Option<Vec<&str>> =
            reports.iter().map(|it| it.rows().nth(number).map(|(_, result)| result)).collect();
        let results = results.ok_or_else(|| Failure::failed(format!("no result of {fault}")))?;
        rows.push_str(&format!("| {fault} | {} |\n", results.join(" | ")));
    }
    Ok(format!(
        "# What faults cost

> Every published message ends in exactly one of three places: applied and acked, in the dead-letter
> queue with a reason, or still queued. Whatever fails, whenever it fails.

Written by `cargo xtask faults` from one run with each of RabbitMQ {}, the real binary and a fake of the
Mimecast API. Every fault has a test of its own in `tests/suite/faults` or `tests/suite/broker/node.rs`. One
message in ten is malformed and one in ten is refused for good: these are the dead letters. The test fails
if a message is in none of the three places (lost), or is a dead letter without a reason to be one.

Each column is about one RabbitMQ: messages lost · applied + dead-lettered · duplicated · seconds from the
end of the fault until `/readyz` answers that every lane consumes · and until no message was in flight or
queued any more. Duplicated are commands that were sent again although they held already, and dead letters
that were written twice: delivery is at least once and changes are idempotent. The waits between attempts,
probes and retries were set to fractions of a second.

| fault | what happened | messages | {} |
| --- | --- | --- |{}
{rows}
Beside these, with each of them {} random lists of faults, one after another and at the same time, on
random messages, and {} pairs of faults at once: no message was lost, and no dead letter was unexpected.
",
        versions.join(", "),
        versions.join(" | "),
        " --- |".repeat(versions.len()),
        first.fact("cases")?,
        first.pairs(),
    ))
}
