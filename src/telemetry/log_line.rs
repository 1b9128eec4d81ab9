//! One line of the log: a JSON object, as flat as an event is.
//!
//! `tracing-subscriber` has such a form too, which takes each text through a formatter piece by piece. Every
//! message has a line, and writing it that way was the largest single cost of the daemon's own.

use crate::secrecy::steering;
use serde::Serialize;
use std::fmt;
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// Writes each event as one line: when it was, how grave it is, what it says, and its fields by their names.
#[derive(Debug)]
pub(super) struct LogLine;

impl<S, N> FormatEvent<S, N> for LogLine
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        writer.write_str("{\"timestamp\":\"")?;
        SystemTime.format_time(&mut writer)?;
        let mut fields = Fields(Vec::with_capacity(512));
        fields.0.push(b'"');
        fields.entry("level", event.metadata().level().as_str());
        event.record(&mut fields);
        fields.0.extend_from_slice(b"}\n");
        writer.write_str(&steering::escaped(str::from_utf8(&fields.0).map_err(|_| fmt::Error)?))
    }
}

/// The entries of the object, each with a comma before it.
struct Fields(Vec<u8>);

impl Fields {
    fn entry(&mut self, name: &str, value: impl Serialize) {
        self.0.push(b',');
        self.write(name);
        self.0.push(b':');
        self.write(value);
    }

    fn write(&mut self, value: impl Serialize) {
        serde_json::to_writer(&mut self.0, &value).expect("memory takes texts and numbers");
    }
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.entry(field.name(), value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.entry(field.name(), value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.entry(field.name(), value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.entry(field.name(), value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.entry(field.name(), value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.entry(field.name(), format_args!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};
    use std::io;
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("nobody else has it").write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn written(log: impl FnOnce()) -> String {
        let written = Written::default();
        let writer = written.clone();
        let subscriber = tracing_subscriber::fmt()
            .event_format(LogLine)
            .with_writer(move || writer.clone())
            .finish();
        tracing::subscriber::with_default(subscriber, log);
        let bytes = written.0.lock().expect("nobody else has it").clone();
        String::from_utf8(bytes).expect("a log is text")
    }

    #[test]
    fn an_event_is_one_line_of_json_with_its_fields_by_their_names() {
        let log = written(|| {
            let (nothing, something) = (None::<&str>, Some("there"));
            tracing::warn!(
                text = "a \"quote\", a line\nbreak and a \u{1}",
                number = -7_i64,
                large = u64::MAX,
                part = 0.5,
                yes = true,
                shown = %format_args!("{}:{}", 1, 2),
                nothing,
                something,
                "said"
            );
            tracing::info!("no more");
        });
        let lines: Vec<Value> =
            log.lines().map(|line| serde_json::from_str(line).expect("it is JSON")).collect();
        let mut first = lines[0].clone();
        let timestamp = first["timestamp"].take();
        let timestamp = timestamp.as_str().expect("a time is a text");
        assert!(chrono::DateTime::parse_from_rfc3339(timestamp).is_ok(), "{timestamp}");
        let expected = json!({
            "timestamp": null, "level": "WARN", "message": "said",
            "text": "a \"quote\", a line\nbreak and a \u{1}", "number": -7, "large": u64::MAX,
            "part": 0.5, "yes": true, "shown": "1:2", "something": "there",
        });
        assert_eq!(first, expected);
        assert_eq!(lines[1]["message"], "no more");
        assert_eq!(lines.len(), 2, "{log}");
        assert!(
            log.starts_with("{\"timestamp\":\"")
                && log.contains(",\"level\":\"WARN\",\"message\":")
        );
    }
}
