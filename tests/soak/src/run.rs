//! One run: events at a steady rate, one fault after another, and samples of the daemon.

use crate::judgment::Sample;
use crate::sample::Sampler;
use crate::schedule::{Act, Fault, Random, Spell, schedule};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;
use test_support::broker::{OFFBOARDED, UNBLOCK};
use test_support::disturbed::Disturbed;
use test_support::faults::ledger::Account;
use test_support::faults::message::{Kind, Message, POLICY};
use test_support::faults::op::Op;
use test_support::faults::scene::Scene;
use test_support::node::folder_of_this_run;
use test_support::{DEADLINE, program};
use tokio::time::Instant;

/// Between samples.
const EVERY: Duration = Duration::from_secs(5);

/// The kinds of messages, and how many of a thousand are of each. Only for the first two the latency
/// counts: they need nothing but the answers of the API.
const MIX: [(Kind, usize); 13] = [
    (Kind::Good, 655),
    (Kind::Domain, 60),
    (Kind::Named, 80),
    (Kind::Url, 70),
    (Kind::Large, 5),
    (Kind::Poison, 10),
    (Kind::Malformed, 40),
    (Kind::Refused, 30),
    (Kind::Unsupported, 20),
    (Kind::Ambiguous, 10),
    (Kind::Denied, 10),
    (Kind::Expired, 8),
    (Kind::TooLarge, 2),
];

/// The results of a run.
pub struct Results {
    /// Its length in seconds.
    pub lasted: f64,
    /// The version of the broker.
    pub broker: String,
    /// The most memory of the daemon, in KiB.
    pub peak: usize,
    pub samples: Vec<Sample>,
    /// Pairs of the time of publishing and the milliseconds until the message was settled.
    pub latencies: Vec<(f64, f64)>,
    pub spells: Vec<Spell>,
    pub account: Account,
    /// Everything else that is wrong.
    pub complaints: Vec<String>,
}

struct Run {
    scene: Scene,
    node: Disturbed,
    settings: PathBuf,
    random: Random,
    period: Duration,
    began: Instant,
    next_message: Instant,
    next_sample: Instant,
    sampler: Sampler,
    samples: Vec<Sample>,
    /// Each message, with the times of publishing: since the beginning, and since 1970.
    sent: Vec<(Message, f64, f64)>,
    spells: Vec<Spell>,
}

/// Runs for so many minutes, with so many events a second.
pub async fn run(minutes: u32, rate: u32, seed: u64) -> Results {
    let folder = folder_of_this_run("soak");
    std::fs::create_dir_all(&folder).expect("a folder for settings and audit trail");
    let (settings, audit) = (folder.join("settings.toml"), folder.join("audit.jsonl"));
    let text = |path: &Path| path.to_str().expect("the path is text").to_owned();
    std::fs::write(&settings, "").expect("the folder is writable");
    let (settings_text, audit_text) = (text(&settings), text(&audit));
    let own = [
        ("CONFIG", settings_text.as_str()),
        ("AUDIT__PATH", &audit_text),
        ("AUDIT__FSYNC", "1s"),
        ("AMQP__HEARTBEAT", "5s"),
        ("LOG__LEVEL", "info"),
    ];
    let node = Disturbed::node().await;
    let broker = node.running().full_version();
    let scene = Scene::on(node.running(), &[&own[..], &POLICY].concat()).await;
    let sampler = Sampler::new(&scene);
    let mut random = Random(seed);
    let acts = schedule(&mut random, minutes);
    let now = Instant::now();
    let mut run = Run {
        scene,
        node,
        settings,
        random,
        period: Duration::from_secs(1) / rate,
        began: now,
        next_message: now,
        next_sample: now + EVERY,
        sampler,
        samples: Vec::new(),
        sent: Vec::new(),
        spells: Vec::new(),
    };
    for act in acts {
        run.work_until(run.began + Duration::from_secs_f64(act.begin), true).await;
        run.perform(&act).await;
    }
    run.work_until(run.began + Duration::from_secs(minutes.into()) * 60, true).await;
    let lasted = run.now();
    let unsettled = run.scene.unsettled().await;
    let mut complaints: Vec<String> =
        unsettled.into_iter().map(|it| format!("still going on: {it}")).collect();
    let peak = program::most_memory(run.scene.daemon().process()).expect("the daemon runs");
    let log = run.scene.daemon().lines();
    let account = run.scene.end().await;
    let verified = program::run(&run.scene.variables, &["audit", "verify", &audit_text]).await;
    if verified.code != Some(0) {
        complaints.push(format!("the audit trail: {verified:?}"));
    }
    // Only a panic writes anything else than JSON.
    let strange =
        log.iter().filter(|line| serde_json::from_str::<serde_json::Value>(line).is_err());
    complaints.extend(strange.map(|line| format!("the daemon wrote: {line}")));
    let latencies = latencies(&run.sent, &log);
    let Run { samples, spells, .. } = run;
    Results { lasted, broker, peak, samples, latencies, spells, account, complaints }
}

impl Run {
    /// Seconds since the run began.
    fn now(&self) -> f64 {
        self.began.elapsed().as_secs_f64()
    }

    /// Publishes and takes samples until then.
    async fn work_until(&mut self, until: Instant, publishes: bool) {
        loop {
            let next_message = if publishes { self.next_message } else { until };
            let next = next_message.min(self.next_sample).min(until);
            tokio::time::sleep_until(next).await;
            let now = Instant::now();
            if now >= until {
                return;
            }
            if now >= self.next_sample {
                self.next_sample = now + EVERY;
                self.samples.push(self.sampler.take(self.now(), &self.scene).await);
            }
            if publishes && now >= self.next_message {
                self.publish().await;
                // Events that could not be published in time do not become a flood afterwards.
                self.next_message = (self.next_message + self.period).max(now - EVERY / 5);
            }
        }
    }

    async fn publish(&mut self) {
        let mut place = self.random.below(1_000);
        let kind = MIX.iter().find_map(|(kind, share)| {
            let is_it = place < *share;
            place = place.saturating_sub(*share);
            is_it.then_some(*kind)
        });
        let kind = kind.expect("the shares are a thousand");
        let message = Message { kind, number: self.scene.ledger.next_number() };
        let since_1970 = chrono::Utc::now().timestamp_micros() as f64 / 1e6;
        self.sent.push((message, self.now(), since_1970));
        self.scene.publish_one(kind).await;
    }

    /// Lets a fault happen, ends it, and goes on until the daemon has recovered.
    async fn perform(&mut self, act: &Act) {
        let (begin, kind) = (self.now(), act.kind);
        match kind.fault {
            Fault::Op(op) => op.happen(&mut self.scene, Some(&mut self.node)).await,
            Fault::Settings(text, result) => self.reload(text, result).await,
            Fault::Pause(lanes) => self.command("pause", lanes).await,
        }
        let is_blocked = matches!(kind.fault, Fault::Op(Op::BlockBroker));
        let is_over = matches!(kind.fault, Fault::Op(Op::RestartBroker | Op::KillBroker));
        let lasts = if is_over { 0.0 } else { act.lasts };
        // A broker with an alarm confirms nothing.
        self.work_until(Instant::now() + Duration::from_secs_f64(lasts), !is_blocked).await;
        match kind.fault {
            Fault::Op(Op::BlockBroker) => self.node.feed(),
            Fault::Op(_) => {
                Op::ApiUp.happen(&mut self.scene, None).await;
                Op::ThawBroker.happen(&mut self.scene, None).await;
            }
            Fault::Settings(..) => self.reload("", "applied").await,
            Fault::Pause(lanes) => self.command("resume", lanes).await,
        }
        let end = self.now();
        while !self.is_well().await {
            assert!(self.now() < end + DEADLINE.as_secs_f64(), "no recovery after: {}", kind.name);
            self.work_until(Instant::now() + Duration::from_millis(50), true).await;
        }
        let (name, cause, reconnects) = (kind.name, kind.cause, kind.reconnects());
        let well = self.now();
        crate::print(&format!(
            "{begin:7.1} s  {name}, for {:.1} s, recovered {:.1} s later",
            end - begin,
            well - end
        ));
        self.spells.push(Spell { name, cause, reconnects, begin, end, well });
    }

    /// True if both lanes consume and their queues are empty.
    async fn is_well(&self) -> bool {
        for (event, queue) in [("user.offboarded", OFFBOARDED), ("url.unblock", UNBLOCK)] {
            let state = format!(r#"eventd_lane_state{{event="{event}",state="consuming"}}"#);
            let (waiting, _) = self.scene.vhost.depth(queue).await.unwrap_or_default();
            if waiting > 0 || self.scene.daemon().metric(&state).await < 1.0 {
                return false;
            }
        }
        true
    }

    /// Writes the settings file at once, since the daemon watches it, and waits for the result.
    async fn reload(&self, text: &str, result: &str) {
        let reloads = format!(r#"eventd_settings_reloads_total{{result="{result}"}}"#);
        let before = self.scene.daemon().metric(&reloads).await;
        let draft = self.settings.with_extension("new");
        std::fs::write(&draft, text).expect("the folder is writable");
        std::fs::rename(&draft, &self.settings).expect("the folder is writable");
        self.scene.daemon().signal("HUP");
        self.scene.daemon().wait_for_at_least(&reloads, before + 1.0).await;
    }

    /// Runs a command of the daemon's program.
    async fn command(&self, name: &str, lanes: &[&str]) {
        let ran = program::run(&self.scene.variables, &[&[name], lanes].concat()).await;
        assert_eq!(ran.code, Some(0), "{ran:?}");
    }
}

/// The latencies that count: infinite, if the log does not have the ack.
fn latencies(sent: &[(Message, f64, f64)], log: &[String]) -> Vec<(f64, f64)> {
    let mut acked = HashMap::new();
    for line in log {
        let Ok(line) = serde_json::from_str::<serde_json::Value>(line) else { continue };
        if line["message"] == "settled" && line["disposition"] == "ack" {
            let event = line["event_id"].as_str().unwrap_or_default().to_owned();
            let time = line["timestamp"].as_str().unwrap_or_default();
            let time = chrono::DateTime::parse_from_rfc3339(time).expect("a line has a timestamp");
            acked.entry(event).or_insert(time.timestamp_micros() as f64 / 1e6);
        }
    }
    let counted =
        sent.iter().filter(|(message, ..)| matches!(message.kind, Kind::Good | Kind::Domain));
    counted
        .map(|(message, at, since_1970)| {
            let acked = acked.get(&message.to_string()).copied().unwrap_or(f64::INFINITY);
            (*at, 1_000.0 * (acked - since_1970))
        })
        .collect()
}
