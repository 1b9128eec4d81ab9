//! Where settings come from: flags, then the environment, then the file, then the defaults.

use super::mistake::{Mistake, unknown};
use super::origin::Origin;
use super::small_file;
use super::source_file::SourceFile;
use super::table::{SETTINGS, Setting, key_in};
use super::timings::Timings;
use super::truncation;
use crate::secrecy::Secret;
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::DirEntry;
use std::io;
use std::path::{Path, PathBuf};

/// What the command line says of the settings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Given {
    /// Settings given as flags, by key.
    pub flags: Vec<(&'static str, String)>,
    /// The settings file.
    pub file: Option<PathBuf>,
    /// The waits and limits that are no settings.
    pub timings: Timings,
}

/// All that the settings are read from, and the mistakes already found in gathering it.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    values: BTreeMap<&'static str, (Secret, Origin)>,
    mistakes: Vec<Mistake>,
    files: Vec<SourceFile>,
    /// The text of the settings file, in which somebody may have put a secret.
    text: Option<(Secret, Origin)>,
    runtime_folder: Option<PathBuf>,
    pub(super) timings: Timings,
}

impl Sources {
    /// Gathers the values of every layer: `flags` by setting key, the `EVENTD_` variables of
    /// `environment`, and the TOML file at `file`.
    pub fn gather(
        flags: impl IntoIterator<Item = (&'static str, String)>,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
        file: Option<&Path>,
    ) -> Sources {
        let environment: BTreeMap<OsString, OsString> = environment.into_iter().collect();
        let mut sources =
            Sources { runtime_folder: runtime_folder(&environment), ..Sources::default() };
        // Weakest first: each layer overwrites the one before.
        for setting in SETTINGS {
            if let Some(default) = setting.default {
                sources.values.insert(setting.key, (Secret::new(default), Origin::Default));
            }
        }
        if let Some(path) = file {
            sources.add_file(path);
        }
        if let Some(folder) = environment.get(OsStr::new("CREDENTIALS_DIRECTORY")) {
            sources.add_credentials(Path::new(folder));
        }
        sources.add_environment(environment);
        for (key, value) in flags {
            let flag = setting(key).and_then(Setting::flag).unwrap_or_default();
            sources.values.insert(key, (Secret::new(value), Origin::Flag(format!("--{flag}"))));
        }
        sources.add_files_of_values();
        sources
    }

    /// The files that the values were read from, and those that values name.
    pub fn files(&self) -> &[SourceFile] {
        &self.files
    }

    /// The folder for what lives as long as a process: that of the service, else that of the user.
    pub fn runtime_folder(&self) -> Option<&Path> {
        self.runtime_folder.as_deref()
    }

    /// Compares the settings file with the one in force: a part of it would switch off what stands in the rest.
    pub(super) fn compare(&mut self, before: &Sources) {
        if let (Some((known, _)), Some((text, origin))) = (&before.text, &self.text)
            && let Some(sign) = truncation::sign(known.reveal(), text.reveal())
        {
            self.mistake("--config", origin.clone(), &format!("may have been cut: {sign}"));
        }
    }

    /// The same, but as in `others` for these keys.
    pub(super) fn where_not(mut self, others: &Sources, keys: &[&'static str]) -> Sources {
        for key in keys {
            match others.values.get(key) {
                Some(value) => self.values.insert(key, value.clone()),
                None => self.values.remove(key),
            };
        }
        self
    }

    /// The value of `key` as text, and where it came from.
    pub fn value(&self, key: &str) -> (Option<&Secret>, Origin) {
        match self.values.get(key) {
            Some((value, origin)) => (Some(value), origin.clone()),
            None => (None, Origin::Missing),
        }
    }

    /// Takes the mistakes found while gathering.
    pub fn take_mistakes(&mut self) -> Vec<Mistake> {
        std::mem::take(&mut self.mistakes)
    }

    fn add_files_of_values(&mut self) {
        for key in ["amqp.tls.ca_file", "amqp.tls.cert_file", "amqp.tls.key_file"] {
            if let Some((path, _)) = self.values.get(key) {
                let (path, secret) = (path.reveal().into(), key == "amqp.tls.key_file");
                self.files.push(SourceFile { key, path, secret });
            }
        }
    }

    fn add_file(&mut self, path: &Path) {
        self.files.push(SourceFile { key: "--config", path: path.to_owned(), secret: false });
        let origin = Origin::File(path.display().to_string());
        let text = match small_file::read_text(path) {
            Ok(text) => text,
            Err(error) => {
                return self.mistake("--config", origin, &format!("cannot be read: {error}"));
            }
        };
        self.text = Some((Secret::new(text.as_str()), origin.clone()));
        match text.parse::<toml::Table>() {
            Ok(table) => self.add_table("", &table, &origin),
            Err(error) => {
                // The parser's full message shows the line itself, which may hold what it should not.
                let line =
                    1 + error.span().map_or(0, |span| text[..span.start].matches('\n').count());
                self.mistake("--config", origin, &format!("line {line}: {}", error.message()));
            }
        }
    }

    fn add_table(&mut self, prefix: &str, table: &toml::Table, origin: &Origin) {
        for (name, value) in table {
            let key = key_in(prefix, name);
            match (setting(&key), value) {
                (Some(setting), _) if setting.secret => {
                    let advice =
                        format!("is a secret and belongs in {} or {0}_FILE", setting.variable());
                    self.mistake(&key, origin.clone(), &advice);
                }
                (Some(setting), toml::Value::Table(_)) if !setting.is_table() => {
                    self.mistake(&key, origin.clone(), "must be a value, not a table");
                }
                (Some(setting), toml::Value::String(text)) => {
                    self.values.insert(setting.key, (Secret::new(text), origin.clone()));
                }
                (Some(setting), value) => {
                    self.values
                        .insert(setting.key, (Secret::new(value.to_string()), origin.clone()));
                }
                (None, toml::Value::Table(table)) if !table.is_empty() || is_table(&key) => {
                    self.add_table(&key, table, origin);
                }
                (None, _) => {
                    let known = SETTINGS.iter().map(|setting| setting.key.to_owned());
                    self.mistake(&key, origin.clone(), &unknown("key", &key, known));
                }
            }
        }
    }

    fn add_environment(&mut self, environment: BTreeMap<OsString, OsString>) {
        for (name, value) in &environment {
            let Some(name) = name.to_str().filter(|name| name.starts_with("EVENTD_")) else {
                continue;
            };
            if name == "EVENTD_CONFIG" {
                continue;
            }
            let origin = Origin::Variable(name.to_owned());
            let setting = SETTINGS.iter().find_map(|setting| {
                let variable = setting.variable();
                let from_file = setting.secret && name.strip_suffix("_FILE") == Some(&variable);
                (from_file || name == variable).then_some((setting, from_file, variable))
            });
            match setting {
                None => {
                    let known = SETTINGS.iter().map(Setting::variable);
                    self.mistake(name, origin, &unknown("variable", name, known));
                }
                Some((setting, true, variable)) => {
                    if environment.contains_key(OsStr::new(&variable)) {
                        let problem = format!("{variable} is set as well; set one of the two");
                        self.mistake(setting.key, origin, &problem);
                    } else {
                        let origin = Origin::SecretFile(name.to_owned());
                        self.add_secret_file(setting, origin, Path::new(value));
                    }
                }
                Some((setting, false, _)) => match value.to_str() {
                    Some(text) => {
                        self.values.insert(setting.key, (Secret::new(text), origin));
                    }
                    None => self.mistake(setting.key, origin, "is not UTF-8"),
                },
            }
        }
    }

    /// The secrets in the folder of credentials that systemd makes for a service (systemd.exec(5), "CREDENTIALS"),
    /// as `eventd_mimecast.secret_key`; those with other beginnings are for others.
    fn add_credentials(&mut self, folder: &Path) {
        let entries = std::fs::read_dir(folder).and_then(Iterator::collect::<io::Result<Vec<_>>>);
        let mut names: Vec<OsString> = match entries {
            Ok(entries) => entries.iter().map(DirEntry::file_name).collect(),
            Err(error) => {
                let origin = Origin::Variable("CREDENTIALS_DIRECTORY".to_owned());
                return self.mistake("credentials", origin, &format!("cannot be read: {error}"));
            }
        };
        names.sort();
        for name in &names {
            let Some(key) = name.to_str().and_then(|name| name.strip_prefix("eventd_")) else {
                continue;
            };
            let origin = Origin::Credential(name.display().to_string());
            match setting(key).filter(|setting| setting.secret) {
                Some(setting) => self.add_secret_file(setting, origin, &folder.join(name)),
                None => {
                    let secrets = SETTINGS.iter().filter(|setting| setting.secret);
                    let known = secrets.map(|setting| setting.key.to_owned());
                    self.mistake(key, origin, &unknown("secret", key, known));
                }
            }
        }
    }

    fn add_secret_file(&mut self, setting: &'static Setting, origin: Origin, path: &Path) {
        self.files.push(SourceFile { key: setting.key, path: path.into(), secret: true });
        match small_file::read(path).map(String::from_utf8) {
            Ok(Ok(text)) => {
                // Editors and `echo` end a file with a newline that is not part of the secret.
                let text = text.strip_suffix('\n').unwrap_or(&text);
                let text = text.strip_suffix('\r').unwrap_or(text);
                self.values.insert(setting.key, (Secret::new(text), origin));
            }
            Ok(Err(_)) => self.mistake(setting.key, origin, "the file is not UTF-8"),
            // Without the path: somebody may have put the secret itself where its file belongs.
            Err(error) => self.mistake(setting.key, origin, &format!("cannot be read: {error}")),
        }
    }

    fn mistake(&mut self, key: &str, origin: Origin, problem: &str) {
        self.mistakes.push(Mistake { key: key.to_owned(), origin, problem: problem.to_owned() });
    }
}

/// systemd names several folders with colons between them; the first is the service's own.
fn runtime_folder(environment: &BTreeMap<OsString, OsString>) -> Option<PathBuf> {
    let of = |name: &str| environment.get(OsStr::new(name)).filter(|value| !value.is_empty());
    if let Some(folders) = of("RUNTIME_DIRECTORY") {
        let first = folders.to_string_lossy().split(':').next().map(PathBuf::from);
        return first;
    }
    of("XDG_RUNTIME_DIR").map(|folder| PathBuf::from(folder).join("mimecast-eventd"))
}

fn setting(key: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.key == key)
}

fn is_table(key: &str) -> bool {
    let within = |known: &str| known.strip_prefix(key).is_some_and(|rest| rest.starts_with('.'));
    SETTINGS.iter().any(|setting| within(setting.key))
}
