//! The rules of the house, held by room: which rooms there are, which room knows of which, and who may
//! name what. The rooms and what they know of are read from the page that people read, `src/lib.rs`,
//! so a new file in a room needs no change here.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

const PAGE: &str = include_str!("../../../src/lib.rs");
const PICTURE: &str = include_str!("../../../docs/architecture.md");

/// More rooms than this nobody keeps in mind.
const MOST_ROOMS: usize = 10;

/// Lines of a file without its tests.
const LONGEST: usize = 300;

/// What no room names that is pure: it decides, and knows neither network, clock, chance nor
/// environment.
const IMPURE: [&str; 14] = [
    "tokio",
    "tokio_util",
    "futures_util",
    "lapin",
    "reqwest",
    "prometheus",
    "axum",
    "tracing",
    "Utc::now",
    "SystemTime::now",
    "Instant::now",
    "Uuid::new_v4",
    "std::env",
    "std::fs",
];

/// What is named in few places alone: in a room, or in a file of one.
const ONLY: [(&str, &str); 9] = [
    ("lapin", "broker"),
    ("reqwest", "vendor or broker/management.rs"),
    ("backoff", "verdict/retry.rs"),
    ("prometheus", "telemetry/metrics"),
    ("std::env", "settings"),
    // After `use std::env`.
    ("env::", "settings"),
    ("Utc::now", "main.rs"),
    ("SystemTime::now", "main.rs"),
    ("Uuid::new_v4", "main.rs"),
];

/// What `src/lib.rs` says about a room.
#[derive(Debug)]
struct Room {
    pure: bool,
    /// The rooms that it may know of.
    knows: Vec<String>,
}

/// The rooms in the table of `page`, and what is wrong with the table.
fn rooms(page: &str) -> (BTreeMap<String, Room>, Vec<String>) {
    let (mut rooms, mut broken) = (BTreeMap::new(), Vec::new());
    for row in page.lines().filter_map(|line| line.strip_prefix("//! | `")) {
        let mut cells = row.trim_end_matches([' ', '|']).splitn(3, '|').map(str::trim);
        let name = cells.next().unwrap_or_default().trim_matches('`').to_owned();
        let pure = cells.next().unwrap_or_default().ends_with("; pure");
        let knows = cells.next().unwrap_or_default();
        let knows: Vec<String> = knows.split('`').skip(1).step_by(2).map(str::to_owned).collect();
        for known in &knows {
            if !rooms.contains_key(known) {
                broken.push(format!("{name} knows of {known}, which is not above it"));
            }
        }
        rooms.insert(name, Room { pure, knows });
    }
    if rooms.len() > MOST_ROOMS {
        broken.push(format!("{} rooms are more than {MOST_ROOMS}", rooms.len()));
    }
    (rooms, broken)
}

/// The source files, by their paths under `src`, with `/` between room and file.
fn sources() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let (mut folders, mut sources) = (vec![root.clone()], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let name = path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
            sources.push((name, fs::read_to_string(&path).unwrap()));
        }
    }
    sources
}

#[test]
fn every_file_keeps_the_rules_of_its_room() {
    let (rooms, mut broken) = rooms(PAGE);
    let sources = sources();
    for (file, source) in &sources {
        broken.extend(check(&rooms, file, source));
    }
    for (name, room) in &rooms {
        let inside = format!("{name}/");
        let files: Vec<_> = sources.iter().filter(|(file, _)| file.starts_with(&inside)).collect();
        // A room that is called otherwise now would be free of its rules.
        match files.iter().find(|(file, _)| *file == format!("{name}/mod.rs")) {
            Some((_, page)) if page.starts_with("//! ") => {}
            Some(_) | None => broken.push(format!("{name} has no page that says what it is for")),
        }
        for known in &room.knows {
            if !files.iter().any(|(_, source)| rooms_named(source).contains(known)) {
                broken.push(format!("{name} has no need to know of {known}"));
            }
        }
    }
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
}

#[test]
fn the_picture_shows_the_rooms_that_there_are_and_what_it_points_to_is_there() {
    let (_, picture) = PICTURE.split_once("```mermaid\n").expect("there is a picture");
    let (picture, rest) = picture.split_once("```").expect("it ends");
    let drawn: BTreeSet<&str> = picture
        .lines()
        .filter_map(|line| line.trim().split_once("[\""))
        .filter(|(name, says)| says.starts_with(&format!("{name}: ")))
        .map(|(name, _)| name)
        .collect();
    let (rooms, _) = rooms(PAGE);
    assert_eq!(drawn, rooms.keys().map(String::as_str).collect());

    let (_, table) = rest.split_once("| --- | --- |\n").expect("there is a table of places");
    let table = table.split("\n\n").next().expect("a split has a first part");
    let places: Vec<&str> = table.split('`').skip(1).step_by(2).collect();
    assert!(places.len() > 10, "only {places:?} were found");
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let missing: Vec<_> = places.iter().filter(|place| !root.join(place).exists()).collect();
    assert_eq!(missing, [&"check"], "the command is no place, and every other one has to be there");
}

#[test]
fn no_files_of_a_room_need_each_other_in_a_circle() {
    let sources: BTreeMap<String, String> = sources().into_iter().collect();
    let circle = |file: &&String| comes_back(file, file, &sources, &mut BTreeSet::new());
    let circles: Vec<&String> = sources.keys().filter(circle).collect();
    assert_eq!(circles, [""; 0]);
    let two = [("a/one.rs", "use super::two::Two;"), ("a/two.rs", "use super::one;")];
    let two = two.map(|(file, source)| (file.to_owned(), source.to_owned())).into();
    assert!(comes_back("a/one.rs", "a/one.rs", &two, &mut BTreeSet::new()));
}

/// Whether the way from `file` along its imports of neighbours leads to `goal`.
fn comes_back(
    file: &str,
    goal: &str,
    sources: &BTreeMap<String, String>,
    seen: &mut BTreeSet<String>,
) -> bool {
    neighbours(file, sources).into_iter().any(|next| {
        next == goal || (seen.insert(next.clone()) && comes_back(&next, goal, sources, seen))
    })
}

/// The files beside `file` that it imports from by `use super::neighbour`, its tests aside.
fn neighbours(file: &str, sources: &BTreeMap<String, String>) -> Vec<String> {
    let folder = file.strip_suffix("/mod.rs").unwrap_or(file).rsplit_once('/').map(|(it, _)| it);
    let (Some(folder), Some(source)) = (folder, sources.get(file)) else { return Vec::new() };
    let code = source.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
    let imports = code.lines().filter_map(|line| line.strip_prefix("use super::"));
    let files = imports.flat_map(|import| {
        let name = import.split([':', ';']).next().unwrap_or_default();
        [format!("{folder}/{name}.rs"), format!("{folder}/{name}/mod.rs")]
    });
    files.filter(|neighbour| sources.contains_key(neighbour)).collect()
}

#[test]
fn a_table_of_rooms_that_runs_in_a_circle_is_found() {
    let table = "//! | `a` | one | `b` |\n//! | `b` | two; pure | `a` |\n";
    let (read, broken) = rooms(table);
    assert_eq!(broken, ["a knows of b, which is not above it"]);
    assert!(read["b"].pure && !read["a"].pure);
    let many: String = (0..11).map(|n| format!("//! | `r{n}` | x | |\n")).collect();
    assert_eq!(rooms(&many).1, ["11 rooms are more than 10"]);
}

#[test]
fn a_breach_of_any_rule_is_found() {
    let (rooms, _) = rooms(PAGE);
    let found = |file: &str, source: &str| check(&rooms, file, source);
    for word in IMPURE {
        let source = format!("use chrono::Utc;\nuse {word}::x;\n");
        let expected = format!("verdict/code.rs:2: a pure room names {word}");
        assert!(found("verdict/code.rs", &source).contains(&expected), "{expected}");
    }
    for (word, place) in ONLY {
        let source = format!("fn f() {{\n    g({word}(x));\n}}\n");
        let expected = format!("daemon/worker.rs:2: only {place} may name {word}");
        assert!(found("daemon/worker.rs", &source).contains(&expected), "{expected}");
        for place in place.split(" or ") {
            let file = if place.ends_with(".rs") { place.into() } else { format!("{place}/x.rs") };
            assert_eq!(found(&file, &source), [""; 0], "{place} may name {word}");
        }
    }
    assert_eq!(
        found("event/data.rs", "use crate::verdict::Fault;\n"),
        ["event/data.rs:1: event does not know of verdict"]
    );
    assert_eq!(
        found("vendor/token.rs", "fn f() {\n    crate::broker::lost();\n}\n"),
        ["vendor/token.rs:2: vendor does not know of broker"]
    );
    assert_eq!(
        found("event/data.rs", "use crate::{verdict::Fault};\n"),
        ["event/data.rs:1: names several rooms at once"]
    );
    assert_eq!(found("attic/x.rs", ""), ["attic/x.rs: lies in no room"]);
    assert_eq!(found("helper.rs", ""), ["helper.rs: lies in no room"]);
    assert_eq!(found("event/notes.txt", ""), ["event/notes.txt: is no source file"]);
    let long = "\n".repeat(LONGEST + 1);
    assert_eq!(
        found("daemon/worker.rs", &long),
        ["daemon/worker.rs: has 301 lines, more than 300"]
    );
    assert_eq!(
        found("main.rs", "std::env::var"),
        ["main.rs:1: only settings may name std::env", "main.rs:1: only settings may name env::"]
    );
    let hidden = "#[cfg(test)]\nfn f() {}\nuse tokio::x;\n#[cfg(test)]\nmod tests {}\n";
    assert_eq!(found("event/event.rs", hidden)[0], "event/event.rs:3: a pure room names tokio");
    assert_eq!(
        found("event/event.rs", "#[cfg(test)]\nmod tests {\n}\nfn after_the_tests() {}\n"),
        ["event/event.rs: has something after its tests"]
    );
}

#[test]
fn what_only_looks_like_a_breach_is_none() {
    let (rooms, _) = rooms(PAGE);
    let found = |file: &str, source: &str| check(&rooms, file, source);
    for source in [
        "//! Not tokio, not lapin.\n/// Nor reqwest.\n// Nor prometheus.\nfn f() {}\n",
        "let x = 1; // as tokio does\n",
        "let my_tokio = tokio_like(tokios);\n",
        "let x = Utc::now_or_never();\n",
        "use crate::event::Data;\n",
        "fn f() {}\n\n#[cfg(test)]\nmod tests {\n    use tokio::x;\n    Utc::now();\n}\n",
        "const VERSION: &str = env!(\"CARGO_PKG_VERSION\");\n",
    ] {
        assert_eq!(found("event/event.rs", source), [""; 0], "{source}");
    }
    assert_eq!(found("main.rs", "parse(std::env::args_os())"), [""; 0]);
    let tests = format!("#[cfg(test)]\nmod tests {{\n{}}}\n", "\n".repeat(400));
    assert_eq!(found("daemon/worker.rs", &tests), [""; 0]);
}

/// The rules that the source of `file` breaks.
fn check(rooms: &BTreeMap<String, Room>, file: &str, source: &str) -> Vec<String> {
    if !file.ends_with(".rs") {
        return vec![format!("{file}: is no source file")];
    }
    let own = file.split_once('/').map(|(room, _)| (room, rooms.get(room)));
    let room = match own {
        Some((name, Some(room))) => Some((name, room)),
        None if matches!(file, "lib.rs" | "main.rs") => None,
        Some((_, None)) | None => return vec![format!("{file}: lies in no room")],
    };
    let mut broken = Vec::new();
    let (code, tests) = match source.find("#[cfg(test)]\nmod ") {
        Some(start) => source.split_at(start),
        None => (source, ""),
    };
    // Rustfmt closes a module at the beginning of a line.
    if tests.split_once("\n}\n").is_some_and(|(_, rest)| !rest.trim().is_empty()) {
        broken.push(format!("{file}: has something after its tests"));
    }
    let lines = code.lines().count();
    if lines > LONGEST {
        broken.push(format!("{file}: has {lines} lines, more than {LONGEST}"));
    }
    for (number, line) in (1..).zip(code.lines()) {
        // The arguments of the process are for `main` to read.
        let line =
            if file == "main.rs" { line.replace("std::env::args_os", "") } else { line.into() };
        let line = if line.trim_start().starts_with("//") { "" } else { &line };
        let line = line.split(" // ").next().unwrap_or_default();
        if let Some((name, room)) = room {
            for other in rooms_named(line) {
                if other != name && !room.knows.contains(&other) {
                    broken.push(format!("{file}:{number}: {name} does not know of {other}"));
                }
            }
            if line.contains("crate::{") {
                broken.push(format!("{file}:{number}: names several rooms at once"));
            }
            let words = IMPURE.iter().filter(|word| room.pure && names(line, word));
            broken.extend(words.map(|word| format!("{file}:{number}: a pure room names {word}")));
        }
        for (word, place) in ONLY {
            let mut places = place.split(" or ");
            let allowed = places.any(|it| file == it || file.starts_with(&format!("{it}/")));
            if names(line, word) && !allowed {
                broken.push(format!("{file}:{number}: only {place} may name {word}"));
            }
        }
    }
    broken
}

/// The rooms that `code` names.
fn rooms_named(code: &str) -> Vec<String> {
    let after = code.match_indices("crate::").map(|(start, word)| &code[start + word.len()..]);
    let name = |rest: &str| -> String {
        rest.chars().take_while(|it| it.is_ascii_lowercase() || *it == '_').collect()
    };
    after.map(name).filter(|name| !name.is_empty()).collect()
}

/// Whether `line` has exactly this word, and not only a longer one.
fn names(line: &str, word: &str) -> bool {
    let of_a_word = |character: char| character.is_alphanumeric() || character == '_';
    line.match_indices(word).any(|(start, _)| {
        let before = line[..start].chars().next_back();
        let after = line[start + word.len()..].chars().next();
        let ends = word.ends_with(':') || !after.is_some_and(of_a_word);
        !before.is_some_and(of_a_word) && ends
    })
}
