//! The one table of settings, and all that must agree with it: the README, the example file, the
//! schema, and what the daemon refuses.

use super::{file, os, with};
use crate::house::readme::{README, assert_section};
use crate::support::program::run;
use crate::support::settings::{Variables, named, oauth2_without_url, read};
use mimecast_eventd::cli::config::schema;
use mimecast_eventd::settings::{SETTINGS, Setting, Settings, Sources};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use toml::Table;

/// Settings that take any text.
const FREE: [&str; 6] = [
    "amqp.exchange",
    "amqp.dead_letter_exchange",
    "amqp.dead_letter_queue",
    "amqp.outcome_exchange",
    "events.\"user.offboarded\".queue",
    "events.\"url.unblock\".queue",
];

#[test]
fn every_setting_refuses_garbage_and_emptiness_under_its_own_key() {
    for setting in SETTINGS {
        let refusals = |value: &str| -> Vec<(String, String)> {
            let mut variables = with(&[]);
            if setting.key.starts_with("mimecast.client_") {
                variables = oauth2_without_url();
                variables.extend([named("MIMECAST__REGION", "uk")]);
            }
            variables.insert(setting.variable(), value.into());
            let mistakes = read(&variables).err().unwrap_or_default();
            mistakes.iter().map(|it| (it.key.to_string(), it.origin.to_string())).collect()
        };
        let refused = [(setting.key.to_owned(), format!("variable {}", setting.variable()))];
        let garbage = if FREE.contains(&setting.key) { &[][..] } else { &refused };
        assert_eq!(refusals("\0garbage"), garbage, "{}", setting.key);
        // Without an outcome exchange no outcomes are published.
        let empty = if setting.key == "amqp.outcome_exchange" { &[][..] } else { &refused };
        assert_eq!(refusals(""), empty, "{}", setting.key);
    }
}

#[test]
fn the_readme_has_every_setting() {
    let mut table = String::from(
        "| key | variable | default | a change takes effect | what it does |\n| --- | --- | --- | --- | --- |\n",
    );
    for setting @ Setting { key, default, secret, help } in SETTINGS {
        let (variable, change) = (setting.variable(), setting.change().label());
        let default = default.map_or("–".into(), |default| format!("`{default}`"));
        let secret = if *secret { " Secret." } else { "" };
        writeln!(table, "| `{key}` | `{variable}` | {default} | {change} | {help}.{secret} |")
            .unwrap();
    }
    assert_section("README.md", README, "settings", &table);
}

#[test]
fn the_example_has_every_setting_with_its_default_and_of_secrets_the_variable() {
    let read = |file: Option<PathBuf>| {
        Settings::read(Sources::gather([], os(&with(&[])), file.as_deref())).unwrap()
    };
    assert_eq!(format!("{:?}", read(Some(path()))), format!("{:?}", read(None)));

    let text = std::fs::read_to_string(path()).unwrap();
    let uncommented: Vec<String> = text.lines().map(uncommented).collect();
    let defaults = flat(&text.parse().unwrap());
    let mut all = flat(&uncommented.join("\n").parse().unwrap());
    for Setting { key, default, secret, .. } in SETTINGS {
        assert_eq!(defaults.get(*key).map(String::as_str), default.filter(|_| !secret), "{key}");
        assert_eq!(all.remove(*key).is_none(), *secret, "{key}");
    }
    assert!(all.is_empty(), "the example has settings that do not exist: {all:?}");
    for setting in SETTINGS.iter().filter(|setting| setting.secret) {
        let listed = format!("#   {} ", setting.variable());
        assert!(text.contains(&listed), "{} is not listed", setting.variable());
    }
}

#[tokio::test]
async fn the_schema_takes_the_example_and_refuses_what_the_daemon_refuses() {
    let printed = run(&Variables::new(), &["config", "schema"]).await;
    assert_eq!(serde_json::from_str::<Value>(&printed.out).unwrap(), schema());
    let validator = jsonschema::validator_for(&schema()).unwrap();
    let example: Table = std::fs::read_to_string(path()).unwrap().parse().unwrap();
    let example = serde_json::to_value(example).unwrap();
    assert!(validator.is_valid(&example), "{:?}", validator.iter_errors(&example).next());
    for (pointer, wrong) in [
        ("/retry/attempts", json!("four")),
        ("/retry/attempts", json!(0)),
        ("/retry/attempts", json!(101)),
        ("/retry/ladder", json!("10s")),
        ("/retry/max_delay", json!("soon")),
        ("/amqp/topology", json!("maybe")),
        ("/log/level", json!("loud")),
        ("/events/user.offboarded/enabled", json!("perhaps")),
        ("/events/user.offboarded/prefetch", json!(1001)),
        ("/events/user.offboarded/map", json!(["a"])),
        ("/events/url.unblock", json!({"que": "x"})),
        ("/polic", json!({})),
        ("/mimecast/secret_key", json!("Y2FuYXJ5")),
    ] {
        let mut changed = example.clone();
        let (table, name) = pointer.rsplit_once('/').unwrap();
        changed.pointer_mut(table).unwrap()[name] = wrong.clone();
        assert!(!validator.is_valid(&changed), "the schema takes {pointer}: {wrong}");
        let folder = tempfile::tempdir().unwrap();
        let file = file(&folder, "settings.toml", toml::to_string(&changed).unwrap());
        let arguments = ["check", "--offline", "--config", file.to_str().unwrap()];
        let read = run(&with(&[]), &arguments).await;
        assert_eq!(read.code, Some(64), "the daemon takes {pointer}: {wrong}");
    }
}

fn path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("config/mimecast-eventd.toml")
}

/// A line such as `# key = "value"` without its mark of a comment.
fn uncommented(line: &str) -> String {
    let setting = line.strip_prefix("# ").filter(|rest| {
        rest.split_once(" = ").is_some_and(|(name, _)| {
            name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
        })
    });
    setting.unwrap_or(line).to_owned()
}

/// Every value of the table by its whole key, written as in the table of settings.
fn flat(table: &Table) -> BTreeMap<String, String> {
    let mut values = BTreeMap::new();
    for (name, value) in table {
        let name = if name.contains('.') { format!("{name:?}") } else { name.clone() };
        match (value.as_table().filter(|_| name != "map"), value) {
            (Some(table), _) => values.extend(
                flat(table).into_iter().map(|(key, value)| (format!("{name}.{key}"), value)),
            ),
            (None, toml::Value::String(text)) => drop(values.insert(name, text.clone())),
            (None, value) => drop(values.insert(name, value.to_string())),
        }
    }
    values
}
