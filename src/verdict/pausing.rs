//! Why a lane pauses, what ends the pause, and how long it waits before it asks again.
//!
//! While Mimecast does not take an operation from us, the lane makes the health call at growing intervals, never with
//! somebody's message. Where a health call says nothing, the lane tries its oldest message at the same intervals; one
//! that is settled costs no interval. Copies that RabbitMQ does not take hold the lane in the same way, and so does an
//! audit trail that cannot be written.

use super::fault::Fault;
use super::health::Health;
use crate::command::Operation;
use std::time::Duration;

/// How often a paused lane asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Breaker {
    /// The first wait.
    pub initial_probe_delay: Duration,
    /// The longest wait.
    pub max_probe_delay: Duration,
}

/// Why a lane is to pause.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Pausing {
    /// What ends the pause.
    pub until: Until,
    /// What went wrong.
    pub fault: Fault,
}

/// What ends a pause. Of several reasons the last in this order decides.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Until {
    /// A change is made for some message, or ten minutes have passed: health calls are answered, and real ones fail.
    Changed,
    /// Mimecast decides on some message: a health call says nothing.
    Decided,
    /// A health call of this operation is answered.
    Answered {
        /// The operation.
        operation: Operation,
        /// The id of the group to ask for first, if it is about groups.
        group: Option<String>,
    },
}

/// One pause of a lane.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Pause {
    /// What it waits for, beside copies; nothing once that has come.
    pub reason: Option<Pausing>,
    breaker: Breaker,
    probes: u32,
}

impl Pause {
    /// A pause that waits for nothing yet, with its intervals.
    pub fn begin(breaker: Breaker) -> Pause {
        Pause { reason: None, breaker, probes: 0 }
    }

    /// There is a reason to pause. Returns whether the pause is for this one now, and was not before.
    pub fn add(&mut self, new: Pausing) -> bool {
        let is_graver = self.reason.as_ref().is_none_or(|old| old.until < new.until);
        if is_graver {
            self.reason = Some(new);
        }
        is_graver
    }

    /// A health call has ended. Returns whether the lane is paused for another fault now.
    pub fn learn(&mut self, health: Health) -> bool {
        let Some(old) = self.reason.take_if(|it| matches!(it.until, Until::Answered { .. })) else {
            return false;
        };
        let new = match health {
            Health::Answered | Health::Unclear(_) => return false,
            Health::OutOfTime => old.clone(),
            Health::Forbidden(fault) => Pausing { until: Until::Decided, fault },
            Health::NotAnswered(fault) => Pausing { fault, ..old.clone() },
        };
        let is_another = new.fault.code != old.fault.code;
        self.reason = Some(new);
        is_another
    }

    /// True while it waits for a health call.
    pub fn waits_for_health(&self) -> bool {
        let reason = self.reason.as_ref();
        reason.is_some_and(|reason| matches!(reason.until, Until::Answered { .. }))
    }

    /// True while it ends after ten minutes, whatever happens.
    pub fn expires(&self) -> bool {
        self.reason.as_ref().is_some_and(|reason| reason.until == Until::Changed)
    }

    /// A message was settled, of which Mimecast was `asked` or for which a change was made.
    pub fn settled(&mut self, asked: bool, changed: bool) {
        self.reason.take_if(|reason| match reason.until {
            Until::Changed => changed,
            Until::Decided => asked || changed,
            Until::Answered { .. } => false,
        });
    }

    /// There is no message to try with: the lane takes the next one that comes. If that one is at fault as well, the
    /// lane waits for a change again, and its ten minutes go on.
    pub fn nothing_to_try(&mut self) {
        self.reason.take_if(|reason| !matches!(reason.until, Until::Answered { .. }));
    }

    /// Ten minutes have passed.
    pub fn expired(&mut self) {
        self.reason.take_if(|reason| reason.until == Until::Changed);
    }

    /// The wait before the next probe: twice as long each time, up to the longest.
    pub fn wait(&mut self) -> Duration {
        let factor = 2_u32.saturating_pow(self.probes);
        self.probes = self.probes.saturating_add(1);
        let Breaker { initial_probe_delay, max_probe_delay } = self.breaker;
        initial_probe_delay.saturating_mul(factor).min(max_probe_delay)
    }

    /// Something has changed that may end the pause: the waits begin with the shortest again.
    pub fn begin_again(&mut self, breaker: Breaker) {
        *self = Pause { reason: self.reason.take(), ..Pause::begin(breaker) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BREAKER: Breaker = Breaker {
        initial_probe_delay: Duration::from_secs(5),
        max_probe_delay: Duration::from_secs(60),
    };

    fn pausing(until: Until) -> Pausing {
        Pausing { until, fault: Fault::new("http_503", "") }
    }

    fn answered() -> Until {
        Until::Answered { operation: Operation::RemoveGroupMember, group: None }
    }

    #[test]
    fn probes_come_at_growing_intervals() {
        let mut pause = Pause::begin(BREAKER);
        let waits = [(); 6].map(|()| pause.wait().as_secs());
        assert_eq!(waits, [5, 10, 20, 40, 60, 60]);
        pause.add(pausing(Until::Decided));
        pause.begin_again(Breaker { initial_probe_delay: Duration::from_secs(1), ..BREAKER });
        assert_eq!([(); 2].map(|()| pause.wait().as_secs()), [1, 2]);
        assert!(pause.reason.is_some());
    }

    #[test]
    fn a_pause_ends_with_what_it_waits_for_and_with_nothing_else() {
        for (until, by_answer, by_asking, by_change, by_time, by_nothing) in [
            (Until::Changed, false, false, true, true, true),
            (Until::Decided, false, true, true, false, true),
            (answered(), true, false, false, false, false),
        ] {
            let ended = |act: fn(&mut Pause)| {
                let mut pause = Pause::begin(BREAKER);
                assert!(pause.add(pausing(until.clone())));
                act(&mut pause);
                pause.reason.is_none()
            };
            assert_eq!(ended(|pause| assert!(!pause.learn(Health::Answered))), by_answer);
            assert!(!ended(|pause| pause.settled(false, false)), "{until:?}");
            assert_eq!(ended(|pause| pause.settled(true, false)), by_asking, "{until:?}");
            assert_eq!(ended(|pause| pause.settled(false, true)), by_change, "{until:?}");
            assert_eq!(ended(Pause::expired), by_time, "{until:?}");
            assert_eq!(ended(Pause::nothing_to_try), by_nothing, "{until:?}");
        }
    }

    #[test]
    fn the_gravest_reason_decides_and_the_first_of_its_kind() {
        let mut pause = Pause::begin(BREAKER);
        assert!(pause.add(pausing(Until::Changed)));
        assert!(pause.add(pausing(Until::Decided)));
        assert!(!pause.add(pausing(Until::Changed)));
        assert!(pause.add(pausing(answered())));
        assert!(!pause.add(pausing(answered())));
        assert_eq!(pause.reason.map(|it| it.until), Some(answered()));
    }

    #[test]
    fn a_health_call_that_is_not_answered_may_show_another_fault_and_ends_nothing() {
        let fault = |code| Fault::new(code, "");
        let learn = |health| {
            let mut pause = Pause::begin(BREAKER);
            pause.add(pausing(answered()));
            let is_another = pause.learn(health);
            (is_another, pause.reason.map(|it| (it.until, it.fault.code)))
        };
        let waits = |code: &str| Some((answered(), code.to_owned()));
        assert_eq!(learn(Health::NotAnswered(fault("http_503"))), (false, waits("http_503")));
        assert_eq!(learn(Health::NotAnswered(fault("timeout"))), (true, waits("timeout")));
        assert_eq!(learn(Health::OutOfTime), (false, waits("http_503")));
        let decided = Some((Until::Decided, "no".to_owned()));
        assert_eq!(learn(Health::Forbidden(fault("no"))), (true, decided));
        assert_eq!(learn(Health::Unclear(fault("no"))), (false, None));
    }
}
