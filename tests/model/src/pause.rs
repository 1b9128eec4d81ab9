//! What a paused lane does, and how a lane stops.

use crate::job::{Job, Kind, Stage};
use crate::protocol::{Mistake, Protocol};
use crate::replica::Start;
use crate::state::{Breach, State};
use mimecast_eventd::verdict::{Conclusion, Disposition, Health, Until};

impl State {
    /// A paused lane begins its next step: the copies that wait, and then a health call or its oldest message.
    pub fn wake(&mut self, protocol: &Protocol, replica: usize) {
        let here = &mut self.replicas[replica];
        let Some(pause) = &mut here.pause else { return };
        let copies =
            pause.waiting.drain(..).map(|(letter, disposition)| Job::copy(letter, disposition));
        here.work.extend(copies);
        match (pause.until(), protocol.mistake) {
            (Some(Until::Answered { .. }), Some(Mistake::ResumeBlindly)) => {
                pause.pause.learn(Health::Answered);
            }
            (Some(Until::Answered { .. }), Some(Mistake::ProbeWithoutAnswer)) => {
                self.probe(replica)
            }
            (Some(Until::Answered { .. }), _) => pause.is_asking = true,
            (until, _) => {
                here.has_probed |= until == Some(&Until::Changed);
                self.probe(replica);
            }
        }
    }

    /// Tries the oldest message, unless one is in flight.
    fn probe(&mut self, replica: usize) {
        let here = &mut self.replicas[replica];
        if here.messages() > 0 {
            return;
        }
        match (self.queue.pop_front(), &mut here.pause) {
            (Some(letter), _) => self.begin(replica, letter, Kind::Probe),
            // There is nothing to try with.
            (None, Some(pause)) if here.work.is_empty() => pause.pause.nothing_to_try(),
            (None, _) => {}
        }
    }

    /// A health call has ended, for all that wait for it.
    pub fn hear(&mut self, protocol: &Protocol, replica: usize) {
        let here = &mut self.replicas[replica];
        let Some(health) = here.health.take() else { return };
        if let Some(pause) = here.pause.as_mut().filter(|pause| pause.is_asking) {
            pause.is_asking = false;
            pause.is_unanswered &= matches!(health, Health::NotAnswered(_) | Health::OutOfTime);
            pause.pause.learn(health.clone());
        }
        for job in std::mem::take(&mut here.work) {
            self.hear_health(protocol, replica, job, health.clone());
        }
    }

    /// The lane has waited for a change for ten minutes.
    pub fn release(&mut self, protocol: &Protocol, replica: usize) {
        let here = &mut self.replicas[replica];
        let Some(pause) = &mut here.pause else { return };
        let is_expired = pause.pause.expires();
        pause.pause.expired();
        if is_expired && protocol.mistake != Some(Mistake::NeverRelease) {
            here.streak.release();
            here.has_probed = false;
            self.is_released = true;
        }
    }

    /// Every lane resumes whose pause is over. It begins again with what it holds.
    pub fn resume_lanes(&mut self) {
        for replica in 0..self.replicas.len() {
            let here = &mut self.replicas[replica];
            let Some(pause) = here.is_over().then(|| here.pause.take()).flatten() else { continue };
            here.start = Start::Slow(false);
            if pause.is_unanswered {
                self.breach = Some(Breach::ResumedBlindly);
            }
            let held = pause.waiting.into_iter();
            here.work.extend(held.map(|(letter, _)| Job::begin(letter, Kind::Delivery)));
        }
    }

    /// A message of a paused lane was held for too long, and goes back.
    pub fn give_back(&mut self, replica: usize) {
        let here = &mut self.replicas[replica];
        let Some((letter, _)) = here.pause.as_mut().and_then(|pause| pause.waiting.pop()) else {
            return;
        };
        here.work.push(Job::copy(letter, Disposition::Return));
    }

    /// A replica is told to stop: nothing new begins, and what waits is parked or given back.
    pub fn stop(&mut self, protocol: &Protocol, replica: usize) {
        let here = &mut self.replicas[replica];
        here.is_stopping = true;
        let held = here.pause.take().map(|pause| pause.waiting).unwrap_or_default();
        let held = held.into_iter().map(|(letter, _)| Job::copy(letter, Disposition::Return));
        let work: Vec<Job> = std::mem::take(&mut here.work).into_iter().chain(held).collect();
        for job in work {
            match job.stage {
                Stage::Settling(_) => self.replicas[replica].work.push(job),
                _ if protocol.mistake == Some(Mistake::ReturnAtStop) => {
                    self.replicas[replica].work.push(job.settle(Disposition::Return));
                }
                Stage::Ready | Stage::First => {
                    self.conclude(protocol, replica, job, Conclusion::Stopped)
                }
                Stage::Stuck(_) => self.hear_health(protocol, replica, job, Health::OutOfTime),
            }
        }
    }
}
