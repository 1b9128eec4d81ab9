//! A settings file of any bytes, beside secrets that may be wrong too: it comes to settings or to
//! mistakes, each one line that says where it is, and no secret shows in either.

#![no_main]

mod case;

use case::{Case, is_one_line};
use libfuzzer_sys::fuzz_target;
use mimecast_eventd::settings::{Contract, Mistake, Origin, SETTINGS, Settings, Sources};
use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;
use std::sync::LazyLock;
use toml::{Table, Value};

/// Stands in every secret, and as a value in the file where the input has it.
const CANARY: &str = "cAnAry";

/// The one file that each input is written to.
static FILE: LazyLock<PathBuf> = LazyLock::new(|| {
    let folder = std::env::temp_dir().join("mimecast-eventd-fuzz");
    fs::create_dir_all(&folder).expect("the folder for temporary files can be written to");
    folder.join(format!("{}.toml", std::process::id()))
});

fuzz_target!(|bytes: &[u8]| {
    let case = Case::of(bytes);
    // A setting may name a device that never ends.
    if ["/dev/", "/proc"].iter().any(|folder| String::from_utf8_lossy(bytes).contains(folder)) {
        return;
    }
    fs::write(&*FILE, case.rest).expect("the file can be written");
    let gather = || Sources::gather(flags(&case), environment(&case), Some(&FILE));
    let is_key = is_key(&case);
    match Settings::read(gather()) {
        Ok(settings) => {
            let secrets =
                format!("{:?} {:?}", settings.mimecast.credentials.secrets(), settings.pseudonyms);
            assert!(!secrets.contains(CANARY), "{secrets}");
            assert!(!settings.lanes.is_empty() && settings.lanes.iter().all(|lane| lane.enabled));
            // What is right as a whole is right in each of its parts.
            assert!(Contract::read(gather()).is_ok());
        }
        Err(mistakes) => {
            assert!(!mistakes.is_empty());
            mistakes.iter().for_each(|mistake| is_told(mistake, case.rest, is_key));
        }
    }
});

/// One secret may be what the input says; the others are right, as far as they can be for both APIs.
fn environment(case: &Case<'_>) -> Vec<(OsString, OsString)> {
    let own: Vec<(String, Option<String>)> = case.pairs("secret").collect();
    let secrets = SETTINGS.iter().filter(|setting| setting.secret).filter_map(|setting| {
        let text = match own.iter().find(|(key, _)| key == setting.key) {
            Some((_, text)) => text.clone()?,
            // The broker has a default, and the key of pseudonyms is made of the others.
            None if setting.key.starts_with("mimecast.") => format!("{CANARY}aa"),
            None => return None,
        };
        // No variable can have this byte.
        Some((setting.variable().into(), text.replace('\0', "").into()))
    });
    let auth = case.text("auth").unwrap_or_else(|| "hmac".into());
    let plain = [("EVENTD_MIMECAST__AUTH", auth), ("EVENTD_MIMECAST__REGION", "us".into())];
    let plain = plain.map(|(name, value)| (name.into(), value.into()));
    // What a mistyped variable holds may be a secret too.
    let mistyped = case
        .pairs("variable")
        .map(|(name, value)| (format!("EVENTD_{name}").into(), value.unwrap_or_default().into()));
    mistyped.chain(secrets).chain(plain).collect()
}

fn flags(case: &Case<'_>) -> Vec<(&'static str, String)> {
    let flag = |(key, value): (String, Option<String>)| {
        let open = SETTINGS.iter().filter(|setting| !setting.secret);
        let known = open.map(|setting| setting.key).find(|known| *known == key);
        known.map(|key| (key, value.unwrap_or_default()))
    };
    case.pairs("flag").filter_map(flag).collect()
}

/// Where it is, in one line, and nothing of what was a secret or could be one.
fn is_told(mistake: &Mistake, file: &[u8], is_key: bool) {
    let told = mistake.to_string();
    is_one_line(&told, usize::MAX);
    assert!(!mistake.key.is_empty() && !mistake.problem.is_empty(), "{told}");
    assert!(is_key || !told.contains(CANARY), "{told}");
    if mistake.key == "--config" {
        let name = FILE.display().to_string();
        assert_eq!(mistake.origin, Origin::File(name), "{told}");
        let line = mistake.problem.strip_prefix("line ").and_then(|it| it.split_once(':'));
        let lines = 1..=file.split(|byte| *byte == b'\n').count();
        match line.and_then(|(number, _)| number.parse().ok()) {
            Some(number) => assert!(lines.contains(&number), "{told}"),
            None => assert!(std::str::from_utf8(file).is_err(), "{told}"),
        }
    } else if mistake.origin == Origin::Missing {
        assert!(SETTINGS.iter().any(|setting| setting.key == mistake.key), "{told}");
    }
}

/// Whether the canary is the name of something, which is told so that it can be found.
fn is_key(case: &Case<'_>) -> bool {
    let file: Option<Table> = std::str::from_utf8(case.rest).ok().and_then(|it| it.parse().ok());
    let named = case.pairs("variable").any(|(name, _)| name.contains(CANARY));
    let all = case.pairs("flag").chain(case.pairs("variable"));
    named
        || file.is_some_and(|file| names_canary(&file))
        || all.filter_map(|(_, text)| table(&text?)).any(|table| names_canary(&table))
}

fn names_canary(table_of: &Table) -> bool {
    table_of.iter().any(|(key, value)| {
        key.contains(CANARY)
            || match value {
                Value::Table(inner) => names_canary(inner),
                Value::String(text) => table(text).is_some_and(|inner| names_canary(&inner)),
                _ => false,
            }
    })
}

/// A text that is a table of its own, as that of pointers is in a variable.
fn table(text: &str) -> Option<Table> {
    format!("value = {text}").parse().ok()
}
