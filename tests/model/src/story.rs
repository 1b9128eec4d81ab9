//! A way to a state, told so that a person can follow it.

use crate::action::Action;
use crate::job::{Job, Stage};
use crate::state::State;
use std::fmt::Write;

/// The steps of a way to a state, numbered, with what each has changed where that does not go without saying.
pub fn tell(title: &str, path: &[(State, Option<Action>)]) -> String {
    let mut story = format!("{title}\n");
    for (number, (state, action)) in path.iter().enumerate() {
        if let Some(action) = action {
            let after = path.get(number + 1).map(|(after, _)| changes(state, after));
            let after = after.unwrap_or_default();
            writeln!(story, "{:3}. {action}{after}", number + 1).expect("a text takes everything");
        }
    }
    if let Some((last, _)) = path.last() {
        story.push_str(&ending(last));
    }
    story
}

/// What a step has changed besides what it is itself.
fn changes(before: &State, after: &State) -> String {
    let mut told = String::new();
    for (number, (was, is)) in before.lanes.iter().zip(&after.lanes).enumerate() {
        if was.pause.is_none() && is.pause.is_some() {
            write!(told, " Lane {number} pauses.").expect("a text takes everything");
        }
        for job in &is.work {
            if let Stage::Settling(settling) = &job.stage
                && !was.work.iter().any(|it| is_settling(it, job))
            {
                let (item, decided) = (job.letter.item, settling.disposition.label());
                write!(told, " Lane {number} decides on {item}: {decided}.")
                    .expect("a text takes everything");
            }
        }
        for (item, reason) in is.dead.difference(&was.dead) {
            write!(told, " A dead letter now: {item}, {reason}.").expect("a text takes everything");
        }
    }
    told
}

fn is_settling(one: &Job, other: &Job) -> bool {
    one.letter.item == other.letter.item && matches!(one.stage, Stage::Settling(_))
}

/// Where everything is in the end.
fn ending(state: &State) -> String {
    let mut told = String::new();
    for (number, lane) in state.lanes.iter().enumerate() {
        let list =
            |items: Vec<String>| if items.is_empty() { "nothing".into() } else { items.join(", ") };
        let queued =
            list(lane.queue.iter().chain(&lane.delayed).map(|it| it.item.to_string()).collect());
        let held = list(lane.unsettled().map(|it| it.item.to_string()).collect());
        let dead = list(lane.dead.iter().map(|(item, why)| format!("{item} ({why})")).collect());
        let open = list(lane.open.iter().map(ToString::to_string).collect());
        writeln!(
            told,
            "Lane {number}: queued: {queued}; handed out: {held}; dead letters: {dead}; not done at the vendor: {open}."
        )
        .expect("a text takes everything");
    }
    told
}
