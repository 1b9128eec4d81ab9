//! `send` on the command line.

use super::plan::events;
use super::settings::with_settings;
use super::{files, option, switch, text, texts};
use crate::cli::events_file::Properties;
use crate::cli::send::{Events, NewEvent, Send};
use crate::event::EventType;
use clap::builder::PossibleValuesParser;
use clap::error::ErrorKind;
use clap::{Arg, ArgAction, ArgMatches, Command};
use serde_json::Value;

/// The flags that make the data of an event: their names, whether they may be repeated, the field, of
/// which type of event it is, and the help.
const FIELDS: [(&str, bool, &str, EventType, &str); 7] = [
    ("email", false, "emailAddress", EventType::UserOffboarded, "The address that left"),
    ("domain", false, "domain", EventType::UserOffboarded, "The domain that left"),
    ("group", true, "groups", EventType::UserOffboarded, "A group by its name; may be repeated"),
    ("group-id", true, "groupIds", EventType::UserOffboarded, "A group by its id; may be repeated"),
    ("url", false, "url", EventType::UrlUnblock, "The URL that is harmless"),
    ("entry-id", true, "ids", EventType::UrlUnblock, "A managed URL entry; may be repeated"),
    (
        "effective-at",
        false,
        "effectiveAt",
        EventType::UserOffboarded,
        "From when on, as 2026-11-30T17:00:00Z",
    ),
];

pub(super) fn command() -> Command {
    let send = Command::new("send")
        .about("Publish events, after all of them were held to the contract")
        .before_help(
            "Examples:\n  \
             mimecast-eventd send --type user.offboarded --email ada@example.com --group Staff\n  \
             mimecast-eventd send --type url.unblock --url https://example.com/ --dry-run\n  \
             mimecast-eventd send events.ndjson\n  \
             mimecast-eventd dlq export --code group_not_found | mimecast-eventd send",
        )
        .after_help(
            "\
A file holds one event, or one on each line, or what `dlq export` wrote (of whose headers the\n\
attributes of CloudEvents are kept). When one of them would not be carried out, none is sent.\n\
Each is confirmed by the broker, and returned by it if no queue takes it. Exit codes: 0 all are\n\
in their queues, 2 none was sent because one is wrong, 1 failure, 64 bad usage or settings.",
        );
    let types = PossibleValuesParser::new(EventType::ALL.map(EventType::name));
    let fields = FIELDS.iter().map(|(name, several, _, _, help)| {
        let action = if *several { ArgAction::Append } else { ArgAction::Set };
        option(name, "VALUE", help).action(action).requires("type")
    });
    with_settings(send)
        .args([
            events(),
            option("type", "TYPE", "Make one event of this type from flags").value_parser(types),
            option("id", "ID", "Its id; a random one by default").requires("type"),
            option("source", "SOURCE", "Who says so").default_value("/mimecast-eventd/send"),
            option("routing-key", "KEY", "By which the events of files are published"),
            option("content-type", "TYPE", "Of the bodies in files"),
            switch("dry-run", "Show what they would come to, and send nothing"),
        ])
        .args(fields.collect::<Vec<Arg>>())
}

pub(super) fn read(matches: &ArgMatches) -> Result<Send, clap::Error> {
    let events = match text(matches, "type") {
        None => Events::Files(files(matches, "events")),
        Some(event_type) => Events::New(new_event(matches, &event_type)?),
    };
    let published = Properties {
        routing_key: text(matches, "routing-key").unwrap_or_default(),
        content_type: text(matches, "content-type"),
        user_id: None,
    };
    Ok(Send { events, published, dry_run: matches.get_flag("dry-run") })
}

fn new_event(matches: &ArgMatches, named: &str) -> Result<NewEvent, clap::Error> {
    let wrong = |text: String| super::command().error(ErrorKind::ArgumentConflict, text);
    if matches.value_source("events") != Some(clap::parser::ValueSource::DefaultValue) {
        return Err(wrong("--type makes an event of flags: it goes with no FILE".into()));
    }
    let event_type = EventType::ALL.into_iter().find(|event_type| event_type.name() == named);
    let event_type = event_type.expect("only names of types are taken");
    let mut data = Vec::new();
    for (flag, several, field, of, _) in FIELDS {
        let values = texts(matches, flag);
        let Some(first) = values.first() else { continue };
        if of != event_type && field != "effectiveAt" {
            return Err(wrong(format!("--{flag} is a field of {}, not of {named}", of.name())));
        }
        data.push((
            field,
            if several { values.clone().into() } else { Value::from(first.as_str()) },
        ));
    }
    let source = text(matches, "source").unwrap_or_default();
    Ok(NewEvent { event_type, id: text(matches, "id"), source, data })
}
