//! Sends spans to a collector, by OTLP over HTTP in JSON.

use opentelemetry::propagation::{Extractor, TextMapPropagator};
use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::Span;
use tracing::level_filters::LevelFilter;
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::registry::LookupSpan;
use url::Url;

/// Spans on their way to a collector.
#[derive(Debug)]
pub(super) struct Traces(SdkTracerProvider);

impl Traces {
    /// Begins to send spans to the collector at `endpoint`. There must be no asynchronous runtime around this.
    ///
    /// # Errors
    ///
    /// When the HTTP client cannot be made, in words.
    pub(super) fn start(endpoint: &Url) -> Result<Traces, String> {
        let path = format!("{}/v1/traces", endpoint.as_str().trim_end_matches('/'));
        let exporter = SpanExporter::builder().with_http().with_protocol(Protocol::HttpJson);
        let exporter = exporter.with_endpoint(path).build().map_err(|error| error.to_string())?;
        let resource = Resource::builder().with_service_name("mimecast-eventd").build();
        let provider = SdkTracerProvider::builder()
            .with_resource(resource)
            .with_batch_exporter(exporter)
            .build();
        Ok(Traces(provider))
    }

    /// What spans with this target are handed to.
    pub(super) fn layer<S>(&self, target: &'static str) -> impl Layer<S> + Send + Sync + use<S>
    where
        S: tracing::Subscriber + for<'a> LookupSpan<'a> + Send + Sync,
    {
        let spans = Targets::new().with_target(target, LevelFilter::TRACE);
        let tracer = self.0.tracer("mimecast-eventd");
        tracing_opentelemetry::layer().with_tracer(tracer).with_location(false).with_filter(spans)
    }

    /// Sends what is left. There must be no asynchronous runtime around this.
    pub(super) fn end(self) {
        if let Err(error) = self.0.shutdown() {
            tracing::warn!(%error, "the last spans were not sent");
        }
    }
}

/// Lets the span go on with the trace of a W3C `traceparent`.
pub(super) fn go_on(span: &Span, traceparent: Option<&str>) {
    struct Carrier<'a>(&'a str);
    impl Extractor for Carrier<'_> {
        fn get(&self, key: &str) -> Option<&str> {
            (key == "traceparent").then_some(self.0)
        }
        fn keys(&self) -> Vec<&str> {
            vec!["traceparent"]
        }
    }
    if let Some(traceparent) = traceparent {
        let context = TraceContextPropagator::new().extract(&Carrier(traceparent));
        // It can only fail for a span that nobody asks for.
        let _unasked = span.set_parent(context);
    }
}
