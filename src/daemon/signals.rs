//! The signals: SIGTERM and SIGINT end the process, SIGHUP reads the settings again.

use crate::telemetry::log;
use std::io;
use std::process::exit;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use tokio::runtime::Builder;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// The signals of the process. A thread of their own waits for them, so that a stop depends on nothing else.
#[derive(Clone, Debug, Default)]
pub struct Signals {
    /// Cancelled by the first SIGTERM (an orchestrator) or SIGINT (Ctrl-C), so that work in progress can be finished.
    pub stop: CancellationToken,
    /// Notified of each SIGHUP. One that came before anybody waits is not forgotten.
    pub hangup: Arc<Notify>,
    has_begun: Arc<AtomicBool>,
}

impl Signals {
    /// Listens from now on. Until the daemon [begins](Signals::begin), a SIGTERM or SIGINT ends the process at once
    /// with code 0, since there is no work to finish. Afterwards the second one ends it at once with code 1.
    ///
    /// # Errors
    ///
    /// When the system does not let the process listen.
    pub fn listen() -> io::Result<Signals> {
        let runtime = Builder::new_current_thread().enable_io().build()?;
        let inside = runtime.enter();
        // The first one is the one that would end the process for nothing.
        let mut hangup = signal(SignalKind::hangup())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        drop(inside);
        let signals = Signals::default();
        let told = signals.clone();
        thread::Builder::new().name("signals".to_owned()).spawn(move || {
            runtime.block_on(async {
                loop {
                    tokio::select! {
                        _ = hangup.recv() => told.hangup.notify_one(),
                        () = either(&mut terminate, &mut interrupt) => told.end(),
                    }
                }
            })
        })?;
        Ok(signals)
    }

    /// The daemon begins to work: a stop finishes what is in flight from now on.
    pub fn begin(&self) {
        self.has_begun.store(true, Ordering::Relaxed);
    }

    fn end(&self) {
        if !self.has_begun.load(Ordering::Relaxed) {
            exit(0);
        }
        if self.stop.is_cancelled() {
            tracing::warn!("second signal, ending at once");
            log::flush();
            exit(1);
        }
        self.stop.cancel();
    }
}

async fn either(terminate: &mut Signal, interrupt: &mut Signal) {
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}
