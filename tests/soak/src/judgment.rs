//! The judgment of a run: nothing that was measured rises from the first sixth on.

use crate::schedule::Spell;

/// Medians of a run: minutes of an hour.
pub const PARTS: usize = 60;
/// The first part that counts: before it the daemon is not warm.
const BEGINS: usize = 10;
/// Seconds before a fault in which messages do not count: they may be in flight when it begins.
pub const MARGIN: f64 = 5.0;
/// Seconds after a reconnection in which the buffers of the AMQP client are almost empty. It has two of
/// 4 MiB for each connection, which fill like a ring.
const FRESH: f64 = 30.0;

/// One quantity that must not rise, and the rise that is allowed: a part of it, and an amount.
pub struct Measure {
    pub name: &'static str,
    pub unit: &'static str,
    part: f64,
    besides: f64,
    quantile: f64,
    /// Parts at the beginning and at the end that are compared.
    span: usize,
}

const fn measure(name: &'static str, unit: &'static str, part: f64, besides: f64) -> Measure {
    Measure { name, unit, part, besides, quantile: 0.5, span: 10 }
}

/// The measures of samples: `Sample::values` has one value for each.
pub const SAMPLED: [Measure; 8] = [
    // Reconnections are few.
    Measure { span: 25, ..measure("memory after a reconnection", "MiB", 0.1, 1.0) },
    measure("descriptors, except connections to the API", "", 0.0, 0.0),
    // After a fault each message in flight may have had one.
    measure("connections to the API", "", 0.1, 16.0),
    measure("threads", "", 0.0, 0.0),
    measure("connections to the broker", "", 0.0, 0.0),
    measure("channels", "", 0.0, 0.0),
    measure("messages in flight", "", 0.1, 1.0),
    measure("processor", "%", 0.1, 1.0),
];
/// The median of the latency.
pub const LATENCY_P50: Measure = measure("latency, p50", "ms", 0.1, 1.0);
/// The latency that one message in a hundred exceeds.
pub const LATENCY_P99: Measure =
    Measure { quantile: 0.99, ..measure("latency, p99", "ms", 0.1, 5.0) };

/// The measurement of one moment.
#[derive(Clone, Debug)]
pub struct Sample {
    /// Seconds since the run began.
    pub at: f64,
    /// One value for each of `SAMPLED`; `None` if it is unknown.
    pub values: [Option<f64>; SAMPLED.len()],
}

impl Measure {
    /// The quantile of these values.
    pub fn middle(&self, values: &[f64]) -> f64 {
        let mut values = values.to_vec();
        values.sort_unstable_by(f64::total_cmp);
        let place = (values.len() as f64 * self.quantile) as usize;
        values.get(place).or(values.last()).copied().unwrap_or(f64::NAN)
    }

    /// The finding on pairs of a time and a value, in a run that lasted so many seconds.
    fn find(self, values: impl Iterator<Item = (f64, f64)>, lasted: f64) -> Finding {
        let mut parts = vec![Vec::new(); PARTS];
        for (at, value) in values {
            let part = (at / lasted * PARTS as f64) as usize;
            parts[part.min(PARTS - 1)].push(value);
        }
        let counted = (BEGINS..PARTS).filter(|part| !parts[*part].is_empty());
        let middles: Vec<(f64, f64)> =
            counted.map(|part| (part as f64, self.middle(&parts[part]))).collect();
        let first = self.middle(&parts[BEGINS..BEGINS + self.span].concat());
        let last = self.middle(&parts[PARTS - self.span..].concat());
        let drift = slope(&middles) * (PARTS - BEGINS) as f64;
        Finding { measure: self, first, last, drift }
    }
}

/// The finding on one measure.
pub struct Finding {
    pub measure: Measure,
    /// Its value after the first sixth.
    pub first: f64,
    /// Its value in the end.
    pub last: f64,
    /// The rise of a line through all parts that count.
    pub drift: f64,
}

impl Finding {
    /// The rise that is allowed.
    pub fn allowed(&self) -> f64 {
        self.first * self.measure.part + self.measure.besides
    }

    /// False if it rises too much, and if nothing is known.
    pub fn is_flat(&self) -> bool {
        let allowed = self.allowed();
        self.last - self.first <= allowed && self.drift <= allowed
    }
}

/// The slope of the line that half of all pairs of points are steeper than (Theil and Sen): a few
/// outliers do not change it.
fn slope(points: &[(f64, f64)]) -> f64 {
    if points.iter().any(|(_, y)| y.is_infinite()) {
        return f64::INFINITY;
    }
    let pairs = points.iter().enumerate().flat_map(|(place, (a, b))| {
        points[place + 1..].iter().map(move |(x, y)| (y - b) / (x - a))
    });
    LATENCY_P50.middle(&pairs.collect::<Vec<f64>>())
}

/// The times without a fault, from the recovery after one to the beginning of the next.
pub fn calm_times(spells: &[Spell], lasted: f64, margin: f64) -> Vec<(f64, f64)> {
    let begins = std::iter::once(0.0).chain(spells.iter().map(|spell| spell.well));
    let ends = spells.iter().map(|spell| spell.begin).chain([lasted]);
    begins.zip(ends).map(|(begin, end)| (begin, end - margin)).collect()
}

/// True for a moment in one of these times.
pub fn is_within(at: f64, times: &[(f64, f64)]) -> bool {
    times.iter().any(|(begin, end)| (*begin..*end).contains(&at))
}

/// The findings on all measures. `latencies` are pairs of the time of publishing and milliseconds.
pub fn judge(
    samples: &[Sample],
    latencies: &[(f64, f64)],
    spells: &[Spell],
    lasted: f64,
) -> Vec<Finding> {
    let calm = calm_times(spells, lasted, 0.0);
    let early = calm_times(spells, lasted, MARGIN);
    let reconnected = spells.iter().filter(|spell| spell.reconnects);
    let fresh: Vec<(f64, f64)> =
        reconnected.map(|spell| (spell.well, spell.well + FRESH)).collect();
    let of_samples = SAMPLED.into_iter().enumerate().map(|(place, measure)| {
        let counts = |sample: &&Sample| {
            is_within(sample.at, &calm) && (place > 0 || is_within(sample.at, &fresh))
        };
        let values = samples.iter().filter(counts);
        let values = values.filter_map(|sample| Some((sample.at, sample.values[place]?)));
        measure.find(values, lasted)
    });
    let of_latency = [LATENCY_P50, LATENCY_P99].map(|measure| {
        let counted = latencies.iter().copied().filter(|(at, _)| is_within(*at, &early));
        measure.find(counted, lasted)
    });
    of_samples.chain(of_latency).collect()
}
