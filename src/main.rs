//! The program: arguments and settings first, then the daemon, then the exit code.

use chrono::Utc;
use mimecast_eventd::cli::check::{self, Gravity};
use mimecast_eventd::cli::plan::{self, Plan, PlanError, Properties};
use mimecast_eventd::cli::{Request, arguments, healthcheck, look_up};
use mimecast_eventd::daemon;
use mimecast_eventd::settings::{Contract, Mistake, Settings};
use mimecast_eventd::telemetry::log;
use mimecast_eventd::vendor::Stamp;
use mimecast_eventd::verdict::code;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use uuid::Uuid;

/// Bad usage or settings (`EX_USAGE` of sysexits.h).
const USAGE: u8 = 64;

/// An event that was planned would not be carried out.
const REFUSED: u8 = 2;

fn main() -> ExitCode {
    // Before anything can make a TLS connection: rustls panics where it cannot tell which to use.
    rustls::crypto::ring::default_provider()
        .install_default()
        .expect("nothing else installs a provider");
    match arguments::parse(std::env::args_os()) {
        Ok(Request::Run { flags, file }) => match Settings::of_process(flags, file) {
            Ok(settings) => run(settings),
            Err(mistakes) => refuse(&mistakes),
        },
        Ok(Request::Check { flags, file, offline }) => match Settings::of_process(flags, file) {
            Ok(settings) => check(&settings, offline),
            Err(mistakes) => refuse(&mistakes),
        },
        Ok(Request::Healthcheck { flags, file }) => {
            match healthcheck::ask(Settings::admin_of_process(flags, file)) {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => fail(&error.to_string()),
            }
        }
        Ok(Request::Plan { flags, file, events, published, json, look_up: false }) => {
            match Settings::contract_of_process(flags, file) {
                Ok(contract) => match plan(&contract, &events, &published) {
                    Ok(plans) => show(&plans, json),
                    Err(error) => fail(&error.to_string()),
                },
                Err(mistakes) => refuse(&mistakes),
            }
        }
        Ok(Request::Plan { flags, file, events, published, json, look_up: true }) => {
            match Settings::of_process(flags, file) {
                Ok(settings) => match plan(&settings.contract, &events, &published) {
                    Ok(plans) => look_up(plans, &settings, json),
                    Err(error) => fail(&error.to_string()),
                },
                Err(mistakes) => refuse(&mistakes),
            }
        }
        Ok(Request::Codes) => print(&code::table()),
        Err(error) => {
            let shown = error.print();
            if shown.is_ok() && !error.use_stderr() { ExitCode::SUCCESS } else { USAGE.into() }
        }
    }
}

fn run(settings: Settings) -> ExitCode {
    log::start(settings.log);
    let runtime = tokio::runtime::Runtime::new();
    let ended = runtime.map_err(|error| error.to_string()).and_then(|runtime| {
        let ended = runtime.block_on(async {
            let stop = daemon::on_signals().map_err(|error| error.to_string())?;
            let running = daemon::run(settings, fresh_stamp, arguments::REVISION, stop);
            running.await.map_err(|error| error.to_string())
        });
        runtime.shutdown_background();
        ended
    });
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error, "cannot go on");
            ExitCode::FAILURE
        }
    }
}

fn check(settings: &Settings, offline: bool) -> ExitCode {
    let mut verdicts = vec![check::settings(settings)];
    if !offline {
        let runtime = match tokio::runtime::Runtime::new() {
            Ok(runtime) => runtime,
            Err(error) => return fail(&error.to_string()),
        };
        verdicts.extend(runtime.block_on(check::connections(settings, fresh_stamp)));
        runtime.shutdown_background();
    }
    let worst = verdicts.iter().map(|verdict| verdict.gravity).max();
    let text: String = verdicts.iter().map(|verdict| format!("{verdict}\n")).collect();
    if worst == Some(Gravity::Failure) {
        print(&text);
        return ExitCode::FAILURE;
    }
    print(&text)
}

/// A plan for each event, with its number in a file of several.
fn plan(
    contract: &Contract,
    files: &[PathBuf],
    published: &Properties,
) -> Result<Vec<(Option<usize>, Plan)>, PlanError> {
    let mut plans = Vec::new();
    for file in files {
        let bodies = plan::bodies(file)?;
        let several = bodies.len() > 1;
        for (body, number) in bodies.into_iter().zip(1..) {
            let plan = Plan::of(body, published, contract, fresh_stamp().at);
            plans.push((several.then_some(number), plan));
        }
    }
    Ok(plans)
}

fn look_up(numbered: Vec<(Option<usize>, Plan)>, settings: &Settings, json: bool) -> ExitCode {
    let (numbers, mut plans): (Vec<_>, Vec<_>) = numbered.into_iter().unzip();
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error.to_string()),
    };
    match runtime.block_on(look_up::look_up(&mut plans, settings, fresh_stamp)) {
        Ok(()) => show(&numbers.into_iter().zip(plans).collect::<Vec<_>>(), json),
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
    match io::stdout().write_all(text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// The only place where the time is read and an id made.
fn fresh_stamp() -> Stamp {
    Stamp { at: Utc::now(), request_id: Uuid::new_v4() }
}
