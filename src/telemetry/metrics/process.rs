//! The metrics of the process, under the names that every Prometheus client uses.
//!
//! The start is measured by the program, and of `/proc` only the process's own folder is read: where `/proc` is mounted
//! with `subset=pid`, as under the shipped unit, there is nothing else.

use super::measured::Measured;
use crate::telemetry::descriptors;
use chrono::{DateTime, Utc};
use prometheus::Registry;
use rustix::time::{ClockId, clock_gettime};
use std::fs;
use std::sync::{Arc, OnceLock};

/// Positions in `/proc/self/stat` after the name of the program: fields 20, 23 and 24 in proc_pid_stat(5).
const THREADS: usize = 17;
const VIRTUAL_BYTES: usize = 20;
const RESIDENT_PAGES: usize = 21;

/// The time at which the process started, once the process has said it.
pub(super) type Started = Arc<OnceLock<DateTime<Utc>>>;

/// Registers the metrics of the process.
pub(super) fn register(registry: &Registry, started: &Started) {
    let started = Arc::clone(started);
    Measured::gauge(
        registry,
        "process_start_time_seconds",
        "Start of the process, as Unix time in seconds.",
        move || started.get().map(|at| at.timestamp_micros() as f64 / 1e6),
    );
    Measured::counter(
        registry,
        "process_cpu_seconds_total",
        "Processor time of the process, in seconds.",
        || {
            let spent = clock_gettime(ClockId::ProcessCPUTime);
            Some(spent.tv_sec as f64 + spent.tv_nsec as f64 / 1e9)
        },
    );
    Measured::gauge(registry, "process_open_fds", "Open file descriptors.", open_descriptors);
    Measured::gauge(
        registry,
        "process_max_fds",
        "Maximum number of open file descriptors.",
        || Some(descriptors::limit().map_or(f64::INFINITY, |limit| limit as f64)),
    );
    let (virtual_help, resident_help) = ("Virtual memory, in bytes.", "Resident memory, in bytes.");
    Measured::gauge(registry, "process_virtual_memory_bytes", virtual_help, || stat(VIRTUAL_BYTES));
    Measured::gauge(registry, "process_resident_memory_bytes", resident_help, || {
        Some(stat(RESIDENT_PAGES)? * rustix::param::page_size() as f64)
    });
    Measured::gauge(registry, "process_threads", "Threads of the process.", || stat(THREADS));
}

/// Counts the open descriptors, without the one that this takes.
fn open_descriptors() -> Option<f64> {
    let open = fs::read_dir("/proc/self/fd").ok()?.count();
    Some(open.saturating_sub(1) as f64)
}

/// Returns a number of `/proc/self/stat`.
fn stat(position: usize) -> Option<f64> {
    number(&fs::read_to_string("/proc/self/stat").ok()?, position)
}

/// The name of the program is in parentheses and may have spaces and parentheses of its own.
fn number(stat: &str, position: usize) -> Option<f64> {
    let (_, fields) = stat.rsplit_once(')')?;
    fields.split_ascii_whitespace().nth(position)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_found_whatever_the_program_is_called() {
        let stat = "7 (a) b (c) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 4096 20 21";
        assert_eq!(number(stat, 0), None, "the state is a letter");
        assert_eq!(number(stat, THREADS), Some(17.0));
        assert_eq!(number(stat, VIRTUAL_BYTES), Some(4096.0));
        assert_eq!(number(stat, RESIDENT_PAGES), Some(20.0));
        assert_eq!(number(stat, 99), None);
        assert_eq!(number("", 0), None);
    }

    #[test]
    fn what_is_not_known_is_left_out_and_never_0() {
        let (registry, started) = (Registry::new(), Started::default());
        register(&registry, &started);
        let names = || registry.gather().iter().map(|it| it.name().to_owned()).collect::<Vec<_>>();
        let start = "process_start_time_seconds".to_owned();
        assert_eq!(names().len(), 6);
        assert!(!names().contains(&start));
        started.set(DateTime::from_timestamp_micros(1_700_000_000_250_000).unwrap()).unwrap();
        assert_eq!(names().len(), 7);
        let families = registry.gather();
        let value = |name: &str| {
            let family = families.iter().find(|it| it.name() == name).unwrap();
            let metric = &family.get_metric()[0];
            metric.get_gauge().get_value() + metric.get_counter().get_value()
        };
        assert_eq!(value(&start), 1_700_000_000.25);
        for family in &families {
            assert!(value(family.name()) > 0.0, "{}", family.name());
        }
    }
}
