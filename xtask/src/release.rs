//! What a release derives from its version: the tags of the image and the notes.

use crate::failure::{Failure, Result};
use crate::process::print;
use std::io::{Read as _, stdin};

/// A version without a pre-release part.
type Stable = (u64, u64, u64);

/// Prints the tags that the image of a release gets, one a line. Standard input has every released version.
pub fn print_tags(version: &str) -> Result {
    print(&tags(version, &input()?).ok_or_else(|| wrong(version))?.join("\n"))
}

/// Prints the notes of a release. Standard input is the changelog.
pub fn print_notes(version: &str) -> Result {
    stable(version.split('-').next().unwrap_or_default()).ok_or_else(|| wrong(version))?;
    let missing = || Failure::failed(format!("the changelog says nothing about {version}"));
    print(&notes(version, &input()?).ok_or_else(missing)?)
}

fn wrong(version: &str) -> Failure {
    Failure::usage(format!("{version} is not a version such as 0.2.1"))
}

fn input() -> Result<String> {
    let mut text = String::new();
    stdin().read_to_string(&mut text)?;
    Ok(text)
}

fn stable(version: &str) -> Option<Stable> {
    let mut numbers = version.split('.').map(|number| number.parse::<u64>().ok());
    let found = (numbers.next()??, numbers.next()??, numbers.next()??);
    numbers.next().is_none().then_some(found)
}

/// A release has its own tag, and those that move, as long as no later release has them: a patch of an older line
/// must not bring its users back. A pre-release moves no tag and counts as no later release.
fn tags(version: &str, released: &str) -> Option<Vec<String>> {
    let mut tags = vec![version.to_owned()];
    if let Some((number, _pre)) = version.split_once('-') {
        stable(number)?;
        return Some(tags);
    }
    let own = stable(version)?;
    let later: Vec<Stable> = released
        .lines()
        .filter_map(|line| stable(line.strip_prefix('v').unwrap_or(line)))
        .filter(|other| *other > own)
        .collect();
    if !later.iter().any(|other| (other.0, other.1) == (own.0, own.1)) {
        tags.push(format!("{}.{}", own.0, own.1));
    }
    if later.is_empty() {
        tags.push("latest".to_owned());
    }
    Some(tags)
}

/// Returns the text under the heading of a version, such as `## 0.2.1 - 2031-01-31`, in a changelog in the form of
/// Keep a Changelog. A forge shows each end of a line, so that a wrapped line becomes one line again.
fn notes(version: &str, changelog: &str) -> Option<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut inside = false;
    for line in changelog.lines() {
        if let Some(heading) = line.strip_prefix("## ") {
            let word = heading.split_whitespace().next().unwrap_or_default();
            inside = word.trim_matches(['[', ']']) == version;
        } else if inside && !is_link(line) {
            let text = line.trim_start();
            let begins =
                text.is_empty() || text.starts_with(['-', '*', '#']) || text.starts_with("```");
            match lines.last_mut() {
                Some(last) if !begins && !last.trim().is_empty() && !last.starts_with('#') => {
                    last.push(' ');
                    last.push_str(text);
                }
                _ => lines.push(line.to_owned()),
            }
        }
    }
    Some(lines.join("\n").trim_matches('\n').to_owned()).filter(|text| !text.trim().is_empty())
}

/// True for `[1.0.0]: https://…`, the target of a heading, at the end of the file.
fn is_link(line: &str) -> bool {
    line.starts_with('[') && line.split_once(']').is_some_and(|(_, rest)| rest.starts_with(": "))
}

#[cfg(test)]
mod tests {
    use super::{notes, tags};

    #[test]
    fn a_release_moves_the_tags_that_no_later_release_has() {
        for (version, released, expected) in [
            ("0.1.0", "", "0.1.0 0.1 latest"),
            ("0.2.1", "v0.1.0 v0.2.0 v0.2.1", "0.2.1 0.2 latest"),
            ("0.10.0", "v0.9.0 v1.0.0-rc.1", "0.10.0 0.10 latest"),
            ("0.2.2", "v0.2.0 v0.3.0 v0.10.0", "0.2.2 0.2"),
            ("0.9.5", "v0.9.10 v0.10.0", "0.9.5"),
            ("1.0.0-rc.1", "v0.1.0", "1.0.0-rc.1"),
        ] {
            let found = tags(version, &released.replace(' ', "\n")).map(|tags| tags.join(" "));
            assert_eq!(found.as_deref(), Some(expected), "{version} after {released}");
        }
        assert_eq!(tags("1.0", ""), None);
    }

    #[test]
    fn the_notes_are_the_text_under_the_heading_of_the_version() {
        let changelog = "# Changelog\n\n## [Unreleased]\n\n- later\n\n## [1.0.0] - 2031-02-01\n\n- second\n\n\
                         ## 1.0.0-rc.1\n\n- try\n\n## 0.2.0\n\n## 0.1.0 - 2031-01-01\n\n### Added\n\n- first,\n  \
                         `wrapped`\n- more\n\n[1.0.0]: https://example.com\n";
        for (version, expected) in [
            ("1.0.0", Some("- second")),
            ("1.0.0-rc.1", Some("- try")),
            ("0.2.0", None),
            ("0.1.0", Some("### Added\n\n- first, `wrapped`\n- more")),
            ("1.0.1", None),
        ] {
            assert_eq!(notes(version, changelog).as_deref(), expected, "{version}");
        }
    }
}
