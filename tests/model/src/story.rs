//! A way to a state, told so that a person can follow it.

use crate::action::Action;
use crate::job::{Item, Job, Stage};
use crate::lane::Lane;
use crate::state::State;
use std::fmt::Write;

/// The steps of a way to a state, numbered, with what each has changed where that does not go without saying.
pub fn tell(title: &str, path: &[(State, Option<Action>)]) -> String {
    let mut story = format!("{title}\n");
    for (number, (state, action)) in path.iter().enumerate() {
        if let Some(action) = action {
            let said = reply(state, *action);
            let after = path.get(number + 1).map(|(after, _)| changes(state, *action, after));
            let after = after.unwrap_or_default();
            writeln!(story, "{:3}. {action}{said}{after}", number + 1)
                .expect("a text takes everything");
        }
    }
    if let Some((last, _)) = path.last() {
        story.push_str(&ending(last));
    }
    story
}

/// What a reply of the vendor says.
fn reply(before: &State, action: Action) -> &'static str {
    let (Action::Reply(lane, _, item) | Action::ReplyTooLate(lane, _, item)) = action else {
        return "";
    };
    if !before.is_vendor_well {
        return " It fails, for it is ill.";
    }
    match item {
        Item::Poison => " It fails at it.",
        Item::Undecided => " It refuses.",
        Item::Good(_) | Item::Spare if before.lanes[lane].open.contains(&item) => " It is done.",
        Item::Good(_) | Item::Spare => " It was done before.",
    }
}

/// What a step has changed besides what it is itself.
fn changes(before: &State, action: Action, after: &State) -> String {
    let mut told = String::new();
    for (number, (was, is)) in before.lanes.iter().zip(&after.lanes).enumerate() {
        let goes_without_saying = matches!(action, Action::Send(..));
        for item in newly_asked(was, is).into_iter().filter(|_| !goes_without_saying) {
            write!(told, " Lane {number} asks the vendor for {item}.")
                .expect("a text takes everything");
        }
        if was.pause.is_none() && is.pause.is_some() {
            write!(told, " Lane {number} pauses.").expect("a text takes everything");
        }
        for (_, job) in is.jobs() {
            if let Stage::Settling(settling) = &job.stage
                && !was.jobs().any(|(_, it)| is_settling(it, job))
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

/// What the vendor is asked for since a step.
fn newly_asked(was: &Lane, is: &Lane) -> Vec<Item> {
    let mut new = asked(is);
    for item in asked(was) {
        if let Some(place) = new.iter().position(|it| *it == item) {
            new.swap_remove(place);
        }
    }
    new
}

/// What the vendor is asked for just now.
fn asked(lane: &Lane) -> Vec<Item> {
    let jobs = lane.jobs().map(|(_, job)| job);
    jobs.filter(|job| matches!(job.stage, Stage::Asking(..))).map(|job| job.letter.item).collect()
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
