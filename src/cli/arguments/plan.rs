//! `plan` on the command line.

use super::settings::{given, with_settings};
use super::{Request, files, json, option, switch, text};
use crate::cli::events_file::Properties;
use clap::{Arg, ArgMatches, Command};
use std::path::PathBuf;

pub(super) fn command() -> Command {
    let plan = Command::new("plan")
        .about("Show what events would come to; without --look-up it asks nobody")
        .before_help(
            "Examples:\n  \
             mimecast-eventd plan event.json\n  \
             producer | mimecast-eventd plan --json\n  \
             mimecast-eventd plan --routing-key user.offboarded --look-up bare.json",
        )
        .after_help(
            "\
A file holds one event, or one on each line. Exit codes: 0 all would be carried out, 2 one would\n\
not, 1 a file cannot be read, 64 bad settings.",
        );
    with_settings(plan).args([
        events(),
        option("routing-key", "KEY", "As it would be published; tells the type of a bare body"),
        option("content-type", "TYPE", "As it would be published"),
        option("user-id", "NAME", "The user of the broker that would publish it"),
        switch("look-up", "Ask the vendor for groups and URLs; reads only, and needs its keys"),
        json("event"),
    ])
}

/// The files that events are read from.
pub(super) fn events() -> Arg {
    Arg::new("events")
        .value_name("FILE")
        .num_args(0..)
        .default_value("-")
        .value_parser(clap::value_parser!(PathBuf))
        .help("Files with events; - is standard input")
}

pub(super) fn read(matches: &ArgMatches) -> Request {
    let published = Properties {
        routing_key: text(matches, "routing-key").unwrap_or_default(),
        content_type: text(matches, "content-type"),
        user_id: text(matches, "user-id"),
    };
    Request::Plan {
        given: given(matches),
        events: files(matches, "events"),
        published,
        json: matches.get_flag("json"),
        look_up: matches.get_flag("look-up"),
    }
}
