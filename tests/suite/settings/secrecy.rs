//! No secret is ever shown, be it right or wrong, in its place or out of it.

use super::{file, os, with};
use crate::support::settings::{Variables, named, oauth2_without_url};
use base64::{Engine, engine::general_purpose::STANDARD};
use mimecast_eventd::settings::{SETTINGS, Setting, Settings, Sources};
use proptest::prelude::*;
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use tempfile::TempDir;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3))]

    #[test]
    fn a_secret_is_shown_neither_by_settings_nor_by_mistakes(canary in "CANARY[a-zA-Z0-9]{6,20}") {
        let folder = TempDir::new().unwrap();
        for setting in SETTINGS.iter().filter(|setting| setting.secret) {
            for value in forms(&canary) {
                for place in Place::ALL {
                    let shown = show(setting, &value, place, &folder);
                    for trace in traces(&canary) {
                        prop_assert!(
                            !shown.to_lowercase().contains(&trace.to_lowercase()),
                            "{} in {place:?} as {value:?}: {shown}", setting.key
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn the_forms_of_a_secret_are_both_accepted_and_refused() {
    let folder = TempDir::new().unwrap();
    for setting in SETTINGS.iter().filter(|setting| setting.secret) {
        let shown: Vec<String> = forms("CANARYabcdef")
            .iter()
            .map(|value| show(setting, value, Place::Variable, &folder))
            .collect();
        let accepted = shown.iter().filter(|shown| shown.starts_with("Settings")).count();
        assert!(accepted > 0 && accepted < shown.len(), "{}: {shown:?}", setting.key);
    }
}

/// Where a secret may be put, rightly or wrongly.
#[derive(Clone, Copy, Debug)]
enum Place {
    Variable,
    FileOfItsOwn,
    PathOfItsFile,
    VariableAndFile,
    SettingsFile,
    MistypedKey,
    MistypedVariable,
}

impl Place {
    const ALL: [Place; 7] = [
        Place::Variable,
        Place::FileOfItsOwn,
        Place::PathOfItsFile,
        Place::VariableAndFile,
        Place::SettingsFile,
        Place::MistypedKey,
        Place::MistypedVariable,
    ];
}

/// Values that hold the canary: right for some settings, wrong for others, some for all.
fn forms(canary: &str) -> Vec<OsString> {
    let mut forms: Vec<OsString> = [
        canary.to_owned(),
        STANDARD.encode(canary),
        format!("{canary}!"),
        format!("{canary} {canary}"),
        format!("{canary}\n{canary}"),
        format!("\"{canary}"),
        format!("\"{canary}\""),
        format!("é{canary}"),
        format!("amqp://user:{canary}@broker/team"),
        format!("amqps://{canary}:{canary}@/"),
        format!("http://user:{canary}@broker"),
        format!("amqp://user:{canary}@broker:port"),
        format!("amqp://user:{canary}%ff@broker"),
        format!("amqp://user:1/{canary}@broker"),
        format!("amqp://user:1/{canary}@broker/team"),
        format!("amqp://user:1#{canary}@broker"),
        format!("amqp://user:1?{canary}@broker"),
        format!("amqp://broker/one/{canary}"),
    ]
    .map(OsString::from)
    .into();
    forms.push(OsString::from_vec([canary.as_bytes(), b"\xff"].concat()));
    forms
}

/// What would give the canary away.
fn traces(canary: &str) -> [String; 3] {
    let bytes: Vec<String> = canary.bytes().map(|byte| byte.to_string()).collect();
    [canary.to_owned(), STANDARD.encode(canary), bytes.join(", ")]
}

/// All that is shown when `setting` has this value: the settings, or the mistakes in both forms.
fn show(setting: &Setting, value: &OsString, place: Place, folder: &TempDir) -> String {
    let variable = setting.variable();
    let mut environment = os(&valid(setting));
    environment.retain(|(name, _)| *name != *variable);
    let mut set = |name: String, value: OsString| environment.push((name.into(), value));
    let mut settings_file = None;
    let secret_file = || file(folder, "secret", value.as_bytes()).into_os_string();
    match place {
        Place::Variable => set(variable, value.clone()),
        Place::FileOfItsOwn => set(format!("{variable}_FILE"), secret_file()),
        Place::PathOfItsFile => set(format!("{variable}_FILE"), value.clone()),
        Place::VariableAndFile => {
            set(format!("{variable}_FILE"), secret_file());
            set(variable, value.clone());
        }
        Place::SettingsFile | Place::MistypedKey => {
            let ending = if matches!(place, Place::MistypedKey) { "s" } else { "" };
            // Without quotes and escapes, as somebody in a hurry would write it.
            let line = [setting.key.as_bytes(), ending.as_bytes(), b" = ", value.as_bytes()];
            settings_file = Some(file(folder, "settings.toml", line.concat()));
        }
        Place::MistypedVariable => set(format!("{variable}S"), value.clone()),
    }
    let sources = Sources::gather([], environment, settings_file.as_deref());
    let gathered = format!("{sources:?}");
    match Settings::read(sources) {
        Ok(settings) => format!("{settings:?} {gathered}"),
        Err(mistakes) => {
            let told: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
            format!("{told:?} {mistakes:?} {gathered}")
        }
    }
}

/// Valid settings that `setting` is a part of.
fn valid(setting: &Setting) -> Variables {
    if setting.key.starts_with("mimecast.client_") {
        let mut variables = oauth2_without_url();
        variables.extend([named("MIMECAST__REGION", "uk")]);
        variables
    } else {
        with(&[])
    }
}
