//! The drawing of a run as an SVG that needs nothing else: values over time, and the faults behind
//! them.

use crate::judgment::{LATENCY_P50, LATENCY_P99, MARGIN, Measure, PARTS, calm_times, is_within};
use crate::run::Results;
use crate::schedule::Cause;

const WIDTH: f64 = 832.0;
const HEIGHT: f64 = 124.0;
/// From the top of one panel to the top of the next.
const STEP: f64 = 166.0;
const LEFT: f64 = 52.0;
const TOP: f64 = 48.0;
const COLORS: [&str; 3] = ["#3b7dd8", "#d9480f", "#5c940d"];
const CAUSES: [(Cause, &str, &str); 3] = [
    (Cause::Api, "#fbe3d0", "fault of the API"),
    (Cause::Broker, "#dbe4f3", "fault of the broker"),
    (Cause::Operator, "#e4e9d2", "settings, pauses"),
];

/// Pairs of a time and a value, if it is known.
type Line = Vec<(f64, Option<f64>)>;

/// The drawing.
pub fn drawing(results: &Results) -> String {
    let sampled = |name: &'static str, place: usize| {
        let samples = results.samples.iter();
        (name, samples.map(|sample| (sample.at, sample.values[place])).collect())
    };
    let panels: [(&str, Vec<(&str, Line)>); 5] = [
        ("Memory, MiB", vec![sampled("resident", 0)]),
        ("Descriptors", vec![sampled("others", 1), sampled("to the API", 2)]),
        (
            "Threads, and at the broker",
            vec![sampled("threads", 3), sampled("connections", 4), sampled("channels", 5)],
        ),
        ("Messages in flight", vec![sampled("in flight", 6)]),
        (
            "From publishing to settling without a fault, ms",
            vec![("p50", timed(results, &LATENCY_P50)), ("p99", timed(results, &LATENCY_P99))],
        ),
    ];
    let across = |at: f64| LEFT + at / results.lasted * WIDTH;
    let height = TOP + panels.len() as f64 * STEP;
    let mut svg = format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" width="900" height="{height}"><style>text{{font:12px sans-serif;fill:#444}}.title{{font-weight:bold}}</style><rect width="100%" height="100%" fill="#fff"/>"##
    );
    for (number, (cause, color, text)) in CAUSES.into_iter().enumerate() {
        let x = LEFT + number as f64 * 220.0;
        svg += &format!(r#"<rect x="{x}" y="8" width="14" height="12" fill="{color}"/>"#);
        svg += &format!(r#"<text x="{}" y="18">{text}</text>"#, x + 20.0);
        for spell in results.spells.iter().filter(|spell| spell.cause == cause) {
            // From the beginning of the fault until the recovery, in all panels.
            let (x, name) = (across(spell.begin), spell.name);
            let (width, height) = (across(spell.well) - x, height - TOP - 28.0);
            svg += &format!(
                r#"<rect x="{x:.1}" y="{TOP}" width="{width:.1}" height="{height}" fill="{color}"><title>{name}</title></rect>"#
            );
        }
    }
    for (number, (title, lines)) in panels.iter().enumerate() {
        svg += &panel(title, lines, TOP + number as f64 * STEP, across);
    }
    for tick in 0..7 {
        let at = results.lasted * f64::from(tick) / 6.0;
        let (x, y, minute) = (across(at), height - 4.0, at / 60.0);
        svg += &format!(r#"<text x="{x:.0}" y="{y}" text-anchor="middle">{minute:.0} min</text>"#);
    }
    svg + "</svg>\n"
}

/// The latency in each part of the run.
fn timed(results: &Results, measure: &Measure) -> Line {
    let calm = calm_times(&results.spells, results.lasted, MARGIN);
    let step = results.lasted / PARTS as f64;
    let middle = |part: usize| {
        let begin = part as f64 * step;
        let counts = |at: f64| (begin..begin + step).contains(&at) && is_within(at, &calm);
        let values = results.latencies.iter().filter(|(at, _)| counts(*at)).map(|(_, took)| *took);
        let middle = measure.middle(&values.collect::<Vec<f64>>());
        (begin + step / 2.0, Some(middle).filter(|middle| middle.is_finite()))
    };
    (0..PARTS).map(middle).collect()
}

fn panel(title: &str, lines: &[(&str, Line)], top: f64, across: impl Fn(f64) -> f64) -> String {
    let values = lines.iter().flat_map(|(_, line)| line.iter().filter_map(|(_, value)| *value));
    let most = round_up(values.fold(1.0, f64::max));
    let height = |value: f64| top + 8.0 + (1.0 - value / most) * HEIGHT;
    let (right, above) = (LEFT + WIDTH, top - 4.0);
    let mut svg = format!(r#"<text class="title" x="{LEFT}" y="{above}">{title}</text>"#);
    for mark in [0.0, most / 2.0, most] {
        let (x, y) = (LEFT - 6.0, height(mark));
        svg += &format!(r##"<path d="M{LEFT} {y:.1}H{right}" stroke="#ccc"/>"##);
        svg += &format!(r#"<text x="{x}" y="{y:.1}" text-anchor="end">{mark}</text>"#);
    }
    for (number, ((name, line), color)) in lines.iter().zip(COLORS).enumerate() {
        let x = right - 90.0 * number as f64;
        svg += &format!(
            r#"<text x="{x}" y="{above}" text-anchor="end" style="fill:{color}">{name}</text>"#
        );
        // A line ends where nothing is known, and begins again after that.
        for known in line.split(|(_, value)| value.is_none()).filter(|piece| piece.len() > 1) {
            let known =
                known.iter().filter_map(|(at, value)| Some((across(*at), height((*value)?))));
            let points: Vec<String> = known.map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
            let points = points.join(" ");
            svg += &format!(
                r#"<polyline points="{points}" fill="none" stroke="{color}" stroke-width="1.5"/>"#
            );
        }
    }
    svg
}

/// A round number that is no less.
fn round_up(most: f64) -> f64 {
    let power = 10_f64.powf(most.log10().floor());
    let factors = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0];
    factors.map(|factor| factor * power).into_iter().find(|it| *it >= most).unwrap_or(most)
}
