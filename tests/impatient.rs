//! The daemon with shorter waits, for tests. `TIMINGS` has them, such as `confirm=1s,audit_head=100ms`.

use chrono::Utc;
use mimecast_eventd::cli::{Request, arguments, run};
use mimecast_eventd::daemon::Signals;
use mimecast_eventd::settings::{Given, Running, Timings};
use mimecast_eventd::vendor::Stamp;
use std::process::ExitCode;
use std::time::Duration;
use uuid::Uuid;

fn main() -> ExitCode {
    let signals = Signals::listen().expect("the system lets the process listen");
    let started = Utc::now();
    rustls::crypto::ring::default_provider()
        .install_default()
        .expect("nothing else installs a provider");
    let Ok(Request::Run(given)) = arguments::parse(std::env::args_os()) else {
        panic!("only `run` can be impatient");
    };
    let running = Running::start(Given { timings: timings(), ..given }).expect("valid settings");
    let fresh = || Stamp { at: Utc::now(), request_id: Uuid::new_v4() };
    run::run(running, fresh, started, &signals).expect("no spans")
}

fn timings() -> Timings {
    let text = std::env::var("TIMINGS").expect("TIMINGS is set");
    let mut timings = Timings::default();
    for (name, value) in text.split(',').filter_map(|one| one.split_once('=')) {
        *field(&mut timings, name) = humantime::parse_duration(value).expect("a duration");
    }
    timings
}

fn field<'a>(timings: &'a mut Timings, name: &str) -> &'a mut Duration {
    match name {
        "confirm" => &mut timings.confirm,
        "connect" => &mut timings.connect,
        "open" => &mut timings.open,
        "inspect" => &mut timings.inspect,
        "first_reconnect" => &mut timings.first_reconnect,
        "last_reconnect" => &mut timings.last_reconnect,
        "audit_head" => &mut timings.audit_head,
        "shutdown" => &mut timings.shutdown,
        "refused_look" => &mut timings.refused_look,
        "queue_depths" => &mut timings.queue_depths,
        "settings_files" => &mut timings.settings_files,
        other => panic!("no test shortens {other}"),
    }
}
