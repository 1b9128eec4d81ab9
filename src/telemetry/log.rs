//! What the logs look like: one JSON object a line on standard error, or text for people.

use crate::secrecy::redact;
use crate::settings::Log;
use std::io::{self, IsTerminal};
use tracing::Level;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry, fmt, reload};

/// What is logged, while the process runs.
#[derive(Clone, Debug)]
pub struct LogLevel(reload::Handle<Targets, Registry>);

impl LogLevel {
    /// From now on nothing less grave is logged.
    pub fn set(&self, level: Level) {
        // It can only fail when nothing is logged any more.
        let _nobody_reads = self.0.reload(own(level));
    }
}

/// Starts logging. Only the daemon's own events are logged: libraries trace addresses with their
/// passwords, and what matters of their errors is in ours.
pub fn start(settings: Log) -> LogLevel {
    let json = settings.json.unwrap_or_else(|| !io::stderr().is_terminal());
    let (filter, handle) = reload::Layer::new(own(settings.level));
    let layer: Box<dyn Layer<Registry> + Send + Sync> = if json {
        let lines = fmt::layer().json().flatten_event(true).with_target(false);
        lines.with_current_span(false).with_span_list(false).with_writer(io::stderr).boxed()
    } else {
        let colours = io::stderr().is_terminal();
        fmt::layer().with_target(false).with_ansi(colours).with_writer(io::stderr).boxed()
    };
    tracing_subscriber::registry().with(layer.with_filter(filter)).init();
    std::panic::set_hook(Box::new(|panic| {
        let message = panic.payload_as_str().unwrap_or("no message");
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(message_of_panic = redact::line(message, 512), place, "panic");
    }));
    LogLevel(handle)
}

fn own(level: Level) -> Targets {
    Targets::new().with_target("mimecast_eventd", LevelFilter::from_level(level))
}
