//! The README's tables are made from the code: what drifts fails here and prints what is right.

use mimecast_eventd::event::EventType;
use mimecast_eventd::settings::{SETTINGS, Setting};
use mimecast_eventd::telemetry::Metrics;
use std::fmt::Write as _;

const README: &str = include_str!("../../../README.md");

#[test]
fn the_table_of_settings_is_the_one_in_the_code() {
    let mut table =
        String::from("| key | variable | default | what it does |\n| --- | --- | --- | --- |\n");
    for Setting { key, default, secret, help } in SETTINGS {
        let variable = SETTINGS.iter().find(|setting| setting.key == *key).unwrap().variable();
        let default = default.map_or("–".into(), |default| format!("`{default}`"));
        let secret = if *secret { " Secret." } else { "" };
        writeln!(table, "| `{key}` | `{variable}` | {default} | {help}.{secret} |").unwrap();
    }
    assert_section("settings", &table);
}

#[test]
fn the_table_of_metrics_is_the_one_in_the_code() {
    let text = Metrics::new("revision").text();
    let mut table = String::from("| metric | labels | what it is |\n| --- | --- | --- |\n");
    let help = text.lines().filter_map(|line| line.strip_prefix("# HELP eventd_"));
    for (name, help) in help.filter_map(|line| line.split_once(' ')) {
        let series = format!("eventd_{name}");
        let found = text.lines().find(|line| line.starts_with(&series)).unwrap();
        let labels = found.split_once('{').map_or("", |(_, rest)| rest.split_once('}').unwrap().0);
        let labels: Vec<String> = labels
            .split(',')
            .filter_map(|label| Some(format!("`{}`", label.split_once('=')?.0)))
            .filter(|label| label != "`le`")
            .collect();
        writeln!(table, "| `{series}` | {} | {help} |", labels.join(", ")).unwrap();
    }
    assert_section("metrics", &table);
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

fn assert_section(name: &str, expected: &str) {
    let (_, rest) = README.split_once(&format!("<!-- {name} -->\n")).expect("the section begins");
    let (found, _) = rest.split_once(&format!("<!-- /{name} -->")).expect("the section ends");
    assert!(
        found.trim() == expected.trim(),
        "the section {name} of README.md should be:\n{expected}"
    );
}
