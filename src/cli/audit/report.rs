//! How it went in a period, on one page that prints.

use super::{AuditQuestionError, Proof, Span, tell_whether_whole};
use crate::cli::terminal::say;
use crate::event::lag;
use crate::secrecy::Seal;
use crate::secrecy::steering::replaced;
use crate::telemetry::audit::{Files, Line};
use crate::verdict::CommandResult;
use chrono::{DateTime, NaiveDate, SecondsFormat, TimeDelta, Utc};
use maud::{DOCTYPE, Markup, PreEscaped, html};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::PathBuf;

const STYLE: &str = "
:root{color-scheme:light dark}
body{font:1rem/1.45 system-ui,sans-serif;margin:0 auto;max-width:60rem;padding:1rem}
h1{font-size:1.4rem}h2{font-size:1.1rem;margin:1.5rem 0 .5rem}
table{border-collapse:collapse;width:100%}caption{text-align:left;font-weight:600}
th,td{border-bottom:1px solid #8886;padding:.25rem .5rem .25rem 0;text-align:left;overflow-wrap:anywhere}
td.number{text-align:right;font-variant-numeric:tabular-nums}
svg{display:block;width:100%;height:auto}code{overflow-wrap:anywhere}
.bad{border-left:.4rem solid currentColor;padding-left:.5rem}
";

/// Until when an effect was there after its event, in words and in seconds.
const STEPS: [(&str, i64); 7] = [
    ("1 s", 1),
    ("10 s", 10),
    ("1 min", 60),
    ("10 min", 600),
    ("1 h", 3600),
    ("1 day", 86_400),
    ("later", i64::MAX),
];

/// What is counted.
#[derive(Debug, Default)]
struct Tally {
    /// Messages by event and what became of them.
    became: BTreeMap<(String, String), u64>,
    /// Messages that were applied, by day.
    days: BTreeMap<NaiveDate, u64>,
    /// Commands by operation and result.
    commands: BTreeMap<(String, String), u64>,
    /// Commands whose effect was read back.
    seen_gone: u64,
    /// From event to effect.
    lags: Vec<TimeDelta>,
    /// Messages that were dead-lettered, by reason and code, and the id of one.
    failed: BTreeMap<(String, String), (u64, String)>,
}

pub(super) fn report(
    paths: &[PathBuf],
    seal: &Seal,
    span: &Span,
    now: DateTime<Utc>,
) -> Result<Proof, AuditQuestionError> {
    let mut tally = Tally::default();
    let files = Files::read(paths, seal, |line, _| {
        if span.has(line.at) && ["settled", "interrupted"].contains(&line.kind()) {
            tally.add(line);
        }
    })?;
    tally.lags.sort_unstable();
    say(&replaced(page(&tally, &files, span, now).into_string()))?;
    Ok(tell_whether_whole(&files))
}

impl Tally {
    fn add(&mut self, line: &Line) {
        self.add_commands(line);
        let is_another_part = line.entry.get("part").is_some_and(|part| part[0] != 1);
        // What was interrupted comes again.
        if line.kind() == "settled" && !is_another_part {
            self.add_message(line);
        }
    }

    fn add_message(&mut self, line: &Line) {
        let text = |name: &str| line.text(name).unwrap_or_default().to_owned();
        let disposition = text("disposition");
        let result = line.text("result").unwrap_or("ack").to_owned();
        let became = if disposition == "ack" { result.clone() } else { disposition.clone() };
        *self.became.entry((text("event"), became)).or_default() += 1;
        if disposition == "ack" && result != CommandResult::NotFound.label() {
            *self.days.entry(line.at.date_naive()).or_default() += 1;
            let moment = |name: &str| line.text(name)?.parse::<DateTime<Utc>>().ok();
            self.lags.extend(lag([moment("time"), moment("effective_at")], line.at));
        }
        if disposition == "dead_letter" {
            let id = line.text("event_id").or(line.text("message_id")).unwrap_or("without an id");
            let failed = self.failed.entry((text("reason"), text("code"))).or_default();
            *failed = (failed.0 + 1, id.to_owned());
        }
    }

    fn add_commands(&mut self, line: &Line) {
        let commands = line.entry.get("commands").and_then(Value::as_array).into_iter().flatten();
        for command in commands {
            let of =
                |name: &str| command.get(name).and_then(Value::as_str).unwrap_or("-").to_owned();
            *self.commands.entry((of("operation"), of("result"))).or_default() += 1;
            self.seen_gone += u64::from(command.get("seen_gone_at").is_some_and(Value::is_string));
        }
    }

    /// The time that this part of the effects kept to, in words.
    fn lag(&self, part: f64) -> String {
        let place = (self.lags.len() as f64 * part).ceil() as usize;
        let lag = self.lags.get(place.saturating_sub(1));
        lag.map_or("–".into(), |lag| format!("{:.1} s", lag.num_milliseconds() as f64 / 1000.0))
    }
}

fn page(tally: &Tally, files: &Files, span: &Span, now: DateTime<Utc>) -> Markup {
    let moment = |at: DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::Secs, true);
    let since = span.since.map_or("the beginning".into(), moment);
    let until = moment(span.until.unwrap_or(now));
    let count = |wanted: &str| -> u64 {
        tally.became.iter().filter(|((_, it), _)| it == wanted).map(|(_, count)| count).sum()
    };
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { "mimecast-eventd: audit report" }
                style { (PreEscaped(STYLE)) }
            }
            body {
                h1 { "Audit report" }
                p { "From " (since) " to " (until) ", made at " (moment(now)) "." }
                (whether_whole(files))
                h2 { "How many" }
                p {
                    "Of the messages, " (count("applied")) " were applied, " (count("already_gone"))
                    " asked for what was gone already, " (count("not_found"))
                    " for what Mimecast does not know, and " (count("dead_letter"))
                    " were dead-lettered."
                }
                (table("Settled messages", ["event", "became"], &tally.became))
                (table("Commands", ["operation", "result"], &tally.commands))
                p { (tally.seen_gone) " effects were read back and seen gone." }
                (bars("Applied messages by day", &by_day(tally)))
                h2 { "How fast" }
                p {
                    "From the event, or the time that it is effective at, to the confirmed effect: half within "
                    (tally.lag(0.5)) ", 19 of 20 within " (tally.lag(0.95)) ", the last within " (tally.lag(1.0)) "."
                }
                (bars("Effects that were confirmed within", &by_step(tally)))
                h2 { "What failed, and why" }
                (failures(tally))
            }
        }
    }
}

fn whether_whole(files: &Files) -> Markup {
    html! {
        @for broken in &files.broken { p.bad { "Not whole: " (broken) } }
        @for chain in &files.chains {
            p {
                "Chain " (chain.head.chain) ", lines " (chain.first) " to " (chain.head.lines)
                @if files.broken.is_empty() { ", is whole" }
                "; the seal of the last line is " code { (chain.head.seal) } "."
            }
        }
    }
}

fn table(caption: &str, names: [&str; 2], counts: &BTreeMap<(String, String), u64>) -> Markup {
    html! {
        table {
            caption { (caption) }
            thead { tr { @for name in names { th scope="col" { (name) } } th scope="col" { "how often" } } }
            tbody {
                @for ((one, other), count) in counts { tr { td { (one) } td { (other) } td.number { (count) } } }
            }
        }
    }
}

fn failures(tally: &Tally) -> Markup {
    html! {
        @if tally.failed.is_empty() { p { "Nothing was dead-lettered." } } @else {
            table {
                thead { tr {
                    th scope="col" { "reason" } th scope="col" { "code" }
                    th scope="col" { "how often" } th scope="col" { "such as" }
                } }
                tbody {
                    @for ((reason, code), (count, id)) in &tally.failed {
                        tr { td { (reason) } td { (code) } td.number { (count) } td { (id) } }
                    }
                }
            }
        }
    }
}

/// The days of the period that have a message, without those between them that have none.
fn by_day(tally: &Tally) -> Vec<(String, u64)> {
    tally.days.iter().map(|(day, count)| (day.to_string(), *count)).collect()
}

fn by_step(tally: &Tally) -> Vec<(String, u64)> {
    let mut before = i64::MIN;
    let step = STEPS.map(|(name, most)| {
        let within = |lag: &&TimeDelta| (before..most).contains(&lag.num_seconds());
        let count = tally.lags.iter().filter(within).count() as u64;
        before = most;
        (name.to_owned(), count)
    });
    step.to_vec()
}

/// A bar for each, with its name and number.
fn bars(caption: &str, values: &[(String, u64)]) -> Markup {
    let most = values.iter().map(|(_, count)| *count).max().unwrap_or_default().max(1);
    let height = values.len() * 22 + 4;
    html! {
        figure {
            figcaption { (caption) }
            svg viewBox=(format!("0 0 720 {height}")) role="img" aria-label=(caption) font-size="13" fill="currentColor" {
                @for (place, (name, count)) in values.iter().enumerate() {
                    @let top = place * 22 + 4;
                    @let width = *count as f64 / most as f64 * 500.0;
                    text x="100" y=(top + 13) text-anchor="end" { (name) }
                    rect x="110" y=(top) width=(format!("{width:.1}")) height="16" fill-opacity="0.6" {}
                    text x=(format!("{:.1}", 116.0 + width)) y=(top + 13) { (count) }
                }
            }
        }
    }
}
