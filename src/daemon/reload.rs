//! The settings, read once more on SIGHUP and when their files change.

use super::supervisor;
use crate::settings::{Mistake, Reloaded, Running, Settings};
use crate::telemetry::{Audit, LogLevel, Metrics};
use crate::vendor::CurrentVendor;
use std::sync::Arc;
use tokio::sync::{Notify, watch};
use tokio::time::{MissedTickBehavior, interval};

/// What is needed to read the settings once more.
#[derive(Debug)]
pub struct Reload {
    /// The settings and their files.
    pub running: Running,
    /// What is logged.
    pub level: LogLevel,
    /// Notified when somebody asks for it, as SIGHUP does.
    pub hangup: Arc<Notify>,
}

/// The settings in force, and how to know when that changes.
pub(super) type Current = watch::Receiver<Arc<Settings>>;

/// Why new settings are not taken over.
enum Refused {
    /// They are wrong.
    Mistakes(Vec<Mistake>),
    /// Nothing can be done with them.
    Unusable(String),
}

impl Reload {
    /// Reads them whenever there is a reason to, for as long as the process lives. `current` is told of
    /// what is in force.
    pub(super) async fn run(
        mut self,
        current: watch::Sender<Arc<Settings>>,
        (vendor, audit, metrics): (Arc<CurrentVendor>, Option<Arc<Audit>>, Arc<Metrics>),
    ) {
        let mut looks = interval(current.borrow().timings.settings_files);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let asked = tokio::select! {
                () = self.hangup.notified() => true,
                _ = looks.tick() => false,
            };
            if let Some(audit) = audit.as_ref().filter(|_| asked) {
                audit.follow();
            }
            if asked {
                supervisor::reloading();
            }
            let looking = tokio::task::spawn_blocking(move || {
                let has_reason = asked || self.running.has_changed();
                let reloaded = has_reason.then(|| self.running.reload());
                (self, reloaded)
            });
            let reloaded;
            (self, reloaded) = match looking.await {
                Ok(looked) => looked,
                Err(error) => {
                    tracing::error!(%error, "settings are not reloaded any more");
                    if asked {
                        supervisor::ready();
                    }
                    return;
                }
            };
            let Some(reloaded) = reloaded else { continue };
            let taken = reloaded.map_err(Refused::Mistakes).and_then(|(sources, reloaded)| {
                let settings = reloaded.settings.clone();
                take_over(&reloaded, &self.level, &vendor)?;
                self.running.take_over(sources, settings.clone());
                warn(&settings);
                current.send_replace(Arc::new(settings));
                Ok(reloaded)
            });
            tell(taken, &metrics);
            if asked {
                supervisor::ready();
            }
        }
    }
}

/// Lets go on with the new settings whatever does not look at them by itself.
fn take_over(reloaded: &Reloaded, level: &LogLevel, vendor: &CurrentVendor) -> Result<(), Refused> {
    let Settings { mimecast, retry, contract, log, .. } = &reloaded.settings;
    let renewed = vendor.renew(mimecast, *retry, contract.guards.clone());
    renewed.map_err(|error| Refused::Unusable(error.to_string()))?;
    level.set(log.level);
    Ok(())
}

/// Logs which settings work, and are doubtful.
pub(super) fn warn(settings: &Settings) {
    for warning in &settings.warnings {
        tracing::warn!(setting = warning.key, %warning, "doubtful setting");
    }
}

fn tell(taken: Result<Reloaded, Refused>, metrics: &Metrics) {
    metrics.reloaded(taken.is_ok());
    match taken {
        Ok(Reloaded { changed, waiting, .. }) => {
            let changed = changed.join(", ");
            tracing::info!(changed, "the settings were reloaded");
            if !waiting.is_empty() {
                let keys = waiting.join(", ");
                tracing::warn!(keys, "what has changed here takes effect with a restart only");
            }
        }
        Err(Refused::Mistakes(mistakes)) => {
            let mistakes: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
            let mistakes = mistakes.join("; ");
            tracing::error!(mistakes, "the settings were not reloaded, the old ones are in force");
        }
        Err(Refused::Unusable(mistakes)) => {
            tracing::error!(mistakes, "the settings were not reloaded, the old ones are in force");
        }
    }
}
