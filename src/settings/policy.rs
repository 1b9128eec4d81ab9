//! The settings under `policy`: what an event has to keep to before anything is done for it.

use super::reader::{self, Reader};
use crate::command::{AddressPattern, Guards, Pattern};
use crate::event::{NameError, group_name};
use std::time::Duration;

/// Reads the settings under `policy`.
pub(super) fn guards(reader: &mut Reader) -> Guards {
    let max_event_age = reader.optional("policy.max_event_age", reader::duration);
    if max_event_age.is_some_and(|age| age < Duration::from_secs(1)) {
        reader.mistake("policy.max_event_age", "must be at least 1s");
    }
    let patterns = |texts: Vec<String>| texts.iter().map(|text| Pattern::new(text)).collect();
    let protected_addresses =
        canonical(reader, "policy.protected_addresses", AddressPattern::parse);
    Guards {
        allowed_sources: patterns(entries(reader, "policy.allowed_sources")),
        allowed_users: entries(reader, "policy.allowed_users"),
        protected_addresses,
        max_event_age,
        allow_undated: flag(reader, "policy.allow_undated"),
        allowed_groups: canonical(reader, "policy.allowed_groups", group_name),
        protected_groups: canonical(reader, "policy.protected_groups", group_name),
        only_blocked: flag(reader, "policy.only_blocked"),
        verify_effect: flag(reader, "policy.verify_effect"),
        max_commands: max_commands(reader),
        dry_run: flag(reader, "policy.dry_run"),
    }
}

fn max_commands(reader: &mut Reader) -> Option<(usize, Duration)> {
    let most = reader.optional("policy.max_commands", |text| {
        let most = text.trim().parse().map_err(|_| "must be a whole number")?;
        if (1..=100_000).contains(&most) { Ok(most) } else { Err("must be between 1 and 100000") }
    });
    let (least, longest) = (Duration::from_secs(1), Duration::from_hours(24));
    let window = reader.duration("policy.window", least, longest);
    most.map(|most| (most, window))
}

fn entries(reader: &mut Reader, key: &str) -> Vec<String> {
    let entries = reader.list(key);
    if entries.iter().any(|entry| entry.trim().is_empty()) {
        reader.mistake(key, "has a blank entry");
    }
    entries
}

/// The entries of a list in their canonical form, by which events are compared with them.
pub(super) fn canonical<T>(
    reader: &mut Reader,
    key: &str,
    parse: impl Fn(&str) -> Result<T, NameError>,
) -> Vec<T> {
    let mut parsed = Vec::new();
    for entry in entries(reader, key).iter().filter(|entry| !entry.trim().is_empty()) {
        match parse(entry) {
            Ok(entry) => parsed.push(entry),
            Err(problem) => reader.mistake(key, &format!("has an entry that {problem}")),
        }
    }
    parsed
}

fn flag(reader: &mut Reader, key: &str) -> bool {
    reader.one_of(key, &[("true", true), ("false", false)]).unwrap_or_default()
}
