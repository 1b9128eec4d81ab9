//! Looks at dead letters, and leaves them where they are.

use super::letter::Letter;
use super::{Desk, DlqError, Ended};
use crate::cli::terminal::{self, is_closed, say, say_json, tell};
use crate::event::EventType;
use crate::verdict::Grounds;
use serde_json::json;
use std::collections::BTreeMap;

/// Kinds of letters that are counted apart; the codes of any others are not told.
const MOST_KINDS: usize = 1_000;

/// A line each.
pub(super) async fn list(desk: &mut Desk<'_>, json: bool) -> Result<Ended, DlqError> {
    let mut found = 0;
    while !is_closed()
        && let Some(letter) = desk.next().await?
    {
        if found == 0 && !json {
            say(&Letter::header())?;
        }
        found += 1;
        if json { say_json(&letter.json()) } else { say(&letter.row()) }?;
    }
    if !json {
        tell(&counted(found));
    }
    Ok(Ended::Done)
}

/// How many there are by reason, code and type.
pub(super) async fn stats(desk: &mut Desk<'_>, json: bool) -> Result<Ended, DlqError> {
    type Kind = (Grounds, Option<String>, Option<EventType>);
    let mut kinds: BTreeMap<Kind, (u32, Option<u64>, Option<u64>)> = BTreeMap::new();
    let mut found = 0;
    while let Some(letter) = desk.next().await? {
        found += 1;
        let age = letter.age.map(|age| age.as_secs());
        let code = letter.found.code.as_ref().map(|code| terminal::plain(code, 256));
        let mut kind = (letter.found.grounds, code, letter.event_type);
        if kinds.len() >= MOST_KINDS && !kinds.contains_key(&kind) {
            kind.1 = Some("other codes".into());
        }
        let (count, youngest, oldest) = kinds.entry(kind).or_default();
        *count += 1;
        *youngest = [*youngest, age].into_iter().flatten().min();
        *oldest = (*oldest).max(age);
    }
    let mut kinds: Vec<_> = kinds.into_iter().collect();
    kinds.sort_by_key(|(_, (count, ..))| std::cmp::Reverse(*count));
    if json {
        for ((grounds, code, event_type), (count, youngest, oldest)) in kinds {
            let kind = json!({
                "reason": grounds.label(), "code": code, "type": event_type.map(EventType::name),
                "count": count, "youngest_seconds": youngest, "oldest_seconds": oldest,
            });
            say_json(&kind)?;
        }
        return Ok(Ended::Done);
    }
    let age = |seconds: Option<u64>| {
        seconds.map_or("?".into(), |seconds| terminal::age(std::time::Duration::from_secs(seconds)))
    };
    let rows = kinds.into_iter().map(|((grounds, code, event_type), (count, youngest, oldest))| {
        let code = terminal::plain(code.as_deref().unwrap_or("-"), 64);
        let event_type = event_type.map_or("?", EventType::name);
        let grounds = grounds.label().to_owned();
        vec![count.to_string(), grounds, code, event_type.into(), age(youngest), age(oldest)]
    });
    if found > 0 {
        say(&terminal::table(&["COUNT", "REASON", "CODE", "TYPE", "YOUNGEST", "OLDEST"], rows))?;
    }
    tell(&counted(found));
    Ok(Ended::Done)
}

/// All that there is to say of those that are called `id`.
pub(super) async fn show(desk: &mut Desk<'_>, id: &str, json: bool) -> Result<Ended, DlqError> {
    let (mut found, mut near) = (0, None::<String>);
    while let Some(letter) = desk.next().await? {
        if letter.is_called(&[id]) {
            if found > 0 && !json {
                say("")?;
            }
            found += 1;
            if json { say_json(&letter.exported()) } else { say(&letter.explained()) }?;
        } else if found == 0 {
            let (before, this) = (near.take(), terminal::plain(&letter.id, 256));
            near = terminal::nearest(id, before.iter().map(String::as_str).chain([&*this]))
                .map(str::to_owned);
        }
    }
    if found > 0 {
        return Ok(Ended::Done);
    }
    let near = near.map(|near| format!("; did you mean {near}?"));
    tell(&format!("no dead letter is called {id}{}", near.unwrap_or_default()));
    Ok(Ended::Left)
}

/// An object each.
pub(super) async fn export(desk: &mut Desk<'_>) -> Result<Ended, DlqError> {
    while !is_closed()
        && let Some(letter) = desk.next().await?
    {
        say_json(&letter.exported())?;
    }
    Ok(Ended::Done)
}

/// So many, in words.
pub(super) fn counted(letters: usize) -> String {
    match letters {
        0 => "no dead letters".into(),
        1 => "1 dead letter".into(),
        letters => format!("{letters} dead letters"),
    }
}
