//! `audit` on the command line.

use super::settings::{given, with_settings};
use super::{Request, files, json, missing, option, switch, text};
use crate::cli::audit::{Audit, Moment, Period, Question, Wanted};
use clap::{Arg, ArgGroup, ArgMatches, Command};
use std::path::PathBuf;

const FILES: &str = "\
Files may be given in any order, those of several hosts together; `-` is standard input, as for\n\
what was compressed. What was sealed with a key takes the same one: audit.key_file names it.";

const EXIT: &str = "\
Exit codes: 0 whole, 2 not whole or nothing found, 1 a file cannot be read, 64 bad usage or\n\
settings.";

pub(super) fn command() -> Command {
    let after = format!("{FILES}\n\n{EXIT}");
    let verify = Command::new("verify")
        .about("Prove that files are whole, or name the first line that is not")
        .before_help(
            "Examples:\n  \
             mimecast-eventd audit verify audit.jsonl*\n  \
             zcat audit.jsonl.2.gz | mimecast-eventd audit verify - audit.jsonl.1 audit.jsonl\n  \
             mimecast-eventd audit verify --head 5f2c… audit.jsonl",
        )
        .after_help(format!(
            "A chain cannot show that its last lines are missing. `--head` takes a seal that was once\n\
             said to be the last, in the log, in /status.json or by this command: a line must have it.\n\n{after}"
        ));
    let verify = with_settings(verify).args([
        option("head", "SEAL", "A line has to have this seal"),
        switch("from-first", "Each chain has to begin with its line 1"),
        switch("strict", "The trail has to be as the daemon has left it, at each start and now"),
        json("chain, and one for each broken line"),
        paths(),
    ]);
    let show = Command::new("show")
        .about("What was done for somebody, and when")
        .before_help(
            "Examples:\n  \
             mimecast-eventd audit show --address ada@example.com audit.jsonl*\n  \
             mimecast-eventd audit show --id e-1 --since 30d --json audit.jsonl",
        )
        .after_help(format!("A line that has not the right seal is marked with `!`.\n\n{after}"));
    let show = with_settings(show)
        .args([
            option("address", "ADDRESS", "About this address, domain or URL, in any case"),
            option("id", "ID", "Of the event or message with this id"),
            since(),
            until(),
            json("line"),
            paths(),
        ])
        .group(ArgGroup::new("whose").args(["address", "id"]).required(true));
    let report = Command::new("report")
        .about("How it went, as one page in HTML: how many, how fast, what failed and why")
        .before_help(
            "Examples:\n  \
             mimecast-eventd audit report --since 2026-10-01 --until 2026-11-01 audit.jsonl* > october.html",
        )
        .after_help(after.clone());
    let report = with_settings(report).args([since(), until(), paths()]);
    Command::new("audit")
        .about("Prove audit trails whole, and answer from them")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommands([verify, show, report])
        .after_help(after)
}

pub(super) fn read(matches: &ArgMatches) -> Result<Request, clap::Error> {
    let Some((name, matches)) = matches.subcommand() else {
        return Err(missing("a command of audit is missing"));
    };
    let question = match name {
        "verify" => Question::Verify {
            head: text(matches, "head"),
            from_first: matches.get_flag("from-first"),
            strict: matches.get_flag("strict"),
            json: matches.get_flag("json"),
        },
        "show" => {
            let address = text(matches, "address").map(Wanted::Address);
            let id = || text(matches, "id").map(Wanted::Id);
            let Some(wanted) = address.or_else(id) else {
                return Err(missing("an address or an id is missing"));
            };
            Question::Show { wanted, period: period(matches), json: matches.get_flag("json") }
        }
        "report" => Question::Report(period(matches)),
        _ => return Err(missing("a command of audit is missing")),
    };
    Ok(Request::Audit(given(matches), Audit { question, files: files(matches, "FILE") }))
}

fn period(matches: &ArgMatches) -> Period {
    let moment = |name: &str| matches.get_one::<Moment>(name).copied();
    Period { since: moment("since"), until: moment("until") }
}

fn since() -> Arg {
    option("since", "TIME", "Not before this day, time, or so long ago").value_parser(Moment::parse)
}

fn until() -> Arg {
    option("until", "TIME", "Before this day, time, or so long ago").value_parser(Moment::parse)
}

fn paths() -> Arg {
    Arg::new("FILE")
        .required(true)
        .num_args(1..)
        .value_parser(clap::value_parser!(PathBuf))
        .help("A file of an audit trail")
}
