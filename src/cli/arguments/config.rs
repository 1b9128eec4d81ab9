//! `config`, `completions` and `man` on the command line.

use super::settings::{given, with_settings};
use super::{Request, json, missing};
use clap::{Arg, ArgMatches, Command};
use clap_complete::Shell;
use std::path::PathBuf;

pub(super) fn command() -> Command {
    let show = with_settings(
        Command::new("show").about("Every setting, its value and where it comes from; secrets are not shown"),
    )
    .before_help("Examples:\n  mimecast-eventd config show\n  mimecast-eventd config show --json | jq -r .key")
    .after_help("Exit codes: 0 they are good, 64 they are not, and it is said why.")
    .arg(json("setting"));
    let schema = Command::new("schema")
        .about("The JSON Schema of the settings file")
        .before_help("Examples:\n  mimecast-eventd config schema > settings.schema.json");
    Command::new("config")
        .about("The settings as the daemon would find them")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommands([show, schema])
}

pub(super) fn completions() -> Command {
    Command::new("completions")
        .about("Completions for a shell")
        .before_help(
            "Examples:\n  \
             source <(mimecast-eventd completions bash)\n  \
             mimecast-eventd completions fish > ~/.config/fish/completions/mimecast-eventd.fish",
        )
        .arg(shell())
}

pub(super) fn man() -> Command {
    let folder = Arg::new("FOLDER")
        .value_parser(clap::value_parser!(PathBuf))
        .help("Where the pages of all commands go; by default that of the program is printed");
    Command::new("man")
        .about("Man pages")
        .before_help("Examples:\n  mimecast-eventd man | man -l -\n  mimecast-eventd man /usr/local/share/man/man1")
        .arg(folder)
}

pub(super) fn read(matches: &ArgMatches) -> Result<Request, clap::Error> {
    match matches.subcommand() {
        Some(("show", matches)) => {
            Ok(Request::ConfigShow { given: given(matches), json: matches.get_flag("json") })
        }
        Some(("schema", _)) => Ok(Request::ConfigSchema),
        _ => Err(missing("a command of config is missing")),
    }
}

pub(super) fn read_completions(matches: &ArgMatches) -> Request {
    Request::Completions(*matches.get_one(SHELL).expect("it is required"))
}

const SHELL: &str = "SHELL";

fn shell() -> Arg {
    let shells = [Shell::Bash, Shell::Zsh, Shell::Fish];
    Arg::new(SHELL)
        .required(true)
        .value_parser(clap::builder::EnumValueParser::<Shell>::new())
        .help(format!("One of {}", shells.map(|shell| shell.to_string()).join(", ")))
        .hide_possible_values(true)
}
