//! `docs/testing.md` names the tests that hold each promise of the README: no promise is left out,
//! and no test is named that does not exist.

use std::fs;
use std::path::{Path, PathBuf};

const README: &str = include_str!("../../../README.md");
const PAGE: &str = include_str!("../../../docs/testing.md");

/// The sections of the README that say what the daemon does.
const SECTIONS: [&str; 6] =
    ["Run it", "Configure", "What becomes of a message", "Operate it", "What it shows", "Prove it"];

/// Each promise on the page, and the tests named beside it.
fn rows() -> Vec<(String, Vec<String>)> {
    let rows = PAGE.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |"));
    rows.filter_map(|row| row.split_once(" | "))
        .filter(|(promise, _)| *promise != "promise" && *promise != "---")
        .map(|(promise, tests)| (promise.to_owned(), named(tests)))
        .collect()
}

/// What stands in backticks and is a test: `module::sentence`.
pub(super) fn named(text: &str) -> Vec<String> {
    let parts = text.split('`').skip(1).step_by(2);
    parts.filter(|part| part.contains("::")).map(str::to_owned).collect()
}

/// What the README promises: prose, and the first cell of each row of what becomes of a message. Of
/// the other tables each has a test of its own.
fn promises() -> Vec<String> {
    let quote = README.lines().filter_map(|line| line.strip_prefix("> "));
    let mut promises = vec![quote.collect::<Vec<_>>().join(" ")];
    for section in SECTIONS {
        let (_, rest) =
            README.split_once(&format!("## {section}\n")).expect("the section is there");
        let text = rest.split("\n## ").next().expect("a split has a first part");
        // Examples and tables are between the paragraphs.
        let prose = text.split("```").step_by(2).collect::<String>();
        let paragraphs = prose.split("\n\n").map(str::trim);
        for paragraph in paragraphs
            .filter(|text| !text.is_empty() && !text.starts_with("<!--") && !text.starts_with("!["))
        {
            if !paragraph.starts_with('|') {
                promises.push(paragraph.replace('\n', " "));
            } else if section == "What becomes of a message" {
                let rows = paragraph.lines().skip(2).filter_map(|line| line.strip_prefix("| "));
                promises.extend(rows.filter_map(|row| Some(row.split_once(" | ")?.0.to_owned())));
            }
        }
    }
    promises
}

#[test]
fn every_promise_of_the_readme_has_its_tests() {
    let rows = rows();
    let mut unheld = Vec::new();
    for promise in promises() {
        let rest = rows.iter().fold(promise, |rest, (held, _)| rest.replacen(held, "", 1));
        if !rest.trim().is_empty() {
            unheld.push(rest);
        }
    }
    assert!(unheld.is_empty(), "docs/testing.md does not say what holds:\n{}", unheld.join("\n"));
    let readme = promises().join("\n");
    for (promise, tests) in rows {
        assert!(readme.contains(&promise), "the README does not promise (any more): {promise}");
        assert!(!tests.is_empty(), "nothing holds: {promise}");
    }
}

#[test]
fn every_test_that_is_named_is_there() {
    let sources = sources();
    let mut tests = named(PAGE);
    assert!(tests.len() > 100, "only {} tests were found", tests.len());
    tests.sort_unstable();
    tests.dedup();
    let missing: Vec<&String> = tests.iter().filter(|test| !is_there(test, &sources)).collect();
    assert!(missing.is_empty(), "there are no such tests: {missing:#?}");
    assert!(!is_there("quota::what_nobody_tests", &sources));
    assert!(!is_there("nowhere::a_429_in_one_lane_makes_the_other_wait_too", &sources));
    assert!(!is_there("support::eventually", &sources), "what is no test holds nothing");
}

/// The source files of the daemon, of this suite and of its support, each with its text.
pub(super) fn sources() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut folders = ["src", "tests/suite", "tests/support/src"].map(|it| root.join(it)).to_vec();
    let mut sources = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => folders.push(path),
                false => sources.push((path.clone(), fs::read_to_string(path).unwrap())),
            }
        }
    }
    sources
}

/// Whether the file of the module has a test of this name.
pub(super) fn is_there(test: &str, sources: &[(PathBuf, String)]) -> bool {
    let (module, sentence) = test.rsplit_once("::").expect("a module and a sentence");
    let file = format!("/{}.rs", module.replace("::", "/"));
    let of_the_module =
        sources.iter().filter(|(path, _)| path.display().to_string().ends_with(&file));
    of_the_module.into_iter().any(|(_, text)| {
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        let begins = format!("fn {sentence}(");
        let place =
            lines.iter().position(|line| line.trim_start_matches("async ").starts_with(&begins));
        place.is_some_and(|place| {
            let above = lines[..place].iter().rev();
            let attributes: Vec<&&str> =
                above.take_while(|line| line.starts_with(['#', '/'])).collect();
            let is_test = |line: &&&&str| line.contains("test]") || line.contains("test(");
            attributes.iter().filter(is_test).any(|line| line.starts_with("#["))
        })
    })
}
