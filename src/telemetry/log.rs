//! What the logs look like: one JSON object a line on standard error, or text for people.

use super::log_line::LogLine;
use crate::secrecy::redact;
use crate::settings::Log;
use std::io::{self, IsTerminal};
use tracing::Level;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry, fmt, reload};
use url::Url;

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

/// What was started, to be ended when nothing is logged any more.
#[derive(Debug)]
pub struct Started {
    /// What is logged.
    pub level: LogLevel,
    #[cfg(feature = "otel")]
    traces: Option<super::traces::Traces>,
}

impl Started {
    /// Lets spans that were not sent yet go on their way. There must be no asynchronous runtime around this.
    pub fn end(self) {
        #[cfg(feature = "otel")]
        if let Some(traces) = self.traces {
            traces.end();
        }
    }
}

/// Starts logging, and sending spans to the collector at `traces` in a build that can. Only the daemon's own events are logged: libraries trace addresses with their
/// passwords, and what matters of their errors is in ours.
///
/// # Errors
///
/// When spans cannot be sent, in words.
pub fn start(settings: Log, traces: Option<&Url>) -> Result<Started, String> {
    let json = settings.json.unwrap_or_else(|| !io::stderr().is_terminal());
    let (filter, handle) = reload::Layer::new(own(settings.level));
    let layer: Box<dyn Layer<Registry> + Send + Sync> = if json {
        fmt::layer().event_format(LogLine).with_writer(io::stderr).boxed()
    } else {
        let colours = io::stderr().is_terminal();
        fmt::layer().with_target(false).with_ansi(colours).with_writer(io::stderr).boxed()
    };
    let subscriber = tracing_subscriber::registry().with(layer.with_filter(filter));
    #[cfg(feature = "otel")]
    let traces = traces.map(super::traces::Traces::start).transpose()?;
    #[cfg(feature = "otel")]
    let subscriber = subscriber.with(traces.as_ref().map(|it| it.layer(super::span::TARGET)));
    #[cfg(not(feature = "otel"))]
    let _refused_by_the_settings = traces;
    subscriber.init();
    std::panic::set_hook(Box::new(|panic| {
        let message = panic.payload_as_str().unwrap_or("no message");
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(message_of_panic = redact::line(message, 512), place, "panic");
    }));
    Ok(Started {
        level: LogLevel(handle),
        #[cfg(feature = "otel")]
        traces,
    })
}

fn own(level: Level) -> Targets {
    Targets::new().with_target("mimecast_eventd", LevelFilter::from_level(level))
}
