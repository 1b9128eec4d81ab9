//! Spans of the work on a message, for who follows traces across systems. Their names are those of OpenTelemetry's
//! semantic conventions 1.44, for messaging and for HTTP clients. In a build without the feature `otel` nobody
//! asks for them, and they cost nothing.

use crate::event::Envelope;
use crate::verdict::Disposition;
use tracing::Span;
use tracing::field::Empty;

/// What tells them from lines of the log.
pub(super) const TARGET: &str = "mimecast_eventd::span";

/// The work on a message of `queue`, from its delivery to its settlement, in the trace that it belongs to.
pub fn process(queue: &str, envelope: &Envelope) -> Span {
    let span = tracing::trace_span!(
        target: TARGET,
        "process",
        otel.name = format!("process {}", destination(queue, envelope)),
        otel.kind = "consumer",
        messaging.system = "rabbitmq",
        messaging.operation.name = "process",
        messaging.operation.r#type = "process",
        messaging.destination.name = destination(queue, envelope),
        messaging.rabbitmq.destination.routing_key = envelope.routing_key,
        messaging.message.id = envelope.message_id,
        messaging.message.body.size = envelope.body.len(),
        error.r#type = Empty,
        otel.status_code = Empty,
    );
    #[cfg(feature = "otel")]
    super::traces::go_on(&span, envelope.traceparent.as_deref());
    // It was received when the broker handed it out, which is now.
    span.in_scope(|| {
        tracing::trace_span!(
            target: TARGET,
            "receive",
            otel.name = format!("receive {}", destination(queue, envelope)),
            otel.kind = "client",
            messaging.system = "rabbitmq",
            messaging.operation.name = "receive",
            messaging.operation.r#type = "receive",
            messaging.destination.name = destination(queue, envelope),
        )
        .in_scope(|| ());
    });
    span
}

/// One request to the vendor, the `resend`th after the first one for the same command.
pub fn attempt(path: &str, host: &str, port: u16, resend: usize) -> Span {
    tracing::trace_span!(
        target: TARGET,
        "attempt",
        otel.name = format!("POST {path}"),
        otel.kind = "client",
        http.request.method = "POST",
        http.request.resend_count = (resend > 0).then_some(resend),
        http.response.status_code = Empty,
        url.template = path,
        server.address = host,
        server.port = port,
        error.r#type = Empty,
        otel.status_code = Empty,
    )
}

/// What the broker is told of a message.
pub fn settle(queue: &str, envelope: &Envelope, disposition: &Disposition) -> Span {
    let word = match disposition {
        Disposition::Ack
        | Disposition::Retry(..)
        | Disposition::Defer(..)
        | Disposition::Wait(..)
        | Disposition::DeadLetter(..)
        | Disposition::Park(_) => "ack",
        Disposition::PassOver(_) | Disposition::Requeue(_) => "reject",
        Disposition::Return => "nack",
    };
    tracing::trace_span!(
        target: TARGET,
        "settle",
        otel.name = format!("{word} {}", destination(queue, envelope)),
        otel.kind = "client",
        messaging.system = "rabbitmq",
        messaging.operation.name = word,
        messaging.operation.r#type = "settle",
        messaging.destination.name = destination(queue, envelope),
        eventd.disposition = disposition.label(),
        error.r#type = Empty,
        otel.status_code = Empty,
    )
}

/// It went wrong, by this code.
pub fn failed(span: &Span, code: &str) {
    span.record("error.type", code).record("otel.status_code", "ERROR");
}

/// Where a message was published and consumed, in the form for RabbitMQ: what is empty is left out, and so is the
/// queue when it is the routing key.
fn destination(queue: &str, envelope: &Envelope) -> String {
    let mut parts = vec![envelope.exchange.as_str(), envelope.routing_key.as_str()];
    if queue != envelope.routing_key {
        parts.push(queue);
    }
    parts.retain(|part| !part.is_empty());
    parts.join(":")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use tracing::Level;
    use tracing_subscriber::fmt::format::FmtSpan;

    #[test]
    fn what_went_wrong_is_an_error_with_its_code() {
        let written = tempfile::NamedTempFile::new().unwrap();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(Level::TRACE)
            .with_span_events(FmtSpan::CLOSE)
            .with_writer(Arc::new(written.reopen().unwrap()))
            .finish();
        tracing::subscriber::with_default(subscriber, || {
            failed(&attempt("/api/x", "127.0.0.1", 443, 0), "http_503");
            drop(attempt("/api/y", "127.0.0.1", 443, 0));
        });
        let written = std::fs::read_to_string(written.path()).unwrap();
        let [wrong, right] = written.lines().collect::<Vec<_>>()[..] else { panic!("{written}") };
        assert!(wrong.contains("http_503") && wrong.contains("ERROR"), "{wrong}");
        assert!(right.contains("/api/y") && !right.contains("status_code"), "{right}");
    }

    #[test]
    fn a_destination_is_exchange_routing_key_and_queue_as_far_as_there_are_any() {
        let of = |exchange: &str, routing_key: &str, queue: &str| {
            let (exchange, routing_key) = (exchange.into(), routing_key.into());
            destination(queue, &Envelope { exchange, routing_key, ..Envelope::default() })
        };
        assert_eq!(of("events", "url.unblock", "ours"), "events:url.unblock:ours");
        assert_eq!(of("", "ours", "ours"), "ours");
        assert_eq!(of("events", "", "ours"), "events:ours");
    }
}
