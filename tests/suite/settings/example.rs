//! The example file: complete, true to the defaults, and accepted as it stands.

use super::{os, with};
use mimecast_eventd::settings::{SETTINGS, Settings, Sources};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use toml::{Table, Value};

#[test]
fn the_example_holds_every_default_and_nothing_else() {
    let defaults: BTreeMap<String, String> = SETTINGS
        .iter()
        .filter(|setting| !setting.secret)
        .filter_map(|setting| Some((setting.key.to_owned(), setting.default?.to_owned())))
        .collect();
    assert_eq!(flat(&text().parse().unwrap()), defaults);
}

#[test]
fn the_example_comes_to_the_same_settings_as_no_file_at_all() {
    let read = |file: Option<PathBuf>| {
        Settings::read(Sources::gather([], os(&with(&[])), file.as_deref())).unwrap()
    };
    assert_eq!(format!("{:?}", read(Some(path()))), format!("{:?}", read(None)));
}

#[test]
fn the_example_with_its_commented_lines_is_every_setting_but_the_secrets() {
    let uncommented: Vec<String> = text().lines().map(uncommented).collect();
    let table: Table = uncommented.join("\n").parse().unwrap();
    let mut known: Vec<&str> =
        SETTINGS.iter().filter(|setting| !setting.secret).map(|setting| setting.key).collect();
    known.sort_unstable();
    assert_eq!(flat(&table).into_keys().collect::<Vec<_>>(), known);
}

#[test]
fn the_example_names_the_variable_of_every_secret_and_no_secret_as_a_key() {
    let text = text();
    for setting in SETTINGS.iter().filter(|setting| setting.secret) {
        let listed = format!("#   {} ", setting.variable());
        assert!(text.contains(&listed), "{} is not listed", setting.variable());
    }
}

fn path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("config/mimecast-eventd.toml")
}

fn text() -> String {
    std::fs::read_to_string(path()).unwrap()
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
            (None, Value::String(text)) => drop(values.insert(name, text.clone())),
            (None, value) => drop(values.insert(name, value.to_string())),
        }
    }
    values
}
