//! Tables of the README and of docs/metrics.md are made from the code: what drifts fails here and prints
//! what is right.

use mimecast_eventd::event::EventType;
use mimecast_eventd::telemetry::{Metrics, Purpose, QueueLabels};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

pub const README: &str = include_str!("../../../README.md");
const METRICS: &str = include_str!("../../../docs/metrics.md");

/// Labels whose values are not a closed list of ours.
const OPEN: [&str; 3] = ["queue", "version", "revision"];

/// Everything that a daemon shows, its queues too.
fn exposition() -> String {
    let metrics = Metrics::new("revision");
    for purpose in [Purpose::Lane, Purpose::Delay, Purpose::DeadLetter] {
        let event = (purpose != Purpose::DeadLetter).then_some(EventType::UrlUnblock);
        let queue = QueueLabels { queue: purpose.label().into(), event, purpose };
        metrics.queue(&queue);
        metrics.queue_messages(&queue.queue, None);
    }
    metrics.text()
}

/// A metric as the exposition shows it.
struct Family<'a> {
    name: String,
    kind: &'a str,
    help: &'a str,
    labels: BTreeMap<&'a str, BTreeSet<&'a str>>,
}

fn families(text: &str) -> Vec<Family<'_>> {
    let help = text.lines().filter_map(|line| line.strip_prefix("# HELP eventd_")?.split_once(' '));
    help.map(|(name, help)| {
        let name = format!("eventd_{name}");
        let kind =
            text.lines().find_map(|line| line.strip_prefix(&format!("# TYPE {name} "))).unwrap();
        let of_it = |line: &&str| {
            line.strip_prefix(&name).is_some_and(|rest| {
                rest.starts_with(['{', ' ']) || kind == "histogram" && rest.starts_with("_count{")
            })
        };
        let mut labels: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for line in text.lines().filter(of_it) {
            let pairs = line.split_once('{').and_then(|(_, rest)| Some(rest.split_once('}')?.0));
            for (label, value) in
                pairs.iter().flat_map(|it| it.split(',')).filter_map(|it| it.split_once('='))
            {
                labels.entry(label).or_default().insert(value.trim_matches('"'));
            }
        }
        Family { name, kind, help, labels }
    })
    .collect()
}

#[test]
fn the_table_of_metrics_is_the_one_in_the_code() {
    let text = exposition();
    let mut table = String::from("| metric | labels | what it is |\n| --- | --- | --- |\n");
    for Family { name, help, labels, .. } in families(&text) {
        let labels: Vec<String> = labels.keys().map(|label| format!("`{label}`")).collect();
        writeln!(table, "| `{name}` | {} | {help} |", labels.join(", ")).unwrap();
    }
    assert_section("README.md", README, "metrics", &table);
}

#[test]
fn the_page_of_metrics_is_made_from_the_code() {
    let text = exposition();
    let mut page = String::new();
    for Family { name, kind, help, labels } in families(&text) {
        writeln!(page, "## {name}\n\n{help} A {kind}.\n").unwrap();
        for (label, values) in labels {
            let values: Vec<String> = values
                .iter()
                .filter(|value| !value.is_empty())
                .map(|value| format!("`{value}`"))
                .collect();
            let values = match OPEN.contains(&label) {
                true => "any".to_owned(),
                false => values.join(" "),
            };
            writeln!(page, "{}", wrapped(&format!("- `{label}`: {values}"))).unwrap();
        }
        let buckets: Vec<String> = text
            .lines()
            .filter_map(|line| line.strip_prefix(&format!("{name}_bucket{{"))?.split_once('}'))
            .filter_map(|(labels, _)| {
                Some(labels.split_once("le=\"")?.1.split_once('"')?.0.to_owned())
            })
            .take_while(|bound| bound != "+Inf")
            .collect();
        if !buckets.is_empty() {
            let buckets = format!("- buckets in seconds: {}", buckets.join(" "));
            writeln!(page, "{}", wrapped(&buckets)).unwrap();
        }
        if !page.ends_with("\n\n") {
            page.push('\n');
        }
    }
    assert_section("docs/metrics.md", METRICS, "metrics", &page);
}

#[test]
fn the_events_shown_are_events() {
    let shown: Vec<&str> =
        README.split("```json\n").skip(1).map(|rest| rest.split_once("```").unwrap().0).collect();
    assert_eq!(shown.len(), EventType::ALL.len());
    for (body, lane) in shown.into_iter().zip(EventType::ALL) {
        let envelope = mimecast_eventd::event::Envelope { body: body.into(), ..Default::default() };
        mimecast_eventd::event::Event::parse(&envelope, lane, &Default::default()).unwrap();
    }
}

/// An entry of a list over as many lines as it needs.
fn wrapped(entry: &str) -> String {
    let mut lines = vec![String::new()];
    for word in entry.split(' ') {
        let line = lines.last_mut().expect("there is one from the start");
        if line.len() + word.len() > 110 {
            lines.push(format!("  {word}"));
        } else {
            let space = if line.is_empty() { "" } else { " " };
            line.push_str(&format!("{space}{word}"));
        }
    }
    lines.join("\n")
}

/// Checks that the marked section of a document is what the code makes it.
pub fn assert_section(file: &str, text: &str, name: &str, expected: &str) {
    let (_, rest) = text.split_once(&format!("<!-- {name} -->\n")).expect("the section begins");
    let (found, _) = rest.split_once(&format!("<!-- /{name} -->")).expect("the section ends");
    assert!(found.trim() == expected.trim(), "the section {name} of {file} should be:\n{expected}");
}
