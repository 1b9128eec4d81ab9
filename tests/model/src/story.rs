//! A way to a state, told so that a person can follow it.

use crate::action::{Action, Step};
use crate::job::{Item, Job, Stage};
use crate::mimecast::Mimecast;
use crate::replica::Replica;
use crate::state::State;
use mimecast_eventd::verdict::{Health, Until};
use std::fmt::Write;

/// The steps of a way to a state, numbered, with what each has changed where that does not go without saying.
pub fn tell(title: &str, path: &[(State, Option<Action>)]) -> String {
    let mut story = format!("{title}\n");
    for (number, (state, action)) in path.iter().enumerate() {
        if let Some(action) = action {
            let after = path.get(number + 1).map(|(after, _)| changes(state, *action, after));
            let (said, after) = (detail(state, *action), after.unwrap_or_default());
            writeln!(story, "{:3}. {action}{said}{after}", number + 1)
                .expect("a text takes everything");
        }
    }
    if let Some((last, _)) = path.last() {
        story.push_str(&ending(last));
    }
    story
}

/// What a reply of Mimecast says.
fn detail(before: &State, action: Action) -> &'static str {
    let health = action.replica.and_then(|replica| before.replicas[replica].health.as_ref());
    match (action.step, action.item, health) {
        (Step::HearHealth, _, Some(Health::Answered)) => " It is answered.",
        (Step::HearHealth, _, Some(Health::Forbidden(_))) => " It is forbidden.",
        (Step::HearHealth, _, Some(Health::Unclear(_))) => {
            " It is forbidden, although messages are not."
        }
        (Step::HearHealth, ..) => " It is not answered.",
        (Step::Call, Some(Item::Good(_)), _) if before.mimecast == Mimecast::Well => " It is done.",
        (Step::Call, Some(Item::Refused), _) if before.mimecast == Mimecast::Well => {
            " It is refused."
        }
        (Step::Call, ..) => " It fails.",
        (..) => "",
    }
}

/// What a step of a settlement has changed at the broker.
fn settled(before: &State, after: &State) -> &'static str {
    let held = |state: &State| state.replicas.iter().flat_map(Replica::unsettled).count();
    if after.queue.len() > before.queue.len() {
        " A copy is in the queue."
    } else if after.delayed.len() > before.delayed.len() {
        " A copy is in a delay queue."
    } else if held(after) < held(before) {
        " The broker has forgotten it."
    } else {
        ""
    }
}

/// What a step has changed besides what it is itself.
fn changes(before: &State, action: Action, after: &State) -> String {
    let is_step = action.step == Step::Settle;
    let mut told = if is_step { settled(before, after).to_owned() } else { String::new() };
    let mut say = |words: String| {
        told.push(' ');
        told.push_str(&words);
    };
    for (was, is) in before.replicas.iter().zip(&after.replicas) {
        match (until(was), until(is)) {
            (old, Some(new)) if old != Some(new) => say(format!("It pauses until {new}.")),
            (Some(_), None) => say("It resumes.".into()),
            (..) => {}
        }
        for job in is.work.iter().filter(|job| !was.work.iter().any(|it| is_settling(it, job))) {
            if let Stage::Settling(settling) = &job.stage {
                let (item, decided) = (job.letter.item, settling.disposition.label());
                say(format!("It decides on {item}: {decided}."));
            }
        }
    }
    for (item, reason) in after.dead.difference(&before.dead) {
        say(format!("A dead letter now: {item}, {reason}."));
    }
    told
}

fn until(replica: &Replica) -> Option<&'static str> {
    replica.pause.as_ref().map(|pause| match pause.until() {
        Some(Until::Answered { .. }) => "a health call is answered",
        Some(Until::Decided) => "Mimecast decides on a message",
        Some(Until::Changed) => "a change is made",
        None => "copies are taken",
    })
}

fn is_settling(one: &Job, other: &Job) -> bool {
    let disposition = |job: &Job| match &job.stage {
        Stage::Settling(settling) => Some(settling.disposition.clone()),
        Stage::First | Stage::Ready | Stage::Stuck(_) => None,
    };
    one.letter.item == other.letter.item && disposition(one) == disposition(other)
}

/// Where everything is in the end.
fn ending(state: &State) -> String {
    let list =
        |items: Vec<String>| if items.is_empty() { "nothing".into() } else { items.join(", ") };
    let queued = list(state.queue.iter().map(|it| it.item.to_string()).collect());
    let delayed = list(state.delayed.iter().map(|it| it.item.to_string()).collect());
    let held = state.replicas.iter().flat_map(Replica::unsettled);
    let held = list(held.map(|it| it.item.to_string()).collect());
    let dead = list(state.dead.iter().map(|(item, why)| format!("{item} ({why})")).collect());
    let open = list(state.open.iter().map(ToString::to_string).collect());
    format!(
        "In the queue: {queued}; in delay queues: {delayed}; in flight: {held}; dead letters: {dead}; not done at \
         Mimecast: {open}.\n"
    )
}
