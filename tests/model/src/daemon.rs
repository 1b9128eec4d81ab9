//! What the daemon does with a message: attempt, read the verdict, settle. Every decision is the program's.

use crate::action::Seat;
use crate::job::{Job, Letter, Settling, Stage, Tries, Waiting};
use crate::lane::{Lane, Pause, Process};
use crate::numbers;
use crate::protocol::{Mistake, Protocol};
use crate::state::State;
use mimecast_eventd::verdict::{
    Answer, Attempts, Conclusion, Disposition, History, Ladder, Outcome, Place, Policy, Reason,
    Step, Stuck,
};
use std::time::Duration;

/// Two attempts at a command.
const POLICY: Policy = Policy {
    attempts: 2,
    initial_delay: Duration::from_millis(1),
    max_delay: Duration::from_millis(1),
};

/// Time is not part of the world: there is always enough of it.
const LONG: Duration = Duration::from_hours(1);

impl State {
    /// The next attempt is sent; nothing happens while the quota has no call for it.
    pub fn send(&mut self, protocol: &Protocol, lane: usize, seat: Seat) -> Option<()> {
        let stops = self.process == Process::Stops;
        if let Some(limit) = protocol.window.filter(|_| !stops) {
            self.quota = self.quota.take(limit)?;
        }
        let job = self.lanes[lane].take_job(seat);
        let Job { stage: Stage::Ready(tries), .. } = job else { return None };
        if stops {
            self.conclude(
                protocol,
                lane,
                seat,
                job_of(job.letter, job.is_probe),
                Conclusion::Stopped,
            );
            return Some(());
        }
        let lane = &mut self.lanes[lane];
        let sent = lane.evidence.send();
        let stage = Stage::Asking(tries, sent, lane.pause.is_some());
        lane.put_job(seat, Job { stage, ..job_of(job.letter, job.is_probe) });
        Some(())
    }

    /// A call came to `outcome`.
    pub fn hear(&mut self, protocol: &Protocol, lane: usize, seat: Seat, outcome: Outcome) {
        let job = self.lanes[lane].take_job(seat);
        let (letter, is_probe) = (job.letter, job.is_probe);
        let Stage::Asking(mut tries, sent, in_pause) = job.stage else { return };
        let here = &mut self.lanes[lane];
        let outcome = here.evidence.learn(here.operation, sent, outcome);
        let is_answer =
            matches!(outcome, Outcome::Applied | Outcome::NotFound | Outcome::Rejected(_));
        if let Some(pause) = here.pause.as_mut().filter(|_| in_pause && is_answer) {
            pause.has_heard = true;
        }
        let one_only = is_probe && protocol.mistake != Some(Mistake::ProbeWithAllAttempts);
        let mut attempts = if one_only { Attempts::one() } else { Attempts::of(POLICY) };
        for earlier in &tries.outcomes {
            let then = tries.first_failure.unwrap_or_else(|| here.evidence.mark());
            attempts.next(earlier, None, numbers::evidence_at(then), LONG);
        }
        let again = attempts.next(&outcome, None, here.evidence, LONG).is_some();
        if tries.first_failure.is_none() && outcome.is_failure() {
            tries.first_failure = Some(here.evidence.mark());
        }
        tries.outcomes.push(outcome.clone());
        if again {
            here.put_job(seat, Job { stage: Stage::Ready(tries), ..job_of(letter, is_probe) });
            return;
        }
        let conclusion = attempts.conclude(here.operation, outcome, here.evidence);
        self.conclude(protocol, lane, seat, job_of(letter, is_probe), conclusion);
    }

    /// The attempts at the command of a message came to `conclusion`.
    pub fn conclude(
        &mut self,
        protocol: &Protocol,
        lane: usize,
        seat: Seat,
        job: Job,
        conclusion: Conclusion,
    ) {
        let (here, mut letter) = (&mut self.lanes[lane], job.letter);
        let decided = Disposition::of_conclusions(vec![conclusion]);
        match decided.or_else(|stuck| here.judge(protocol, &mut letter, stuck)) {
            Ok(disposition) => here.put_job(seat, Job::settle(letter, disposition)),
            Err(stuck) => {
                self.hold(protocol, lane, seat, |pause| pause.keep(letter, stuck), letter)
            }
        }
    }

    /// A message cannot go on: its lane pauses for it, or gives it back at a stop.
    pub fn hold(
        &mut self,
        protocol: &Protocol,
        lane: usize,
        seat: Seat,
        keep: impl FnOnce(&mut Pause),
        letter: Letter,
    ) {
        let here = &mut self.lanes[lane];
        if self.process == Process::Stops {
            return here.put_job(seat, Job::settle(letter, Disposition::Return));
        }
        keep(here.pause());
        here.leave_desk(protocol, seat);
    }

    /// The next step of a settlement: the broker takes the copy, confirms it, or is told.
    pub fn step(&mut self, protocol: &Protocol, lane: usize, seat: Seat) {
        let may_be_late = self.faults.late_confirms > 0;
        let here = &mut self.lanes[lane];
        let mut job = here.take_job(seat);
        let Stage::Settling(settling) = &mut job.stage else { return };
        match settling.next(protocol) {
            None => return here.leave_desk(protocol, seat),
            Some(Due::Copy(place)) => {
                let was_sent = settling.is_sent;
                // One that is late is waited for once more, and not sent again.
                if !was_sent && job.letter.late != Some(place) {
                    here.take_copy(&job.letter, place);
                }
                settling.is_sent = true;
                // When a confirm comes makes no difference if it cannot be late.
                if was_sent || !may_be_late {
                    (settling.is_sent, settling.done) = (false, settling.done + 1);
                    job.letter.late = job.letter.late.filter(|late| *late != place);
                }
            }
            Some(Due::Answer(answer)) => {
                settling.done += 1;
                job.is_acked = true;
                here.take_answer(&job.letter, answer, protocol);
            }
        }
        match &job.stage {
            Stage::Settling(settling) if settling.next(protocol).is_none() => {
                here.leave_desk(protocol, seat);
            }
            Stage::Settling(_) | Stage::Ready(_) | Stage::Asking(..) => here.put_job(seat, job),
        }
    }

    /// The broker does not take the copy, or does not confirm it in time.
    pub fn fail_to_copy(&mut self, protocol: &Protocol, lane: usize, seat: Seat, is_late: bool) {
        let job = self.lanes[lane].take_job(seat);
        let Stage::Settling(settling) = job.stage else { return };
        let mut letter = job.letter;
        if let (true, Some(Due::Copy(place))) = (is_late, settling.next(protocol)) {
            letter.late = Some(place);
        }
        let waiting = Waiting { letter, disposition: settling.disposition };
        self.hold(protocol, lane, seat, |pause| pause.holding.waiting.push(waiting), letter);
    }
}

impl Lane {
    /// Whose fault it is that a message is stuck, and what becomes of it.
    fn judge(
        &self,
        protocol: &Protocol,
        letter: &mut Letter,
        stuck: Stuck,
    ) -> Result<Disposition, Stuck> {
        let ladder = Ladder::new(vec![Duration::from_secs(1); protocol.rungs]);
        let (evidence, suspect) =
            (self.evidence, letter.suspect.map(|mark| (stuck.operation, mark)));
        let Letter { climbed, relapses, .. } = *letter;
        let mut history = History { climbed, relapses, ..History::default() };
        let judged = Disposition::of_stuck(stuck, evidence, suspect, &ladder, &mut history);
        if protocol.mistake != Some(Mistake::ForgetRelapses) {
            letter.relapses = history.relapses;
        }
        let judged =
            judged.or_else(|stuck| Disposition::of_unanswered(stuck, true, Duration::ZERO));
        match judged {
            Err(stuck) if protocol.mistake == Some(Mistake::BlameAtOnce) => {
                let reason = Reason::RetriesExhausted;
                Ok(Disposition::DeadLetter(reason, stuck.fault))
            }
            Ok(_) | Err(_) => judged,
        }
    }

    /// Takes a message out of work.
    pub fn take_job(&mut self, seat: Seat) -> Job {
        match (seat, &mut self.pause) {
            (Seat::Work(place), _) => self.work.remove(place),
            (Seat::Desk, Some(Pause { desk, .. })) => {
                desk.take().expect("an action is about a job that is there")
            }
            (Seat::Desk, None) => unreachable!("only a pause has a desk"),
        }
    }

    /// Puts it back.
    pub fn put_job(&mut self, seat: Seat, job: Job) {
        match (seat, &mut self.pause) {
            (Seat::Desk, Some(pause)) => pause.desk = Some(job),
            (Seat::Desk, None) | (Seat::Work(_), _) => self.work.push(job),
        }
    }
}

/// What is to be done next to settle a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// A copy.
    Copy(Place),
    /// An answer.
    Answer(Answer),
}

impl Settling {
    /// What is to be done next.
    pub fn next(&self, protocol: &Protocol) -> Option<Due> {
        let mut due = self.disposition.steps().map(|step| match step {
            Step::Copy(place, _) => Due::Copy(place),
            Step::Answer(answer) => Due::Answer(answer),
        });
        let is_parked = matches!(self.disposition, Disposition::Park(_));
        if is_parked && protocol.mistake == Some(Mistake::ParkByRequeue) {
            return (self.done == 0).then_some(Due::Answer(Answer::Requeue));
        }
        if protocol.mistake == Some(Mistake::AckFirst) {
            return due.collect::<Vec<_>>().into_iter().nth_back(self.done);
        }
        due.nth(self.done)
    }
}

fn job_of(letter: Letter, is_probe: bool) -> Job {
    Job { letter, is_probe, is_acked: false, stage: Stage::Ready(Tries::default()) }
}
