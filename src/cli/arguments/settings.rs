//! The settings on the command line.

use crate::settings::{Given, SETTINGS, Setting, Timings};
use clap::{Arg, ArgMatches, Command};
use std::path::PathBuf;

/// Lets a command take settings. They are many, so that only the long help has them.
pub(super) fn with_settings(command: Command) -> Command {
    let config = Arg::new("config")
        .long("config")
        .value_name("FILE")
        .value_parser(clap::value_parser!(PathBuf))
        .help("Settings file in TOML; by default EVENTD_CONFIG, else none");
    command
        .arg(config)
        .next_help_heading("Settings (all of them with --help)")
        .args(SETTINGS.iter().filter_map(argument))
        .next_help_heading(None::<&str>)
}

/// What was given.
pub(super) fn given(matches: &ArgMatches) -> Given {
    let open = SETTINGS.iter().filter(|setting| !setting.secret);
    let flags = open
        .filter_map(|setting| Some((setting.key, matches.get_one::<String>(setting.key)?.clone())))
        .collect();
    let file = matches.get_one::<PathBuf>("config").cloned();
    Given { flags, file, timings: Timings::default() }
}

fn argument(setting: &'static Setting) -> Option<Arg> {
    let default = setting.default.map(|default| format!(" [default: {default}]"));
    let help = format!("{}{}", setting.help, default.unwrap_or_default());
    let argument = Arg::new(setting.key).long(setting.flag()?).value_name("VALUE").help(help);
    Some(argument.hide_short_help(true))
}
