//! Runs that are made up: each has one defect, and the judgment finds that one.

use super::judgment::{Sample, judge};
use super::schedule::{Cause, Spell};

const MINUTES: u32 = 60;
const USUAL: [f64; 8] = [20.0, 14.0, 6.0, 3.0, 2.0, 4.0, 0.0, 5.0];
const MEMORY: usize = 0;
const DESCRIPTORS: usize = 1;
const API_CONNECTIONS: usize = 2;
const THREADS: usize = 3;
const CONNECTIONS: usize = 4;
const CHANNELS: usize = 5;
const IN_FLIGHT: usize = 6;

type Values = [Option<f64>; 8];

/// The names of the measures that rise. Each second has a sample and a message, and each third minute
/// a fault with outrageous values, which must not count.
fn rising(change: impl Fn(f64, &mut Values), late: impl Fn(f64) -> f64) -> Vec<&'static str> {
    let spell = |minute: u32| {
        let begin = f64::from(minute * 60);
        let (end, well) = (begin + 10.0, begin + 20.0);
        Spell { name: "cut", cause: Cause::Broker, reconnects: true, begin, end, well }
    };
    let spells: Vec<Spell> = (1..MINUTES).step_by(3).map(spell).collect();
    let (mut samples, mut latencies) = (Vec::new(), Vec::new());
    for second in 0..MINUTES * 60 {
        let (at, noise) = (f64::from(second), f64::from(second % 7) / 7.0);
        let mut values = USUAL.map(Some);
        let faulty = spells.iter().any(|spell| (spell.begin..spell.well).contains(&at));
        if faulty {
            (values[MEMORY], values[DESCRIPTORS]) = (Some(500.0), Some(900.0));
            (values[CONNECTIONS], values[CHANNELS]) = (None, None);
        } else {
            values[MEMORY] = Some(20.0 + noise);
            values[API_CONNECTIONS] = Some(6.0 + f64::from(second % 3));
            values[IN_FLIGHT] = Some(f64::from(second % 3));
            change(at / 60.0, &mut values);
        }
        samples.push(Sample { at, values });
        latencies.push((at, if faulty { 9_000.0 } else { 4.0 + noise + late(at / 60.0) }));
    }
    let findings = judge(&samples, &latencies, &spells, f64::from(MINUTES * 60));
    findings.iter().filter(|it| !it.is_flat()).map(|it| it.measure.name).collect()
}

/// The same, where so much is added to one value at each minute.
fn rising_by(place: usize, more: impl Fn(f64) -> f64) -> Vec<&'static str> {
    rising(|minute, values| values[place] = values[place].map(|it| it + more(minute)), |_| 0.0)
}

#[test]
fn a_steady_run_is_flat() {
    assert!(rising_by(MEMORY, |_| 0.0).is_empty());
    let warm_up = |minute: f64| 20.0 * minute.min(10.0);
    assert!(rising_by(MEMORY, warm_up).is_empty(), "a rise before the tenth minute");
    let buffers = |minute: f64| (minute - 4.0 / 3.0).rem_euclid(3.0) * 2.0 + minute / 100.0;
    assert!(rising_by(MEMORY, buffers).is_empty(), "buffers that fill until a reconnection");
}

#[test]
fn each_sample_that_rises_is_found() {
    let after = |begin: f64| move |minute: f64| f64::from(u8::from(minute > begin));
    let memory = rising_by(MEMORY, |minute| minute / 10.0);
    assert_eq!(memory, ["memory after a reconnection"]);
    let descriptors = rising_by(DESCRIPTORS, after(40.0));
    assert_eq!(descriptors, ["descriptors, except connections to the API"]);
    assert_eq!(rising_by(API_CONNECTIONS, f64::floor), ["connections to the API"]);
    assert_eq!(rising_by(THREADS, after(52.0)), ["threads"]);
    assert_eq!(rising_by(CHANNELS, |minute| (minute / 20.0).floor()), ["channels"]);
    let unknown = rising(
        |minute, values| values[CONNECTIONS] = values[CONNECTIONS].filter(|_| minute < 45.0),
        |_| 0.0,
    );
    assert_eq!(unknown, ["connections to the broker"], "nothing is known in the end");
}

#[test]
fn each_latency_that_rises_is_found() {
    let late = |late: fn(f64) -> f64| rising(|_, _| (), late);
    assert_eq!(late(|minute| minute / 15.0), ["latency, p50"]);
    let one_in_forty =
        |minute: f64| if (minute * 60.0).round() % 40.0 == 0.0 { minute } else { 0.0 };
    assert_eq!(late(one_in_forty), ["latency, p99"]);
    let never = |minute| if minute > 55.0 { f64::INFINITY } else { 0.0 };
    assert_eq!(late(never), ["latency, p50", "latency, p99"]);
}
