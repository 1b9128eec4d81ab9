//! `pause` and `resume` on the command line.

use super::settings::{given, with_settings};
use super::{Request, json, option, text};
use crate::daemon::Order;
use crate::event::EventType;
use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgMatches, Command};
use std::time::Duration;

const WHERE: &str = "\
It speaks to the daemon on this machine, over the socket that control.socket names, and to no\n\
other replica. A pause by hand survives connections to the broker, and ends with the process.\n\
Exit codes: 0 done, 1 no daemon answers or it would not, 64 bad usage or settings.";

pub(super) fn pause() -> Command {
    let pause = Command::new("pause")
        .about("Let a lane of the daemon on this machine rest, by hand")
        .before_help(
            "Examples:\n  \
             mimecast-eventd pause user.offboarded --for 30m --why \"the directory is being moved\"\n  \
             mimecast-eventd pause",
        )
        .after_help(WHERE);
    with_settings(pause).args([
        lane(),
        option("for", "TIME", "Until it goes on by itself, as 30m; for good by default")
            .value_parser(humantime::parse_duration),
        option("why", "TEXT", "For whoever finds it paused"),
        json("lane"),
    ])
}

pub(super) fn resume() -> Command {
    let resume = Command::new("resume")
        .about("Resume a lane that was paused by hand; one that has paused itself asks Mimecast at once")
        .before_help(
            "Examples:\n  mimecast-eventd resume user.offboarded\n  mimecast-eventd resume",
        )
        .after_help(WHERE);
    with_settings(resume).args([lane(), json("lane")])
}

pub(super) fn read(matches: &ArgMatches, pause: bool) -> Request {
    // What is shorter than a second is one.
    let seconds = |length: &Duration| length.as_secs().max(1);
    let length = if pause { matches.get_one("for").map(seconds) } else { None };
    let why = if pause { text(matches, "why") } else { None };
    let order = Order { pause, lane: text(matches, "LANE"), seconds: length, why };
    Request::Control { given: given(matches), order, json: matches.get_flag("json") }
}

fn lane() -> Arg {
    let lanes = PossibleValuesParser::new(EventType::ALL.map(EventType::name));
    Arg::new("LANE").value_parser(lanes).help("The lane, by its event; all of them by default")
}
