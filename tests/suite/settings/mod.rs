//! The settings: where they come from, what they may be, and what is said when they are wrong.

mod certificates;
mod mistakes;
mod process;
mod secrecy;
mod sources;
mod table;
mod values;

use crate::support::settings::{Variables, hmac_without_url, named, read};
use mimecast_eventd::settings::{Settings, Sources};
use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;
use tempfile::TempDir;

/// The least that is valid, for API 1.0, and some settings of the test's own.
fn with(own: &[(&str, &str)]) -> Variables {
    let mut variables = hmac_without_url();
    variables.extend([named("MIMECAST__REGION", "eu")]);
    variables.extend(own.iter().map(|(name, value)| named(name, value)));
    variables
}

fn accepted(variables: &Variables) -> Settings {
    read(variables).unwrap_or_else(|mistakes| panic!("{mistakes:#?}"))
}

/// The mistakes in `variables`, as they are printed.
fn refused(variables: &Variables) -> Vec<String> {
    printed(read(variables))
}

/// The mistakes in the file's text and nothing but the least that is valid beside it; the file is
/// called `settings`.
fn refused_file(text: impl AsRef<[u8]>) -> Vec<String> {
    let folder = TempDir::new().unwrap();
    let path = file(&folder, "settings.toml", text);
    let settings = Settings::read(Sources::gather([], os(&with(&[])), Some(&path)));
    let path = path.display().to_string();
    printed(settings).iter().map(|mistake| mistake.replace(&path, "settings")).collect()
}

fn printed(settings: Result<Settings, Vec<mimecast_eventd::settings::Mistake>>) -> Vec<String> {
    settings.unwrap_err().iter().map(ToString::to_string).collect()
}

fn file(folder: &TempDir, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
    let path = folder.path().join(name);
    fs::write(&path, text).unwrap();
    path
}

fn os(variables: &Variables) -> Vec<(OsString, OsString)> {
    variables.iter().map(|(name, value)| (name.into(), value.into())).collect()
}
