//! Sends dead letters back to their lanes, or throws them away.

use super::letter::Letter;
use super::look::counted;
use super::{Desk, Discard, DlqError, Ended, Replay};
use crate::broker::COPIES;
use crate::cli::terminal::{self, OutputError, ask, is_closed, say, say_json, tell};
use crate::settings::Queues;
use crate::telemetry::audit::Action;
use serde_json::json;
use std::time::Duration;
use tokio::time::{Interval, interval};

/// What was sent back so often and is a dead letter again will be one the next time too.
const MOST_REPLAYS: u32 = 3;

/// Seconds for which a letter that waits for its turn is held, about: the broker wants to hear of it in time.
const SLOW_ROUND: u32 = 10;

/// Sends back those that are meant, a few at once.
pub(super) async fn replay(
    desk: &mut Desk<'_>,
    replay: &Replay,
    json: bool,
) -> Result<Ended, DlqError> {
    let progress = terminal::progress(desk.letters.left().into());
    let say_sent =
        |letter: &Letter, queue: &str| progress.suspend(|| said(letter, json, &[("to", queue)]));
    let mut pace = replay.rate.map(pace);
    if let Some(rate) = replay.rate {
        desk.letters.fetch_at_most(rate.saturating_mul(SLOW_ROUND));
    }
    let (mut sent, mut left) = (0, 0);
    while !is_closed() {
        let letters = desk.next_few(at_once(replay, sent)).await?;
        if letters.is_empty() {
            break;
        }
        let mut copies = Vec::new();
        for letter in letters.iter().filter(|letter| desk.filter.allows(letter)) {
            match destination(letter, replay, desk.settings) {
                Ok(queue) => copies.push((letter, queue)),
                Err(why) => {
                    left += 1;
                    let id = terminal::plain(&letter.id, 64);
                    progress.suspend(|| tell(&format!("left where it is: {id}: {why}")));
                }
            }
        }
        if let Some(pace) = &mut pace {
            for _ in &copies {
                pace.tick().await;
            }
        }
        match replay.dry_run {
            true => copies.iter().try_for_each(|(letter, queue)| say_sent(letter, queue))?,
            false => send_back(desk, &copies, say_sent).await?,
        }
        sent += copies.len();
        progress.inc(letters.len() as u64);
    }
    progress.finish_and_clear();
    let done = if replay.dry_run { "would be sent back" } else { "sent back" };
    let stayed = if left == 0 { String::new() } else { format!(", {left} left where they are") };
    tell(&format!("{} {done}{stayed}", counted(sent)));
    Ok(if left == 0 { Ended::Done } else { Ended::Left })
}

/// How many letters are looked at next, of which so many were sent back already.
fn at_once(replay: &Replay, sent: usize) -> usize {
    // No more at once than the rate allows in a moment that nobody notices.
    let by_rate = replay.rate.map_or(COPIES, |rate| (rate / 50).max(1) as usize);
    let by_limit = replay.limit.map_or(COPIES, |limit| (limit as usize).saturating_sub(sent));
    COPIES.min(by_rate).min(by_limit)
}

/// Sends these back at once, and takes those whose copies are safe out of the dead letters: also where that cannot be
/// printed, for they would be in both.
async fn send_back(
    desk: &mut Desk<'_>,
    copies: &[(&Letter, &str)],
    say_sent: impl Fn(&Letter, &str) -> Result<(), OutputError>,
) -> Result<(), DlqError> {
    let found: Vec<_> = copies.iter().map(|(letter, queue)| (&*letter.found, *queue)).collect();
    let mut ended = Ok(());
    for ((letter, to), taken) in copies.iter().zip(desk.letters.send_back(&found).await) {
        match taken {
            Ok(()) => {
                desk.tell(&Action::Replayed { letter: letter.told(), to })?;
                desk.letters.discard(&letter.found);
                ended = ended.and(say_sent(letter, to).map_err(DlqError::from));
            }
            Err(error) => ended = ended.and(Err(error.into())),
        }
    }
    ended
}

/// Throws away those that are meant.
pub(super) async fn discard(
    desk: &mut Desk<'_>,
    discard: &Discard,
    json: bool,
) -> Result<Ended, DlqError> {
    let mut gone = 0;
    while discard.limit.is_none_or(|limit| gone < limit as usize) {
        let Some(letter) = desk.next().await? else { break };
        // First, so that nothing is gone that was not printed.
        said(&letter, json, &[])?;
        if is_closed() {
            break;
        }
        if !discard.dry_run {
            desk.tell(&Action::Discarded { letter: letter.told() })?;
            desk.letters.discard(&letter.found);
        }
        gone += 1;
    }
    let done = if discard.dry_run { "would be discarded" } else { "discarded" };
    tell(&format!("{} {done}", counted(gone)));
    Ok(Ended::Done)
}

/// Asks for the queue's name, because what is discarded is gone.
///
/// # Errors
///
/// When it is not typed.
pub(super) fn confirm(queue: &str) -> Result<(), DlqError> {
    let question = format!("what is discarded is gone. Type the queue's name ({queue}) to go on:");
    let typed = ask(&question).map_err(DlqError::Ask)?;
    if typed == queue {
        return Ok(());
    }
    Err(DlqError::NotConfirmed { typed, queue: queue.to_owned() })
}

/// Where a letter goes: to the queue of its lane, and elsewhere only if a person says so. What its headers
/// say was written by whoever may publish dead letters.
fn destination<'a>(
    letter: &'a Letter,
    replay: &'a Replay,
    settings: &'a Queues,
) -> Result<&'a str, String> {
    if let Some(size) = letter.found.envelope.passed_over {
        return Err(format!("its body of {size} bytes is too large to be read here"));
    }
    if letter.found.is_of_another_key && !replay.force {
        let what = "it was signed with another amqp.copy_key, and nobody would know any more who published it";
        return Err(format!("{what}; `--force` sends it back all the same"));
    }
    let replays = letter.found.replays;
    if replays >= MOST_REPLAYS && !replay.force {
        return Err(format!("it was sent back {replays} times already; `--force` does it again"));
    }
    if let Some(to) = &replay.to {
        return Ok(to);
    }
    let lanes = || settings.lanes.iter();
    let known = |queue: &str| lanes().find(|lane| lane.queue == queue).map(|lane| &*lane.queue);
    match letter.found.queue.as_deref() {
        Some(queue) => known(queue).ok_or_else(|| {
            let queue = terminal::plain(queue, 128);
            format!(
                "it came from {queue}, which is no lane of these settings; `--to` names a queue"
            )
        }),
        None => {
            let lane = lanes().find(|lane| Some(lane.event_type) == letter.event_type);
            let unknown = || "nothing says what lane it is of; `--to` names a queue".to_owned();
            lane.map(|lane| &*lane.queue).ok_or_else(unknown)
        }
    }
}

fn said(letter: &Letter, json: bool, more: &[(&str, &str)]) -> Result<(), OutputError> {
    if json {
        let mut told = letter.json();
        told.extend(more.iter().map(|(name, value)| ((*name).to_owned(), json!(value))));
        say_json(&told)
    } else {
        let more = more.iter().map(|(name, value)| format!("  {name} {value}"));
        say(&format!("{}{}", terminal::plain(&letter.id, 64), more.collect::<String>()))
    }
}

/// So many ticks a second, the first at once.
fn pace(rate: u32) -> Interval {
    // Faster than that is no pace at all, and an interval of nothing is none.
    interval((Duration::from_secs(1) / rate.max(1)).max(Duration::from_nanos(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_pace_is_one_however_fast_it_is() {
        for rate in [1, 1_000_000_000, u32::MAX] {
            pace(rate).tick().await;
        }
    }
}
