//! The vendor over real HTTP: what each reply and each broken connection comes to, in either
//! generation of the API.

mod calls;
mod faults;
mod groups;
mod health;
mod inventory;
mod quota;
mod removals;
mod rules;
mod signing;
mod tls;
mod tokens;
mod waits;

use crate::support::settings::{self, Variables, named};
use crate::support::within::fresh;
use crate::support::{DEADLINE, install_crypto_provider};
use fake_mimecast::{Credentials, FakeMimecast};
use mimecast_eventd::command::{Command, Intent};
use mimecast_eventd::event::{EmailAddress, Member};
use mimecast_eventd::settings::Mimecast;
use mimecast_eventd::telemetry::Metrics;
use mimecast_eventd::vendor::{CurrentVendor, Effort, Stamp, Vendor};
use mimecast_eventd::verdict::{Cause, Conclusion, History};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// The settings of either generation.
const BOTH: [fn(&FakeMimecast) -> Variables; 2] = [settings::hmac, settings::oauth2];

/// Three attempts show the first, one in between and the last.
const ATTEMPTS: (&str, &str) = ("RETRY__ATTEMPTS", "3");

/// A client and the fake that it talks to.
struct Pair {
    fake: FakeMimecast,
    current: Arc<CurrentVendor>,
    metrics: Arc<Metrics>,
    stop: CancellationToken,
}

/// Nobody waits for a token.
fn quick(mut mimecast: Mimecast) -> Mimecast {
    mimecast.timings.token_young = Duration::ZERO;
    mimecast.timings.token_interval = Duration::from_millis(10);
    mimecast
}

impl Pair {
    async fn new(generation: fn(&FakeMimecast) -> Variables) -> Pair {
        Pair::with(generation, &[ATTEMPTS]).await
    }

    async fn with(generation: fn(&FakeMimecast) -> Variables, own: &[(&str, &str)]) -> Pair {
        Pair::stamped(generation, own, fresh).await
    }

    async fn stamped(
        generation: fn(&FakeMimecast) -> Variables,
        own: &[(&str, &str)],
        fresh: fn() -> Stamp,
    ) -> Pair {
        install_crypto_provider();
        let fake = FakeMimecast::start(Credentials::default()).await;
        // The one that Ada is taken out of, a member or not.
        fake.add_group("group-1");
        let mut variables = generation(&fake);
        variables.extend(own.iter().map(|(name, value)| named(name, value)));
        let settings = settings::read(&variables).unwrap();
        let metrics = Arc::new(Metrics::new("test"));
        let guards = settings.contract.guards;
        let (mimecast, retry) = (quick(settings.mimecast), settings.retry);
        let vendor = Vendor::new(&mimecast, retry, guards, fresh, Arc::clone(&metrics)).unwrap();
        let current = Arc::new(CurrentVendor::new(vendor));
        Pair { fake, current, metrics, stop: CancellationToken::new() }
    }

    fn vendor(&self) -> Arc<Vendor> {
        self.current.now()
    }

    /// Carries out `command`; the words are those of [`shown`].
    async fn execute(&self, command: &Command) -> (String, History) {
        self.execute_until(command, Instant::now() + DEADLINE).await
    }

    async fn execute_until(&self, command: &Command, deadline: Instant) -> (String, History) {
        let (conclusion, history) = self.conclude(command, deadline).await;
        (shown(&conclusion), history)
    }

    async fn conclude(&self, command: &Command, deadline: Instant) -> (Conclusion, History) {
        let mut history = History::default();
        let effort = Effort::new(false, deadline);
        let conclusion = self.vendor().execute(command, &mut history, effort, &self.stop).await;
        (conclusion, history)
    }

    /// Fulfils `intent`; the words are those of [`shown`].
    async fn fulfil(&self, intent: &Intent) -> (String, History) {
        self.fulfil_until(intent, Instant::now() + DEADLINE).await
    }

    async fn fulfil_until(&self, intent: &Intent, deadline: Instant) -> (String, History) {
        let mut history = History::default();
        let effort = Effort::new(false, deadline);
        let conclusion = self.vendor().fulfil(intent, &mut history, effort, &self.stop).await;
        (shown(&conclusion), history)
    }

    /// The same in full.
    async fn fulfilled(&self, intent: &Intent) -> (Conclusion, History) {
        let mut history = History::default();
        let conclusion = self.fulfilled_after(&mut history, intent).await;
        (conclusion, history)
    }

    /// The same for a message that has a history.
    async fn fulfilled_after(&self, history: &mut History, intent: &Intent) -> Conclusion {
        self.vendor().fulfil(intent, history, effort(), &self.stop).await
    }

    /// How many calls of the operations, not of the token endpoint, have come.
    fn operation_calls(&self) -> usize {
        self.fake.calls().iter().filter(|call| call.operation.is_change()).count()
    }

    fn metric(&self, series: &str) -> f64 {
        let text = self.metrics.text();
        let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("no series {series} in\n{text}")).parse().unwrap()
    }
}

/// All that the policy has, and time enough for it.
fn effort() -> Effort<'static> {
    Effort::new(false, Instant::now() + DEADLINE)
}

/// A conclusion as the label of its last outcome, with its code where it has one.
fn shown(conclusion: &Conclusion) -> String {
    match conclusion {
        Conclusion::Applied => "applied".to_owned(),
        Conclusion::AlreadyGone => "already_gone".to_owned(),
        Conclusion::NotFound => "not_found".to_owned(),
        Conclusion::Refused(reason, fault) => format!("{} {}", reason.label(), fault.code),
        Conclusion::Stuck(stuck) => match stuck.cause {
            Cause::Passing => format!("unavailable {}", stuck.fault.code),
            Cause::Forbidden => format!("forbidden {}", stuck.fault.code),
            Cause::Refused => format!("unauthorized {}", stuck.fault.code),
            Cause::Inconsistent => format!("inconsistent {}", stuck.fault.code),
            Cause::Contradicted => format!("contradicted {}", stuck.fault.code),
            Cause::Guarded => format!("guarded {}", stuck.fault.code),
        },
        Conclusion::Limited(_) => "limited".to_owned(),
        Conclusion::OutOfTime => "throttled".to_owned(),
        Conclusion::Stopped => "stopped".to_owned(),
    }
}

/// Takes Ada out of the group.
fn remove_ada() -> Command {
    remove("group-1", "ada@example.com")
}

fn remove(group: &str, address: &str) -> Command {
    Command::remove(group, &member(address))
}

fn member(address: &str) -> Member {
    Member::EmailAddress(EmailAddress::parse(address).unwrap())
}

fn delete(id: &str) -> Command {
    Command::DeleteManagedUrl { id: id.to_owned() }
}
