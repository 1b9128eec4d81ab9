//! What a replica does with a message: call, judge, settle. Every decision is the program's.

use crate::job::{Due, Job, Kind, Letter, Settling, Stage};
use crate::protocol::{Mistake, Protocol};
use crate::replica::{Replica, Start};
use crate::state::{Breach, State};
use mimecast_eventd::command::{Call, Command};
use mimecast_eventd::verdict::{
    Answer, Attempts, Blame, Conclusion, Disposition, Health, History, Judgment, Ladder, Outcome,
    Pausing, Policy, Stuck, Until,
};
use std::sync::OnceLock;
use std::time::Duration;

/// Two attempts at a call.
const POLICY: Policy = Policy {
    attempts: 2,
    initial_delay: Duration::from_millis(1),
    max_delay: Duration::from_millis(1),
};

/// Time is not part of the world: there is always enough of it.
const LONG: Duration = Duration::from_hours(1);

impl State {
    /// A replica begins with a message.
    pub fn begin(&mut self, replica: usize, letter: Letter, kind: Kind) {
        let here = &mut self.replicas[replica];
        if here.pause.as_ref().is_some_and(|pause| pause.is_for_health()) {
            self.breach = Some(Breach::BegunInPause);
        }
        let is_first_again = here.start == Start::First && letter.is_redelivered;
        let stage = if is_first_again { Stage::First } else { Stage::Ready };
        if kind == Kind::Delivery && here.start != Start::Full {
            here.start = Start::Slow(!letter.is_redelivered);
        }
        here.work.push(Job { stage, ..Job::begin(letter, kind) });
    }

    /// A call of a message had this `outcome`.
    pub fn hear_call(&mut self, protocol: &Protocol, at: (usize, usize), outcome: Outcome) {
        let (replica, place) = at;
        let here = &mut self.replicas[replica];
        let mut job = here.work.remove(place);
        let is_probe =
            job.kind == Kind::Probe && protocol.mistake != Some(Mistake::ProbeWithAllAttempts);
        let has_one = is_probe || job.is_answered;
        let mut attempts = if has_one { Attempts::one() } else { Attempts::of(POLICY) };
        for earlier in &job.tries {
            attempts.next(earlier, None, LONG);
        }
        let again = attempts.next(&outcome, None, LONG).is_some();
        job.tries.push(outcome.clone());
        match again {
            true => here.work.push(job),
            false => {
                let conclusion = Attempts::conclude(any_call(), outcome);
                self.conclude(protocol, replica, job, conclusion);
            }
        }
    }

    /// The attempts at the call of a message had this `result`.
    pub fn conclude(&mut self, protocol: &Protocol, replica: usize, job: Job, result: Conclusion) {
        if result == Conclusion::Applied {
            // A change is one step here, so that whatever was refused was refused before.
            let streak = &mut self.replicas[replica].streak;
            streak.end(&streak.refused());
            self.replicas[replica].has_probed = false;
        }
        match Disposition::of_conclusions(vec![result]) {
            Ok(disposition) => self.replicas[replica].work.push(job.settle(disposition)),
            Err(stuck) => self.judge(protocol, replica, job, stuck),
        }
    }

    /// A message is stuck: a health call comes first, unless it was answered before.
    fn judge(&mut self, protocol: &Protocol, replica: usize, job: Job, stuck: Stuck) {
        let is_known = job.is_answered || protocol.mistake == Some(Mistake::BlameWithoutAsking);
        match stuck.judge() {
            Some(judgment) => self.follow(protocol, replica, job, (stuck, judgment)),
            None if is_known && job.is_unclear => {
                self.blame(protocol, replica, job, stuck.undecided());
            }
            None if is_known => self.blame(protocol, replica, job, stuck),
            None => self.replicas[replica].work.push(Job { stage: Stage::Stuck(stuck), ..job }),
        }
    }

    /// The health call of a message has ended.
    pub fn hear_health(&mut self, protocol: &Protocol, replica: usize, job: Job, health: Health) {
        match (job.stage.clone(), health) {
            (Stage::Stuck(stuck), health) => {
                let judgment = health.judge(&stuck);
                self.follow(protocol, replica, job, (stuck, judgment));
            }
            (Stage::First, Health::NotAnswered(fault)) => {
                let until = Until::Answered { operation: any_call().operation, group: None };
                self.hold(replica, job.letter, Pausing { until, fault });
            }
            (Stage::First, _) => {
                self.replicas[replica].work.push(Job { stage: Stage::Ready, ..job });
            }
            (Stage::Ready | Stage::Settling(_), _) => self.replicas[replica].work.push(job),
        }
    }

    /// What follows from a judgment on a message.
    fn follow(
        &mut self,
        protocol: &Protocol,
        replica: usize,
        job: Job,
        (stuck, judgment): (Stuck, Judgment),
    ) {
        let here = &mut self.replicas[replica];
        match judgment {
            Judgment::Again { is_final } => {
                let is_unclear = job.is_unclear || !is_final;
                let (is_answered, tries, stage) = (true, Vec::new(), Stage::Ready);
                let job = Job { is_answered, is_unclear, tries, stage, ..job };
                match protocol.mistake {
                    Some(Mistake::BlameWithoutAnotherCall) => {
                        self.blame(protocol, replica, job, stuck);
                    }
                    Some(_) | None => here.work.push(job),
                }
            }
            Judgment::AtFault => self.blame(protocol, replica, job, stuck.undecided()),
            Judgment::OutOfTime if here.is_stopping => {
                here.work.push(job.settle(Disposition::of_stop()));
            }
            Judgment::OutOfTime => here.work.push(job.settle(Disposition::of_no_time())),
            Judgment::Doubt(_) if here.streak.refuse(job.letter.item.identity()) => {
                self.blame(protocol, replica, job, stuck);
            }
            // Every call of the world is a change, so that nothing else can be made.
            Judgment::Doubt(pausing) | Judgment::Pause(pausing) => {
                self.hold(replica, job.letter, pausing);
            }
        }
    }

    /// A message is at fault.
    fn blame(&mut self, protocol: &Protocol, replica: usize, job: Job, stuck: Stuck) {
        let here = &mut self.replicas[replica];
        let blame = match stuck.may_be_everybodys() {
            true => here.streak.add(job.letter.item.identity()),
            false => Blame::Message,
        };
        let stuck = match blame {
            Blame::Mimecast if protocol.mistake != Some(Mistake::NoStreak) => {
                let pausing = Pausing { until: Until::Changed, fault: stuck.fault };
                return self.hold(replica, job.letter, pausing);
            }
            Blame::Nobody => stuck.undecided(),
            Blame::Message | Blame::Mimecast => stuck,
        };
        let ladder = Ladder::new(vec![Duration::from_secs(1); protocol.delays]);
        let history = History { climbed: job.letter.delays, ..History::default() };
        here.work.push(job.settle(Disposition::of_stuck(stuck, &ladder, &history)));
    }

    /// The lane pauses because of a message, and parks it; a lane that stops only parks it.
    fn hold(&mut self, replica: usize, letter: Letter, pausing: Pausing) {
        let here = &mut self.replicas[replica];
        let fault = pausing.fault.clone();
        if !here.is_stopping {
            here.pause().add(pausing);
        }
        here.work.push(Job::copy(letter, Disposition::Park(fault)));
    }

    /// The next step of a settlement: the broker takes the copy, confirms it, or is told.
    pub fn settle(&mut self, protocol: &Protocol, replica: usize, place: usize) {
        let may_be_late = self.faults.late_confirms > 0;
        let mut job = self.replicas[replica].work.remove(place);
        let Stage::Settling(settling) = &mut job.stage else { return };
        match protocol.next_step(settling) {
            None => {}
            Some(Due::Copy(place)) => {
                let was_sent = settling.is_sent;
                // One that is late is waited for again, and not sent again.
                if !was_sent && job.letter.late != Some(place) {
                    self.take_copy(&job.letter, place);
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
                self.take_answer(&job.letter, answer, protocol);
            }
        }
        let is_settled = protocol.next_step(settling).is_none();
        let here = &mut self.replicas[replica];
        if is_settled { here.settled(&job) } else { here.work.push(job) }
    }

    /// The broker does not take the copy, or does not confirm it in time.
    pub fn fail_to_copy(&mut self, protocol: &Protocol, at: (usize, usize), is_late: bool) {
        let (replica, place) = at;
        let here = &mut self.replicas[replica];
        let Job { mut letter, stage, .. } = here.work.remove(place);
        let Stage::Settling(settling) = stage else { return };
        if let (true, Some(Due::Copy(place))) = (is_late, protocol.next_step(&settling)) {
            letter.late = Some(place);
        }
        match here.is_stopping {
            true => here.work.push(Job::copy(letter, Disposition::Return)),
            false => here.pause().waiting.push((letter, settling.disposition)),
        }
    }
}

impl Replica {
    /// A message is settled.
    fn settled(&mut self, job: &Job) {
        if job.kind == Kind::Copy {
            return;
        }
        match &mut self.pause {
            Some(pause) => pause.pause.settled(job.has_asked(), job.has_changed()),
            None if self.start == Start::Slow(true) => self.start = Start::Full,
            None => {}
        }
    }
}

impl Protocol {
    /// What is to be done next to settle a message.
    pub fn next_step(&self, settling: &Settling) -> Option<Due> {
        let is_parked = matches!(settling.disposition, Disposition::Park(_));
        match self.mistake {
            Some(Mistake::AckFirst) => settling.next_in_wrong_order(),
            Some(Mistake::ParkByRequeue) if is_parked => {
                (settling.done == 0).then_some(Due::Answer(Answer::Requeue))
            }
            Some(_) | None => settling.next(),
        }
    }
}

/// The call of every message: nothing that is decided depends on which one it is.
fn any_call() -> &'static Call {
    static CALL: OnceLock<Call> = OnceLock::new();
    CALL.get_or_init(|| Command::DeleteManagedUrl { id: "one".into() }.call())
}
