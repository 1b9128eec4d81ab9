//! `run`: the daemon, from its log to its exit code.

use super::arguments;
use crate::daemon::{self, Reload};
use crate::settings::Running;
use crate::telemetry::log;
use crate::vendor::Stamp;
use std::process::ExitCode;

/// Spans have nowhere to go, and `traces.endpoint` asks for them.
#[derive(Debug, thiserror::Error)]
#[error("traces.endpoint: {0}")]
pub struct RunError(String);

/// Runs the daemon until a signal stops it. From the first line of the log on, the log has the reason of a failure.
///
/// # Errors
///
/// [`RunError`], before there is a log.
pub fn run(running: Running, fresh: fn() -> Stamp) -> Result<ExitCode, RunError> {
    let settings = running.settings().clone();
    let started = log::start(settings.log, settings.traces.as_ref())
        .map_err(|error| RunError(error.to_string()))?;
    let level = started.level.clone();
    // One thread for the work, beside the client's own for each lane's connection: messages wait for answers, and
    // handing them from thread to thread costs more than the work.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let ended = runtime.map_err(|error| error.to_string()).and_then(|runtime| {
        let ended = runtime.block_on(async {
            let stop = daemon::on_signals().map_err(|error| error.to_string())?;
            let reload = Some(Reload { running, level });
            let daemon = daemon::run(settings, reload, fresh, arguments::REVISION, stop);
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
    started.end();
    Ok(code)
}
