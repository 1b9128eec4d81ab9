//! The resources of the daemon at one moment.

use crate::judgment::Sample;
use std::path::PathBuf;
use test_support::faults::scene::Scene;

/// Ticks of the processor's clock in a second, on every Linux.
const TICKS: f64 = 100.0;

/// Takes samples of one daemon.
pub struct Sampler {
    folder: PathBuf,
    /// The port of the API, in hexadecimal digits.
    api_port: String,
    before: (f64, f64),
}

impl Sampler {
    /// Samples of the daemon in `scene`.
    pub fn new(scene: &Scene) -> Sampler {
        let folder = PathBuf::from(format!("/proc/{}", scene.daemon().process()));
        let authority = scene.api_link.authority();
        let (_, port) = authority.rsplit_once(':').expect("an address has a port");
        let api_port = format!("{:04X}", port.parse::<u16>().expect("a port is a number"));
        let mut sampler = Sampler { folder, api_port, before: (0.0, 0.0) };
        sampler.before.1 = sampler.processor_seconds();
        sampler
    }

    /// One sample, `at` seconds after the run began.
    pub async fn take(&mut self, at: f64, scene: &Scene) -> Sample {
        let used = self.processor_seconds();
        let (time_before, used_before) = std::mem::replace(&mut self.before, (at, used));
        let processor = 100.0 * (used - used_before) / (at - time_before);
        let (descriptors, to_api) = self.descriptors();
        let (mut connections, mut channels) = (0, 0);
        for connection in scene.vhost.connections().await {
            if connection.to_string().contains("mimecast-eventd") {
                connections += 1;
                channels += connection["channels"].as_u64().unwrap_or_default();
            }
        }
        let known = |count: u64| (count > 0).then_some(count as f64);
        let mut in_flight = 0.0;
        for event in ["user.offboarded", "url.unblock"] {
            let series = format!(r#"eventd_messages_in_flight{{event="{event}"}}"#);
            in_flight += scene.daemon().metric(&series).await;
        }
        let values = [
            Some(self.status("VmRSS") / 1024.0),
            Some(descriptors as f64),
            Some(to_api as f64),
            Some(self.status("Threads")),
            known(connections),
            known(channels),
            Some(in_flight),
            Some(processor),
        ];
        Sample { at, values }
    }

    /// The number in a line of `/proc/PID/status`.
    fn status(&self, name: &str) -> f64 {
        let status = self.read("status");
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        let number = line.and_then(|line| line.split_whitespace().next());
        number.and_then(|number| number.parse().ok()).expect("the line has a number")
    }

    /// The number of open descriptors, except connections to the API, and of those.
    fn descriptors(&self) -> (usize, usize) {
        let table = self.read("net/tcp");
        let to_api: Vec<String> = table
            .lines()
            .map(|line| line.split_whitespace().collect::<Vec<_>>())
            .filter(|fields| fields[2].ends_with(&format!(":{}", self.api_port)))
            .map(|fields| format!("socket:[{}]", fields[9]))
            .collect();
        let entries = std::fs::read_dir(self.folder.join("fd")).expect("the daemon runs");
        // A descriptor may be closed meanwhile.
        let targets = entries.flatten().flat_map(|entry| std::fs::read_link(entry.path()));
        let is_to_api =
            |target: &PathBuf| to_api.iter().any(|it| target.as_os_str() == it.as_str());
        let (to_api, others): (Vec<PathBuf>, Vec<PathBuf>) = targets.partition(is_to_api);
        (others.len(), to_api.len())
    }

    /// The time on a processor so far.
    fn processor_seconds(&self) -> f64 {
        let stat = self.read("stat");
        let (_, fields) = stat.rsplit_once(") ").expect("a name in parentheses");
        let ticks = fields.split(' ').skip(11).take(2);
        ticks.map(|ticks| ticks.parse::<f64>().expect("a number")).sum::<f64>() / TICKS
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.folder.join(name)).expect("the daemon runs")
    }
}
