//! Checks what a daemon with these settings would meet, and changes nothing.

mod broker;
mod files;
mod vendor;
mod verdict;

use super::terminal::{OutputError, say, say_json};
use crate::settings::{Running, Settings};
use crate::vendor::Stamp;
pub use verdict::{Gravity, Group, Verdict};

/// The verdicts on what can be seen on this machine: settings that were read without a mistake, and the
/// files that they came from.
pub fn here(running: &Running) -> Vec<Verdict> {
    let mut verdicts = vec![settings(running.settings())];
    let warnings = running.settings().warnings.iter();
    verdicts.extend(
        warnings
            .map(|it| Verdict::new(Gravity::Warning, (Group::Settings, &it.key), it.to_string())),
    );
    verdicts.extend(max_commands(running.settings()));
    verdicts.extend(files::check(running.files(), running.settings()));
    verdicts
}

/// Connects to the broker and to the vendor, and says what it found.
pub async fn connections(settings: &Settings, fresh: fn() -> Stamp) -> Vec<Verdict> {
    let mut verdicts = broker::check(settings).await;
    verdicts.extend(vendor::check(settings, fresh).await);
    verdicts
}

/// Prints them, one a line.
///
/// # Errors
///
/// [`OutputError`].
pub fn show(verdicts: &[Verdict], json: bool) -> Result<(), OutputError> {
    verdicts.iter().try_for_each(|verdict| match json {
        true => say_json(&verdict.json()),
        false => say(&verdict.line()),
    })
}

fn settings(settings: &Settings) -> Verdict {
    let lanes: Vec<&str> = settings.lanes.iter().map(|lane| lane.event_type.name()).collect();
    let text = format!("complete, for {}", lanes.join(" and "));
    Verdict::new(Gravity::Ok, (Group::Settings, "all"), text)
}

/// What all replicas may do together: each of them counts alone.
fn max_commands(settings: &Settings) -> Option<Verdict> {
    let (most, window) = settings.contract.guards.max_commands?;
    let window = humantime::format_duration(window);
    let text = format!(
        "each process applies at most {most} commands of a lane in {window}; N replicas N times as many"
    );
    Some(Verdict::new(Gravity::Ok, (Group::Settings, "max_commands"), text))
}
