//! The numbers of calls, made small again.
//!
//! The evidence counts calls for ever, but little of that is ever asked for. Of a moment: which of the calls
//! that can still be answered were sent after it. Of a message's first failure also: whether all calls since
//! then were its own, which are at most as many as it has attempts. So a moment is as good as the last call
//! before it that is answered or under way, and a gap that is longer than anybody's attempts is just longer.
//! Then every state has one form, and there are finitely many.

use crate::job::{Job, Stage};
use crate::lane::Lane;
use mimecast_eventd::command::Operation;
use mimecast_eventd::verdict::{Evidence, Fault, Mark, Outcome, Sent};
use std::sync::OnceLock;

/// More calls than a message makes after its first failure, with one that the vendor asks to wait with.
const LONG: usize = 3;

/// The last number there is a name for; gaps are short, so that none comes near.
const MOST: usize = 1023;

/// Makes the numbers of a lane small.
pub(crate) fn normalise(lane: &mut Lane) {
    let (answered, sent) = (answered(&lane.evidence), number(lane.evidence.mark()));
    let mut anchors = vec![answered];
    each_sent(lane, |call| anchors.push(number_of(*call)));
    anchors.retain(|it| *it >= answered);
    let mut all = anchors.clone();
    all.push(sent);
    each_failure(lane, |mark| all.push(number(*mark)));
    all.retain(|it| *it >= answered);
    all.sort_unstable();
    all.dedup();
    let mut small = vec![1];
    for two in all.windows(2) {
        small.push(small[small.len() - 1] + (two[1] - two[0]).min(LONG));
    }
    // What lies before the last answered call is one moment.
    let renumber = |it: usize| all.binary_search(&it).map_or(0, |place| small[place]);
    let anchor = |it: usize| anchors.iter().copied().filter(|anchor| *anchor <= it).max();
    lane.evidence = evidence(lane.operation, &lane.evidence, renumber(sent));
    each_failure(lane, |mark| *mark = names().0[renumber(number(*mark))]);
    each_moment(lane, |mark| *mark = names().0[anchor(number(*mark)).map_or(0, renumber)]);
    each_sent(lane, |call| *call = names().1[renumber(number_of(*call)).max(1) - 1]);
}

/// Evidence at the moment `mark`, of which nothing else is known.
pub(crate) fn evidence_at(mark: Mark) -> Evidence {
    let mut evidence = Evidence::default();
    (0..number(mark)).for_each(|_| {
        evidence.send();
    });
    evidence
}

/// Evidence of `sent` calls, of which the first is the last one answered; an item was done if one was before.
fn evidence(operation: Operation, before: &Evidence, sent: usize) -> Evidence {
    let mut evidence = Evidence::default();
    let first = evidence.send();
    let answer = if is_effective(operation, before) {
        Outcome::Applied
    } else {
        Outcome::Rejected(no_fault())
    };
    evidence.learn(operation, first, answer);
    (1..sent).for_each(|_| {
        evidence.send();
    });
    evidence
}

fn is_effective(operation: Operation, evidence: &Evidence) -> bool {
    let mut evidence = *evidence;
    let sent = evidence.send();
    let refusal = evidence.learn(operation, sent, Outcome::Forbidden(no_fault()));
    matches!(refusal, Outcome::Rejected(_))
}

fn no_fault() -> Fault {
    Fault { code: String::new(), detail: String::new() }
}

/// The number of the last answered call.
fn answered(evidence: &Evidence) -> usize {
    let marks = &names().0;
    (0..number(evidence.mark()))
        .rev()
        .find(|it| evidence.answered_since(marks[*it]))
        .map_or(0, |it| it + 1)
}

fn number(mark: Mark) -> usize {
    names().0.iter().position(|it| *it == mark).expect("numbers are made small after each action")
}

fn number_of(sent: Sent) -> usize {
    1 + names()
        .1
        .iter()
        .position(|it| *it == sent)
        .expect("numbers are made small after each action")
}

/// The moments after so many calls, and the calls.
fn names() -> &'static (Vec<Mark>, Vec<Sent>) {
    static NAMES: OnceLock<(Vec<Mark>, Vec<Sent>)> = OnceLock::new();
    NAMES.get_or_init(|| {
        let mut evidence = Evidence::default();
        let mut names = (vec![evidence.mark()], Vec::new());
        for _ in 0..MOST {
            names.1.push(evidence.send());
            names.0.push(evidence.mark());
        }
        names
    })
}

/// Every first failure.
fn each_failure(lane: &mut Lane, mut change: impl FnMut(&mut Mark)) {
    for job in jobs(lane) {
        if let Stage::Ready(tries) | Stage::Asking(tries, ..) = &mut job.stage {
            tries.first_failure.iter_mut().for_each(&mut change);
        }
    }
}

/// Every other moment that anybody remembers.
fn each_moment(lane: &mut Lane, mut change: impl FnMut(&mut Mark)) {
    jobs(lane).for_each(|job| job.letter.suspect.iter_mut().for_each(&mut change));
    let Some(pause) = &mut lane.pause else { return };
    pause.holding.probing.began.iter_mut().for_each(|(_, mark)| change(mark));
    if let Some((letter, stuck)) = &mut pause.holding.suspect {
        letter.suspect.iter_mut().for_each(&mut change);
        change(&mut stuck.mark);
    }
    let waiting = pause.holding.waiting.iter_mut();
    waiting.for_each(|it| it.letter.suspect.iter_mut().for_each(&mut change));
}

/// Every call that is under way.
fn each_sent(lane: &mut Lane, mut change: impl FnMut(&mut Sent)) {
    for job in jobs(lane) {
        if let Stage::Asking(_, sent, _) = &mut job.stage {
            change(sent);
        }
    }
    lane.ghosts.iter_mut().for_each(|(_, sent)| change(sent));
}

fn jobs(lane: &mut Lane) -> impl Iterator<Item = &mut Job> {
    lane.work.iter_mut().chain(lane.pause.iter_mut().flat_map(|it| &mut it.desk))
}
