//! The series as they are shown, for whoever shows them in another way.

use super::Metrics;
use prometheus::proto::MetricType;
use std::collections::BTreeMap;

/// One series and its value.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// The name of the metric.
    pub name: String,
    /// The labels.
    pub labels: BTreeMap<String, String>,
    /// The value.
    pub value: f64,
}

impl Sample {
    /// The value of a label; empty without it.
    pub fn label(&self, name: &str) -> &str {
        self.labels.get(name).map(String::as_str).unwrap_or_default()
    }
}

impl Metrics {
    /// Every counter and gauge as `/metrics` would show it now.
    pub fn samples(&self) -> Vec<Sample> {
        let mut samples = Vec::new();
        for family in self.registry.gather() {
            for metric in family.get_metric() {
                let value = match family.get_field_type() {
                    MetricType::COUNTER => metric.get_counter().get_value(),
                    MetricType::GAUGE => metric.get_gauge().get_value(),
                    MetricType::HISTOGRAM | MetricType::SUMMARY | MetricType::UNTYPED => continue,
                };
                let label =
                    |it: &prometheus::proto::LabelPair| (it.name().into(), it.value().into());
                let labels = metric.get_label().iter().map(label).collect();
                samples.push(Sample { name: family.name().to_owned(), labels, value });
            }
        }
        samples
    }
}
