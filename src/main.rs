//! The program: arguments and settings first, then what was asked for, then the exit code.

use chrono::{DateTime, Utc};
use mimecast_eventd::cli::audit::{self, Proof};
use mimecast_eventd::cli::check::{self, Gravity};
use mimecast_eventd::cli::dlq::{self, Dlq, DlqError};
use mimecast_eventd::cli::events_file::{self, EventsFileError, Properties};
use mimecast_eventd::cli::plan::Plan;
use mimecast_eventd::cli::send::{self, Send, Sent};
use mimecast_eventd::cli::{
    Request, arguments, codes, config, control, healthcheck, look_up, manual, run, status,
    unless_closed,
};
use mimecast_eventd::daemon::Signals;
use mimecast_eventd::event::canonical;
use mimecast_eventd::secrecy::Seal;
use mimecast_eventd::settings::{
    self, Audit, Contract, Control, Mistake, Queues, Running, Settings, Sources,
};
use mimecast_eventd::telemetry::audit::ByHand;
use mimecast_eventd::vendor::Stamp;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use uuid::Uuid;

/// Bad usage or settings (`EX_USAGE` of sysexits.h).
const USAGE: u8 = 64;

/// Something that was asked for is not as it was asked for, and it was said what.
const REFUSED: u8 = 2;

/// One arena and pages that are given back soon (`.cargo/config.toml`): a daemon that rests shall be small.
#[cfg(feature = "jemalloc")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    // Before anything else: a SIGHUP would end the process until somebody listens. Commands for people keep the
    // system's own way.
    let is_daemon = std::env::args_os().nth(1).is_some_and(|command| command == "run");
    let signals = is_daemon.then(Signals::listen);
    let started = Utc::now();
    // Before anything can make a TLS connection: rustls panics where it cannot tell which to use.
    rustls::crypto::ring::default_provider()
        .install_default()
        .expect("nothing else installs a provider");
    let request = match arguments::parse(std::env::args_os()) {
        Ok(request) => request,
        Err(error) => {
            let shown = unless_closed(error.print());
            let is_help = !error.use_stderr();
            return if is_help { ended(shown, |()| ExitCode::SUCCESS) } else { USAGE.into() };
        }
    };
    carry_out(request, started, signals).unwrap_or_else(|mistakes| refuse(&mistakes))
}

fn carry_out(
    request: Request,
    started: DateTime<Utc>,
    signals: Option<io::Result<Signals>>,
) -> Result<ExitCode, Vec<Mistake>> {
    Ok(match request {
        Request::Run(given) => match signals.unwrap_or_else(Signals::listen) {
            Ok(signals) => {
                let daemon = run::run(Running::start(given)?, fresh_stamp, started, &signals);
                ended(daemon, |code| code)
            }
            Err(error) => fail(&format!("the signals cannot be listened to: {error}")),
        },
        Request::Check { given, offline, json } => check(&Running::start(given)?, offline, json),
        Request::Healthcheck(given) => {
            let patience = given.timings.healthcheck;
            let listen = Settings::admin_of_process(given);
            ended(healthcheck::ask(listen, patience), |()| ExitCode::SUCCESS)
        }
        Request::Plan { given, events, published, json, look_up: false } => {
            let contract = Settings::contract_of_process(given)?;
            ended(plan(&contract, &events, &published), |plans| show(&plans, json))
        }
        Request::Plan { given, events, published, json, look_up: true } => {
            let settings = Settings::of_process(given)?;
            ended(plan(&settings.contract, &events, &published), |plans| {
                look_up(plans, &settings, json)
            })
        }
        Request::Send(given, events) => send(&events, &Queues::of_process(given)?),
        Request::Dlq(given, asked) => {
            let queues = Queues::of_process(given.clone())?;
            // Who only looks needs no right to the trail or to its key.
            let trail = match asked.act.changes() {
                true => Audit::of_by_hand(Sources::of_process(given))?,
                false => None,
            };
            dlq(&asked, &queues, trail.map(by_hand).as_ref())
        }
        Request::Audit(given, asked) => audit(&asked, &Audit::seal(Sources::of_process(given))?),
        Request::Status { given, json } => {
            let patience = given.timings.healthcheck;
            let listen = Settings::admin_of_process(given);
            ended(status::show((listen, patience), json, fresh_stamp().at), |ready| match ready {
                true => ExitCode::SUCCESS,
                false => REFUSED.into(),
            })
        }
        Request::Control { given, order, json } => {
            let socket = Control::read(Sources::of_process(given.clone()))?;
            let by_hand = Audit::of_by_hand(Sources::of_process(given))?.map(by_hand);
            let done = control::run(&socket, &order, by_hand.as_ref(), json);
            ended(done, |()| ExitCode::SUCCESS)
        }
        Request::Pseudonym(given, addresses) => {
            let pseudonyms = settings::pseudonyms(Sources::of_process(given))?;
            let names =
                addresses.iter().map(|address| format!("{}\n", pseudonyms.of(&canonical(address))));
            print(&names.collect::<String>())
        }
        Request::ConfigShow { given, json } => {
            match config::show(&Sources::of_process(given), json) {
                Ok(good) => good.map(|()| ExitCode::SUCCESS)?,
                Err(error) => fail(&error.to_string()),
            }
        }
        Request::ConfigSchema => ended(config::show_schema(), |()| ExitCode::SUCCESS),
        Request::Completions(shell) => ended(manual::completions(shell), |()| ExitCode::SUCCESS),
        Request::Man(folder) => ended(manual::pages(folder.as_deref()), |()| ExitCode::SUCCESS),
        Request::Codes { json } => ended(codes::show(json), |()| ExitCode::SUCCESS),
    })
}

fn check(running: &Running, offline: bool, json: bool) -> ExitCode {
    let mut verdicts = check::here(running);
    if !offline {
        match in_runtime(check::connections(running.settings(), fresh_stamp)) {
            Ok(found) => verdicts.extend(found),
            Err(error) => return fail(&error.to_string()),
        }
    }
    let is_failure = verdicts.iter().any(|verdict| verdict.gravity == Gravity::Failure);
    ended(check::show(&verdicts, json), |()| match is_failure {
        true => ExitCode::FAILURE,
        false => ExitCode::SUCCESS,
    })
}

/// A plan for each event, with its number in a file of several.
fn plan(
    contract: &Contract,
    files: &[PathBuf],
    published: &Properties,
) -> Result<Vec<(Option<usize>, Plan)>, EventsFileError> {
    let mut plans = Vec::new();
    for file in files {
        let messages = events_file::messages(file, published)?;
        let several = messages.len() > 1;
        for (message, number) in messages.iter().zip(1..) {
            let plan = Plan::of(message, contract, fresh_stamp().at);
            plans.push((several.then_some(number), plan));
        }
    }
    Ok(plans)
}

fn look_up(numbered: Vec<(Option<usize>, Plan)>, settings: &Settings, json: bool) -> ExitCode {
    let (numbers, mut plans): (Vec<_>, Vec<_>) = numbered.into_iter().unzip();
    let looked_up = in_runtime(look_up::look_up(&mut plans, settings, fresh_stamp));
    match looked_up {
        Ok(Ok(())) => show(&numbers.into_iter().zip(plans).collect::<Vec<_>>(), json),
        Ok(Err(error)) => fail(&error.to_string()),
        Err(error) => fail(&error.to_string()),
    }
}

fn show(plans: &[(Option<usize>, Plan)], json: bool) -> ExitCode {
    let mut text = String::new();
    for (number, plan) in plans {
        let number = number.map(|number| format!("{number}: ")).unwrap_or_default();
        let shown = if json { plan.json() } else { format!("{number}{plan}") };
        text.push_str(&shown);
        text.push('\n');
    }
    let printed = print(&text);
    if plans.iter().all(|(_, plan)| plan.is_carried_out()) { printed } else { REFUSED.into() }
}

fn send(events: &Send, settings: &Queues) -> ExitCode {
    let Stamp { at, request_id } = fresh_stamp();
    match in_runtime(send::run(events, settings, at, request_id)) {
        Ok(sent) => ended(sent, |sent| match sent {
            Sent::All => ExitCode::SUCCESS,
            Sent::None => REFUSED.into(),
        }),
        Err(error) => fail(&error.to_string()),
    }
}

fn dlq(asked: &Dlq, settings: &Queues, by_hand: Option<&ByHand>) -> ExitCode {
    match in_runtime(dlq::run(asked, settings, by_hand, fresh_stamp().at)) {
        Ok(Ok(dlq::Ended::Done)) => ExitCode::SUCCESS,
        Ok(Ok(dlq::Ended::Left)) => REFUSED.into(),
        Ok(Err(error @ DlqError::NotConfirmed { .. })) => {
            fail(&error.to_string());
            REFUSED.into()
        }
        Ok(Err(error)) => fail(&error.to_string()),
        Err(error) => fail(&error.to_string()),
    }
}

fn audit(asked: &audit::Audit, seal: &Seal) -> ExitCode {
    match audit::run(asked, seal, fresh_stamp().at) {
        Ok(Proof::Whole) => ExitCode::SUCCESS,
        Ok(Proof::Wanting) => REFUSED.into(),
        Err(error) => fail(&error.to_string()),
    }
}

/// Where it is written down what is done with this command.
fn by_hand(audit: Audit) -> ByHand {
    let words = std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned());
    ByHand::new(audit, words.collect::<Vec<_>>().join(" "), || {
        let Stamp { at, request_id } = fresh_stamp();
        (at, request_id)
    })
}

/// Runs something that waits. What it leaves behind is not waited for.
fn in_runtime<T>(something: impl Future<Output = T>) -> io::Result<T> {
    let runtime = tokio::runtime::Runtime::new()?;
    let ended = runtime.block_on(something);
    runtime.shutdown_background();
    Ok(ended)
}

fn ended<T, E: std::error::Error>(
    result: Result<T, E>,
    then: impl FnOnce(T) -> ExitCode,
) -> ExitCode {
    result.map_or_else(|error| fail(&error.to_string()), then)
}

fn fail(error: &str) -> ExitCode {
    // Standard error is all there is to tell it to.
    let _shown = writeln!(io::stderr(), "mimecast-eventd: {error}");
    ExitCode::FAILURE
}

fn refuse(mistakes: &[Mistake]) -> ExitCode {
    let mut text = format!("mimecast-eventd: {} in the settings:\n", counted(mistakes.len()));
    for mistake in mistakes {
        text.push_str(&format!("  {mistake}\n"));
    }
    // Standard error is all there is to tell it to.
    let _shown = io::stderr().write_all(text.as_bytes());
    USAGE.into()
}

fn counted(mistakes: usize) -> String {
    if mistakes == 1 { "1 mistake".to_owned() } else { format!("{mistakes} mistakes") }
}

fn print(text: &str) -> ExitCode {
    ended(unless_closed(io::stdout().write_all(text.as_bytes())), |()| ExitCode::SUCCESS)
}

/// The only place where the time is read and an id made.
fn fresh_stamp() -> Stamp {
    Stamp { at: Utc::now(), request_id: Uuid::new_v4() }
}
