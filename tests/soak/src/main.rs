//! Runs the daemon for an hour: mixed events at a steady rate, and every minute another fault of the
//! API, of the broker or of an operator. It fails if anything rises from the first sixth on, or if a
//! message is not in its place in the end.
//!
//! - `run` does all that, by the `schedule`, and takes each `sample`;
//! - `judgment` finds what rises;
//! - `page` writes the results into `docs/soak.md`, and `picture` draws them.

#![expect(unreachable_pub, reason = "everything in a program is unreachable from outside")]

mod judgment;
#[cfg(test)]
mod judgment_tests;
mod page;
mod picture;
mod run;
mod sample;
mod schedule;

use std::io::Write as _;
use std::process::ExitCode;
use test_support::faults::op::number;
use test_support::node::folder_of_this_run;

/// The shortest run whose results are published.
const PUBLISHED: u32 = 60;
/// The shortest run whose measures are judged: in a shorter one the daemon is not warm.
const JUDGED: u32 = 10;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let minutes = match &arguments[..] {
        [] => Some(PUBLISHED),
        [minutes] => minutes.parse().ok().filter(|minutes| *minutes > 0),
        _ => None,
    };
    let Some(minutes) = minutes else {
        print("usage: soak [MINUTES]");
        return ExitCode::from(64);
    };
    let seed = number("SOAK_SEED").unwrap_or(1);
    let rate = number("SOAK_RATE").map_or(30, |rate| u32::try_from(rate).expect("a small number"));
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let results = runtime.block_on(run::run(minutes, rate, seed));
    let lasted = results.lasted;
    let findings = judgment::judge(&results.samples, &results.latencies, &results.spells, lasted);
    let page = page::text(minutes, rate, seed, &results, &findings);
    print(&page);
    let drawing = picture::drawing(&results);
    let file = folder_of_this_run("soak").join("soak.svg");
    std::fs::write(&file, &drawing).expect("the folder is writable");
    print(&format!("drawing: {}", file.display()));
    let rises = findings.iter().filter(|finding| minutes >= JUDGED && !finding.is_flat());
    let mut wrong: Vec<String> =
        rises.map(|finding| format!("rises: {}", finding.measure.name)).collect();
    if !results.account.is_closed() {
        wrong.push(results.account.to_string());
    }
    wrong.extend(results.complaints.iter().cloned());
    if !wrong.is_empty() {
        print(&format!("FAIL\n{}", wrong.join("\n")));
        return ExitCode::FAILURE;
    }
    if minutes >= PUBLISHED {
        page::publish(&page, &drawing);
    }
    let account = &results.account;
    print(&format!("OK: lost {}, unexpected {}", account.lost.len(), account.unexpected.len()));
    ExitCode::SUCCESS
}

/// Writes a line to standard output.
fn print(line: &str) {
    // A reader that is gone is no reason to stop.
    let _written = writeln!(std::io::stdout(), "{line}");
}
