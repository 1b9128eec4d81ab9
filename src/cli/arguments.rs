//! The command line.

use super::plan::Properties;
use crate::settings::{SETTINGS, Setting};
use clap::{Arg, ArgAction, ArgMatches, Command};
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
    Run {
        /// Settings given as flags, by key.
        flags: Vec<(&'static str, String)>,
        /// The settings file.
        file: Option<PathBuf>,
    },
    /// Check settings, broker and vendor.
    Check {
        /// Settings given as flags, by key.
        flags: Vec<(&'static str, String)>,
        /// The settings file.
        file: Option<PathBuf>,
        /// Stop after the settings.
        offline: bool,
    },
    /// Ask the daemon on this machine whether it works.
    Healthcheck {
        /// Settings given as flags, by key.
        flags: Vec<(&'static str, String)>,
        /// The settings file.
        file: Option<PathBuf>,
    },
    /// Show what events come to, without asking anybody.
    Plan {
        /// Settings given as flags, by key.
        flags: Vec<(&'static str, String)>,
        /// The settings file.
        file: Option<PathBuf>,
        /// Files with events; `-` is standard input.
        events: Vec<PathBuf>,
        /// What would be published beside the bodies.
        published: Properties,
        /// One JSON object an event.
        json: bool,
        /// Whether the vendor is asked for what is called by names.
        look_up: bool,
    },
    /// Print the code table.
    Codes,
}

/// Reads the command line; every setting that is not a secret has a flag.
///
/// # Errors
///
/// A usage error, or the text of `--help` or `--version`, ready to be printed.
pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Request, clap::Error> {
    let matches = command().try_get_matches_from(arguments)?;
    match matches.subcommand() {
        Some(("run", matches)) => {
            let (flags, file) = settings(matches);
            Ok(Request::Run { flags, file })
        }
        Some(("check", matches)) => {
            let (flags, file) = settings(matches);
            Ok(Request::Check { flags, file, offline: matches.get_flag("offline") })
        }
        Some(("healthcheck", matches)) => {
            let (flags, file) = settings(matches);
            Ok(Request::Healthcheck { flags, file })
        }
        Some(("plan", matches)) => {
            let (flags, file) = settings(matches);
            let text = |name: &str| matches.get_one::<String>(name).cloned();
            let published = Properties {
                routing_key: text("routing-key").unwrap_or_default(),
                content_type: text("content-type"),
                user_id: text("user-id"),
            };
            let events = matches.get_many("events").into_iter().flatten().cloned().collect();
            let (json, look_up) = (matches.get_flag("json"), matches.get_flag("look-up"));
            Ok(Request::Plan { flags, file, events, published, json, look_up })
        }
        Some(("codes", _)) => Ok(Request::Codes),
        _ => {
            Err(command().error(clap::error::ErrorKind::MissingSubcommand, "a command is missing"))
        }
    }
}

fn command() -> Command {
    let run = with_settings(Command::new("run").about("Run the daemon")).after_help(
        "Each setting can also come from its environment variable or from the file; a flag wins \
             over the environment, the environment over the file. Secrets have no flag: each comes \
             from its variable, or from a file named by the same variable with _FILE.\n\n\
             Exit codes: 0 clean stop, 1 failure, 64 bad usage or settings.",
    );
    let check = with_settings(
        Command::new("check").about("Check settings, broker and vendor; changes nothing"),
    )
    .after_help("Exit codes: 0 all is well or only warned of, 1 failure, 64 bad settings.")
    .arg(
        Arg::new("offline")
            .long("offline")
            .action(ArgAction::SetTrue)
            .help("Stop after the settings"),
    );
    let healthcheck = with_settings(
        Command::new("healthcheck").about("Ask the daemon on this machine whether it works"),
    );
    let plan = with_settings(
        Command::new("plan").about("Show what events would come to; without --look-up it asks nobody"),
    )
    .after_help(
        "A file holds one event, or one on each line. Exit codes: 0 all would be carried out, 2 one \
         would not, 1 a file cannot be read, 64 bad settings.",
    )
    .args([
        Arg::new("events")
            .value_name("FILE")
            .num_args(0..)
            .default_value("-")
            .value_parser(clap::value_parser!(PathBuf))
            .help("Files with events; - is standard input"),
        Arg::new("routing-key")
            .long("routing-key")
            .value_name("KEY")
            .help("As it would be published; tells the type of a bare body"),
        Arg::new("content-type")
            .long("content-type")
            .value_name("TYPE")
            .help("As it would be published"),
        Arg::new("user-id")
            .long("user-id")
            .value_name("NAME")
            .help("The user of the broker that would publish it"),
        Arg::new("look-up")
            .long("look-up")
            .action(ArgAction::SetTrue)
            .help("Ask the vendor for groups and URLs; reads only, and needs its keys"),
        Arg::new("json").long("json").action(ArgAction::SetTrue).help("One JSON object an event"),
    ]);
    Command::new("mimecast-eventd")
        .about("Makes a Mimecast tenant agree with offboarding and unblock events from RabbitMQ")
        .version(format!("{} ({REVISION})", env!("CARGO_PKG_VERSION")))
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommands([run, check, healthcheck, plan])
        .subcommand(Command::new("codes").about("Print the table of the vendor's error codes"))
}

fn with_settings(command: Command) -> Command {
    let config = Arg::new("config")
        .long("config")
        .value_name("FILE")
        .value_parser(clap::value_parser!(PathBuf))
        .help("Settings file in TOML; by default EVENTD_CONFIG, else none");
    command.arg(config).args(SETTINGS.iter().filter_map(argument))
}

fn argument(setting: &'static Setting) -> Option<Arg> {
    let default = setting.default.map(|default| format!(" [default: {default}]"));
    let help = format!("{}{}", setting.help, default.unwrap_or_default());
    Some(Arg::new(setting.key).long(setting.flag()?).value_name("VALUE").help(help))
}

fn settings(matches: &ArgMatches) -> (Vec<(&'static str, String)>, Option<PathBuf>) {
    let given = SETTINGS.iter().filter(|setting| !setting.secret);
    let flags = given
        .filter_map(|setting| Some((setting.key, matches.get_one::<String>(setting.key)?.clone())))
        .collect();
    (flags, matches.get_one::<PathBuf>("config").cloned())
}
