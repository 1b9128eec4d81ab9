//! Signs that a settings file was cut: emptied before it is written anew, or written to a full disk.

use super::table::key_in;
use std::collections::{BTreeMap, BTreeSet};
use toml::de::{DeTable, DeValue};

/// The tables of a file, by their names; the file itself has none.
#[derive(Default)]
struct Outline(BTreeMap<String, Section>);

/// What stands in a table beside other tables.
#[derive(Default)]
struct Section {
    keys: BTreeSet<String>,
    /// Where its last key is, or else its header.
    end: usize,
    last: Option<String>,
}

/// Returns why the file `now` may have been cut, and what to do if it is meant so. Of the file that was there `before`,
/// keys may go: what is cut loses the tables that come later, and the end of the one that it ends with.
pub(super) fn sign(before: &str, now: &str) -> Option<String> {
    // What cannot be parsed is a mistake in any case.
    let (Outline(known), Outline(found)) = (Outline::of(before)?, Outline::of(now)?);
    let (all, part) = (before.trim_end(), now.trim_end());
    if part.len() < all.len() && all.starts_with(part) {
        return Some(
            "it is only the beginning of the file in force; restart if it is meant".into(),
        );
    }
    if before.ends_with('\n') && !now.ends_with('\n') {
        return Some("its last line does not end; end it with a line break".into());
    }
    // [a.b] alone says that there is an a, so a table without keys has to have its own line.
    let is_here = |table: &str| {
        let header = format!("[{table}]");
        found.get(table).is_some_and(|section| !section.keys.is_empty())
            || now.lines().any(|line| line.trim_start().starts_with(&header))
    };
    let mut filled = known.iter().filter(|(table, it)| !table.is_empty() && !it.keys.is_empty());
    if let Some((table, _)) = filled.find(|(table, _)| !is_here(table)) {
        return Some(format!("[{table}] is gone; keep this line if it is meant, or restart"));
    }
    // Its tables may have changed places.
    let lost = [&found, &known].into_iter().find_map(|outline| {
        let (table, _) = outline.iter().max_by_key(|(_, section)| section.end)?;
        let last = known.get(table)?.last.as_ref()?;
        found.get(table).filter(|section| !section.keys.contains(last)).map(|_| last)
    });
    lost.map(|key| format!("{key}, the last key of its table, is gone; restart if it is meant"))
}

impl Outline {
    fn of(text: &str) -> Option<Outline> {
        let mut outline = Outline::default();
        outline.add(String::new(), 0, DeTable::parse(text).ok()?.get_ref());
        Some(outline)
    }

    fn add(&mut self, table: String, start: usize, entries: &DeTable<'_>) {
        let mut section = Section { end: start, ..Section::default() };
        for (name, value) in entries {
            let (key, start) = (key_in(&table, name.get_ref()), name.span().start);
            if let DeValue::Table(entries) = value.get_ref() {
                self.add(key, start, entries);
                continue;
            }
            if start >= section.end {
                (section.end, section.last) = (start, Some(key.clone()));
            }
            section.keys.insert(key);
        }
        self.0.insert(table, section);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXAMPLE: &str = include_str!("../../config/mimecast-eventd.toml");

    /// The example with all of its optional settings, and without its explanations.
    fn example() -> String {
        let is_setting = |line: &str| {
            let key = line.split_once(" = ").map(|(key, _)| key);
            key.is_some_and(|key| key.bytes().all(|it| it.is_ascii_lowercase() || it == b'_'))
        };
        let line = |line: &'static str| match line.strip_prefix("# ") {
            Some(setting) => Some(setting).filter(|setting| is_setting(setting)),
            None => Some(line),
        };
        EXAMPLE.lines().filter_map(line).map(|line| format!("{line}\n")).collect()
    }

    #[test]
    fn every_beginning_of_a_file_is_one_that_was_cut() {
        let (whole, mut parsed) = (example(), 0);
        let last = ["[retry]\nattempts = 12", "[retry]\nattempts = 12\n# window = 12\n"];
        for whole in [whole.as_str(), whole.trim_end(), last[0], last[1]] {
            assert_eq!(sign(whole, whole), None);
            for part in (0..whole.len()).filter_map(|end| whole.get(..end)) {
                if Outline::of(part).is_some() {
                    parsed += 1;
                    assert!(sign(whole, part).is_some(), "{part}");
                }
            }
        }
        assert!(parsed > 100, "only {parsed} can be parsed");
    }

    #[test]
    fn what_may_have_been_cut_says_what_is_gone_and_what_to_do() {
        let before = "[a]\none = 1\ntwo = 2\n[b.\"c.d\"]\nthree = 3\n";
        for (now, expected) in [
            ("# Empty.\n", "[a] is gone; keep this line if it is meant, or restart"),
            ("[b.\"c.d\"]\nthree = 3\n", "[a] is gone; keep this line if it is meant, or restart"),
            (
                "[a]\ntwo = 2\n[b]\n",
                "[b.\"c.d\"] is gone; keep this line if it is meant, or restart",
            ),
            (
                "[a]\none = 1\ntwo = 2\n[b.\"c.d\"]\nfour = 4\n",
                "b.\"c.d\".three, the last key of its table, is gone; restart if it is meant",
            ),
            (
                "a.two = 2\nb.\"c.d\".four = 4\na.one = 1\n",
                "b.\"c.d\".three, the last key of its table, is gone; restart if it is meant",
            ),
            // The tables have changed places.
            (
                "[b.\"c.d\"]\nthree = 3\n[a]\none = 1\n",
                "a.two, the last key of its table, is gone; restart if it is meant",
            ),
            (
                "[b.\"c.d\"]\nthree = 3\n[a]\ntwo = 2",
                "its last line does not end; end it with a line break",
            ),
            (
                "[a]\none = 1\n",
                "it is only the beginning of the file in force; restart if it is meant",
            ),
        ] {
            assert_eq!(sign(before, now).as_deref(), Some(expected), "{now}");
        }
    }

    #[test]
    fn keys_may_go_from_the_middle_and_anything_may_come_or_move() {
        let before = "[a]\none = 1\ntwo = 2\n[b]\nthree = 3\n\n\n";
        for now in [
            "[a]\ntwo = 2\n[b]\nthree = 3\n",
            "[a]\n[b]\nthree = 3\n",
            "[b]\nthree = 3\n[a]\ntwo = 2\n",
            // Nothing was lost behind a table that is whole, or has nothing.
            "[a]\none = 1\n[b]\nthree = 3\n",
            "[a]\ntwo = 2\n[b]\nthree = 4\nfour = 4\n[c]\n",
            "a.one = 1\nb.three = 3\n",
        ] {
            assert_eq!(sign(before, now), None, "{now}");
        }
        assert_eq!(sign(&format!("{before}[c]\n"), "[a]\n[b]\n[c]\n"), None);
        for before in ["", "# Nothing yet.\n"] {
            assert_eq!(sign(before, "[a]\none = 1\n"), None);
        }
    }

    #[test]
    fn a_newer_file_that_was_cut_before_a_key_of_the_older_one_is_found() {
        let older = example();
        // A comment and a value are other ones, a key and a table more, and two keys fewer.
        let newer = format!("# Version 2\n{older}")
            .replace("reply = false\n", "")
            .replace("[policy]\n", "[policy]\nallow_undated = true\n")
            .replace("allow_undated = false\n", "")
            .replace("only_blocked = false\n", "")
            .replace("attempts = 4\n", "attempts = 44\n")
            .replace("window = \"1h\"\n", "window = \"2h\"\n");
        // Its tables in another order.
        let (first, tables) = newer.split_once("\n[").unwrap();
        let tables = tables.trim_end().rsplit("\n[").map(|table| format!("\n[{table}\n"));
        let turned: String = tables.collect();
        let turned = format!("{first}\n{turned}");
        let keys = |text: &str| -> BTreeSet<String> {
            let Outline(tables) = Outline::of(text).unwrap();
            tables.into_values().flat_map(|section| section.keys).collect()
        };
        let kept: BTreeSet<_> = keys(&older).intersection(&keys(&newer)).cloned().collect();
        for newer in [newer, turned] {
            assert_eq!(sign(&older, &newer), None);
            let parts = (0..newer.len()).filter_map(|end| newer.get(..end));
            let parsed = parts.filter(|part| Outline::of(part).is_some());
            for part in parsed.filter(|part| sign(&older, part).is_none()) {
                assert!(kept.is_subset(&keys(part)), "{part}");
            }
        }
    }
}
