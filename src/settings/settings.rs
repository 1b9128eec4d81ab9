//! The settings, typed and checked. The only file that reads the environment.

use super::amqp::Amqp;
use super::audit::Audit;
use super::contract::Contract;
use super::control::Control;
use super::mimecast::Mimecast;
use super::mistake::Mistake;
use super::pseudonym;
use super::reader::{self, Reader};
use super::source::{Given, Sources};
use super::timings::Timings;
use crate::event::EventType;
use crate::secrecy::Pseudonyms;
use crate::verdict::{Breaker, Hop, Ladder, Policy};
use std::ffi::OsString;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;
use tracing::Level;
use url::Url;

/// Everything that can be set, ready for use.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The broker.
    pub amqp: Amqp,
    /// The lanes, enabled ones only.
    pub lanes: Vec<LaneSettings>,
    /// Queues of the daemon, those of lanes that are not enabled too; others belong to them, whose names go on
    /// with a point.
    pub own_queues: Vec<String>,
    /// What events mean.
    pub contract: Contract,
    /// The vendor.
    pub mimecast: Mimecast,
    /// Attempts in process.
    pub retry: Policy,
    /// Where messages wait whose fault is their own and may pass.
    pub ladder: Ladder,
    /// Waits of what cannot go on.
    pub breaker: Breaker,
    /// Where `/metrics`, `/livez` and `/readyz` are served.
    pub admin_listen: SocketAddr,
    /// Where people pause and resume lanes.
    pub control: Control,
    /// Where it is written down what was done, if it is.
    pub audit: Option<Audit>,
    /// How long a stop waits for messages in work.
    pub drain_timeout: Duration,
    /// What the logs look like.
    pub log: Log,
    /// Where spans are sent to, if they are.
    pub traces: Option<Url>,
    /// What addresses are called there.
    pub pseudonyms: Pseudonyms,
    /// The waits and limits that are no settings.
    pub timings: Timings,
    /// What works, and is doubtful.
    pub warnings: Vec<Mistake>,
}

/// One event type's queue and how it is worked on.
#[derive(Clone, Debug)]
pub struct LaneSettings {
    /// The event type.
    pub event_type: EventType,
    /// Whether it is worked on.
    pub enabled: bool,
    /// Its queue.
    pub queue: String,
    /// Messages in work at the same time.
    pub prefetch: u16,
    /// Deliveries after which the broker dead-letters a message.
    pub delivery_limit: u16,
}

/// What the logs look like.
#[derive(Clone, Copy, Debug)]
pub struct Log {
    /// One JSON object a line, or text; `None` decides by whether standard error is a terminal.
    pub json: Option<bool>,
    /// Nothing less grave is logged.
    pub level: Level,
}

impl LaneSettings {
    /// Its delay queues and their delays: of the ladder, and of what is not due yet.
    pub fn delay_queues(&self, ladder: &Ladder) -> impl Iterator<Item = (String, Duration)> {
        let rungs = ladder.rungs().map(|rung| (rung.queue(&self.queue), rung.delay));
        rungs.chain(Hop::ALL.map(|hop| (hop.queue(&self.queue), hop.delay)))
    }
}

impl Settings {
    /// Reads the settings of this process: what its command line says, its environment, and the file that
    /// `--config` or else `EVENTD_CONFIG` names.
    ///
    /// # Errors
    ///
    /// All mistakes at once.
    pub fn of_process(given: Given) -> Result<Settings, Vec<Mistake>> {
        Settings::read(Sources::of_process(given))
    }

    /// Only what events mean to this process.
    ///
    /// # Errors
    ///
    /// All mistakes in it at once.
    pub fn contract_of_process(given: Given) -> Result<Contract, Vec<Mistake>> {
        Contract::read(Sources::of_process(given))
    }

    /// Only where the admin endpoints of this process's settings are.
    pub fn admin_of_process(given: Given) -> SocketAddr {
        admin_listen(&mut Reader::new(Sources::of_process(given)))
    }

    /// Reads the settings from `sources`.
    ///
    /// # Errors
    ///
    /// All mistakes at once.
    pub fn read(sources: Sources) -> Result<Settings, Vec<Mistake>> {
        let mut reader = Reader::new(sources);
        let amqp = Amqp::read(&mut reader);
        let mut lanes = lanes(&mut reader, &amqp.dead_letter_queue);
        let mut own_queues: Vec<String> = lanes.iter().map(|lane| lane.queue.clone()).collect();
        own_queues.push(amqp.dead_letter_queue.clone());
        lanes.retain(|lane| lane.enabled);
        let mut contract = Contract::of(&mut reader);
        if contract.guards.dry_run {
            for lane in &mut lanes {
                lane.queue.push_str(".dry-run");
                contract.reading.names.queue(lane.queue.clone(), lane.event_type);
            }
        }
        let mimecast = Mimecast::read(&mut reader);
        let retry = retry(&mut reader);
        let ladder = ladder(&mut reader);
        delay_queues_have_names(&mut reader, &lanes, &ladder);
        let breaker = breaker(&mut reader);
        let admin_listen = admin_listen(&mut reader);
        let control = Control::of(&mut reader);
        // In a dry run nothing is done.
        let audit = Audit::of(&mut reader).filter(|_| !contract.guards.dry_run);
        let drain_timeout =
            reader.duration("drain_timeout", Duration::ZERO, Duration::from_mins(20));
        let log = log(&mut reader);
        let traces = traces(&mut reader);
        let (key, timings) = (pseudonym::key(&mut reader), reader.timings());
        let warnings = reader.take_warnings();
        let mimecast = reader.finish(mimecast)?.expect("without a mistake every setting is there");
        let pseudonyms =
            key.unwrap_or_else(|| Pseudonyms::derived(&mimecast.credentials.secrets()));
        Ok(Settings {
            amqp,
            lanes,
            own_queues,
            contract,
            mimecast,
            retry,
            ladder,
            breaker,
            admin_listen,
            control,
            audit,
            drain_timeout,
            log,
            traces,
            pseudonyms,
            timings,
            warnings,
        })
    }
}

impl Sources {
    /// The sources of this process: what its command line says, its environment, and the file that
    /// `--config` or else `EVENTD_CONFIG` names.
    pub fn of_process(Given { flags, file, timings }: Given) -> Sources {
        let file = file.or_else(|| std::env::var_os("EVENTD_CONFIG").map(PathBuf::from));
        let environment: Vec<(OsString, OsString)> = std::env::vars_os().collect();
        let mut sources = Sources::gather(flags, environment, file.as_deref());
        sources.timings = timings;
        sources
    }
}

fn admin_listen(reader: &mut Reader) -> SocketAddr {
    let address = reader.required("admin.listen", |text| {
        text.parse().map_err(|_| "must be an address and port such as 127.0.0.1:9464")
    });
    address.unwrap_or((Ipv4Addr::LOCALHOST, 0).into())
}

/// Every lane, enabled or not.
pub(super) fn lanes(reader: &mut Reader, dead_letter_queue: &str) -> Vec<LaneSettings> {
    let mut lanes = Vec::new();
    let mut queues = vec![dead_letter_queue.to_owned()];
    for event_type in EventType::ALL {
        let key = |name: &str| format!("events.\"{}\".{name}", event_type.name());
        let switch = [("true", true), ("false", false)];
        let lane = LaneSettings {
            event_type,
            enabled: reader.one_of(&key("enabled"), &switch).unwrap_or(true),
            queue: reader.name(&key("queue")),
            prefetch: reader.number(&key("prefetch"), 1, 1000),
            delivery_limit: reader.number(&key("delivery_limit"), 1, 1000),
        };
        // Without a name it has been found wrong already.
        if !lane.queue.is_empty() && queues.contains(&lane.queue) {
            reader.mistake(&key("queue"), "is the queue of something else already");
        }
        queues.push(lane.queue.clone());
        lanes.push(lane);
    }
    if !lanes.iter().any(|lane| lane.enabled) {
        let key = format!("events.\"{}\".enabled", EventType::UserOffboarded.name());
        reader.mistake(&key, "no lane is enabled, so there is nothing to do");
    }
    lanes
}

fn retry(reader: &mut Reader) -> Policy {
    let (least, most) = (Duration::from_millis(1), Duration::from_mins(5));
    let policy = Policy {
        attempts: reader.number("retry.attempts", 1, 100).into(),
        initial_delay: reader.duration("retry.initial_delay", least, most),
        max_delay: reader.duration("retry.max_delay", least, most),
    };
    reader.in_order("retry.initial_delay", "retry.max_delay");
    policy
}

fn ladder(reader: &mut Reader) -> Ladder {
    let rungs: Result<Vec<Duration>, &str> =
        reader.list("retry.ladder").iter().map(|rung| reader::duration(rung)).collect();
    let rungs = rungs.unwrap_or_else(|problem| {
        reader.mistake("retry.ladder", &format!("each entry {problem}"));
        Vec::new()
    });
    let (least, most) = (Duration::from_millis(100), Duration::from_hours(24 * 7));
    if rungs.iter().any(|rung| *rung < least || *rung > most) {
        reader.mistake("retry.ladder", "each entry must be between 100ms and 7days");
    }
    if !rungs.is_sorted_by(|one, next| one < next) {
        reader.mistake("retry.ladder", "each entry must be longer than the one before");
    }
    Ladder::new(rungs)
}

/// The name of a delay queue is that of its lane's queue and more, and must fit into AMQP too.
fn delay_queues_have_names(reader: &mut Reader, lanes: &[LaneSettings], ladder: &Ladder) {
    for lane in lanes {
        if lane.delay_queues(ladder).any(|(name, _)| name.len() > 255) {
            let key = format!("events.\"{}\".queue", lane.event_type.name());
            reader.mistake(&key, "is too long: the names of its delay queues exceed 255 bytes");
        }
    }
}

fn breaker(reader: &mut Reader) -> Breaker {
    let (least, most) = (Duration::from_millis(10), Duration::from_mins(15));
    let breaker = Breaker {
        initial_probe_delay: reader.duration("breaker.initial_probe_delay", least, most),
        max_probe_delay: reader.duration("breaker.max_probe_delay", least, most),
    };
    reader.in_order("breaker.initial_probe_delay", "breaker.max_probe_delay");
    breaker
}

fn log(reader: &mut Reader) -> Log {
    let levels = [
        ("error", Level::ERROR),
        ("warn", Level::WARN),
        ("info", Level::INFO),
        ("debug", Level::DEBUG),
    ];
    Log {
        json: reader.one_of("log.format", &[("json", true), ("text", false)]),
        level: reader.one_of("log.level", &levels).unwrap_or(Level::INFO),
    }
}

fn traces(reader: &mut Reader) -> Option<Url> {
    let endpoint = reader.optional("traces.endpoint", |text| {
        let url = Url::parse(text).ok().filter(|url| {
            let is_plain = url.username().is_empty() && url.password().is_none();
            matches!(url.scheme(), "http" | "https") && url.has_host() && is_plain
        });
        url.ok_or("must be an address such as http://127.0.0.1:4318, without a user")
    });
    if endpoint.is_some() && !cfg!(feature = "otel") {
        reader.mistake("traces.endpoint", "needs a build with the cargo feature otel");
    }
    endpoint
}
