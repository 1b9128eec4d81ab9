//! What the logs look like: one JSON object a line on standard error, or text for people.

use super::log_line::LogLine;
use super::log_queue::LogQueue;
use crate::secrecy::redact;
use crate::settings::Log;
use std::io::{self, IsTerminal};
use std::thread;
use std::time::Duration;
use tracing::Level;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry, fmt, reload};
use url::Url;

/// The lines of this process: it has one standard error.
static QUEUE: LogQueue = LogQueue::new();

/// Maximum time for the last lines of a process that ends. A reader that has not stopped takes them in milliseconds.
const LAST_LINES: Duration = Duration::from_secs(1);

/// Maximum time for the line of a panic, which may be the last one. It is short: a caught panic ends one message, and
/// the others wait meanwhile.
const PANIC_LINE: Duration = Duration::from_millis(100);

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
    /// Lets spans that were not sent yet go on their way, and writes the last lines. There must be no asynchronous
    /// runtime around this.
    pub fn end(self) {
        #[cfg(feature = "otel")]
        if let Some(traces) = self.traces {
            traces.end();
        }
        flush();
    }
}

/// Writes the lines that wait, as far as somebody reads them: it takes at most a second.
pub fn flush() {
    QUEUE.flush(LAST_LINES);
}

/// Returns the number of lines that were dropped because nobody read standard error.
pub(super) fn dropped_lines() -> u64 {
    QUEUE.dropped()
}

/// Starts logging, and sending spans to the collector at `traces` in a build that can. Only the daemon's own events are
/// logged: libraries trace addresses with their passwords, and what matters of their errors is in ours.
///
/// # Errors
///
/// When spans cannot be sent, or the system has no thread for the log, in words.
pub fn start(settings: Log, traces: Option<&Url>) -> Result<Started, String> {
    let json = settings.json.unwrap_or_else(|| !io::stderr().is_terminal());
    let (filter, handle) = reload::Layer::new(own(settings.level));
    let layer: Box<dyn Layer<Registry> + Send + Sync> = if json {
        fmt::layer().event_format(LogLine).with_writer(|| &QUEUE).boxed()
    } else {
        let colours = io::stderr().is_terminal();
        fmt::layer().with_target(false).with_ansi(colours).with_writer(|| &QUEUE).boxed()
    };
    let subscriber = tracing_subscriber::registry().with(layer.with_filter(filter));
    #[cfg(feature = "otel")]
    let traces = traces.map(super::traces::Traces::start).transpose()?;
    #[cfg(feature = "otel")]
    let subscriber = subscriber.with(traces.as_ref().map(|it| it.layer(super::span::TARGET)));
    #[cfg(not(feature = "otel"))]
    let _refused_by_the_settings = traces;
    let writer = thread::Builder::new().name("log".to_owned());
    let writer = writer.spawn(|| QUEUE.write_to(io::stderr(), report_dropped));
    writer.map_err(|error| format!("no thread for the log: {error}"))?;
    subscriber.init();
    std::panic::set_hook(Box::new(|panic| {
        let message = panic.payload_as_str().unwrap_or("no message");
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(message_of_panic = redact::line(message, 512), place, "panic");
        QUEUE.flush(PANIC_LINE);
    }));
    Ok(Started {
        level: LogLevel(handle),
        #[cfg(feature = "otel")]
        traces,
    })
}

/// An error, so that it is in the log at every level.
fn report_dropped(lines: u64) {
    tracing::error!(lines, "{lines} log lines were dropped: nobody read standard error");
}

fn own(level: Level) -> Targets {
    Targets::new().with_target("mimecast_eventd", LevelFilter::from_level(level))
}
