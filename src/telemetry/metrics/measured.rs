//! Series that are measured when somebody asks. A value that cannot be measured is left out: 0 would be wrong.

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{Counter, Gauge, Registry};

/// Returns the value now, if it is known.
type Measure = Box<dyn Fn() -> Option<f64> + Send + Sync>;

/// One series without labels.
pub(super) struct Measured {
    series: Series,
    measure: Measure,
}

/// The series as the exposition needs it. Each reading is made anew, so that two scrapes at a time cannot mix.
enum Series {
    Counter(&'static str, &'static str, Vec<Desc>),
    Gauge(&'static str, &'static str, Vec<Desc>),
}

impl Measured {
    /// Registers a gauge.
    pub(super) fn gauge(
        registry: &Registry,
        name: &'static str,
        help: &'static str,
        measure: impl Fn() -> Option<f64> + Send + Sync + 'static,
    ) {
        let descriptions = gauge(name, help).desc().into_iter().cloned().collect();
        Measured::register(registry, Series::Gauge(name, help, descriptions), Box::new(measure));
    }

    /// Registers a counter.
    pub(super) fn counter(
        registry: &Registry,
        name: &'static str,
        help: &'static str,
        measure: impl Fn() -> Option<f64> + Send + Sync + 'static,
    ) {
        let descriptions = counter(name, help).desc().into_iter().cloned().collect();
        Measured::register(registry, Series::Counter(name, help, descriptions), Box::new(measure));
    }

    fn register(registry: &Registry, series: Series, measure: Measure) {
        let measured = Box::new(Measured { series, measure });
        registry.register(measured).expect("each name is registered once");
    }
}

impl Collector for Measured {
    fn desc(&self) -> Vec<&Desc> {
        match &self.series {
            Series::Counter(_, _, descriptions) | Series::Gauge(_, _, descriptions) => {
                descriptions.iter().collect()
            }
        }
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let Some(value) = (self.measure)() else { return Vec::new() };
        match self.series {
            Series::Counter(name, help, _) => {
                let counter = counter(name, help);
                counter.inc_by(value);
                counter.collect()
            }
            Series::Gauge(name, help, _) => {
                let gauge = gauge(name, help);
                gauge.set(value);
                gauge.collect()
            }
        }
    }
}

fn counter(name: &str, help: &str) -> Counter {
    Counter::new(name, help).expect("the name is valid")
}

fn gauge(name: &str, help: &str) -> Gauge {
    Gauge::new(name, help).expect("the name is valid")
}
