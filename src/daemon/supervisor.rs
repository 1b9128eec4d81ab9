//! What the service manager is told, where one has started the process and wants to know: systemd, by the socket in
//! `NOTIFY_SOCKET` (`sd_notify(3)`). Nobody is told without one.

use crate::telemetry::Readiness;
use sd_notify::NotifyState;
use std::sync::Arc;
use std::time::Duration;

/// The process has started: `/livez` answers, and the lanes begin to connect. A broker that is away is no reason to
/// start it once more.
pub(super) fn ready() {
    tell(&[NotifyState::Ready]);
}

/// Settings are read once more; [`ready`] ends it.
pub(super) fn reloading() {
    // By the time, systemd 253 and newer tell this reload from the one before.
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(error) => tracing::debug!(%error, "the service manager is not told of a reload"),
    }
}

/// What is in work is finished `within` this time, and longer is not to be waited for.
pub(super) fn stopping(within: Duration) {
    let microseconds = u32::try_from(within.as_micros()).unwrap_or(u32::MAX);
    tell(&[NotifyState::Stopping, NotifyState::ExtendTimeoutUsec(microseconds)]);
}

/// Gives signs of life for as long as what answers `/livez` gets its turn, and says what the lanes do: at once when
/// that is something else, since whoever asks the manager believes it.
pub(super) async fn keep_telling(readiness: Arc<Readiness>, interval: Duration) {
    // Twice as often as the manager looks.
    let often = sd_notify::watchdog_enabled().map_or(interval, |every| every / 2);
    let mut ticks = tokio::time::interval(often.max(Duration::from_millis(1)));
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = readiness.changed() => {}
        }
        let (_, lanes) = readiness.report();
        let lanes = lanes.trim_end().replace('\n', "; ");
        tell(&[NotifyState::Watchdog, NotifyState::Status(&lanes)]);
    }
}

fn tell(news: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(news) {
        tracing::debug!(%error, "the service manager is not told");
    }
}
