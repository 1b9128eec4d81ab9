//! The results as Markdown, and in `docs/soak.md`.

use crate::judgment::{Finding, calm_times};
use crate::run::Results;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use test_support::path::workspace;

const BEGIN: &str = "<!-- measured -->\n";
const END: &str = "<!-- /measured -->\n";

/// The results of a run.
pub fn text(minutes: u32, rate: u32, seed: u64, results: &Results, found: &[Finding]) -> String {
    let calm = calm_times(&results.spells, results.lasted, 0.0);
    let calm: f64 = calm.iter().map(|(begin, end)| end - begin).sum();
    let sixth = f64::from(minutes) / 6.0;
    let mut text = format!(
        "## What was measured\n\n\
         On {}: {}, RabbitMQ {}.\n\
         {minutes} minutes with {rate} events a second and the seed {seed}: {} faults, and none for\n\
         {:.0} % of the time. The daemon took at most {:.1} MiB.\n\n\
         | without a fault | minutes {sixth:.1} to {:.1} | last {sixth:.1} minutes | along the line \
         | may rise by | flat |\n| --- | --- | --- | --- | --- | --- |\n",
        chrono::Utc::now().date_naive(),
        machine(),
        results.broker,
        results.spells.len(),
        100.0 * calm / results.lasted,
        results.peak as f64 / 1024.0,
        2.0 * sixth,
    );
    for finding in found {
        let Finding { measure, first, last, drift } = finding;
        let unit = measure.unit;
        let flat = if finding.is_flat() { "yes" } else { "**no**" };
        let numbers = [*first, *last, *drift, finding.allowed()];
        let numbers = numbers.map(|number| format!("{number:.2} {unit}").trim_end().to_owned());
        line(&mut text, &[measure.name, &numbers.join(" | "), flat]);
    }
    text.push_str("\n| messages | |\n| --- | --- |\n");
    let account = &results.account;
    let mut row = |name: &str, count: usize| line(&mut text, &[name, &count.to_string()]);
    row("published", account.messages);
    row("applied", account.applied);
    for (reason, count) in &account.reasons {
        row(&format!("dead letters: {reason}"), *count);
    }
    row("still queued", account.queued.len());
    row("lost", account.lost.len());
    row("unexpected", account.unexpected.len());
    row("commands and dead letters that happened again", account.duplicated);
    text.push_str(
        "\n| fault | times | seconds that it lasted | seconds until recovery, median | at most |\n\
         | --- | --- | --- | --- | --- |\n",
    );
    let mut faults: BTreeMap<&str, (f64, Vec<f64>)> = BTreeMap::new();
    for spell in &results.spells {
        let (lasted, recoveries) = faults.entry(spell.name).or_default();
        *lasted += spell.end - spell.begin;
        recoveries.push(spell.well - spell.end);
    }
    for (name, (lasted, mut recoveries)) in faults {
        recoveries.sort_unstable_by(f64::total_cmp);
        let (times, last) = (recoveries.len(), recoveries[recoveries.len() - 1]);
        let numbers = format!("{times} | {lasted:.0} | {:.1} | {last:.1}", recoveries[times / 2]);
        line(&mut text, &[name, &numbers]);
    }
    text
}

fn line(text: &mut String, cells: &[&str]) {
    let _written = writeln!(text, "| {} |", cells.join(" | "));
}

/// Writes the results between the marks of the page, and the drawing beside it.
pub fn publish(text: &str, drawing: &str) {
    let (page, picture) = (workspace().join("docs/soak.md"), workspace().join("docs/soak.svg"));
    let old = std::fs::read_to_string(&page).expect("the page exists");
    let (before, rest) = old.split_once(BEGIN).expect("the page has a mark for the beginning");
    let (_, after) = rest.split_once(END).expect("the page has a mark for the end");
    let text = format!(
        "{before}{BEGIN}\n{text}\n![The resources of the daemon over time](soak.svg)\n{END}{after}"
    );
    std::fs::write(&page, text).expect("the page is writable");
    std::fs::write(&picture, drawing).expect("the drawing is writable");
}

/// The machine that the run was on.
fn machine() -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let field = |text: &str, name: &str| {
        let line = text.lines().find(|line| line.starts_with(name));
        line.and_then(|line| Some(line.split_once(':')?.1.trim().to_owned())).unwrap_or_default()
    };
    let processors = std::thread::available_parallelism().map_or(0, usize::from);
    let model = field(&read("/proc/cpuinfo"), "model name");
    let memory = field(&read("/proc/meminfo"), "MemTotal");
    let kibibytes = memory.trim_end_matches(" kB").parse::<f64>().unwrap_or_default();
    let memory = kibibytes / 1024.0 / 1024.0;
    let kernel = read("/proc/sys/kernel/osrelease");
    format!("{processors} processors ({model}), {memory:.0} GiB, Linux {}", kernel.trim())
}
