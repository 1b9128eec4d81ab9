//! The command line: what can be asked for, its help, and how it is read.

mod audit;
mod config;
mod control;
mod dlq;
mod plan;
mod send;
mod settings;

use super::audit::Audit;
use super::dlq::Dlq;
use super::events_file::Properties;
use super::send::Send;
use crate::daemon::Order;
use crate::settings::Given;
use clap::error::ErrorKind;
use clap::{Arg, ArgAction, ArgMatches, Command};
use clap_complete::Shell;
use settings::{given, with_settings};
use std::ffi::OsString;
use std::path::PathBuf;

/// The source revision that the program was built from; whoever builds it says so.
pub const REVISION: &str = match option_env!("MIMECAST_EVENTD_REVISION") {
    Some(revision) => revision,
    None => "unknown",
};

/// What the command line asks for.
#[derive(Debug, PartialEq, Eq)]
pub enum Request {
    /// Run the daemon.
    Run(Given),
    /// Check settings, broker and vendor.
    Check {
        /// The settings.
        given: Given,
        /// Stop after what can be seen on this machine.
        offline: bool,
        /// One JSON object a verdict.
        json: bool,
    },
    /// Ask the daemon on this machine whether it works.
    Healthcheck(Given),
    /// Show what events come to.
    Plan {
        /// The settings.
        given: Given,
        /// Files with events; `-` is standard input.
        events: Vec<PathBuf>,
        /// What would be published beside the bodies.
        published: Properties,
        /// One JSON object an event.
        json: bool,
        /// Whether the vendor is asked for what is called by names.
        look_up: bool,
    },
    /// Publish events.
    Send(Given, Send),
    /// Work on dead letters.
    Dlq(Given, Dlq),
    /// Prove audit trails whole, and answer from them.
    Audit(Given, Audit),
    /// Print whether the daemon on this machine is working right now.
    Status {
        /// The settings.
        given: Given,
        /// One JSON object.
        json: bool,
    },
    /// Pause a lane of the daemon on this machine, or let it go on.
    Control {
        /// The settings.
        given: Given,
        /// What is wanted.
        order: Order,
        /// One JSON object a lane.
        json: bool,
    },
    /// Print what addresses are called in the log.
    Pseudonym(Given, Vec<String>),
    /// Print the settings, with their origins.
    ConfigShow {
        /// The settings.
        given: Given,
        /// One JSON object a setting.
        json: bool,
    },
    /// Print the schema of the settings file.
    ConfigSchema,
    /// Print the completions for a shell.
    Completions(Shell),
    /// Print the man page, or write all of them into a folder.
    Man(Option<PathBuf>),
    /// Print the code table.
    Codes {
        /// One JSON object a code.
        json: bool,
    },
}

/// Reads the command line; every setting that is not a secret has a flag.
///
/// # Errors
///
/// A usage error, or the text of `--help` or `--version`, ready to be printed.
pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Request, clap::Error> {
    let matches = command().try_get_matches_from(arguments)?;
    match matches.subcommand() {
        Some(("run", matches)) => Ok(Request::Run(given(matches))),
        Some(("check", matches)) => {
            let (offline, json) = (matches.get_flag("offline"), matches.get_flag("json"));
            Ok(Request::Check { given: given(matches), offline, json })
        }
        Some(("healthcheck", matches)) => Ok(Request::Healthcheck(given(matches))),
        Some(("plan", matches)) => Ok(plan::read(matches)),
        Some(("send", matches)) => Ok(Request::Send(given(matches), send::read(matches)?)),
        Some(("dlq", matches)) => dlq::read(matches),
        Some(("audit", matches)) => audit::read(matches),
        Some(("status", matches)) => {
            Ok(Request::Status { given: given(matches), json: matches.get_flag("json") })
        }
        Some(("pause", matches)) => Ok(control::read(matches, true)),
        Some(("resume", matches)) => Ok(control::read(matches, false)),
        Some(("config", matches)) => config::read(matches),
        Some(("completions", matches)) => Ok(config::read_completions(matches)),
        Some(("man", matches)) => Ok(Request::Man(matches.get_one("FOLDER").cloned())),
        Some(("pseudonym", matches)) => {
            Ok(Request::Pseudonym(given(matches), texts(matches, "ADDRESS")))
        }
        Some(("codes", matches)) => Ok(Request::Codes { json: matches.get_flag("json") }),
        _ => Err(missing("a command is missing")),
    }
}

/// The whole command line, as help, completions and man pages are made from it.
pub fn command() -> Command {
    let run = with_settings(Command::new("run").about("Run the daemon")).after_help(
        "\
Each setting can also come from its environment variable or from the file; a flag wins over the\n\
environment, the environment over the file. Secrets have no flag: each comes from its variable,\n\
or from a file named by the same variable with _FILE.\n\
\n\
Exit codes: 0 clean stop, 1 failure, 64 bad usage or settings.",
    );
    let check = with_settings(
        Command::new("check").about("Check settings, broker and vendor; changes nothing"),
    )
    .before_help("Examples:\n  mimecast-eventd check\n  mimecast-eventd check --json | jq -r 'select(.verdict != \"ok\").hint'")
    .after_help(
        "\
A verdict a line: how grave, on what, what was found; what to do. The vendor is asked to remove\n\
what does not exist, so that nothing changes. Exit codes: 0 all is well or only warned of, 1\n\
failure, 64 bad settings.",
    )
    .args([
        switch("offline", "Stop after what can be seen on this machine"),
        json("verdict"),
    ]);
    let healthcheck = with_settings(
        Command::new("healthcheck").about("Ask the daemon on this machine whether it works"),
    );
    let status = with_settings(
        Command::new("status")
            .about("Whether the daemon on this machine is working right now, in facts"),
    )
    .before_help("Examples:\n  mimecast-eventd status\n  mimecast-eventd status --json | jq .lanes")
    .after_help(
        "Exit codes: 0 ready, 2 not ready, 1 no daemon answers at admin.listen, 64 bad usage.",
    )
    .arg(switch("json", "One JSON object, as /status.json has it"));
    let addresses =
        Arg::new("ADDRESS").required(true).num_args(1..).help("An address, in any case");
    let pseudonym = with_settings(
        Command::new("pseudonym")
            .about("What addresses are called in the log, to search for them there"),
    )
    .before_help("Examples:\n  mimecast-eventd pseudonym ada@example.com")
    .arg(addresses);
    let codes = Command::new("codes")
        .about("Print the table of the vendor's error codes, with what to do")
        .arg(json("code"));
    Command::new("mimecast-eventd")
        .about("Makes a Mimecast tenant agree with offboarding and unblock events from RabbitMQ")
        .version(format!("{} ({REVISION})", env!("CARGO_PKG_VERSION")))
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommands([run, check, healthcheck, plan::command(), send::command(), dlq::command()])
        .subcommands([control::pause(), control::resume(), audit::command()])
        .subcommands([
            status,
            pseudonym,
            codes,
            config::command(),
            config::completions(),
            config::man(),
        ])
}

fn missing(what: &str) -> clap::Error {
    command().error(ErrorKind::MissingSubcommand, what)
}

fn json(what: &str) -> Arg {
    switch("json", &format!("One JSON object a {what}, a line each"))
}

fn switch(name: &'static str, help: &str) -> Arg {
    Arg::new(name).long(name).action(ArgAction::SetTrue).help(help.to_owned())
}

fn option(name: &'static str, value: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).value_name(value).help(help)
}

fn text(matches: &ArgMatches, name: &str) -> Option<String> {
    matches.get_one::<String>(name).cloned()
}

fn texts(matches: &ArgMatches, name: &str) -> Vec<String> {
    matches.get_many(name).into_iter().flatten().cloned().collect()
}

fn files(matches: &ArgMatches, name: &str) -> Vec<PathBuf> {
    matches.get_many(name).into_iter().flatten().cloned().collect()
}
