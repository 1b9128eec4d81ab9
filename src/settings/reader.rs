//! Turns the text of each setting into its type, collecting mistakes instead of stopping at the first.

use super::mistake::Mistake;
use super::source::Sources;
use super::timings::Timings;
use crate::secrecy::Secret;
use percent_encoding::percent_decode_str;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

/// Reads settings. Where one is wrong it notes the mistake and goes on with a placeholder, which
/// [`Reader::finish`] never lets out.
#[derive(Debug)]
pub struct Reader {
    sources: Sources,
    mistakes: Vec<Mistake>,
    warnings: Vec<Mistake>,
}

/// Bytes of a secret of Mimecast, at least. Whatever is equal to one is hidden in each output: a short one would be
/// found in many words, and so tell itself.
const SHORTEST_SECRET: usize = 8;

impl Reader {
    /// Begins with the mistakes that the sources came with.
    pub fn new(mut sources: Sources) -> Reader {
        let mistakes = sources.take_mistakes();
        Reader { sources, mistakes, warnings: Vec::new() }
    }

    /// One of the same sources, whose mistakes do not count.
    pub fn aside(&self) -> Reader {
        Reader::new(self.sources.clone())
    }

    /// Lets `settings` out, if there was no mistake.
    ///
    /// # Errors
    ///
    /// All mistakes, in the order in which they were found.
    pub fn finish<T>(self, settings: T) -> Result<T, Vec<Mistake>> {
        if self.mistakes.is_empty() { Ok(settings) } else { Err(self.mistakes) }
    }

    /// The waits and limits that are no settings.
    pub fn timings(&self) -> Timings {
        self.sources.timings
    }

    /// The folder for what lives as long as the process, if the environment names one.
    pub fn runtime_folder(&self) -> Option<&Path> {
        self.sources.runtime_folder()
    }

    /// A setting that may be left out.
    pub fn optional<T>(
        &mut self,
        key: &str,
        parse: impl FnOnce(&str) -> Result<T, &'static str>,
    ) -> Option<T> {
        let (value, _) = self.sources.value(key);
        match parse(value?.reveal()) {
            Ok(parsed) => Some(parsed),
            Err(problem) => {
                self.mistake(key, problem);
                None
            }
        }
    }

    /// A setting that must be there, or has a default.
    pub fn required<T>(
        &mut self,
        key: &str,
        parse: impl FnOnce(&str) -> Result<T, &'static str>,
    ) -> Option<T> {
        // A value that could not even be gathered is not also called missing.
        if self.is_missing(key) && !self.mistakes.iter().any(|mistake| mistake.key == key) {
            self.mistake(key, "is required");
        }
        self.optional(key, parse)
    }

    /// Whether nobody set `key` and it has no default.
    pub fn is_missing(&self, key: &str) -> bool {
        self.sources.value(key).0.is_none()
    }

    /// A secret that must be there and fit into an HTTP header.
    pub fn secret(&mut self, key: &str) -> Secret {
        Secret::new(self.required(key, secret).unwrap_or_default())
    }

    /// The name of a queue or exchange: AMQP allows 255 bytes.
    pub fn name(&mut self, key: &str) -> String {
        let name = |text: &str| match text.len() {
            0..=255 => not_blank(text),
            _ => Err("must not be longer than 255 bytes"),
        };
        self.required(key, name).unwrap_or_default()
    }

    /// A duration such as `200ms`, `5m` or `2h`, between `least` and `most`.
    pub fn duration(&mut self, key: &str, least: Duration, most: Duration) -> Duration {
        let Some(duration) = self.required(key, duration) else { return least };
        if !(least..=most).contains(&duration) {
            let (least, most) =
                (humantime::format_duration(least), humantime::format_duration(most));
            self.mistake(key, &format!("must be between {least} and {most}"));
        }
        duration
    }

    /// Holds the durations under `shorter` and `longer` to that order, where both can be read.
    pub fn in_order(&mut self, shorter: &str, longer: &str) {
        let read = |key| self.sources.value(key).0.and_then(|text| duration(text.reveal()).ok());
        if let (Some(short), Some(long)) = (read(shorter), read(longer))
            && short > long
        {
            self.mistake(shorter, &format!("must not be longer than {longer}"));
        }
    }

    /// A whole number between `least` and `most`.
    pub fn number(&mut self, key: &str, least: u16, most: u16) -> u16 {
        let number = |text: &str| text.trim().parse().map_err(|_| "must be a whole number");
        let Some(number) = self.required(key, number) else { return least };
        if !(least..=most).contains(&number) {
            self.mistake(key, &format!("must be between {least} and {most}"));
        }
        number
    }

    /// A list of texts, written as `["one","two"]`.
    pub fn list(&mut self, key: &str) -> Vec<String> {
        self.required(key, list).unwrap_or_default()
    }

    /// A table of texts, written as `{ one = "two" }`.
    pub fn table(&mut self, key: &str) -> BTreeMap<String, String> {
        self.required(key, table).unwrap_or_default()
    }

    /// One of several words, each with its meaning.
    pub fn one_of<T: Copy>(&mut self, key: &str, words: &[(&str, T)]) -> Option<T> {
        let (value, _) = self.sources.value(key);
        let word = value?.reveal();
        let meaning = words.iter().find(|(known, _)| *known == word).map(|(_, meaning)| *meaning);
        if meaning.is_none() {
            let known: Vec<&str> = words.iter().map(|(known, _)| *known).collect();
            self.mistake(key, &format!("must be one of {}", known.join(", ")));
        }
        meaning
    }

    /// Notes that what a setting says works, and is doubtful.
    pub fn warning(&mut self, key: &str, problem: &str) {
        let (_, origin) = self.sources.value(key);
        self.warnings.push(Mistake { key: key.to_owned(), origin, problem: problem.to_owned() });
    }

    /// What works, and is doubtful.
    pub fn take_warnings(&mut self) -> Vec<Mistake> {
        std::mem::take(&mut self.warnings)
    }

    /// Notes a mistake.
    pub fn mistake(&mut self, key: &str, problem: &str) {
        let (_, origin) = self.sources.value(key);
        self.mistakes.push(Mistake { key: key.to_owned(), origin, problem: problem.to_owned() });
    }
}

/// Parses a duration such as `200ms`, `5m` or `2h`.
///
/// # Errors
///
/// What would be right.
pub(super) fn duration(text: &str) -> Result<Duration, &'static str> {
    humantime::parse_duration(text.trim())
        .map_err(|_| "must be a duration such as 200ms, 30s or 5m")
}

/// Refuses a blank text.
///
/// # Errors
///
/// What would be right.
pub(super) fn not_blank(text: &str) -> Result<String, &'static str> {
    if text.trim().is_empty() { Err("must not be empty") } else { Ok(text.to_owned()) }
}

/// A secret of Mimecast, as it is sent.
fn secret(text: &str) -> Result<String, &'static str> {
    if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("must be visible ASCII characters without spaces");
    }
    not_blank(text)?;
    long_enough(text).map(str::to_owned)
}

/// Refuses a secret that would be found in innocent words.
///
/// # Errors
///
/// What would be right.
pub(super) fn long_enough(secret: &str) -> Result<&str, &'static str> {
    match secret.len() >= SHORTEST_SECRET {
        true => Ok(secret),
        false => Err("must be at least 8 bytes long, as all are that Mimecast issues"),
    }
}

/// A user name or password of RabbitMQ: any characters but those that nobody types.
///
/// # Errors
///
/// What would be right.
pub(super) fn typed(text: &str) -> Result<String, &'static str> {
    const BYTE_ORDER_MARK: char = '\u{feff}';
    match text.contains(|it: char| it.is_control() || it == BYTE_ORDER_MARK) {
        true => {
            Err("must have no control characters, such as a line break, and no byte order mark")
        }
        false => Ok(text.to_owned()),
    }
}

/// Decodes a part of a URL.
///
/// # Errors
///
/// What would be right.
pub(super) fn decode(text: &str) -> Result<String, &'static str> {
    let decoded = percent_decode_str(text).decode_utf8();
    decoded.map(String::from).map_err(|_| "has a percent-encoded part that is not UTF-8")
}

fn list(text: &str) -> Result<Vec<String>, &'static str> {
    let wrong = r#"must be a list such as ["one","two"]"#;
    let Some(toml::Value::Array(values)) = toml_value(text) else { return Err(wrong) };
    values.iter().map(|value| value.as_str().map(str::to_owned).ok_or(wrong)).collect()
}

fn table(text: &str) -> Result<BTreeMap<String, String>, &'static str> {
    let wrong = r#"must be a table of texts such as { one = "two" }"#;
    let Some(toml::Value::Table(entries)) = toml_value(text) else { return Err(wrong) };
    let text = |(key, value): (String, toml::Value)| {
        value.as_str().map(|value| (key, value.to_owned())).ok_or(wrong)
    };
    entries.into_iter().map(text).collect()
}

/// Lists and tables are written alike in the file, in a variable and as a flag: as TOML values.
fn toml_value(text: &str) -> Option<toml::Value> {
    let mut table: toml::Table = format!("value = {text}").parse().ok()?;
    // A text with a line break in it could go on with keys of its own.
    let value = table.remove("value");
    value.filter(|_| table.is_empty())
}
