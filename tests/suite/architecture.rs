//! The rules of who may name what. They keep the core pure and each foreign crate in its place.

use std::fs;
use std::path::Path;

/// Decides, and knows neither network, clock, chance nor environment.
const CORE: [&str; 15] = [
    "state",
    "breaker",
    "history",
    "ladder",
    "code",
    "command",
    "disposition",
    "event",
    "outcome",
    "quota",
    "redact",
    "retry",
    "secret",
    "setting",
    "sign",
];

/// What no file of the core names.
const NOT_IN_CORE: [&str; 14] = [
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

/// What only these files name.
const ONLY: [(&str, &[&str]); 9] = [
    ("lapin", &["broker", "consumer", "copy", "delivery", "publisher", "settle", "topology"]),
    ("reqwest", &["transport"]),
    ("backoff", &["retry"]),
    ("prometheus", &["metrics"]),
    ("std::env", &["config"]),
    // After `use std::env`.
    ("env::", &["config"]),
    ("Utc::now", &["main"]),
    ("SystemTime::now", &["main"]),
    ("Uuid::new_v4", &["main"]),
];

/// Lines of a file without its tests.
const LONGEST: usize = 320;

/// One long list, which is read by looking things up in it.
const LONGER: [(&str, usize); 1] = [("metrics", 350)];

#[test]
fn every_file_keeps_the_rules() {
    let mut broken = Vec::new();
    let mut files = Vec::new();
    for entry in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("src")).unwrap() {
        let path = entry.unwrap().path();
        let file = path.file_stem().unwrap().to_str().unwrap().to_owned();
        match path.extension() {
            Some(extension) if extension == "rs" => {
                broken.extend(check(&file, &fs::read_to_string(&path).unwrap()));
            }
            Some(_) | None => broken.push(format!("{}: is no source file", path.display())),
        }
        files.push(file);
    }
    // A file that is called otherwise now would be free of its rules.
    for known in CORE {
        assert!(files.iter().any(|file| file == known), "the core has no {known}.rs any more");
    }
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
}

#[test]
fn a_breach_of_any_rule_is_found() {
    for file in CORE {
        for word in NOT_IN_CORE {
            let source = format!("use chrono::Utc;\nuse {word}::x;\n");
            let expected = format!("{file}.rs:2: the core names {word}");
            assert!(check(file, &source).contains(&expected), "{expected}");
        }
    }
    for (word, allowed) in ONLY {
        let source = format!("fn f() {{\n    g({word}(x));\n}}\n");
        let expected = format!("worker.rs:2: only {} may name {word}", allowed.join(", "));
        assert!(check("worker", &source).contains(&expected), "{expected}: {source}");
        for file in allowed.iter().filter(|file| !CORE.contains(file)) {
            assert_eq!(check(file, &source), [""; 0], "{file} may name {word}");
        }
    }
    let long = "\n".repeat(LONGEST + 1);
    assert_eq!(check("worker", &long), ["worker.rs: has 321 lines, more than 320"]);
    assert_eq!(
        check("main", "std::env::var"),
        ["main.rs:1: only config may name std::env", "main.rs:1: only config may name env::"]
    );
    let hidden = "#[cfg(test)]\nfn f() {}\nuse tokio::x;\n#[cfg(test)]\nmod tests {}\n";
    assert_eq!(check("event", hidden)[0], "event.rs:3: the core names tokio");
    assert_eq!(
        check("event", "#[cfg(test)]\nmod tests {\n}\nfn after_the_tests() {}\n"),
        ["event.rs: has something after its tests"]
    );
}

#[test]
fn what_only_looks_like_a_breach_is_none() {
    for source in [
        "//! Not tokio, not lapin.\n/// Nor reqwest.\n// Nor prometheus.\nfn f() {}\n",
        "let x = 1; // as tokio does\n",
        "let my_tokio = tokio_like(tokios);\n",
        "let x = Utc::now_or_never();\n",
        "fn f() {}\n\n#[cfg(test)]\nmod tests {\n    use tokio::x;\n    Utc::now();\n}\n",
        "const VERSION: &str = env!(\"CARGO_PKG_VERSION\");\n",
    ] {
        assert_eq!(check("event", source), [""; 0], "{source}");
    }
    assert_eq!(check("main", "parse(std::env::args_os())"), [""; 0]);
    let tests = format!("#[cfg(test)]\nmod tests {{\n{}}}\n", "\n".repeat(400));
    assert_eq!(check("worker", &tests), [""; 0]);
}

/// The rules that the source of `file` breaks.
fn check(file: &str, source: &str) -> Vec<String> {
    let mut broken = Vec::new();
    let (code, tests) = match source.find("#[cfg(test)]\nmod ") {
        Some(start) => source.split_at(start),
        None => (source, ""),
    };
    // Rustfmt closes a module at the beginning of a line.
    if tests.split_once("\n}\n").is_some_and(|(_, rest)| !rest.trim().is_empty()) {
        broken.push(format!("{file}.rs: has something after its tests"));
    }
    let longest = LONGER.iter().find(|(longer, _)| *longer == file).map_or(LONGEST, |it| it.1);
    let lines = code.lines().count();
    if lines > longest {
        broken.push(format!("{file}.rs: has {lines} lines, more than {longest}"));
    }
    for (number, line) in (1..).zip(code.lines()) {
        // The arguments of the process are for `main` to read.
        let line = if file == "main" { line.replace("std::env::args_os", "") } else { line.into() };
        let line = if line.trim_start().starts_with("//") { "" } else { &line };
        let line = line.split(" // ").next().unwrap_or_default();
        let named = |word: &&str| names(line, word);
        if CORE.contains(&file) {
            let words = NOT_IN_CORE.iter().copied().filter(named);
            broken.extend(words.map(|word| format!("{file}.rs:{number}: the core names {word}")));
        }
        for (word, allowed) in ONLY {
            if named(&word) && !allowed.contains(&file) {
                let allowed = allowed.join(", ");
                broken.push(format!("{file}.rs:{number}: only {allowed} may name {word}"));
            }
        }
    }
    broken
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
