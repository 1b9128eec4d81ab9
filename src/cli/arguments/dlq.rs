//! `dlq` on the command line.

use super::settings::{given, with_settings};
use super::{Request, json, missing, option, switch, text, texts};
use crate::cli::dlq::{Act, Discard, Dlq, Filter, Replay};
use crate::event::EventType;
use crate::verdict::Grounds;
use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgAction, ArgMatches, Command};
use std::time::Duration;

const HIDDEN: &str = "\
Reading costs nothing, whatever delivery limit a policy sets: a copy of each dead letter that\n\
stays goes to the end of the queue, and the original leaves it once the copy is confirmed. All\n\
that were there go round once, also those that were not asked for, so that they keep their order;\n\
what comes meanwhile is in between. A command that is killed may leave a few twice, or in another\n\
order. Reading needs the permission to write to amq.default, and a broker without an alarm. Only\n\
what was there when the command began is read.";

pub(super) fn command() -> Command {
    let filtered = |command: Command| with_settings(command).args(filters());
    let list = filtered(Command::new("list").about("A line for each dead letter"))
        .before_help(
            "Examples:\n  \
             mimecast-eventd dlq list --newer-than 1h\n  \
             mimecast-eventd dlq list --reason rejected --json | jq -r .id",
        )
        .after_help(format!("{HIDDEN}\n\n{EXIT}"))
        .arg(json("letter"));
    let stats =
        filtered(Command::new("stats").about("How many there are by reason, code and type"))
            .before_help("Examples:\n  mimecast-eventd dlq stats")
            .after_help(format!("{HIDDEN}\n\n{EXIT}"))
            .arg(json("kind"));
    let show = with_settings(
        Command::new("show")
            .about("Why one is there, what that means, what to do, and the message itself"),
    )
    .before_help("Examples:\n  mimecast-eventd dlq show e-1")
    .after_help(format!("{HIDDEN}\n\n{EXIT}"))
    .args([id(), json("letter")]);
    let export = filtered(
        Command::new("export").about("An object for each, a line each, that `send` takes back"),
    )
    .before_help("Examples:\n  mimecast-eventd dlq export > dead-letters.ndjson")
    .after_help(format!("{HIDDEN}\n\n{EXIT}"));
    let replay =
        filtered(Command::new("replay").about("Send them back to the queues of their lanes"))
            .before_help(
                "Examples:\n  \
             mimecast-eventd dlq replay --code group_not_found --dry-run\n  \
             mimecast-eventd dlq replay --reason retries_exhausted --newer-than 1h --rate 5\n  \
             mimecast-eventd dlq replay --id e-1",
            )
            .after_help(format!("{BACK}\n\n{HIDDEN}\n\n{EXIT}"))
            .args([
                switch("dry-run", "Say what would be sent back, and send nothing"),
                number("limit", "N", "No more than so many"),
                number("rate", "N", "So many a second"),
                option("to", "QUEUE", "To this queue, instead of that of its lane"),
                switch("force", "Also what was sent back three times already"),
                json("letter"),
            ]);
    let discard = filtered(Command::new("discard").about("Throw them away"))
        .before_help(
            "Examples:\n  \
             mimecast-eventd dlq discard --id e-1 --dry-run\n  \
             mimecast-eventd dlq discard --reason malformed --older-than 30d",
        )
        .after_help(format!("{HIDDEN}\n\n{EXIT}"))
        .args([
            switch("dry-run", "Say what would be thrown away, and throw nothing away"),
            number("limit", "N", "No more than so many"),
            switch("yes", "Do not ask for the queue's name"),
            json("letter"),
        ]);
    Command::new("dlq")
        .about("Work on dead letters: look, explain, send back, throw away")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommands([list, stats, show, export, replay, discard])
        .after_help(EXIT)
}

const BACK: &str = "\
Each is published to the queue of its lane through the default exchange, so that no other\n\
subscriber gets it again; confirmed; and then taken out of the dead letters. A kill at any\n\
moment loses none: at worst one is in both. It begins anew: attempts and rungs do not count.\n\
Only lanes of the settings are sent to: `--to` names another queue. What was sent back three\n\
times already is left where it is without `--force`.";

const EXIT: &str = "\
Exit codes: 0 done, 2 something that was asked for was left or is not there, 1 failure, 64 bad\n\
usage or settings.";

pub(super) fn read(matches: &ArgMatches) -> Result<Request, clap::Error> {
    let Some((name, matches)) = matches.subcommand() else {
        return Err(missing("a command of dlq is missing"));
    };
    let (dry_run, limit) = (flag(matches, "dry-run"), count(matches, "limit"));
    let act = match name {
        "list" => Act::List,
        "stats" => Act::Stats,
        "show" => Act::Show(text(matches, "ID").unwrap_or_default()),
        "export" => Act::Export,
        "replay" => Act::Replay(Replay {
            dry_run,
            limit,
            rate: count(matches, "rate"),
            to: text(matches, "to"),
            force: flag(matches, "force"),
        }),
        "discard" => Act::Discard(Discard { dry_run, limit, yes: flag(matches, "yes") }),
        _ => return Err(missing("a command of dlq is missing")),
    };
    let filter = if name == "show" { Filter::default() } else { filter(matches) };
    Ok(Request::Dlq(given(matches), Dlq { filter, act, json: flag(matches, "json") }))
}

fn filters() -> [Arg; 7] {
    let reasons = PossibleValuesParser::new(Grounds::all().map(Grounds::label));
    let types = PossibleValuesParser::new(EventType::ALL.map(EventType::name));
    let several = |argument: Arg| argument.action(ArgAction::Append);
    [
        several(
            option("reason", "REASON", "Why it is there; may be repeated").value_parser(reasons),
        ),
        several(option("code", "CODE", "The code that says more; may be repeated")),
        several(
            option("type", "TYPE", "The type of its event; may be repeated").value_parser(types),
        ),
        duration("older-than", "It is there for longer, as 30m, 2h or 7d; of known age"),
        duration("newer-than", "It is not there for so long yet; of known age"),
        several(option("id", "ID", "Its id; may be repeated")),
        option("text", "TEXT", "A text in its body or detail, whatever the case"),
    ]
}

fn filter(matches: &ArgMatches) -> Filter {
    let (reasons, types) = (texts(matches, "reason"), texts(matches, "type"));
    let length = |name: &str| matches.get_one::<Duration>(name).copied();
    Filter {
        reasons: Grounds::all()
            .filter(|it| reasons.iter().any(|name| name == it.label()))
            .collect(),
        codes: texts(matches, "code"),
        types: EventType::ALL
            .into_iter()
            .filter(|it| types.iter().any(|name| name == it.name()))
            .collect(),
        older_than: length("older-than"),
        newer_than: length("newer-than"),
        ids: texts(matches, "id"),
        text: text(matches, "text"),
    }
}

fn id() -> Arg {
    Arg::new("ID").required(true).help("Its id, or the digest that stands for one")
}

fn duration(name: &'static str, help: &'static str) -> Arg {
    option(name, "TIME", help).value_parser(humantime::parse_duration)
}

fn number(name: &'static str, value: &'static str, help: &'static str) -> Arg {
    option(name, value, help).value_parser(clap::value_parser!(u32).range(1..))
}

/// Not every command has every flag.
fn flag(matches: &ArgMatches, name: &str) -> bool {
    matches.try_get_one(name).ok().flatten().copied().unwrap_or_default()
}

fn count(matches: &ArgMatches, name: &str) -> Option<u32> {
    matches.try_get_one(name).ok().flatten().copied()
}
