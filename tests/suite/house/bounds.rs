//! The table of bounds in `SECURITY.md` says what the code says, and leaves none out.

use super::promises::{is_there, sources};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

const PAGE: &str = include_str!("../../../SECURITY.md");

/// What the names of bounds begin with. Constants with other names may be in the table as well.
const BEGINNINGS: [&str; 6] = ["FRAME_MAX", "LARGEST", "LONGEST", "MANY_", "MAX_", "MOST"];

/// Constants that are called like bounds, and that nobody else meets: they say how we do our own things.
const OURS: [&str; 16] = [
    "broker/acks.rs MOST",
    "broker/outgoing.rs MOST_CHANNELS",
    "broker/publisher.rs MOST_COPIES",
    "broker/topology/policies.rs LONGEST_HELD",
    "broker/topology/policies.rs MOST_BINDINGS",
    "cli/dlq/settle.rs MOST_REPLAYS",
    "command/call.rs LARGEST",
    "command/guard.rs MOST_SECONDS",
    "daemon/policies.rs MOST_ATTEMPTS",
    "settings/audit.rs LONGEST_INTERVAL",
    "telemetry/admin/connections.rs MOST_AT_ONCE",
    "telemetry/audit/files.rs MOST_BROKEN",
    "telemetry/audit/scribe.rs MOST_AT_ONCE",
    "vendor/command_limit.rs LONGEST_WINDOW",
    "vendor/health.rs MOST_GROUPS",
    "verdict/streak.rs MOST",
];

/// One row of the table: its value, its constant with its file, and its test.
struct Row {
    value: String,
    constant: String,
    test: String,
}

fn rows() -> Vec<Row> {
    let section = PAGE.split_once("\n## Bounds\n").expect("the section is there").1;
    let rows = section.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |"));
    let rows = rows.map(|row| row.split(" | ").collect::<Vec<_>>());
    rows.filter(|row| !["at most", "---"].contains(&row[0]))
        .map(|row| {
            let [_, value, constant, test] = row[..] else { panic!("{row:?}") };
            let plain = |cell: &str| cell.replace('`', "");
            Row { value: value.to_owned(), constant: plain(constant), test: plain(test) }
        })
        .collect()
}

/// The constants of a file, with what they are set to; those of its tests are none of them.
fn constants(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let text = text.split("#[cfg(test)]").next().expect("a split has a first part");
    text.lines().filter_map(|line| {
        let (visibility, constant) = line.split_once("const ")?;
        let is_constant = visibility.is_empty() || visibility.trim_start().starts_with("pub");
        let (name, value) = constant.strip_suffix(';')?.split_once(": ").filter(|_| is_constant)?;
        Some((name, value.split_once(" = ")?.1))
    })
}

/// All constants of the program, each with its file.
fn all_constants() -> BTreeMap<String, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let files: Vec<(PathBuf, String)> =
        sources().into_iter().filter(|(path, _)| path.starts_with(&root)).collect();
    let of_file = |(path, text): &(PathBuf, String)| {
        let file = path.strip_prefix(&root).unwrap().display().to_string();
        let named = |(name, value): (&str, &str)| (format!("{file} {name}"), value.to_owned());
        constants(text).map(named).collect::<Vec<_>>()
    };
    files.iter().flat_map(of_file).collect()
}

/// The number that an expression of a constant comes to: bytes, milliseconds or a count.
fn number(expression: &str, constants: &BTreeMap<String, String>) -> u64 {
    let expression = expression.replace('_', "");
    let expression = expression.trim_end_matches("asu64").trim_end_matches(" as u64").trim();
    let of = |part: &str| number(part, constants);
    if let Some((one, other)) = expression.split_once(" - ") {
        of(one) - of(other)
    } else if let Some((one, other)) = expression.split_once(" << ") {
        of(one) << of(other)
    } else if let Some((one, other)) = expression.split_once(" * ") {
        of(one) * of(other)
    } else if expression == "MAXBODY" {
        of(&constants["event/envelope.rs MAX_BODY"])
    } else if let Some(duration) = expression.strip_prefix("Duration::from") {
        let (unit, count) = duration.split_once('(').expect("a duration has a count");
        let milliseconds = match unit {
            "millis" => 1,
            "secs" => 1_000,
            "mins" => 60_000,
            other => panic!("the unit {other}"),
        };
        of(count) * milliseconds
    } else {
        let digits = expression.trim_matches(['(', ')']);
        digits.parse().unwrap_or_else(|_| panic!("{expression} is no number"))
    }
}

/// The number that a value of the table stands for.
fn told(value: &str) -> u64 {
    let (count, unit) = value.split_once(' ').unwrap_or((value, ""));
    let count: u64 = count.replace(',', "").parse().unwrap_or_else(|_| panic!("{value}"));
    count
        * match unit {
            "" | "B" => 1,
            "KiB" => 1 << 10,
            "MiB" => 1 << 20,
            "s" => 1_000,
            other => panic!("the unit {other}"),
        }
}

#[test]
fn every_bound_of_the_table_is_that_of_the_code_and_has_its_test() {
    let (constants, sources) = (all_constants(), sources());
    let mut wrong = Vec::new();
    for Row { value, constant, test } in rows() {
        match constants.get(&constant) {
            None => wrong.push(format!("{constant} is not there")),
            Some(expression) if number(expression, &constants) != told(&value) => {
                wrong.push(format!("{constant} is {expression}, not {value}"));
            }
            Some(_) => {}
        }
        if !is_there(&test, &sources) {
            wrong.push(format!("{constant}: there is no test {test}"));
        }
    }
    assert!(wrong.is_empty(), "SECURITY.md: {wrong:#?}");
    assert!(rows().len() > 50, "only {} rows were read", rows().len());
}

#[test]
fn every_bound_of_the_code_is_in_the_table() {
    let constants = all_constants();
    let told: Vec<String> = rows().into_iter().map(|row| row.constant).collect();
    let is_bound = |name: &String| {
        let constant = name.rsplit(' ').next().unwrap();
        BEGINNINGS.iter().any(|beginning| constant.starts_with(beginning))
    };
    let missing: Vec<&String> = constants
        .keys()
        .filter(|name| is_bound(name) && !told.contains(name) && !OURS.contains(&name.as_str()))
        .collect();
    assert!(missing.is_empty(), "SECURITY.md does not tell of: {missing:#?}");
    let gone: Vec<&&str> = OURS.iter().filter(|name| !constants.contains_key(**name)).collect();
    assert!(gone.is_empty(), "these are not there any more: {gone:?}");
}

#[test]
fn the_numbers_of_code_and_table_are_read_as_they_are_meant() {
    let none = BTreeMap::new();
    for (expression, value) in [
        ("(1 << 20) - 1024", "1,023 KiB"),
        ("64 * 1024", "64 KiB"),
        ("512 << 20", "512 MiB"),
        ("400_000", "400,000"),
        ("Duration::from_secs(5)", "5 s"),
    ] {
        assert_eq!(number(expression, &none), told(value), "{expression}");
    }
    let text = "pub const A: u64 = 1;\n    const B: u64 = 2;\n#[cfg(test)]\nconst C: u64 = 3;";
    assert_eq!(constants(text).collect::<Vec<_>>(), [("A", "1")]);
}
