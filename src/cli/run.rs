//! `run`: the daemon, from its log to its exit code.

use super::arguments;
use crate::daemon::{self, Process, Reload, Signals};
use crate::settings::Running;
use crate::telemetry::{descriptors, log};
use crate::vendor::Stamp;
use chrono::{DateTime, Utc};
use std::process::ExitCode;

/// Spans have nowhere to go, and `traces.endpoint` asks for them.
#[derive(Debug, thiserror::Error)]
#[error("traces.endpoint: {0}")]
pub struct RunError(String);

/// Runs the daemon in the process that `started` at this time, until one of the `signals` stops it. From the first line
/// of the log on, the log has the reason of a failure.
///
/// # Errors
///
/// [`RunError`], before there is a log.
pub fn run(
    running: Running,
    fresh: fn() -> Stamp,
    started: DateTime<Utc>,
    signals: &Signals,
) -> Result<ExitCode, RunError> {
    let settings = running.settings().clone();
    let logging = log::start(settings.log, settings.traces.as_ref())
        .map_err(|error| RunError(error.to_string()))?;
    let (level, hangup) = (logging.level.clone(), signals.hangup.clone());
    if let Err(error) = descriptors::raise_limit() {
        tracing::debug!(%error, "the limit of open files is not raised");
    }
    signals.begin();
    // One thread for the work, beside the client's own for each lane's connection: messages wait for answers, and
    // handing them from thread to thread costs more than the work.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let ended = runtime.map_err(|error| error.to_string()).and_then(|runtime| {
        let ended = runtime.block_on(async {
            let reload = Some(Reload { running, level, hangup });
            let process = Process { revision: arguments::REVISION, started };
            let daemon = daemon::run(settings, reload, fresh, process, signals.stop.clone());
            daemon.await.map_err(|error| error.to_string())
        });
        runtime.shutdown_background();
        ended
    });
    let code = match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error, "startup failed");
            ExitCode::FAILURE
        }
    };
    logging.end();
    Ok(code)
}
